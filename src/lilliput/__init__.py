"""Models of code, made small and proved."""

from lilliput.version import VERSION as __version__

__all__ = ["__version__"]
