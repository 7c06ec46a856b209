"""Versions and date for provenance records."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform

from lilliput.version import VERSION


def versions(*packages: str) -> dict[str, str]:
    """The versions of lilliput, Python, and installed packages.

    Raises:
        importlib.metadata.PackageNotFoundError: a package is not installed.
    """
    return {"lilliput": VERSION, "python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }


def today() -> str:
    """The date in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()
