"""One way to quantize a generator: a point of a study's grid, and the point of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lilliput.constants import LARGEST_SEED
from lilliput.data.lines import listed, shown
from lilliput.errors import UserError
from lilliput.formats.weights import CALIBRATED, FORMATS, NEAREST, ROW, TENSOR
from lilliput.quantize.activations import DYNAMIC, STATIC, Activations, default_mode
from lilliput.quantize.calibration import Calibration
from lilliput.quantize.policy import Policy, policy

KINDS: Mapping[str, tuple[type, str]] = {
    "weights": (str, "a word"),
    "group": (int, "a whole number"),
    "symmetric": (bool, "true or false"),
    "rounding": (str, "a word"),
    "embedding": (str, "a word"),
    "head": (str, "a word"),
    "activations": (str, "a word"),
    "activation_group": (int, "a whole number"),
    "activation_calibration": (str, "a word"),
    "calibration_pieces": (int, "a whole number"),
    "calibration_tokens": (int, "a whole number"),
    "seed": (int, "a whole number"),
}
"""Field of a point -> its type, and the type's name in messages. Fields are named as in ``lilliput quantize``."""

LARGEST = 1_000_000
"""Maximum of any whole number but a seed in an untrusted file; no use needs more."""


@dataclass(frozen=True)
class Point:
    """A way to quantize, with every field set. Create one with :func:`point`.

    Fields without effect have their default (such as the group of ``dynamic`` activations where they are not dynamic),
    so that equivalent points are equal.

    Attributes:
        weights: format of the layers, a name in :data:`~lilliput.formats.weights.FORMATS`.
        group: number of weights that share a scale; 0: a row, -1: the matrix.
        symmetric: whether there are no zero points.
        rounding: how codes are found, a name in :data:`~lilliput.formats.weights.ROUNDINGS`.
        embedding, head: formats of the embedding and of the output layer.
        activations: how activations are rounded, a name in :data:`~lilliput.quantize.activations.MODES`.
        activation_group: for ``dynamic``: values of a token that share a scale.
        activation_calibration: for ``static``: how ranges are found.
        calibration_pieces, calibration_tokens: size of the calibration set from the standard library's code.
        seed: selects the files of the calibration set.
    """

    weights: str
    group: int
    symmetric: bool
    rounding: str
    embedding: str
    head: str
    activations: str
    activation_group: int
    activation_calibration: str
    calibration_pieces: int
    calibration_tokens: int
    seed: int

    @property
    def policy(self) -> Policy:
        """How weights are stored."""
        return _stored(self.weights, self.symmetric, self.group, self.rounding, self.embedding, self.head)

    @property
    def activation(self) -> Activations:
        """How activations are rounded."""
        return Activations(self.activations, self.activation_group, self.activation_calibration)

    @property
    def calibration(self) -> Calibration:
        """The calibration set."""
        return Calibration((), self.calibration_pieces, self.calibration_tokens, self.seed)

    @property
    def calibrated(self) -> bool:
        """Whether the point needs calibration data."""
        return self.rounding in CALIBRATED or self.activations == STATIC

    @property
    def label(self) -> str:
        """A short unique name: ``int4-g128-asym-gptq.dynamic128.cal32x512``."""
        chosen = policy(self.weights)
        parts = [self.weights]
        if not chosen.linear.kind.floating:
            parts.append({TENSOR: "tensor", ROW: "row"}.get(self.group, f"g{self.group}"))
            parts.append("sym" if self.symmetric else "asym")
        parts += [] if self.rounding == NEAREST else [self.rounding]
        words = ["-".join(parts)]
        for role in ("embedding", "head"):
            if getattr(self, role) != getattr(chosen, role).format:
                words.append(f"{role}-{getattr(self, role)}")
        words.append(
            {DYNAMIC: f"dynamic{self.activation_group}", STATIC: f"static-{self.activation_calibration}"}.get(
                self.activations, self.activations
            )
        )
        if self.calibrated:
            drawn = f"s{self.seed}" if self.seed else ""
            words.append(f"cal{self.calibration_pieces}x{self.calibration_tokens}{drawn}")
        return ".".join(words)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def point(
    weights: str = "int8",
    group: int | None = None,
    symmetric: bool | None = None,
    rounding: str = NEAREST,
    embedding: str | None = None,
    head: str | None = None,
    activations: str | None = None,
    activation_group: int | None = None,
    activation_calibration: str | None = None,
    calibration_pieces: int | None = None,
    calibration_tokens: int | None = None,
    seed: int | None = None,
) -> Point:
    """Create the point for these options of ``lilliput quantize``; ``None``: the option's default.

    Raises:
        UserError: a value is invalid, or values cannot be combined; ``where`` names the option.
    """
    stored = _stored(weights, symmetric, group, rounding, embedding, head)
    linear = stored.linear
    activations = default_mode(linear.kind) if activations is None else activations
    default, data = Activations(), Calibration()
    chosen = Activations(
        activations,
        default.group if activation_group is None else activation_group,
        activation_calibration or default.calibration,
    )
    seen = Calibration(
        (),
        data.pieces if calibration_pieces is None else calibration_pieces,
        data.tokens if calibration_tokens is None else calibration_tokens,
        data.seed if seed is None else seed,
    )
    if seen.seed < 0:
        raise UserError(f"{seen.seed} is not a seed.", where="--seed", remedy="Choose 0 or more.")
    looks = rounding in CALIBRATED or activations == STATIC
    return Point(
        weights=weights,
        group=linear.group,
        symmetric=linear.symmetric,
        rounding=rounding,
        embedding=stored.embedding.format,
        head=stored.head.format,
        activations=activations,
        activation_group=chosen.group if activations == DYNAMIC else default.group,
        activation_calibration=chosen.calibration if activations == STATIC else default.calibration,
        calibration_pieces=seen.pieces if looks else data.pieces,
        calibration_tokens=seen.tokens if looks else data.tokens,
        seed=seen.seed if looks else data.seed,
    )


def _stored(
    weights: str, symmetric: bool | None, group: int | None, rounding: str, embedding: str | None, head: str | None
) -> Policy:
    """The policy of a point; group and symmetry are dropped for float formats, since grids combine all axes."""
    if weights in FORMATS and FORMATS[weights].floating:
        symmetric = group = None
    return policy(weights, symmetric, group, rounding, embedding, head)


def checked_field(name: str, value: Any, where: str) -> None:
    """Check that a field from a file is a point's and of the right type.

    Raises:
        UserError: it is not, or is out of range; the message names file and key.
    """
    if name not in KINDS:
        raise UserError(f"there is no field {shown(name)} of a point.", where=where, remedy=f"Fields: {listed(KINDS)}.")
    kind, words = KINDS[name]
    if type(value) is not kind:  # an exact match: true is an int to Python
        raise UserError(f"'{name}' must be {words}; it is {shown(value)}.", where=where, remedy="Correct it.")
    most = LARGEST_SEED if name == "seed" else LARGEST
    if isinstance(value, int) and abs(value) > most:
        raise UserError(f"'{name}' is beyond {most:,}.", where=where, remedy="Choose a smaller number.")


def point_of_dict(values: Mapping[str, Any], where: str) -> Point:
    """The inverse of :meth:`Point.as_dict`; missing fields have the defaults of ``lilliput quantize``.

    Args:
        values: from an untrusted file.
        where: the file, for messages.

    Raises:
        UserError: a field is unknown or of the wrong type, a value is invalid, or values cannot be combined; the
            message names file and key.
    """
    for name, value in values.items():
        checked_field(name, value, where)
    try:
        return point(**values)
    except UserError as error:
        raise UserError(error.problem, where=f"{where}, {field_of(error)}", remedy=error.remedy) from error


def field_of(error: UserError) -> str:
    """The field of a point that an error about an option refers to: ``'activation_group'``."""
    name = (error.where or "").removeprefix("--").replace("-", "_")
    return f"'{'symmetric' if name == 'asymmetric' else name}'"
