"""Try out kernels: ``python -m lilliput.kernels.trial LIBRARY`` exits with 0 if their results are right."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from lilliput.graph.blocks import rms_norm
from lilliput.kernels.chain import in_a_chain
from lilliput.kernels.library import Heads, Layout, Library

ROWS, COLUMNS, GROUP, WIDTH = 40, 96, 32, 48


def main(file: str) -> int:
    """Test the kernels, and print those that give wrong results."""
    library = Library(Path(file))
    wrong = [f"products of {bits}-bit weights" for bits in (4, 8) if not _multiplies(library, bits)]
    wrong += [] if _attends(library) else ["attention"]
    wrong += [] if _looks(library) else ["attention to a source"]
    wrong += [] if _chains(library) else ["steps in a chain"]
    if wrong:
        print(f"wrong: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


def _multiplies(library: Library, bits: int) -> bool:
    """One token, a few, and more: each takes a different code path."""
    random = np.random.default_rng(0)
    inputs = random.integers(-127, 128, (2, 7, COLUMNS)).astype(np.float32)
    inputs[..., ::GROUP] = 127  # so that rounding changes nothing
    codes = random.integers(0, 2**bits, (ROWS, COLUMNS), np.uint8)
    stored = codes if bits == 8 else codes[:, ::2] | codes[:, 1::2] << 4
    scales = random.uniform(0.5, 2, (ROWS, COLUMNS // GROUP)).astype(np.float16)
    weights = (codes.astype(np.float32) - 2 ** (bits - 1)) * scales.repeat(GROUP, 1)
    near = []
    for tokens in inputs, inputs[:1, :3], inputs[:1, :1]:
        number = library.packed(Layout(ROWS, COLUMNS, GROUP, bits, 1, 0, 0), stored, scales, None, False, 2)
        near.append(_is_near(_product(library, number, tokens), tokens @ weights.T, 1e-3))
    return all(near)


def _attends(library: Library) -> bool:
    """Many tokens, then one."""
    places = [ov.opset13.parameter([-1, -1, heads, WIDTH], ov.Type.f32) for heads in (4, 2, 2)]
    places += [ov.opset13.parameter([-1] * rank, ov.Type.i32) for rank in (2, 1)]
    parts = [Heads(place.output(0), heads, WIDTH, True) for place, heads in zip(places, (4, 2, 2), strict=False)]
    node = library.attention(parts, places[3].output(0), places[4].output(0), 2, WIDTH**-0.5)
    compiled = ov.Core().compile_model(ov.Model([node], places, "trial"), "CPU")
    random = np.random.default_rng(0)
    query, key, value = (random.normal(size=(1, 71, heads, WIDTH)).astype(np.float32) for heads in (4, 2, 2))
    found = []
    for first, last in ((0, 70), (70, 71)):
        new = [array[:, first:last] for array in (query, key, value)]
        found.append(compiled([*new, np.ones((1, last), np.int32), np.zeros(1, np.int32)])[0])
    scores = np.einsum("bthd,bshd->bhts", query, key.repeat(2, 2)) / np.sqrt(WIDTH)
    weights = np.exp(np.where(np.tri(71, dtype=bool), scores, -np.inf))
    wanted = np.einsum("bhts,bshd->bthd", weights / weights.sum(-1, keepdims=True), value.repeat(2, 2))
    return _is_near(np.concatenate(found, 1), wanted.reshape(1, 71, -1), 0.02)


def _looks(library: Library) -> bool:
    """A token that attends to a source whose last tokens are padding."""
    places = [ov.opset13.parameter([-1, -1, 2, WIDTH], ov.Type.f32) for _ in range(3)]
    masks = [ov.opset13.parameter([-1] * rank, ov.Type.i32) for rank in (2, 1, 2)]
    queries, *source = (Heads(place.output(0), 2, WIDTH, True) for place in places)
    real, order, target = (mask.output(0) for mask in masks)
    memory, attention = library.source_attention(queries, source, (real, target), order, 2, 1.0)
    read, look = (
        ov.Core().compile_model(ov.Model([node], inputs, "trial"), "CPU")
        for node, inputs in ((memory, places[1:]), (attention, [places[0], *masks]))
    )
    key, value = np.random.default_rng(0).normal(size=(2, 1, 71, 2, WIDTH)).astype(np.float32)
    read([key, value])
    query, kept = key[:, :1], 66
    seen = (np.arange(71) < kept).astype(np.int32)[None]
    found = look([query, seen, np.zeros(1, np.int32), np.ones((1, 1), np.int32)])[0]
    weights = np.exp(np.einsum("bthd,bshd->bhts", query, key[:, :kept]))
    wanted = np.einsum("bhts,bshd->bthd", weights / weights.sum(-1, keepdims=True), value[:, :kept])
    return _is_near(found, wanted.reshape(1, 1, -1), 0.02)


def _chains(library: Library) -> bool:
    """A norm and a product."""
    random = np.random.default_rng(0)
    token, weight = random.normal(size=(2, 1, 1, COLUMNS)).astype(np.float32)
    codes = random.integers(0, 256, (ROWS, COLUMNS), np.uint8)
    number = library.packed(
        Layout(ROWS, COLUMNS, GROUP, 8, 0, 0, 0), codes, np.ones((ROWS, 1), np.float16), None, False, 2
    )
    place = ov.opset13.parameter([1, 1, COLUMNS], ov.Type.f32)
    normal = rms_norm(place, ov.opset13.constant(weight), None, 1e-6)
    model = ov.Model([library.products(normal.output(0), [number], 2)], [place], "trial")
    chain = in_a_chain(model, library, 2)
    if chain is None:
        return False
    found = ov.Core().compile_model(chain, "CPU")([token])[0]
    wanted = (token / np.sqrt(np.mean(token**2) + 1e-6) * weight) @ (codes.astype(np.float32) - 128).T
    return _is_near(found, wanted, 0.02)


def _product(library: Library, number: int, tokens: NDArray[np.float32]) -> NDArray[np.float32]:
    place = ov.opset13.parameter([-1, -1, COLUMNS], ov.Type.f32)
    model = ov.Model([library.products(place.output(0), [number], 2)], [place], "trial")
    result: NDArray[np.float32] = ov.Core().compile_model(model, "CPU")([tokens])[0]
    return result


def _is_near(found: NDArray[np.float32], wanted: NDArray[np.float32], share: float) -> bool:
    return bool(np.allclose(found, wanted, rtol=1e-5, atol=share * np.abs(wanted).max()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
