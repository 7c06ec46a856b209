"""Models of code, made small and proved.

``lilliput.load(path)`` runs an artifact, with the core install; :mod:`lilliput.api` has the verbs of the command line.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from lilliput.errors import UserError
from lilliput.version import VERSION

if TYPE_CHECKING:
    from lilliput.runtime.loading import load

__version__ = VERSION

# OpenVINO tells its makers over the network, unasked, that it was imported, by a package that it looks for: here it
# finds none. Whoever imported it before this has decided for themselves.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: importing it fails

__all__ = ["UserError", "__version__", "load"]


def __getattr__(name: str) -> Any:
    # The engine takes a quarter of a second to import, so it waits until it is asked for.
    if name == "load":
        from lilliput.runtime.loading import load

        return load
    raise AttributeError(f"module 'lilliput' has no attribute {name!r}")
