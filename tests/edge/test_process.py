"""Where the operator can't go on it says so and ends."""

from __future__ import annotations

import json
import logging

import pytest

from archgov.cli.pages import LedgerPages
from archgov.edge.kubeconfig import Access
from archgov.edge.process import operate
from archgov.edge.settings import Settings
from tests.edge.fake_api import FakeApi


async def test_an_api_server_that_is_not_there_ends_it_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    api = FakeApi()
    async with api.serving():
        url = api.url
    with caplog.at_level(logging.ERROR, "archgov.operator"):
        assert await operate(Access(url), Settings(), LedgerPages(None)) == 1
    assert "can't be reached" in caplog.text
    assert json.dumps(url)[1:-1] in json.dumps([vars(record).get("server") for record in caplog.records])
