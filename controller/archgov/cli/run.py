"""`archgov run`: the operator as a process."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import time
from typing import Final

from archgov.cli.access import access
from archgov.cli.failure import Failure
from archgov.cli.options import Context, Kubeconfig
from archgov.cli.pages import LedgerPages
from archgov.edge.process import operate
from archgov.edge.settings import SettingError, settings

EXAMPLES: Final = "Example: archgov run --kubeconfig hub.kubeconfig"
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class JsonLines(logging.Formatter):
    """A line of JSON per record: a constant message, with what varies as keys of their own."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in record.__dict__.items() if key not in _STANDARD},
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str, ensure_ascii=False)


def run(kubeconfig: Kubeconfig = None, context: Context = "") -> int:
    """Run the operator until it is stopped (SIGINT or SIGTERM).

    Settings are environment variables that begin with ARCHGOV_; OTEL_* ones say where telemetry goes.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Slim rows hold no cycles: looking for them less often halves the cost of a list of pods.
    gc.set_threshold(100_000, 50, 100)
    try:
        told = settings(os.environ)
        return asyncio.run(operate(access(kubeconfig, context), told, LedgerPages(told.ledger_file)))
    except SettingError as error:
        raise Failure(str(error), "correct the environment variable, or unset it") from None
