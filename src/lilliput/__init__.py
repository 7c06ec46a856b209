"""Make models of code small, and prove how good they still are.

``lilliput.load(path)`` opens an artifact to run it and needs only the core install; :mod:`lilliput.api` has the command
line's verbs as functions.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from lilliput.errors import UserError
from lilliput.version import VERSION

if TYPE_CHECKING:
    from lilliput.runtime.loading import load

__version__ = VERSION

# On import, OpenVINO sends telemetry without asking if it finds the package openvino_telemetry: hide that package. A
# program that imported it earlier keeps it.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None makes its import fail

__all__ = ["UserError", "__version__", "load"]


def __getattr__(name: str) -> Any:
    # Importing the engine takes a quarter of a second, so it is put off until first use.
    if name == "load":
        from lilliput.runtime.loading import load

        return load
    raise AttributeError(f"module 'lilliput' has no attribute {name!r}")
