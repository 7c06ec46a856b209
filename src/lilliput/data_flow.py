"""Data flow as an option of students: GraphCodeBERT's nodes beside the tokens that the layers see.

"GraphCodeBERT: Pre-training Code Representations with Data Flow" (Guo et al., ICLR 2021), section 4: a node of the
graph is a place of the sequence, with one position for all nodes (4.1), and attention is masked by the graph (4.2). How
it is found and laid out is in :mod:`lilliput.data.dataflow`.
"""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = ("c", "java", "python")
"""Whose data flow can be found."""

MOST_NODES = 256
"""Nodes at most; the paper has 64 or 128."""


@dataclass(frozen=True)
class DataFlow:
    """What a student reads beside its tokens.

    Attributes:
        nodes: at most; of a function with more, the first.
        language: that functions are read as.
    """

    nodes: int
    language: str

    def __post_init__(self) -> None:
        if type(self.nodes) is not int or not 1 <= self.nodes <= MOST_NODES:
            raise ValueError(f"'nodes' of the data flow must be 1 to {MOST_NODES}, not {self.nodes!r}")
        if self.language not in LANGUAGES:
            raise ValueError(
                f"'language' of the data flow must be one of {', '.join(LANGUAGES)}, not {self.language!r}"
            )

    def __str__(self) -> str:
        return f"data flow of up to {self.nodes} nodes, read as {self.language}"
