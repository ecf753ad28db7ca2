"""Where we practise: an embedded control plane."""

from __future__ import annotations

from .faults import Fault
from .sandbox import Sandbox, SandboxOptions

__all__ = ["Fault", "Sandbox", "SandboxOptions"]
