"""What made something, and when: for its record."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform

from lilliput.version import VERSION


def versions(*packages: str) -> dict[str, str]:
    """Of lilliput, Python, and installed packages.

    Raises:
        importlib.metadata.PackageNotFoundError: one is not installed.
    """
    return {"lilliput": VERSION, "python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }


def today() -> str:
    """The date in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()
