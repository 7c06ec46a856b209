"""What a quantization's settings come to for one checkpoint: the data it looks at, how codes are found, and ranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.artifact import WEIGHTS
from lilliput.errors import UserError
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.layers import InputRounding
from lilliput.graph.rounded_inputs import rounded_by_token, rounded_to_ranges
from lilliput.graph.stored import StoredWeight
from lilliput.quantize.activations import DYNAMIC, STATIC, TOKEN, Activations
from lilliput.quantize.blockwise import Blockwise, Decoder
from lilliput.quantize.calibration import Calibration, digest
from lilliput.quantize.ranges import InputRange, Stored, input_ranges
from lilliput.quantize.stream import Rounding
from lilliput.quantize.unseen import Unseen
from lilliput.quantize.weights import AWQ, AWQ_GPTQ, GPTQ, HQQ, NEAREST
from lilliput.teachers.generator import GeneratorCheckpoint
from lilliput.verbs.quantize_settings import QuantizeSettings
from lilliput.verbs.stages import Stages


def calibration_ids(checkpoint: GeneratorCheckpoint, settings: QuantizeSettings) -> NDArray[np.int64] | None:
    """Token ids ``[pieces, tokens]`` that something is found by; ``None``: nothing is.

    Raises:
        UserError: what is asked for is not for this kind of model, or there are too few data.
    """
    rounding, mode, config = settings.policy.linear.rounding, settings.activations.mode, checkpoint.config
    needs = []
    if rounding in (GPTQ, AWQ, AWQ_GPTQ):
        needs.append((rounding, "--rounding", f"{NEAREST}, or {HQQ}"))
    if mode == STATIC:
        needs.append((mode, "--activations", f"{DYNAMIC}, or {TOKEN}"))
    if not needs:
        return None
    if not isinstance(config, DecoderConfig):
        name, option, others = needs[0]
        raise UserError(
            f"{name} is for decoders; '{checkpoint.values['model_type']}' has an encoder, too.",
            where=option,
            remedy=f"Choose {others}.",
        )
    return settings.calibration.ids(checkpoint.tokenizer, config.positions)


def calibration_facts(calibration: Calibration, ids: NDArray[np.int64] | None) -> dict[str, Any]:
    """What is to be said of calibration data."""
    if ids is None:
        return {}
    return {**calibration.as_dict(), "pieces": len(ids), "tokens": ids.shape[1], "sha256": digest(ids)}


def weight_rounding(
    checkpoint: GeneratorCheckpoint, settings: QuantizeSettings, ids: NDArray[np.int64] | None
) -> Rounding | None:
    """How codes are found.

    Raises:
        UserError: there are none.
    """
    linear, config = settings.policy.linear, checkpoint.config
    if linear.rounding in (NEAREST, HQQ):
        return None if linear.rounding == NEAREST else Unseen()
    if linear.kind.floating:
        raise UserError(f"{linear.format} is not rounded.", where="--rounding", remedy="Leave it out.")
    assert ids is not None and isinstance(config, DecoderConfig)  # as calibration_ids found
    return Blockwise(Decoder(config, checkpoint.pieces, checkpoint.tensors), settings.policy, ids)


def ranges_of_inputs(
    checkpoint: GeneratorCheckpoint,
    settings: QuantizeSettings,
    entries: Sequence[StoredWeight],
    ids: NDArray[np.int64] | None,
    work: Stages,
) -> list[InputRange]:
    """Ranges of inputs, where they are to be rounded to such."""
    config, activations = checkpoint.config, settings.activations
    if activations.mode != STATIC or ids is None or not isinstance(config, DecoderConfig):
        return []
    decoder = Stored(config, entries, work.file(WEIGHTS))
    return input_ranges(decoder, ids, activations.calibration, work.file("ranges.npz"), work.progress)


def input_rounding(activations: Activations, ranges: Sequence[InputRange]) -> InputRounding | None:
    """What graphs do to inputs of their linear layers; ``None``: nothing, or the engine does it."""
    if activations.mode == STATIC:
        return rounded_to_ranges({layer: found.range for found in ranges for layer in found.layers})
    return rounded_by_token if activations.mode == TOKEN else None
