"""Data flow: the tokens of a function, and the graph of its variables' values."""

from __future__ import annotations

from dataclasses import dataclass

COMES_FROM = "comes from"
"""The value is that of the sources: a use, or a declaration with its initializer."""

COMPUTED_FROM = "computed from"
"""The value is computed from those of the sources: an assignment, an increment, a loop's variable."""


@dataclass(frozen=True)
class FlowNode:
    """One occurrence of a variable, or of a constant that contributes to a value.

    Attributes:
        name: as written.
        token: index in :attr:`Flow.tokens`.
        relation: to its sources, :data:`COMES_FROM` or :data:`COMPUTED_FROM`.
        sources: indices of nodes, ascending; including its own if a loop carries its value back.
    """

    name: str
    token: int
    relation: str
    sources: tuple[int, ...]


@dataclass(frozen=True)
class Flow:
    """The data flow of one function.

    Attributes:
        tokens: of the code, in order, without comments (and Python's docstrings).
        nodes: in the order of their tokens, at most one per token.
        spans: start and end (exclusive) of each token, in characters of the code.
    """

    tokens: tuple[str, ...]
    nodes: tuple[FlowNode, ...]
    spans: tuple[tuple[int, int], ...]

    @property
    def edges(self) -> list[tuple[int, int]]:
        """``(source, node)`` of every edge, as indices of nodes."""
        return [(source, place) for place, node in enumerate(self.nodes) for source in node.sources]
