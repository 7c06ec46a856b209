"""The user's budget: a maximum artifact size and a minimum speed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lilliput.errors import UserError
from lilliput.units import parse_bytes, show_bytes

_SPEED = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(?:tok|tokens)/s")
_REMEDY = "Write bytes, a speed, or both: --budget 450MB, --budget 450MB,20tok/s."


@dataclass(frozen=True)
class Budget:
    """The limits of an artifact.

    Attributes:
        bytes: maximum size of the whole artifact; ``None``: any.
        tokens_per_s: minimum decoding speed on this machine, one sequence at a time; ``None``: any.
    """

    bytes: int | None = None
    tokens_per_s: float | None = None

    @classmethod
    def parsed(cls, text: str, where: str = "--budget") -> Budget:
        """Parse ``450MB,20tok/s`` as at most 450,000,000 bytes and at least 20 tokens per second.

        Raises:
            UserError: ``text`` is not of this form.
        """
        found: dict[str, Any] = {}
        for part in (part.strip() for part in text.split(",")):
            speed = _SPEED.fullmatch(part.lower())
            name = "tokens_per_s" if speed else "bytes"
            if name in found:
                raise UserError(f"'{text}' gives two sizes or two speeds.", where=where, remedy=_REMEDY)
            try:
                found[name] = float(speed[1]) if speed else parse_bytes(part, where)
            except UserError as error:
                raise UserError(f"'{part}' is neither a size nor a speed.", where=where, remedy=_REMEDY) from error
            if found[name] <= 0:
                raise UserError(f"'{part}' is not above 0.", where=where, remedy=_REMEDY)
        return cls(**found)

    def objection(self, size: int, tokens_per_s: float | None) -> str:
        """Why an artifact exceeds the budget; empty: it does not.

        Args:
            size: its bytes.
            tokens_per_s: its decoding speed; ``None``: unknown, which fails a budget with a speed.
        """
        if self.bytes is not None and size > self.bytes:
            return f"{show_bytes(size)} are more than {show_bytes(self.bytes)}"
        if self.tokens_per_s is None:
            return ""
        if tokens_per_s is None:
            return "its speed is not known"
        return f"{tokens_per_s:.1f} tok/s are too slow" if tokens_per_s < self.tokens_per_s else ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"bytes": self.bytes, "tokens_per_s": self.tokens_per_s}

    def __str__(self) -> str:
        size = [] if self.bytes is None else [f"{show_bytes(self.bytes)} at most"]
        speed = [] if self.tokens_per_s is None else [f"{self.tokens_per_s:g} tok/s at least"]
        return ", ".join(size + speed) or "none"
