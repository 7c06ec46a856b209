"""The stages of a shrink, from the tokenizer to the integer graph; each is saved when done."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lilliput.batching import TokenIds
from lilliput.bpe import tokenizer_bytes, train_tokenizer, truncate_tokenizer
from lilliput.data.dataset import Dataset
from lilliput.data.rewrites.datasets import AugmentedDataset, augmented, mixed_all
from lilliput.distill.halving import Trial, successive_halving
from lilliput.distill.integer import IntegerModel, calibrated, make_floating_point, make_quantization_aware
from lilliput.distill.lesson import Lesson, measures, predict_logits
from lilliput.distill.losses import DistillationMix
from lilliput.distill.student import Student
from lilliput.encoder import EncoderConfig
from lilliput.errors import UserError
from lilliput.files import write_text
from lilliput.formats.precision import PRECISIONS
from lilliput.graph.onnx_encoder import encoder_graph
from lilliput.progress import Progress
from lilliput.runtime.classifier import EncoderRunner
from lilliput.runtime.tokens import read_tokenizer
from lilliput.search import DEFAULT_SPACE, Architecture, SearchResult, top
from lilliput.tasks import Task
from lilliput.teachers import Teacher
from lilliput.teachers.outputs import TeacherOutputs, content_hash, teacher_outputs
from lilliput.training import History
from lilliput.verbs.robustness import spoken
from lilliput.verbs.search import search_problem
from lilliput.verbs.shrink.fitting import Fitting
from lilliput.verbs.shrink.inputs import StudentInputs, model_inputs
from lilliput.verbs.shrink.plan import StudentPlan, searched_bytes
from lilliput.verbs.shrink.settings import ShrinkSettings, batch_plan_for, mix_for
from lilliput.verbs.stages import Stages

TOLERANCE = 0.005
"""Largest loss of validation accuracy that calibration alone may cost: half a point."""


@dataclass(frozen=True)
class ShrinkOutcome:
    """The result of the stages: everything that goes into the artifact.

    Attributes:
        config: configuration of the student.
        tokenizer: content of ``tokenizer.json``.
        shortlist: the architectures that were tried.
        trials: their short distillations.
        history: history of each training stage that ran, by name: ``distillation``, ``linear``, ``quantization-aware``.
        float_accuracy: validation accuracy before quantization.
        integer: the quantized model.
        valid_logits: the quantized model's logits on the validation data.
        teacher_logits: the teacher's logits on the validation data.
    """

    config: EncoderConfig
    tokenizer: bytes
    shortlist: tuple[SearchResult, ...]
    trials: tuple[Trial, ...]
    history: dict[str, list[History]]
    float_accuracy: float
    integer: IntegerModel
    valid_logits: NDArray[np.float32]
    teacher_logits: NDArray[np.float32]


class ShrinkStages:
    """The stages of one shrink, in order; each is saved when done."""

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
        self.plan = StudentPlan(settings, len(train.label_names), task.arity)
        self._hashes = {id(data): content_hash(data) for data in (train, valid)}

    def run(self) -> ShrinkOutcome:
        """Run all stages in order."""
        shortlist = self.shortlist()
        chosen, trials = self.choose(shortlist)
        student, history = self.distilled(chosen)
        floating = encoder_graph(student.config, student.export(), PRECISIONS["fp32"]).SerializeToString()
        float_accuracy = self.accuracy_of(floating, student.config)
        integer, awareness = self.quantized(student, floating, float_accuracy)
        return ShrinkOutcome(
            config=student.config,
            tokenizer=tokenizer_bytes(truncate_tokenizer(self.tokenizer, student.config.architecture.vocabulary)),
            shortlist=tuple(shortlist),
            trials=trials,
            history=history | ({"quantization-aware": awareness} if awareness else {}),
            float_accuracy=float_accuracy,
            integer=integer,
            valid_logits=self.valid_logits(integer.graph, student.config),
            teacher_logits=self.on_valid.logits,
        )

    def data(self) -> dict[str, Dataset]:
        """The data, by purpose."""
        return {"train": self.train, "valid": self.valid}

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the largest vocabulary; its prefixes are the smaller ones."""
        path = self.stages.file("tokenizer.json")
        with contextlib.suppress(UserError):  # missing or damaged
            return read_tokenizer(path)
        self.progress.note(f"training a tokenizer on {len(self.train.texts):,} functions")
        write_text(path, train_tokenizer(self.train.texts, self.settings.largest_vocabulary).to_str())
        return read_tokenizer(path)

    @cached_property
    def mix(self) -> DistillationMix:
        """Weights of the losses."""
        mix, without = mix_for(self.train.labels, self.settings.mix), int((self.train.labels < 0).sum())
        if not self.settings.network:  # a linear model has no vectors to match its teacher's
            mix = dataclasses.replace(mix, hidden=0.0)
        if without and mix.soft == mix.hidden == 0:
            self.progress.note(
                f"warning: with --soft 0, {without:,} unlabelled examples only help to train the tokenizer."
            )
        return mix

    @cached_property
    def inputs(self) -> StudentInputs:
        """Computes the student's inputs."""
        return StudentInputs(self.plan, self.tokenizer, self.progress)

    @cached_property
    def on_train(self) -> TeacherOutputs:
        """The teacher's outputs on the training data; saved."""
        return self.taught(self.train, "training")

    @cached_property
    def on_valid(self) -> TeacherOutputs:
        """The teacher's outputs on the validation data."""
        return self.taught(self.valid, "validation")

    def shortlist(self) -> list[SearchResult]:
        """Architectures worth a trial, by calculation alone."""
        measured: dict[int, int] = {}

        def bytes_of(vocabularies: NDArray[np.int64]) -> NDArray[np.int64]:
            for vocabulary in np.unique(vocabularies).tolist():
                if vocabulary not in measured:
                    measured[vocabulary] = len(tokenizer_bytes(truncate_tokenizer(self.tokenizer, vocabulary)))
            sizes: NDArray[np.int64] = np.vectorize(measured.__getitem__, otypes=[np.int64])(vocabularies)
            return sizes

        largest = min(self.tokenizer.get_vocab_size(), self.settings.largest_vocabulary)
        steps = [step for step in DEFAULT_SPACE.vocabulary if self.settings.smallest_vocabulary <= step < largest]

        def compute() -> list[dict[str, Any]]:
            problem = search_problem(
                searched_bytes(self.size, self.settings, self.train.label_names),
                self.latency_ms,
                [self.settings.precision],
                self.settings.objective,
                self.plan.shape,
                tokens=self.plan.attended,
                tokenizer_bytes=bytes_of,
                space=self.plan.space((*steps, largest)),
                reading_ms=0.0 if self.latency_ms is None else self.inputs.reading_ms(self.train),
                progress=self.progress,
            )
            return [item.as_dict() for item in top(problem, self.settings.candidates)]

        return list(self.stages.once("shortlist", compute, lambda kept: [_search_result(item) for item in kept]))

    def taught(self, dataset: Dataset, name: str) -> TeacherOutputs:
        """The teacher's outputs on a dataset; saved."""
        self.progress.note(f"teacher's outputs on {len(dataset):,} {name} examples")
        return teacher_outputs(self.teacher, dataset, self.stages.file("teacher"), self.progress)

    def tokens(self, dataset: Dataset, vocabulary: int) -> TokenIds:
        """Token ids of a dataset, with the tokenizer cut to ``vocabulary``."""
        return self.inputs.tokens(dataset, self._hashes[id(dataset)], vocabulary)

    @cached_property
    def rewritten(self) -> AugmentedDataset:
        """The training data with rewritten copies; the rewritings are saved."""
        settings, texts = self.settings, self.train.texts
        language = settings.language or spoken(self.train, self.task.name)
        self.progress.note(f"rewriting {len(texts):,} functions, parsed as {language}")
        with self.progress.track("rewriting functions", len(texts)) as advance:
            found = mixed_all(texts, language, settings.seed, self.stages.once, advance)
        made = augmented(self.train, found, settings.robust, settings.seed)
        self._hashes[id(made.dataset)] = content_hash(made.dataset)
        return made

    def lesson(self, vocabulary: int, rows: NDArray[np.int64] | None = None) -> Lesson:
        """All training examples and their rewritten copies, or only ``rows`` without copies, with their targets.

        A copy gets the teacher's outputs for its original, so that the student learns to treat both alike. With labels
        alone, the teacher is not run.
        """
        dataset, taken = self.train, np.arange(len(self.train)) if rows is None else rows
        functions = np.arange(len(self.train.texts))
        tokens = self.tokens(dataset, vocabulary)
        if rows is not None:
            dataset = dataclasses.replace(dataset, members=dataset.members[rows], labels=dataset.labels[rows])
        elif self.settings.robust:
            made = self.rewritten
            dataset, taken, functions = made.dataset, made.rows, made.functions
            tokens = self.tokens(dataset, vocabulary)
        if not self.mix.soft and not self.mix.hidden:
            return Lesson(dataset, tokens)
        outputs = self.on_train
        return Lesson(dataset, tokens, outputs.logits[taken], outputs.vectors[functions])

    def choose(self, shortlist: list[SearchResult]) -> tuple[SearchResult, tuple[Trial, ...]]:
        """Choose the candidate that learns best, by successive halving."""
        first = math.ceil(self.settings.trial_share * self.settings.epochs * len(self.train))

        def train(place: int, rung: int, examples: int) -> Trial:
            architecture = shortlist[place].architecture
            self.progress.note(f"trial of {architecture} on {examples:,} examples (round {rung + 1})")
            arguments = (architecture, place, rung, examples, name := f"trial-{rung}-{place}")
            found: Trial = self.stages.once(name, lambda: self.trial(*arguments), lambda kept: Trial(**kept))
            return found

        outcome = successive_halving(shortlist, first, train)
        self.progress.note(f"chosen: {outcome.winner.architecture}")
        return outcome.winner, outcome.trials

    def trial(self, architecture: Architecture, place: int, rung: int, examples: int, name: str) -> dict[str, Any]:
        """A short distillation of one candidate, on examples sampled with the seed."""
        settings, n = self.settings, len(self.train)
        epochs = math.ceil(examples / n)
        rows = np.random.default_rng([settings.seed, rung]).permutation(n)[: math.ceil(examples / epochs)]
        student = self.plan.student(architecture)
        lesson = self.lesson(architecture.vocabulary, np.sort(rows))
        if settings.network:
            self.fitting.network(student, lesson, epochs, settings.learning_rate, name)
        else:
            self.fitting.linear(student, lesson, name)
        found = self.validated(student)
        return Trial(place, rung, len(rows) * epochs, found["valid_loss"], found["valid_accuracy"]).as_dict()

    def distilled(self, chosen: SearchResult) -> tuple[Student, dict[str, list[History]]]:
        """The fully trained student: its network, its linear model, or both."""
        settings = self.settings
        student = self.plan.student(chosen.architecture)
        fit = self.fitting

        def validate() -> dict[str, float]:
            return self.validated(student)

        def compute() -> tuple[dict[str, NDArray[np.float32]], Any]:
            lesson = self.lesson(chosen.architecture.vocabulary)
            history: dict[str, list[History]] = {}
            if settings.network:
                self.progress.note(f"training for {settings.epochs} epochs of {len(lesson.dataset):,} examples")
                steps = (settings.epochs, settings.learning_rate, "student")
                history["distillation"] = fit.network(student, lesson, *steps, validate)
            if settings.linear:
                history["linear"] = [fit.linear(student, lesson, "student") | validate()]
            return student.export(), history

        weights, history = self.stages.weights("student", compute)
        student.load(weights)
        return student, history

    def quantized(self, student: Student, floating: bytes, float_accuracy: float) -> tuple[IntegerModel, list[History]]:
        """The graph to ship, calibrated, and fine-tuned quantization-aware if calibration lost more than the tolerance.

        Also returns the history of that fine-tuning, empty if there was none.
        """
        settings, precision = self.settings, PRECISIONS[self.settings.precision]
        if precision.bits == 32:
            return IntegerModel(floating, {}, float_accuracy, 0.0, "none"), []
        tokens = self.tokens(self.train, student.config.architecture.vocabulary)

        def accuracy_of(graph: bytes) -> float:
            return self.accuracy_of(graph, student.config)

        first = calibrated(student, tokens, precision, accuracy_of, settings.seed)
        self.progress.note(f"calibrated: {first.accuracy:.2%} validation accuracy, {float_accuracy:.2%} before")
        kept = not settings.network or first.accuracy >= float_accuracy - TOLERANCE
        enough = {"auto": kept, "calibration": True, "aware": False}
        if enough[settings.quantization]:
            return first, []

        def compute() -> tuple[dict[str, NDArray[np.float32]], Any]:
            make_quantization_aware(student, precision, first.ranges)
            lesson = self.lesson(student.config.architecture.vocabulary)
            steps = (settings.aware_epochs, settings.aware_learning_rate, "aware")
            history = self.fitting.network(student, lesson, *steps, lambda: self.validated(student))
            make_floating_point(student)
            return student.export(), history

        weights, history = self.stages.weights("aware", compute)
        student.load(weights)
        second = calibrated(student, tokens, precision, accuracy_of, settings.seed, "quantization-aware")
        self.progress.note(f"quantization-aware: {second.accuracy:.2%} validation accuracy")
        allowed = [second] if settings.quantization == "aware" else [first, second]
        best = max(allowed, key=lambda model: model.accuracy)
        if best.accuracy < float_accuracy - TOLERANCE:
            lost = 100 * (float_accuracy - best.accuracy)
            self.progress.note(f"warning: quantization costs {lost:.1f} points of validation accuracy, more than 0.5.")
        return best, history

    @cached_property
    def fitting(self) -> Fitting:
        """Trains students."""
        batches, data = batch_plan_for(self.settings, self.train), self._hashes[id(self.train)]
        return Fitting(self.settings, self.mix, batches, self.stages.file, data, self.progress)

    def validated(self, student: Student) -> dict[str, float]:
        """Accuracy and loss on the validation data, in torch."""
        tokens = self.tokens(self.valid, student.config.architecture.vocabulary)
        return measures(predict_logits(student, self.valid, tokens), self.valid.labels)

    def valid_logits(self, graph: bytes, config: EncoderConfig) -> NDArray[np.float32]:
        """Logits of an ONNX file on the validation data, run by the engine."""
        tokens = self.tokens(self.valid, config.architecture.vocabulary)
        return EncoderRunner(graph, config).logits(model_inputs(tokens), self.valid.members)

    def accuracy_of(self, graph: bytes, config: EncoderConfig) -> float:
        """Accuracy of an ONNX file on the validation data, run by the engine."""
        return float((self.valid_logits(graph, config).argmax(axis=1) == self.valid.labels).mean())


def _search_result(values: Mapping[str, Any]) -> SearchResult:
    return SearchResult(**{**values, "architecture": Architecture(**values["architecture"])})
