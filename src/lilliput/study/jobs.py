"""A study's jobs and their results: plain values that are sent to other processes and machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lilliput.constants import NEW_TOKENS
from lilliput.errors import UserError, refuse_absurd, refuse_unused, require_whole
from lilliput.evaluate.paired import FEWEST
from lilliput.study.point import Point

FEWEST_PIECES = 2
"""Fewest pieces for which a perplexity has an interval."""


@dataclass(frozen=True)
class Measures:
    """What is measured for every point.

    Attributes:
        perplexity_pieces: held-out pieces of the standard library's code, at least :data:`FEWEST_PIECES`; 0: no
            perplexity.
        piece_tokens: maximum tokens per piece.
        humaneval: HumanEval's file; empty: no pass@1.
        limit: number of problems, from the start of the file; ``None``: all.
        strip: strip trailing white space from prompts, as GPT-2's tokenizers require.
        max_new_tokens: maximum tokens of a completion.
        batch: completions generated in parallel; larger batches are faster, but take more memory.
        perturbations: ReCode's, by name or family, for robust pass.
        perturbation_seeds: versions per random perturbation.
        speed_rounds: rounds of timing, at least :data:`~lilliput.evaluate.paired.FEWEST`; 0: no timing.
        threads: number of threads of a job's model; ``None`` leaves the choice to the engine.
        unsafe: run model-written code even where the kernel cannot protect the user's files from it.
    """

    perplexity_pieces: int = 32
    piece_tokens: int = 512
    humaneval: str = ""
    limit: int | None = None
    strip: bool = False
    max_new_tokens: int = NEW_TOKENS
    batch: int = 8
    perturbations: tuple[str, ...] = ()
    perturbation_seeds: int = 1
    speed_rounds: int = 6
    threads: int | None = None
    unsafe: bool = False

    def __post_init__(self) -> None:
        refuse_absurd(vars(self))
        for option, value, least in (
            ("--perplexity-pieces", self.perplexity_pieces, 0),
            ("--piece-tokens", self.piece_tokens, 2),
            ("--limit", self.limit, 1),
            ("--max-new-tokens", self.max_new_tokens, 1),
            ("--batch", self.batch, 1),
            ("--perturbation-seeds", self.perturbation_seeds, 1),
            ("--speed-rounds", self.speed_rounds, 0),
            ("--threads", self.threads, 1),
        ):
            if value is not None:
                require_whole(value, least, option)
        for option, value, fewest in (
            ("--perplexity-pieces", self.perplexity_pieces, FEWEST_PIECES),
            ("--speed-rounds", self.speed_rounds, FEWEST),
        ):
            if 0 < value < fewest:
                raise UserError(
                    f"{value} are too few for an interval.", where=option, remedy=f"Choose {fewest} or more, or 0."
                )
        for names, there, option in (
            (("limit", "strip", "max_new_tokens", "batch", "unsafe"), self.humaneval, "--humaneval"),
            (("perturbation_seeds",), self.perturbations, "--perturbations"),
            (("piece_tokens",), self.perplexity_pieces, "--perplexity-pieces of 2 or more"),
        ):
            refuse_unused(
                {
                    f"--{name.replace('_', '-')}": (
                        not there and getattr(self, name) != getattr(Measures, name),
                        f"goes with {option}",
                    )
                    for name in names
                }
            )
        if self.perturbations and not self.humaneval:
            raise UserError("needs problems.", where="--perturbations", remedy="Give HumanEval's file: --humaneval.")
        if not self.perplexity_pieces and not self.humaneval:
            raise UserError(
                "without perplexity and without problems there is no quality to measure.",
                where="--perplexity-pieces",
                remedy=f"Choose {FEWEST_PIECES} or more, or give HumanEval's file: --humaneval.",
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "perturbations": list(self.perturbations)}


@dataclass(frozen=True)
class Job:
    """One point to quantize and measure.

    Attributes:
        key: identifies the result: a hash of model, point, measures and versions.
        model: the checkpoint: folder, hub id or GGUF file.
        tokenizer: a ``tokenizer.json``; ``None``: the checkpoint's own.
        point: how to quantize the model.
        measures: what to measure.
        work: folder for temporary files, from which a killed job resumes.
        artifact: folder of the artifact.
        keep: whether to keep the artifact.
        concurrent: number of jobs that run at the same time, including this one.
        command: command line, for the artifact's provenance.
    """

    key: str
    model: str
    tokenizer: str | None
    point: Point
    measures: Measures
    work: str
    artifact: str
    keep: bool = False
    concurrent: int = 1
    command: str = ""


@dataclass(frozen=True)
class JobResult:
    """The result of a job; fractions, not percent. Every estimate is ``{"value", "low", "high", "n"}`` at 95 %.

    Attributes:
        key: of the job.
        point: of the job.
        bytes: of the artifact, by part.
        parameters: number of weights of the model.
        bits_per_weight: size of the graph and weight files in bits, per weight.
        quantize_s: seconds spent on quantizing; ``None``: done by an earlier run that was killed later.
        seconds: total seconds.
        speed: ``prefill_tokens_per_s`` and ``decode_tokens_per_s`` (estimates), ``concurrent``, ``threads``,
            ``method``; ``None``: not measured.
        perplexity: an estimate, with ``nll`` and that of each of the ``pieces`` (nats per token); ``None``: not
            measured.
        passed: pass@1 (an estimate), with ``outcomes`` by problem; ``None``: not measured.
        robust: perturbation -> robust pass and drop (estimates), with ``outcomes``; ``worst``: all of them together.
        machine: description of the machine.
    """

    key: str
    point: Point
    bytes: Mapping[str, int]
    parameters: int
    bits_per_weight: float
    quantize_s: float | None
    seconds: float
    speed: Mapping[str, Any] | None = None
    perplexity: Mapping[str, Any] | None = None
    passed: Mapping[str, Any] | None = None
    robust: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the whole artifact."""
        return self.bytes["total"]

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens decoded per second, if measured by a job that ran alone; ``None`` otherwise."""
        if self.speed is None or self.speed["concurrent"] != 1:
            return None
        return float(self.speed["decode_tokens_per_s"]["value"])

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> JobResult:
        """The inverse of :meth:`as_dict`.

        Raises:
            KeyError, TypeError: ``values`` is not a result.
        """
        return cls(**{**values, "point": Point(**values["point"])})


Run = Callable[[Job], JobResult]
