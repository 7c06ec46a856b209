"""Policies: how each kind of weight is stored."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lilliput.errors import UserError
from lilliput.formats.weights import AWQ_GPTQ, GPTQ, NEAREST, ROW, Scheme

LINEAR, EMBEDDING, HEAD = "linear", "embedding", "head"

_TABLES = ("positions.weight", "relative.weight")
"""Name suffixes of matrices that are not linear layers: small tables, added rather than multiplied."""


def head_name(names: Container[str]) -> str:
    """Name of the output layer's weight: its own if there is one, else the embedding's."""
    return "head.weight" if "head.weight" in names else "embedding.weight"


def role_of(name: str, shape: Sequence[int], tied: bool) -> str | None:
    """The role of a weight; ``None``: a vector or a small table, which is not quantized.

    Args:
        name: lilliput's name of the weight.
        shape: its shape.
        tied: whether the shared embedding is also the output layer, and is stored as such.
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
        linear: scheme of the layers' matrices.
        embedding: scheme of token embeddings.
        head: scheme of the output layer, and of an embedding tied to it.
    """

    linear: Scheme
    embedding: Scheme
    head: Scheme

    def scheme(self, name: str, shape: Sequence[int], tied: bool) -> Scheme | None:
        """The scheme of a weight, with the group fitted to its width; ``None``: float32."""
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
"""Name of a format -> the policy of ``--weights``. Embeddings and the output layer keep 8 bits: everything after a
token's vector reads all of it, and the output layer's errors are the logits' errors."""


def policy(
    weights: str = "int8",
    symmetric: bool | None = None,
    group: int | None = None,
    rounding: str = NEAREST,
    embedding: str | None = None,
    head: str | None = None,
) -> Policy:
    """The default policy of a format, with changes.

    Args:
        weights: format of linear layers.
        symmetric: whether linear layers are symmetric; ``None``: the default.
        group: group of linear layers; ``None``: the default.
        rounding: rounding of linear layers; with ``gptq`` or ``awq-gptq``, an output layer of less than 8 bits is also
            rounded by ``gptq``.
        embedding: format of embeddings; its default scheme for linear layers is used, with whole rows for 8 bits.
        head: format of the output layer, likewise.

    Raises:
        UserError: there is no such format, or the options contradict each other.
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
    """Reject options that only apply to integers, for a floating-point format."""
    for option, given in (("--group", group), ("--asymmetric" if symmetric is False else "--symmetric", symmetric)):
        if given is not None:
            raise UserError(f"{weights} has neither scales nor zero points.", where=option, remedy="Leave it out.")
    if rounding != NEAREST:
        raise UserError(f"{weights} is not rounded.", where="--rounding", remedy="Leave it out.")


def _default(option: str, name: str) -> Policy:
    if name not in DEFAULTS:
        raise UserError(
            f"unknown value '{name}'.", where=f"--{option}", remedy=f"Choose one of: {', '.join(DEFAULTS)}."
        )
    return DEFAULTS[name]
