"""What the search may vary: the paper's five dimensions, and the precision of the weights.

Source: "Compressing Pre-trained Models of Code into 3 MB" (ASE 2022), section 3.1, table 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, order=True)
class Architecture:
    """An encoder's sizes.

    Attributes:
        layers: transformer blocks.
        hidden: width of the residual stream.
        heads: attention heads; ``hidden`` is a multiple of it.
        intermediate: width inside the feed-forward block.
        vocabulary: rows of the token embedding, special tokens included.
    """

    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int

    def as_dict(self) -> dict[str, int]:
        """Field name -> value, in the order of the JSON contract."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.layers} layers x {self.hidden}, {self.heads} heads, "
            f"intermediate {self.intermediate}, vocabulary {self.vocabulary}"
        )
