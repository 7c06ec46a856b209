"""What a generator's artifact says of itself, and the checks of it: a manifest may come from a stranger."""

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
    """Tokens that frame what stands before and after a gap, and the gap ("Efficient Training of Language Models to Fill
    in the Middle", Bavarian et al. 2022): ``prefix`` before ``suffix`` after ``middle``.

    Attributes:
        prefix, suffix, middle: the tokens, as the tokenizer spells them.
        end: token that ends the gap's text; ``None``: the end of the sequence.
    """

    prefix: str
    suffix: str
    middle: str
    end: str | None = None


@dataclass(frozen=True)
class GeneratorManifest:
    """What a generator's artifact says of itself.

    Attributes:
        family: ``decoder``, or ``seq2seq``, which has a graph of its encoder, too.
        model_type: the architecture, as ``config.json`` names it.
        architecture: its sizes, for people.
        parameters: how many weights there are.
        weights: how each kind of matrix is stored (``linear``, ``embedding``, ``head``).
        activations: how inputs of matrix products are rounded, whether that is emulated in floating point, and the
            settings of the engine.
        positions: the longest sequence, prompt included; ``None``: any.
        vocabulary: number of logits.
        end: ids that end a sequence.
        start: of a seq2seq: the id its output starts from.
        sampling: what the model's maker would have as defaults (``temperature``, ``top_k``, ``top_p``,
            ``repetition_penalty``); a fact to show, not what is used where nothing is asked for.
        fill: how it fills in the middle; ``None``: it does not.
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
        """Plain JSON values, without schema and table of files."""
        return {"kind": KIND, "lilliput": VERSION, **asdict(self), "end": list(self.end)}

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> GeneratorManifest:
        """The manifest, with fields that are what they are taken for.

        Raises:
            KeyError, TypeError, ValueError: they are not; the message names the field.
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
    """Whether a value out of JSON is a number that other readers of JSON take, too: finite, and not too large."""
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
"""Properties of the engine that an artifact may set -> whether a value is one of the property's."""
