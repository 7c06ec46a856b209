"""A generator's manifest, and its checks: a manifest is untrusted input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeGuard

from lilliput.constants import LARGEST
from lilliput.version import VERSION

KIND = "generator"

DECODER, SEQ2SEQ = "decoder", "seq2seq"


@dataclass(frozen=True)
class FillMarks:
    """Sentinel tokens of a fill-in-the-middle prompt ("Efficient Training of Language Models to Fill in the Middle",
    Bavarian et al. 2022), which is ``prefix``, the text before the gap, ``suffix``, the text after it, ``middle``.

    Attributes:
        prefix, suffix, middle: the tokens, as the tokenizer spells them.
        end: token that ends the gap's text; ``None``: the end-of-sequence token.
    """

    prefix: str
    suffix: str
    middle: str
    end: str | None = None


@dataclass(frozen=True)
class GeneratorManifest:
    """A generator's manifest.

    Attributes:
        family: ``decoder``, or ``seq2seq``, which also has an encoder graph.
        model_type: the architecture, as named in ``config.json``.
        architecture: its sizes, for display.
        parameters: number of weights.
        weights: how each kind of matrix is stored (``linear``, ``embedding``, ``head``).
        activations: how inputs of matrix products are rounded, whether the rounding is emulated in floating point, and
            the engine's settings.
        positions: the longest sequence, prompt included; ``None``: unlimited.
        vocabulary: number of logits.
        end: token ids that end a sequence.
        start: for a seq2seq, the token id that its output starts from.
        sampling: defaults that the model's maker recommends (``temperature``, ``top_k``, ``top_p``,
            ``repetition_penalty``); shown, but not applied.
        fill: its fill-in-the-middle tokens; ``None``: it has none.
        provenance: checkpoint, hashes, calibration, command, versions, date.
    """

    family: str
    model_type: str
    architecture: Mapping[str, Any]
    parameters: int
    weights: Mapping[str, Any]
    activations: Mapping[str, Any]
    positions: int | None
    vocabulary: int
    end: tuple[int, ...]
    start: int | None = None
    sampling: Mapping[str, float] = field(default_factory=dict)
    fill: FillMarks | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the schema and the table of files."""
        return {"kind": KIND, "lilliput": VERSION, **asdict(self), "end": list(self.end)}

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> GeneratorManifest:
        """The manifest, after checking that its fields are valid.

        Raises:
            KeyError, TypeError, ValueError: a field is not; the message names it.
        """

        def require(fine: bool, name: str, wanted: str) -> None:
            if not fine:
                raise ValueError(f"'{name}' must be {wanted}")

        require(values["family"] in (DECODER, SEQ2SEQ), "family", f"'{DECODER}' or '{SEQ2SEQ}'")
        require(isinstance(values["model_type"], str), "model_type", "a word")
        for name in ("parameters", "vocabulary"):
            require(type(values[name]) is int and values[name] > 0, name, "a positive whole number")
        require(values["vocabulary"] <= LARGEST, "vocabulary", f"at most {LARGEST}")
        positions = values["positions"]
        require(positions is None or (type(positions) is int and 1 < positions <= LARGEST), "positions", "above 1")
        for name in ("architecture", "weights", "activations", "sampling", "provenance"):
            require(isinstance(values[name], dict), name, "an object")
        for role, scheme in values["weights"].items():
            require(_is_scheme(scheme), f"weights: {role}", "how weights are stored")
        mode, group = (values["activations"].get(name) for name in ("mode", "group"))
        require(mode is None or isinstance(mode, str), "activations: mode", "a word")
        require(group is None or _is_group(group), "activations: group", "a whole number")
        found_by, emulated = (values["activations"].get(name) for name in ("calibration", "emulated"))
        require(found_by is None or isinstance(found_by, str), "activations: calibration", "a word")
        require(emulated is None or isinstance(emulated, bool), "activations: emulated", "true or false")
        made = values["provenance"]
        for name in ("checkpoint", "teacher", "data"):
            require(isinstance(made.get(name, {}), dict), f"provenance: {name}", "an object")
        require(all(isinstance(part, dict) for part in made.get("data", {}).values()), "provenance: data", "of objects")
        engine = values["activations"].get("engine", {})
        require(isinstance(engine, dict), "activations: engine", "an object")
        require(engine.keys() <= ENGINE_SETTINGS.keys(), "activations: engine", f"of {', '.join(ENGINE_SETTINGS)}")
        for name, value in engine.items():
            require(ENGINE_SETTINGS[name](value), f"activations: engine: {name}", "a value that it may have")
        end, start, fill = values["end"], values["start"], values["fill"]
        require(isinstance(end, list), "end", "a list")
        for id_ in (*end, *([] if start is None else [start])):
            require(type(id_) is int and 0 <= id_ < values["vocabulary"], "end and start", "ids of tokens")
        require((start is not None) == (values["family"] == SEQ2SEQ), "start", "there for a seq2seq, and only there")
        for name, value in values["sampling"].items():
            require(is_number(value), f"sampling: {name}", "a number")
        marks = None if fill is None else FillMarks(**fill)
        if marks is not None:
            texts = (marks.prefix, marks.suffix, marks.middle, *([] if marks.end is None else [marks.end]))
            require(all(isinstance(text, str) for text in texts), "fill", "of words")
        names = [name for name in cls.__dataclass_fields__ if name not in ("end", "fill")]
        return cls(**{name: values[name] for name in names}, end=tuple(end), fill=marks)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a JSON value is a number that any JSON reader accepts: finite, and not too large."""
    return type(value) in (int, float) and abs(value) <= LARGEST


def _is_scheme(value: Any) -> bool:
    kinds = {"format": str, "symmetric": bool, "group": int, "rounding": str}
    return isinstance(value, dict) and all(type(value.get(name)) is kind for name, kind in kinds.items())


def _is_group(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


ENGINE_SETTINGS: Mapping[str, Callable[[Any], bool]] = {
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": _is_group,
    "INFERENCE_PRECISION_HINT": lambda value: value in ("f32", "bf16", "f16"),
    "KV_CACHE_PRECISION": lambda value: value in ("f32", "f16", "bf16", "u8"),
}
"""Engine property that an artifact may set -> whether a value is valid for it."""
