"""Apply quantization settings to a checkpoint: calibration data, rounding method and activation ranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lilliput.artifact import WEIGHTS
from lilliput.errors import UserError
from lilliput.formats.weights import HQQ, NEAREST
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.layers import InputRounding
from lilliput.graph.rounded_inputs import rounded_by_token, rounded_to_ranges
from lilliput.graph.stored import StoredWeight
from lilliput.quantize.activations import STATIC, TOKEN, Activations
from lilliput.quantize.blockwise import Blockwise, Original
from lilliput.quantize.calibration import Calibration, Tokens, digest
from lilliput.quantize.ranges import InputRange, Stored, input_ranges
from lilliput.quantize.stream import Rounding
from lilliput.quantize.unseen import Unseen
from lilliput.teachers.generator import GeneratorCheckpoint
from lilliput.verbs.quantize.settings import QuantizeSettings
from lilliput.verbs.stages import Stages


def calibration_data(checkpoint: GeneratorCheckpoint, settings: QuantizeSettings) -> tuple[Tokens, ...]:
    """Calibration data for each of the model's stacks; empty if the settings need none.

    Raises:
        UserError: there are too few data, or they cannot be read.
    """
    if not settings.calibrated:
        return ()
    config = checkpoint.config
    start = None if isinstance(config, DecoderConfig) else checkpoint.start
    return settings.calibration.data(checkpoint.tokenizer, config.positions, start)


def calibration_facts(calibration: Calibration, data: Sequence[Tokens]) -> dict[str, Any]:
    """Facts about the calibration data for a record; lengths are those of the longest piece."""
    if not data:
        return {}
    lengths = [tokens.ids.shape[1] for tokens in data]
    facts = {**calibration.as_dict(), "pieces": len(data[0].ids), "tokens": lengths[0], "sha256": digest(data)}
    return facts if len(data) == 1 else {**facts, "target_tokens": lengths[1]}


def weight_rounding(
    checkpoint: GeneratorCheckpoint, settings: QuantizeSettings, data: Sequence[Tokens]
) -> Rounding | None:
    """The method that finds the codes; ``None``: round to nearest.

    Raises:
        UserError: the format is floating point and has no codes to round.
    """
    linear = settings.policy.linear
    if linear.rounding in (NEAREST, HQQ):
        return None if linear.rounding == NEAREST else Unseen()
    if linear.kind.floating:
        raise UserError(f"{linear.format} is not rounded.", where="--rounding", remedy="Leave it out.")
    return Blockwise(Original(checkpoint.config, checkpoint.pieces, checkpoint.tensors), settings.policy, data)


def ranges_of_inputs(
    checkpoint: GeneratorCheckpoint,
    settings: QuantizeSettings,
    entries: Sequence[StoredWeight],
    data: Sequence[Tokens],
    work: Stages,
) -> list[InputRange]:
    """Activation ranges, if activations are quantized statically; else none."""
    if settings.inputs.mode != STATIC:
        return []
    stored = Stored(checkpoint.config, entries, work.file(WEIGHTS))
    return input_ranges(stored, data, settings.inputs.calibration, work.file("ranges.npz"), work.progress)


def input_rounding(activations: Activations, ranges: Sequence[InputRange]) -> InputRounding | None:
    """How graphs round inputs of their linear layers; ``None``: not at all, or by the engine."""
    if activations.mode == STATIC:
        return rounded_to_ranges({layer: found.range for found in ranges for layer in found.layers})
    return rounded_by_token if activations.mode == TOKEN else None
