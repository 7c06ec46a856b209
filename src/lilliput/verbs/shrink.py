"""``shrink``: a teacher goes in, an artifact within a budget comes out."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lilliput.artifact import CARD, EVIDENCE, GRAPH, TOKENIZER, ArtifactBytes, Manifest, save
from lilliput.batching import BatchPlan, TokenIds
from lilliput.data.dataset import Dataset, concatenate
from lilliput.data.labels import require_two_classes
from lilliput.data.tables import Columns
from lilliput.distill.halving import Trial, successive_halving
from lilliput.distill.integer import IntegerModel, calibrated, make_floating_point, make_quantization_aware
from lilliput.distill.lesson import Lesson, distill, measures, predict_logits
from lilliput.distill.losses import DistillationMix
from lilliput.distill.student import Student
from lilliput.distill.tokenizer import tokenizer_bytes, train_tokenizer, truncate_tokenizer
from lilliput.encoder import PAD_ID, EncoderConfig
from lilliput.errors import BudgetError, UserError
from lilliput.evaluate.classification import score
from lilliput.graph.onnx_encoder import encoder_graph
from lilliput.progress import Progress
from lilliput.quantize.scheme import PRECISIONS
from lilliput.report.card import CardFacts, model_card
from lilliput.runtime.classifier import EncoderRunner
from lilliput.runtime.tokens import CodeTokenizer
from lilliput.search import Architecture, SearchResult, StudentShape, top
from lilliput.tasks import Task, task_named
from lilliput.teachers import Teacher, open_teacher
from lilliput.teachers.outputs import TeacherOutputs, teacher_outputs
from lilliput.training import TrainingPlan
from lilliput.units import show_bytes
from lilliput.verbs.search import DEFAULT_LATENCY_MS, search_problem
from lilliput.verbs.stages import Stages
from lilliput.version import VERSION

TOLERANCE = 0.005
"""Largest loss of validation accuracy from quantization that calibration alone may cost: half a point."""


@dataclass(frozen=True)
class ShrinkSettings:
    """How a student is made. The defaults are those measured in ``benchmarks/``.

    Attributes:
        precision: how weights are stored.
        objective: what ranks architectures, a name in :data:`lilliput.search.OBJECTIVES`.
        candidates: architectures that short distillations choose between.
        trial_share: of the final training's examples, what each candidate gets in the first round.
        epochs: passes over the data in the final distillation.
        learning_rate: its peak.
        batch: examples a step.
        max_tokens: longest input, special tokens included.
        dropout: probability.
        mix: weights of the losses.
        aware_epochs: passes of quantization-aware fine-tuning, where it is needed.
        aware_learning_rate: its peak.
        largest_vocabulary: of the tokenizers considered.
        seed: of everything random.
    """

    precision: str = "int8"
    objective: str = "gflops"
    candidates: int = 4
    trial_share: float = 0.08
    epochs: int = 10
    learning_rate: float = 5e-4
    batch: int = 32
    max_tokens: int = 400
    dropout: float = 0.1
    mix: DistillationMix = field(default_factory=DistillationMix)
    aware_epochs: int = 1
    aware_learning_rate: float = 5e-5
    largest_vocabulary: int = 8000
    seed: int = 0


@dataclass(frozen=True)
class ShrinkResult:
    """What was made.

    Attributes:
        path: the artifact.
        bytes: on disk, by part.
        architecture: the sizes chosen.
        precision: of the weights.
        valid_accuracy: of the artifact on the validation data, which also chose it.
        float_accuracy: of the same student before quantization.
        teacher_accuracy: of the teacher.
        quantization: ``none``, ``calibration`` or ``quantization-aware``.
    """

    path: Path
    bytes: ArtifactBytes
    architecture: Architecture
    precision: str
    valid_accuracy: float
    float_accuracy: float
    teacher_accuracy: float
    quantization: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = {name: getattr(self, name) for name in ("valid_accuracy", "float_accuracy", "teacher_accuracy")}
        return {
            "path": str(self.path),
            "bytes": self.bytes.as_dict(),
            "architecture": self.architecture.as_dict(),
            "precision": self.precision,
            **plain,
            "quantization": self.quantization,
        }


def shrink(
    teacher: str | Path,
    task: str,
    train: Sequence[Path],
    valid: Sequence[Path],
    out: Path,
    *,
    size: int = 3_000_000,
    latency_ms: float | None = DEFAULT_LATENCY_MS,
    unlabelled: Sequence[Path] = (),
    columns: Columns | None = None,
    tokenizer: Path | None = None,
    settings: ShrinkSettings | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> ShrinkResult:
    """Make a small model of a teacher.

    Args:
        teacher: folder, file or hub id, see :func:`lilliput.teachers.open_teacher`.
        task: name of the task.
        train: labelled training files.
        valid: validation files; they choose the architecture, the quantization, and the epoch kept.
        out: the artifact's folder.
        size: bytes of the whole artifact.
        latency_ms: bound on one thread's time at ``settings.max_tokens`` tokens; ``None``: no bound.
        unlabelled: files of further examples, for the teacher to label.
        columns: names of the columns of tables.
        tokenizer: of a teacher that does not carry its own.
        settings: how.
        command: recorded in the provenance.
        progress: shown while working.

    Raises:
        UserError: bad input, or a budget that nothing fits. Killed at any moment, the same call goes on where it was.
    """
    kind, columns = task_named(task), columns or Columns()
    opened = open_teacher(teacher, tokenizer=tokenizer, task=task)
    data = kind.read(train, columns, opened.label_names, True)
    require_two_classes(data)
    checked = kind.read(valid, columns, opened.label_names, True)
    if unlabelled:
        data = concatenate(data, kind.read(unlabelled, columns, opened.label_names, False))
    return shrink_model(
        opened,
        kind,
        data,
        checked,
        Path(out),
        size=size,
        latency_ms=latency_ms,
        settings=settings or ShrinkSettings(),
        command=command,
        progress=progress or Progress(),
    )


def shrink_model(
    teacher: Teacher,
    task: Task,
    train: Dataset,
    valid: Dataset,
    out: Path,
    *,
    size: int,
    latency_ms: float | None,
    settings: ShrinkSettings,
    command: str = "",
    progress: Progress,
) -> ShrinkResult:
    """The core of :func:`shrink`, on an opened teacher and data in memory."""
    identity = {
        "schema": 1,
        "teacher": teacher.fingerprint,
        "task": task.name,
        "train": train.sha256,
        "valid": valid.sha256,
        "size": size,
        "latency_ms": latency_ms,
        "settings": dataclasses.asdict(settings),
    }
    stages = Stages(out, identity, progress)
    work = _Work(teacher, task, train, valid, size, latency_ms, settings, stages, progress)
    artifact = work.run(out, command)
    stages.finish()
    return artifact


class _Work:
    """The stages of one shrink, in order; each is kept when done."""

    def __init__(
        self,
        teacher: Teacher,
        task: Task,
        train: Dataset,
        valid: Dataset,
        size: int,
        latency_ms: float | None,
        settings: ShrinkSettings,
        stages: Stages,
        progress: Progress,
    ) -> None:
        self.teacher, self.task, self.train, self.valid = teacher, task, train, valid
        self.size, self.latency_ms = size, latency_ms
        self.settings, self.stages, self.progress = settings, stages, progress
        self._tokens: dict[tuple[int, str], TokenIds] = {}

    def run(self, out: Path, command: str) -> ShrinkResult:
        """All stages, then the artifact."""
        self.tokenizer = self.largest_tokenizer()
        shortlist = self.shortlist()
        self.on_train = self.taught(self.train, "train")
        self.on_valid = self.taught(self.valid, "valid")
        chosen, trials = self.choose(shortlist)
        student, history = self.distilled(chosen)
        floating = self.accuracy_of(encoder_graph(student.config, student.export(), PRECISIONS["fp32"]), student.config)
        integer = self.quantized(student, floating)
        return self.write(out, command, shortlist, chosen, trials, history, floating, integer)

    def largest_tokenizer(self) -> Tokenizer:
        """The tokenizer of the largest vocabulary, whose prefixes are all smaller ones."""
        path = self.stages.file("tokenizer.json")
        if not path.exists():
            self.progress.note(f"training a tokenizer on {len(self.train.texts):,} functions")
            train_tokenizer(self.train.texts, self.settings.largest_vocabulary).save(f"{path}.part")
            Path(f"{path}.part").replace(path)
        return Tokenizer.from_file(str(path))

    def shortlist(self) -> list[SearchResult]:
        """Architectures worth a trial, by arithmetic."""
        measured: dict[int, int] = {}

        def bytes_of(vocabularies: NDArray[np.int64]) -> NDArray[np.int64]:
            for vocabulary in np.unique(vocabularies).tolist():
                if vocabulary not in measured:
                    measured[vocabulary] = len(tokenizer_bytes(truncate_tokenizer(self.tokenizer, vocabulary)))
            return np.vectorize(measured.__getitem__, otypes=[np.int64])(vocabularies)

        shape = StudentShape(len(self.train.label_names), self.task.arity)
        problem = search_problem(
            self.size,
            self.latency_ms,
            [self.settings.precision],
            self.settings.objective,
            shape,
            tokens=self.settings.max_tokens,
            tokenizer_bytes=bytes_of,
            progress=self.progress,
        )
        return [_search_result(item) for item in self.stages.once("shortlist", lambda: _shortlisted(problem, self))]

    def taught(self, dataset: Dataset, name: str) -> TeacherOutputs:
        """What the teacher says of a dataset; kept on disk."""
        self.progress.note(f"teacher's outputs on {len(dataset):,} {name} examples")
        return teacher_outputs(self.teacher, dataset, self.stages.file("teacher"), self.progress)

    def tokens(self, dataset: Dataset, vocabulary: int) -> TokenIds:
        """The student's token ids of a dataset, with its tokenizer cut to ``vocabulary``."""
        key = (vocabulary, dataset.sha256)
        if key not in self._tokens:
            tokenizer = CodeTokenizer(truncate_tokenizer(self.tokenizer, vocabulary), self.settings.max_tokens)
            self._tokens[key] = TokenIds(tokenizer.encode(dataset.texts), PAD_ID, self.settings.max_tokens)
        return self._tokens[key]

    def config(self, architecture: Architecture) -> EncoderConfig:
        """The student's configuration."""
        return EncoderConfig(architecture, classes=len(self.train.label_names), arity=self.task.arity)

    def lesson(self, vocabulary: int, rows: NDArray[np.int64] | None = None) -> Lesson:
        """All training examples, or ``rows`` of them, with the teacher's outputs."""
        tokens = self.tokens(self.train, vocabulary)
        if rows is None:
            return Lesson(self.train, tokens, self.on_train.logits, self.on_train.vectors)
        part = dataclasses.replace(self.train, members=self.train.members[rows], labels=self.train.labels[rows])
        return Lesson(part, tokens, self.on_train.logits[rows], self.on_train.vectors)

    def choose(self, shortlist: list[SearchResult]) -> tuple[SearchResult, list[dict[str, Any]]]:
        """The candidate that learns best, by successive halving."""
        first = math.ceil(self.settings.trial_share * self.settings.epochs * len(self.train))

        def train(place: int, rung: int, examples: int) -> Trial:
            architecture = shortlist[place].architecture
            self.progress.note(f"trial of {architecture} on {examples:,} examples (round {rung + 1})")
            name = f"trial-{rung}-{place}"
            return Trial(**self.stages.once(name, lambda: self.trial(architecture, place, rung, examples, name)))

        outcome = successive_halving(shortlist, first, train)
        self.progress.note(f"chosen: {outcome.winner.architecture}")
        return outcome.winner, [trial.as_dict() for trial in outcome.trials]

    def trial(self, architecture: Architecture, place: int, rung: int, examples: int, name: str) -> dict[str, Any]:
        """A short distillation of one candidate, on examples drawn with the seed."""
        settings, n = self.settings, len(self.train)
        epochs = math.ceil(examples / n)
        rows = np.random.default_rng([settings.seed, rung]).permutation(n)[: math.ceil(examples / epochs)]
        student = Student(self.config(architecture), settings.dropout, settings.seed)
        self.fit(student, self.lesson(architecture.vocabulary, np.sort(rows)), epochs, settings.learning_rate, name)
        found = self.validated(student)
        return Trial(place, rung, len(rows) * epochs, found["valid_loss"], found["valid_accuracy"]).as_dict()

    def distilled(self, chosen: SearchResult) -> tuple[Student, list[dict[str, float]]]:
        """The student, fully trained."""
        settings = self.settings
        student = Student(self.config(chosen.architecture), settings.dropout, settings.seed)

        def compute() -> tuple[dict[str, NDArray[np.float32]], Any]:
            self.progress.note(f"distilling for {settings.epochs} epochs of {len(self.train):,} examples")
            lesson = self.lesson(chosen.architecture.vocabulary)
            history = self.fit(student, lesson, settings.epochs, settings.learning_rate, "student", keep_best=True)
            return student.export(), history

        weights, history = self.stages.weights("student", compute)
        student.load(weights)
        return student, history

    def quantized(self, student: Student, floating: float) -> IntegerModel:
        """The graph to ship: calibrated, and fine-tuned with rounding if calibration lost more than the tolerance."""
        settings, precision = self.settings, PRECISIONS[self.settings.precision]
        if precision.bits == 32:
            graph = encoder_graph(student.config, student.export(), precision)
            return IntegerModel(graph.SerializeToString(), {}, floating, 0.0, "none")
        tokens = self.tokens(self.train, student.config.architecture.vocabulary)

        def accuracy_of(graph: bytes) -> float:
            return self.accuracy_of(graph, student.config)

        first = calibrated(student, tokens, precision, accuracy_of, settings.seed)
        self.progress.note(f"calibrated: {first.accuracy:.2%} of validation, {floating:.2%} before quantization")
        if first.accuracy >= floating - TOLERANCE:
            return first

        def compute() -> tuple[dict[str, NDArray[np.float32]], Any]:
            make_quantization_aware(student, precision, first.ranges)
            lesson = self.lesson(student.config.architecture.vocabulary)
            history = self.fit(student, lesson, settings.aware_epochs, settings.aware_learning_rate, "aware", True)
            make_floating_point(student)
            return student.export(), history

        weights, _ = self.stages.weights("aware", compute)
        student.load(weights)
        second = calibrated(student, tokens, precision, accuracy_of, settings.seed, "quantization-aware")
        self.progress.note(f"quantization-aware: {second.accuracy:.2%} of validation")
        return max(first, second, key=lambda model: model.accuracy)

    def fit(
        self, student: Student, lesson: Lesson, epochs: int, learning_rate: float, name: str, keep_best: bool = False
    ) -> list[dict[str, float]]:
        """Distil into ``student``, with a checkpoint of that name."""
        settings = self.settings
        plan = TrainingPlan(
            epochs=epochs,
            learning_rate=learning_rate,
            seed=settings.seed,
            keep_best="valid_accuracy" if keep_best else None,
        )
        checkpoint = self.stages.file(f"{name}.pt")
        history = distill(
            student,
            lesson,
            settings.mix,
            plan,
            BatchPlan(examples=settings.batch, seed=settings.seed),
            validate=(lambda: self.validated(student)) if keep_best else None,
            checkpoint=checkpoint,
            fingerprint=f"{name}|{student.config}|{self.train.sha256}",
            progress=self.progress,
        )
        checkpoint.unlink(missing_ok=True)
        return history

    def validated(self, student: Student) -> dict[str, float]:
        """Accuracy and loss on the validation data, in torch."""
        tokens = self.tokens(self.valid, student.config.architecture.vocabulary)
        return measures(predict_logits(student, self.valid, tokens), self.valid.labels)

    def accuracy_of(self, graph: Any, config: EncoderConfig) -> float:
        """Accuracy on the validation data of an ONNX model, in the engine."""
        content = graph if isinstance(graph, bytes) else graph.SerializeToString()
        logits = EncoderRunner(content, config).logits(
            self.tokens(self.valid, config.architecture.vocabulary).ids, self.valid.members
        )
        self.valid_logits = logits
        return float((logits.argmax(axis=1) == self.valid.labels).mean())

    def write(
        self,
        out: Path,
        command: str,
        shortlist: list[SearchResult],
        chosen: SearchResult,
        trials: list[dict[str, Any]],
        history: list[dict[str, float]],
        floating: float,
        integer: IntegerModel,
    ) -> ShrinkResult:
        """The artifact, whole."""
        settings, config = self.settings, self.config(chosen.architecture)
        self.accuracy_of(integer.graph, config)
        positive = self.task.positive
        scores = score(
            self.valid.labels, self.valid_logits.argmax(axis=1), len(self.train.label_names), positive, seed=settings.seed
        )
        teacher_accuracy = measures(self.on_valid.logits, self.valid.labels)["valid_accuracy"]
        provenance = {
            "teacher": {"name": self.teacher.name, "sha256": self.teacher.fingerprint, "valid_accuracy": teacher_accuracy},
            "data": {
                name: {"files": list(data.sources), "examples": len(data), "sha256": data.sha256}
                for name, data in (("train", self.train), ("valid", self.valid))
            },
            "seed": settings.seed,
            "command": command,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "versions": {"lilliput": VERSION, "python": platform.python_version()}
            | {name: version(name) for name in ("openvino", "torch", "onnx", "tokenizers")},
        }
        manifest = Manifest(
            task=self.task.name,
            labels=tuple(self.train.label_names),
            config=config,
            precision=settings.precision,
            max_tokens=settings.max_tokens,
            provenance=provenance,
        )
        evidence = {
            "valid": {
                "n": scores.n,
                "accuracy": scores.accuracy,
                "f1": scores.f1,
                "mcc": scores.mcc,
                "intervals": {name: list(pair) for name, pair in scores.intervals.items()},
                "note": "chosen on this data; measure on held-out data before relying on it",
            },
            "quantization": {
                "method": integer.method,
                "clip": integer.clip,
                "accuracy_before": floating,
                "accuracy_after": integer.accuracy,
            },
            "search": {"shortlist": [item.as_dict() for item in shortlist], "trials": trials},
            "history": history,
            "settings": dataclasses.asdict(settings),
        }
        weights = integer.graph
        card = model_card(
            CardFacts(
                task=self.task.name,
                labels=tuple(self.train.label_names),
                architecture=str(chosen.architecture),
                precision=settings.precision,
                provenance=provenance,
                evidence=evidence["valid"],
            )
        )
        files = {
            GRAPH: weights,
            TOKENIZER: tokenizer_bytes(truncate_tokenizer(self.tokenizer, chosen.architecture.vocabulary)),
            CARD: card.encode(),
            EVIDENCE: json.dumps(evidence, separators=(",", ":")).encode(),
        }
        total = sum(map(len, files.values())) + 4096
        if total > self.size:
            raise BudgetError(
                f"the artifact would take {total:,} bytes, more than the {self.size:,} allowed.",
                where="--size",
                remedy="Raise the budget a little: the predicted size was too small.",
            )
        artifact = save(out, manifest, files)
        self.progress.note(f"{out}: {show_bytes(artifact.bytes().total)}, {scores.accuracy:.2%} of validation")
        return ShrinkResult(
            path=out,
            bytes=artifact.bytes(),
            architecture=chosen.architecture,
            precision=settings.precision,
            valid_accuracy=scores.accuracy,
            float_accuracy=floating,
            teacher_accuracy=teacher_accuracy,
            quantization=integer.method,
        )


def _shortlisted(problem: Any, work: _Work) -> list[dict[str, Any]]:
    found = top(problem, work.settings.candidates)
    return [item.as_dict() for item in found]


def _search_result(values: Mapping[str, Any]) -> SearchResult:
    return SearchResult(**{**values, "architecture": Architecture(**values["architecture"])})


__all__ = ["ShrinkResult", "ShrinkSettings", "UserError", "shrink", "shrink_model"]
