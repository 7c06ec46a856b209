"""Which weights are stored how."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lilliput.errors import UserError
from lilliput.formats.weights import AWQ_GPTQ, GPTQ, NEAREST, ROW, Scheme

LINEAR, EMBEDDING, HEAD = "linear", "embedding", "head"

_TABLES = ("positions.weight", "relative.weight")
"""Ends of the names of matrices that are no linear layers: small, and added rather than multiplied."""


def head_name(names: Container[str]) -> str:
    """The output layer's weight: its own where there is one, else the embedding's."""
    return "head.weight" if "head.weight" in names else "embedding.weight"


def role_of(name: str, shape: Sequence[int], tied: bool) -> str | None:
    """What a weight is for; ``None``: a vector or a small table, which stays as it is.

    Args:
        name: ours.
        shape: of it.
        tied: whether the shared embedding is the output layer, too, and is stored as that.
    """
    if len(shape) != 2 or name.endswith(_TABLES):
        return None
    if name == "head.weight" or (name == "embedding.weight" and tied):
        return HEAD
    return EMBEDDING if name.endswith("embedding.weight") else LINEAR


@dataclass(frozen=True)
class Policy:
    """A scheme for each role.

    Attributes:
        linear: of the layers' matrices.
        embedding: of tables of token vectors.
        head: of the output layer, and of an embedding that is the same matrix.
    """

    linear: Scheme
    embedding: Scheme
    head: Scheme

    def scheme(self, name: str, shape: Sequence[int], tied: bool) -> Scheme | None:
        """The scheme of a weight, its group fitted to it; ``None``: float32."""
        role = role_of(name, shape, tied)
        if role is None:
            return None
        found: Scheme = getattr(self, role)
        return found.fitted(shape[1])

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


_BYTES = Scheme("int8", True, ROW)

DEFAULTS: Mapping[str, Policy] = {
    "fp32": Policy(Scheme("fp32"), Scheme("fp32"), Scheme("fp32")),
    "fp16": Policy(Scheme("fp16"), Scheme("fp16"), Scheme("fp16")),
    "int8": Policy(_BYTES, _BYTES, _BYTES),
    "int4": Policy(Scheme("int4", False, 128), _BYTES, _BYTES),
    "nf4": Policy(Scheme("nf4", True, 64), _BYTES, _BYTES),
    "int3": Policy(Scheme("int3", False, 64), _BYTES, _BYTES),
    "int2": Policy(Scheme("int2", False, 32), _BYTES, _BYTES),
}
"""Name of a format -> the policy that ``--weights`` stands for. Embeddings and the output layer keep 8 bits: a token's
vector is read whole by everything after it, and the output layer's errors are the logits' errors."""


def policy(
    weights: str = "int8",
    symmetric: bool | None = None,
    group: int | None = None,
    rounding: str = NEAREST,
    embedding: str | None = None,
    head: str | None = None,
) -> Policy:
    """The policy of a format, changed where something is asked for.

    Args:
        weights: name of the format of linear layers.
        symmetric: of linear layers.
        group: likewise.
        rounding: likewise; where it looks at inputs (``gptq``, ``awq-gptq``), an output layer of less than 8 bits is
            rounded by ``gptq``, too.
        embedding: name of a format; its default scheme for linear layers is used, with whole rows for 8 bits.
        head: likewise.

    Raises:
        UserError: no such format, or what is asked for does not go together.
    """
    base = _default("weights", weights)
    if base.linear.kind.floating:
        _refuse_without_effect(weights, symmetric, group, rounding)
    changes: dict[str, Any] = {"rounding": rounding}
    changes |= {} if symmetric is None else {"symmetric": symmetric}
    changes |= {} if group is None else {"group": group}
    linear = replace(base.linear, **changes)
    others = {}
    for role, name in ((EMBEDDING, embedding), (HEAD, head)):
        if name is not None:
            others[role] = _default(role, name).linear
    found = replace(base, linear=linear, **others)
    calibrated = rounding in (GPTQ, AWQ_GPTQ) and found.head.kind.bits < 8
    return replace(found, head=replace(found.head, rounding=GPTQ)) if calibrated else found


def _refuse_without_effect(weights: str, symmetric: bool | None, group: int | None, rounding: str) -> None:
    """Refuse, for a floating-point format, what only says how integers are found."""
    for option, given in (("--group", group), ("--asymmetric" if symmetric is False else "--symmetric", symmetric)):
        if given is not None:
            raise UserError(f"{weights} has neither scales nor zero points.", where=option, remedy="Leave it out.")
    if rounding != NEAREST:
        raise UserError(f"{weights} is not rounded.", where="--rounding", remedy="Leave it out.")


def _default(option: str, name: str) -> Policy:
    if name not in DEFAULTS:
        raise UserError(
            f"there is none called '{name}'.", where=f"--{option}", remedy=f"Choose one of: {', '.join(DEFAULTS)}."
        )
    return DEFAULTS[name]
