"""What is fixed about a student before the search chooses its architecture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lilliput.data_flow import DataFlow
from lilliput.encoder import EncoderConfig, reads_on
from lilliput.errors import BudgetError, UserError
from lilliput.grams import Grams
from lilliput.runtime.tokens import STEP
from lilliput.search import DEFAULT_SPACE, Architecture, SearchSpace, StudentShape, bag_space
from lilliput.search.cost import MANIFEST_AND_CARD_BYTES
from lilliput.tasks import Task
from lilliput.verbs.shrink.settings import POOLING, ShrinkSettings

if TYPE_CHECKING:
    from lilliput.distill.student import Student

HEAD = 128
"""Width of the head of students without layers, which the search has no basis to choose."""


@dataclass(frozen=True)
class StudentPlan:
    """Everything about a student except its architecture, from the settings, or else from the task.

    Attributes:
        settings: settings of the shrink.
        classes: number of classes of the task.
        arity: functions per example, 1 or 2.
    """

    settings: ShrinkSettings
    classes: int
    arity: int

    @property
    def attended(self) -> int:
        """Tokens that the layers see."""
        return min(self.settings.max_tokens, self.settings.attended)

    @property
    def positions(self) -> int:
        """Rows of the position table: the tokens that the layers see, padded as at run time."""
        return -(-self.attended // STEP) * STEP

    @property
    def pooling(self) -> str:
        """How the student pools tokens; without layers there are none to pool."""
        return self.settings.pooling or (POOLING[self.arity] if self.attended else "mean")

    @property
    def linear(self) -> Grams | None:
        """The table of the linear model, if there is one."""
        return self.settings.linear.grams(self.classes) if self.settings.linear else None

    @property
    def max_tokens(self) -> int:
        """The longest input: the tokens that the layers see, unless something beside them reads further."""
        return self.settings.max_tokens if reads_on(self.pooling, self.settings.grams, self.linear) else self.attended

    @property
    def shape(self) -> StudentShape:
        """The student's shape, for the search."""
        settings = self.settings
        beside = (settings.vector, settings.grams, settings.data_flow, self.linear)
        return StudentShape(self.classes, self.arity, self.positions, *beside)

    @property
    def data_flow(self) -> DataFlow | None:
        """The data flow that the student reads; the settings then name a language."""
        nodes, language = self.settings.data_flow, self.settings.language
        return DataFlow(nodes, language) if nodes and language else None

    def space(self, vocabulary: tuple[int, ...]) -> SearchSpace:
        """The architectures to search, with tokenizers of these sizes."""
        if self.attended:
            return replace(DEFAULT_SPACE, vocabulary=vocabulary)
        return bag_space(vocabulary, HEAD if self.settings.network else 0)

    def student(self, architecture: Architecture) -> Student:
        """A new student with an architecture."""
        from lilliput.distill.student import Student

        settings = self.settings
        return Student(self.config(architecture), settings.dropout, settings.seed, settings.grams_dropout)

    def config(self, architecture: Architecture) -> EncoderConfig:
        """The configuration of a student with an architecture."""
        return EncoderConfig(
            architecture,
            self.classes,
            self.arity,
            positions=self.positions,
            pooling=self.pooling,
            vector=self.settings.vector,
            grams=self.settings.grams,
            linear=self.linear,
            data_flow=self.data_flow,
        )


def require_single(settings: ShrinkSettings, task: Task) -> None:
    """Refuse a linear model on pairs: it reads one function.

    Raises:
        UserError: examples of ``task`` join two functions.
    """
    if settings.linear and task.arity > 1:
        raise UserError(
            f"reads single functions; the examples of task '{task.name}' join {task.arity}.",
            where="--linear",
            remedy="Leave it out: --grams with --attended 0 makes a student without layers that reads pairs.",
        )


def searched_bytes(size: int, settings: ShrinkSettings, names: Sequence[str]) -> int:
    """Bytes of a budget that the search may use: all but those that grow with settings and labels.

    Args:
        size: bytes of the whole artifact.
        settings: settings of the shrink; epochs and candidates lengthen evidence and card.
        names: names of the classes, which also lengthen them.

    Raises:
        BudgetError: nothing of ``size`` is left for a model.
    """
    lines = 200 * max(settings.epochs + settings.aware_epochs - 20, 0) + 900 * max(settings.candidates - 5, 0)
    reserve = lines + sum(4 * len(name.encode()) + 60 for name in names[8:])
    if reserve and size <= (needed := reserve + MANIFEST_AND_CARD_BYTES):
        raise BudgetError(
            f"evidence, card and manifest of {settings.epochs:,} epochs, {settings.candidates:,} candidates and "
            f"{len(names):,} classes take about {needed:,} bytes; the budget of {size:,} leaves no room for a model.",
            where="--size",
            remedy="Raise the budget, or lower --epochs or --candidates.",
        )
    return size - reserve
