"""GGUF models as the Hugging Face checkpoints they were converted from: names, row order and ``config.json``.

Names and fields are those that ``convert_hf_to_gguf.py`` of https://github.com/ggml-org/llama.cpp writes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import CheckpointError
from lilliput.teachers.gguf_header import Place, dequantized, raw_rows, read_header

ARCHITECTURES = ("llama", "qwen2", "qwen3")
"""Supported values of ``general.architecture``; they are also the ``model_type``."""

Axes = tuple[str, ...]

_OUTSIDE: Mapping[str, tuple[str, Axes]] = {
    "token_embd": ("model.embed_tokens", ("vocabulary", "hidden")),
    "output_norm": ("model.norm", ("hidden",)),
    "output": ("lm_head", ("vocabulary", "hidden")),
}
_INSIDE: Mapping[str, tuple[str, Axes]] = {
    "attn_norm": ("input_layernorm", ("hidden",)),
    "attn_q": ("self_attn.q_proj", ("queries", "hidden")),
    "attn_k": ("self_attn.k_proj", ("keys", "hidden")),
    "attn_v": ("self_attn.v_proj", ("keys", "hidden")),
    "attn_output": ("self_attn.o_proj", ("hidden", "queries")),
    "ffn_norm": ("post_attention_layernorm", ("hidden",)),
    "ffn_gate": ("mlp.gate_proj", ("inner", "hidden")),
    "ffn_up": ("mlp.up_proj", ("inner", "hidden")),
    "ffn_down": ("mlp.down_proj", ("hidden", "inner")),
}
_HEAD_NORMS: Mapping[str, tuple[str, Axes]] = {
    "attn_q_norm": ("self_attn.q_norm", ("head",)),
    "attn_k_norm": ("self_attn.k_norm", ("head",)),
}
"""Name in GGUF -> name in a checkpoint, and shape: tensors outside the layers, inside each layer, and Qwen3's own."""

MOST_PARTS = 10_000
"""Upper bound of the number of files that one model is split into."""

_ROPE_FACTORS = "rope_freqs.weight"
"""Divisor of each frequency of the rotary embedding: how Llama 3's scaling is stored."""


class GgufFile:
    """A GGUF model as the :class:`~lilliput.graph.pieces.Tensors` of its checkpoint, read as float32.

    Args:
        path: the file, or the first file of a split model.

    Attributes:
        metadata: the header's keys and values; arrays of numbers are numpy arrays.
        config: the fields of the checkpoint's ``config.json`` that the graph needs.
        files: ``path``, and the other files of a split model.

    Raises:
        CheckpointError: the file is missing, damaged, or of an architecture or tensor type that cannot be read.
        MissingExtra: the package ``gguf`` is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata, stored = read_header(path)
        self.files = (path, *_other_parts(path, self.metadata))
        for part in self.files[1:]:
            stored |= read_header(part)[1]
        kind = self.metadata.get("general.architecture")
        if not isinstance(kind, str) or kind not in ARCHITECTURES:
            raise CheckpointError(
                f"holds a model of the architecture '{kind}'; supported: {', '.join(ARCHITECTURES)}.",
                where=path,
                remedy="Choose a model of one of these, or its original checkpoint in safetensors.",
            )
        fields = _Fields(path, kind, self.metadata)
        known = _known_names(fields, stored)
        self.places = {known[name][0]: place for name, place in stored.items()}
        self.config = _config(self, fields)
        _check_shapes(self, fields, known.values())

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def shape(self, name: str) -> tuple[int, ...]:
        """See :class:`~lilliput.graph.pieces.Tensors`."""
        return self._place(name).shape

    def read(self, name: str, rows: slice | None = None) -> NDArray[np.float32]:
        """See :class:`~lilliput.graph.pieces.Tensors`; only the requested rows are dequantized."""
        place = self._place(name)
        first, last, _ = (rows or slice(None)).indices(place.shape[0])
        last = max(first, last)
        if self.config["model_type"] == "llama" and re.search(r"self_attn\.[qk]_proj", name):
            width = self.config["head_dim"]
            start, stop = first // width * width, -(-last // width) * width
            raw = _halves_apart(raw_rows(place, name, start, stop), width)[first - start : last - start]
        else:
            raw = raw_rows(place, name, first, last)
        return dequantized(raw, place)

    def _place(self, name: str) -> Place:
        if name not in self.places:
            near = ", ".join(sorted(self.places)[:5])
            raise CheckpointError(
                f"has no tensor '{name}'; it has {near}, ...",
                where=self.path,
                remedy="Is it a whole model, not an adapter or a vocabulary alone?",
            )
        return self.places[name]


def _halves_apart(raw: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Reorder rows of whole heads from adjacent rotary pairs to Hugging Face's order, which pairs a head's two halves.

    This undoes the converter's ``permute``, which is applied to ``llama`` only.
    """
    return raw.reshape(-1, width // 2, 2, raw.shape[1]).swapaxes(1, 2).reshape(raw.shape)


def _other_parts(path: Path, metadata: Mapping[str, Any]) -> list[Path]:
    """The other files of a model that ``llama-gguf-split`` has split."""
    count = metadata.get("split.count", 1)
    if not isinstance(count, int) or count <= 1:
        return []
    if count > MOST_PARTS:
        raise CheckpointError(f"names {count:,} parts.", where=path, remedy="Get the file again.")
    name = re.fullmatch(rf"(.+-)00001(-of-{count:05d}\.gguf)", path.name)
    if name is None:
        raise CheckpointError(
            f"is one of {count} parts, and not the first by its name.",
            where=path,
            remedy=f"Give the file whose name ends in '-00001-of-{count:05d}.gguf', with the others beside it.",
        )
    return [path.with_name(f"{name[1]}{number:05d}{name[2]}") for number in range(2, count + 1)]


@dataclass(frozen=True)
class _Fields:
    """The metadata under the architecture's name; every value is validated."""

    path: Path
    kind: str
    metadata: Mapping[str, Any]

    def get(self, name: str, default: Any) -> Any:
        return self.metadata.get(f"{self.kind}.{name}", default)

    def number(self, name: str, default: float | None = None) -> float:
        value = self.get(name, default)
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise self.refused(f"has {value} as '{self.kind}.{name}', where a positive number is needed.")
        return float(value)

    def whole(self, name: str, default: int | None = None) -> int:
        value = self.get(name, default)
        if isinstance(value, np.ndarray) and value.size and (value == value[0]).all():
            value = value[0].item()  # one value per layer
        if type(value) is not int or not 0 < value < 2**31:
            raise self.refused(f"has {value} as '{self.kind}.{name}', where one positive whole number is needed.")
        return value

    def refused(self, problem: str) -> CheckpointError:
        remedy = "Get the file again, or another conversion of this model: this one cannot be read."
        return CheckpointError(problem, where=self.path, remedy=remedy)


def _known_names(fields: _Fields, stored: Iterable[str]) -> dict[str, tuple[str, Axes]]:
    """Name in the file -> name in a checkpoint, and shape; refuse tensors that no graph uses."""
    inside = {**_INSIDE, **_HEAD_NORMS} if fields.kind == "qwen3" else _INSIDE
    known: dict[str, tuple[str, Axes]] = {}
    for name in stored:
        layer = re.fullmatch(r"blk\.(\d{1,5})\.(\w+)\.(weight|bias)", name)
        short, _, part = name.rpartition(".")
        if layer and layer[2] in inside and (layer[3] == "weight" or len(inside[layer[2]][1]) == 2):
            theirs, axes = inside[layer[2]]
            known[name] = (
                f"model.layers.{int(layer[1])}.{theirs}.{layer[3]}",
                axes if layer[3] == "weight" else axes[:1],
            )
        elif short in _OUTSIDE and part == "weight":
            known[name] = f"{_OUTSIDE[short][0]}.weight", _OUTSIDE[short][1]
        elif name == _ROPE_FACTORS:
            known[name] = name, ("turned",)
        else:
            raise fields.refused(f"has the tensor '{name}', which is unknown for {fields.kind}.")
    return known


def _check_shapes(file: GgufFile, fields: _Fields, known: Iterable[tuple[str, Axes]]) -> None:
    """Check that every layer has all its weights, and every tensor the shape that the config implies."""
    config = file.config
    sizes = {
        "vocabulary": config["vocab_size"],
        "hidden": config["hidden_size"],
        "inner": config["intermediate_size"],
        "queries": config["num_attention_heads"] * config["head_dim"],
        "keys": config["num_key_value_heads"] * config["head_dim"],
        "head": config["head_dim"],
        "turned": config["head_dim"] // 2,
    }
    for name, axes in known:
        if file.shape(name) != tuple(sizes[axis] for axis in axes):
            raise fields.refused(f"has '{name}' of shape {file.shape(name)}, which contradicts the model's sizes.")
    needed = {**_INSIDE, **_HEAD_NORMS} if fields.kind == "qwen3" else _INSIDE
    weights = {name for name in file if name.startswith("model.layers.") and name.endswith(".weight")}
    layers = config["num_hidden_layers"]
    if len(weights) != layers * len(needed) or weights != {
        f"model.layers.{index}.{theirs}.weight" for index in range(layers) for theirs, _ in needed.values()
    }:
        raise fields.refused(f"does not hold the weights of {layers} layers, each with {', '.join(needed)}.")


def _config(file: GgufFile, fields: _Fields) -> dict[str, Any]:
    """The fields of a ``config.json``."""
    hidden, heads = fields.whole("embedding_length"), fields.whole("attention.head_count")
    width = fields.whole("attention.key_length", hidden // heads)
    for name in ("attention.value_length", "rope.dimension_count"):
        if fields.whole(name, width) != width or width % 2:
            raise fields.refused(f"has heads of width {width}, and {fields.get(name, width)} as '{name}'.")
    base = fields.number("rope.freq_base", 10000.0)
    values = {
        "model_type": fields.kind,
        "vocab_size": file.shape("model.embed_tokens.weight")[0],
        "hidden_size": hidden,
        "intermediate_size": fields.whole("feed_forward_length"),
        "num_hidden_layers": fields.whole("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": fields.whole("attention.head_count_kv", heads),
        "head_dim": width,
        "max_position_embeddings": fields.whole("context_length"),
        "rms_norm_eps": fields.number("attention.layer_norm_rms_epsilon"),
        "rope_theta": base,
        "rope_scaling": _rope_scaling(file, fields, width, base),
        "tie_word_embeddings": "lm_head.weight" not in file,
        "attention_bias": "model.layers.0.self_attn.q_proj.bias" in file,
        "mlp_bias": "model.layers.0.mlp.up_proj.bias" in file,
    }
    start = file.metadata.get("tokenizer.ggml.bos_token_id")
    return values | ({"bos_token_id": start} if isinstance(start, int) else {})


def _rope_scaling(file: GgufFile, fields: _Fields, width: int, base: float) -> dict[str, Any] | None:
    kind = fields.get("rope.scaling.type", "none")
    if not isinstance(kind, str) or kind not in ("none", "linear"):
        raise fields.refused(f"uses the RoPE scaling '{kind}'; supported: linear and Llama 3's.")
    if kind == "linear":
        return {"rope_type": "linear", "factor": fields.number("rope.scaling.factor")}
    return _llama3_scaling(file, fields, width, base) if _ROPE_FACTORS in file else None


def _llama3_scaling(file: GgufFile, fields: _Fields, width: int, base: float) -> dict[str, Any]:
    """Recover the scaling from the stored factors: Llama 3's constants and the largest factor must yield the others."""
    place = file.places[_ROPE_FACTORS]
    factors = dequantized(raw_rows(place, _ROPE_FACTORS, 0, place.shape[0]), place)
    factor, low, high, original = float(factors.max()), 1.0, 4.0, 8192
    turns = original * base ** (-np.arange(0, width, 2, dtype=np.float64) / width) / (2 * math.pi)
    kept = np.clip((turns - low) / (high - low), 0, 1)
    if factors.shape != kept.shape or factor < 1 or not np.allclose(factors * (kept + (1 - kept) / factor), 1, 0, 1e-3):
        raise fields.refused(f"has a '{_ROPE_FACTORS}' that is not Llama 3's RoPE scaling.")
    scaling = {"rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high}
    return {**scaling, "original_max_position_embeddings": original}
