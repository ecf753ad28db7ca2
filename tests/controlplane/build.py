"""Real kube-apiserver and etcd binaries: found where they lie, or built from this folder's go.mod.

`python tests/controlplane/build.py` prints the folder that holds both; progress goes to stderr. The standard library is
enough, so that it runs before any environment exists.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = {"etcd": "go.etcd.io/etcd/server/v3", "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver"}
PROGRESS_SECONDS = 15
LAST_LINES = 20


class Missing(Exception):
    """No binaries can be had here; the message says what would help."""


def found() -> Path | None:
    """The folder that holds etcd and kube-apiserver already: named by KUBEBUILDER_ASSETS, on PATH, or the cache."""
    return _installed() or _cached()


def build() -> Path:
    """The cache folder after both binaries have been built into it; a second builder waits for the first."""
    if shutil.which("go") is None:
        raise Missing(
            "no etcd and kube-apiserver here and no Go to build them: install Go (see go.mod for the version), "
            "or set KUBEBUILDER_ASSETS to a folder that holds both"
        )
    folder = _cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _holds_both(folder):
            _say(f"building into {folder}; a first build takes 6 to 20 minutes on two cores")
            flags = _version_flags()
            for name, package in PACKAGES.items():
                _build_one(name, package, flags, folder)
    return folder


def _installed() -> Path | None:
    """The folder named by KUBEBUILDER_ASSETS, or the one on PATH that holds both."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        if not _holds_both(Path(assets)):
            raise Missing(f"KUBEBUILDER_ASSETS={assets} lacks one of {', '.join(PACKAGES)}; correct or unset it")
        return Path(assets)
    folders = (Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry)
    return next((folder for folder in folders if _holds_both(folder)), None)


def _cached() -> Path | None:
    """The cache folder, if an earlier build has filled it."""
    folder = _cache_folder()
    return folder if _holds_both(folder) else None


def _cache_folder() -> Path:
    """One folder per content of go.mod and go.sum, outside of the checkout."""
    pinned = (HERE / "go.mod").read_bytes() + (HERE / "go.sum").read_bytes()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "archgov" / "controlplane" / hashlib.sha256(pinned).hexdigest()[:16]


def _holds_both(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in PACKAGES)


def _version_flags() -> str:
    """Linker flags that make the API server tell its version: a plain build says v0.0.0, and clients mind."""
    version = _go("list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
    major, minor, _ = version.removeprefix("v").split(".", 2)
    told = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{key}={value}" for key, value in told.items())])


def _build_one(name: str, package: str, flags: str, folder: Path) -> None:
    """Builds beside the final name and renames, so that a killed build leaves nothing that looks whole."""
    total = len(_go("list", "-deps", package).splitlines())
    unfinished = folder / f"{name}.unfinished"
    command = ["go", "build", "-v", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", str(unfinished), package]
    started = told = time.monotonic()
    compiled, last = 0, deque[str](maxlen=LAST_LINES)
    with subprocess.Popen(command, cwd=HERE, env=_environment(), stderr=subprocess.PIPE, text=True) as child:
        for line in child.stderr or ():
            compiled += 1
            last.append(line.strip())
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                _say(f"{name}: {compiled} of at most {total} packages after {told - started:.0f} s, now {last[-1]}")
    if child.returncode:
        said = "\n".join(last)
        raise Missing(f"go build {package} failed (exit {child.returncode}); it last said:\n{said}")
    unfinished.replace(folder / name)
    _say(f"{name}: built in {time.monotonic() - started:.0f} s")


def _go(*arguments: str) -> str:
    done = subprocess.run(["go", *arguments], cwd=HERE, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"go {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


def _say(line: str) -> None:
    sys.stderr.write(f"controlplane: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{found() or build()}\n")
    except Missing as missing:
        sys.exit(f"controlplane: {missing}")
