"""Writes crds/ plus docs/reference/ from the models: `python -m archgov.api.generate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import yaml

from archgov.api import reference
from archgov.api.crd import definitions
from archgov.api.kind import GROUP
from archgov.api.registry import KINDS

ROOT: Final = Path(__file__).resolve().parents[3]
HEADER: Final = "# Written by `make generate` from controller/archgov/api; edits here are lost.\n"


class _Dumper(yaml.SafeDumper):
    """Repeats what occurs twice instead of naming it, as people expect to read it."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the base class passes it
        return True


def generated(root: Path) -> dict[Path, str]:
    """Every generated file with its content; samples below `root` are quoted in the reference."""
    crds = {
        root / "crds" / f"{GROUP}_{crd['spec']['names']['plural']}.yaml": HEADER
        + yaml.dump(crd, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
        for crd in definitions()
    }
    samples = {
        kind.name: (root / "crds" / "samples" / f"{kind.singular}-full.yaml").read_text(encoding="utf-8")
        for kind in KINDS.values()
    }
    pages = reference.pages(tuple(KINDS.values()), samples)
    return crds | {root / "docs" / "reference" / name: text for name, text in pages.items()}


def write(root: Path) -> list[Path]:
    """The files that were not up to date; they are now. What earlier models made is removed."""
    files = generated(root)
    former = {*(root / "crds").glob("*.yaml"), *(root / "docs" / "reference").glob("*.md")}
    for path in former - files.keys():
        path.unlink()
    changed = [path for path, text in files.items() if path not in former or path.read_text(encoding="utf-8") != text]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
    return sorted(changed)


if __name__ == "__main__":
    for written in write(ROOT):
        sys.stdout.write(f"{written.relative_to(ROOT)}\n")
