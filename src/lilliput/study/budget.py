"""What the user can afford: the largest artifact, and perhaps the slowest speed."""

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
    """What an artifact may take, at most.

    Attributes:
        bytes: of the whole artifact; ``None``: any.
        tokens_per_s: that it must decode on this machine at least, one sequence at a time; ``None``: any.
    """

    bytes: int | None = None
    tokens_per_s: float | None = None

    @classmethod
    def parsed(cls, text: str, where: str = "--budget") -> Budget:
        """``450MB,20tok/s`` -> 450,000,000 bytes at most, 20 tokens a second at least.

        Raises:
            UserError: it is not of this form.
        """
        found: dict[str, Any] = {}
        for part in (part.strip() for part in text.split(",")):
            speed = _SPEED.fullmatch(part.lower())
            name = "tokens_per_s" if speed else "bytes"
            if name in found:
                raise UserError(f"'{text}' says the same twice.", where=where, remedy=_REMEDY)
            try:
                found[name] = float(speed[1]) if speed else parse_bytes(part, where)
            except UserError as error:
                raise UserError(f"'{part}' is neither a size nor a speed.", where=where, remedy=_REMEDY) from error
            if found[name] <= 0:
                raise UserError(f"'{part}' is nothing.", where=where, remedy=_REMEDY)
        return cls(**found)

    def objection(self, size: int, tokens_per_s: float | None) -> str:
        """Why an artifact is beyond the budget; empty: it is within.

        Args:
            size: its bytes.
            tokens_per_s: how fast it decodes; ``None``: not known, which is not enough where a speed is asked for.
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
