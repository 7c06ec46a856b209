"""What can be asked to complete code: an artifact, an original checkpoint, a server. All answer the same questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast

from lilliput.artifact import is_artifact
from lilliput.data.problems import Problem
from lilliput.errors import UserError, refuse_unused
from lilliput.evaluate.energy import Energy
from lilliput.runtime.settings import Settings

PRECISIONS = ("fp32", "bf16")
"""What a checkpoint may be run in; an artifact has its own."""


Note = Callable[[str], object]
"""Says a line to whoever waits."""


@dataclass(frozen=True)
class Asked:
    """What is asked for one problem.

    Attributes:
        problem: the problem.
        text: what a plain completion goes on from; or what a chat is asked.
    """

    problem: Problem
    text: str


@dataclass(frozen=True)
class Made:
    """One completion.

    Attributes:
        text: what was written, without what ended it.
        tokens: how many were generated; ``None``: nobody said.
        finish: why it ended: ``stop``, ``end``, ``length``; or as a server says.
        failure: why there is none; empty: there is one.
        is_model_s: whose doing the failure is: the model's, or that of what runs it.
    """

    text: str
    tokens: int | None
    finish: str
    failure: str = ""
    is_model_s: bool = True


@dataclass(frozen=True)
class Speed:
    """How fast a model is, and what it takes.

    Attributes:
        prefill_tokens_per_s: prompt tokens read in a second; ``None``: not known.
        decode_tokens_per_s: tokens written after the first, one sequence at a time; ``None``: not known.
        tokens: generated while energy was watched.
        energy: of all that; ``None``: not known.
        method: how all this was found, in words.
    """

    prefill_tokens_per_s: float | None
    decode_tokens_per_s: float | None
    tokens: int
    energy: Energy | None
    method: str


@dataclass(frozen=True)
class GeneratorSource:
    """What to open, and how; plain values, so that another process can open it, too.

    Attributes:
        model: an artifact's folder; a checkpoint's folder or hub id; or a server's address, ``http(s)://.../v1``.
        threads: processor threads; ``None`` leaves the choice to the engine.
        precision: of a checkpoint, one of :data:`PRECISIONS`.
        chat: chats are wanted: without a template, a local model is refused.
        chat_template: file with a template; ``None``: the model's own.
        served: name of the model at the server; ``None``: the first that it lists.
    """

    model: str
    threads: int | None = None
    precision: str = "fp32"
    chat: bool = False
    chat_template: str | None = None
    served: str | None = None


class Completer(Protocol):
    """A generator of code that can be measured.

    Attributes:
        name: in a report.
        identity: tells it from every other, and from itself as run by other versions.
        facts: what a record should say of it.
        source: what it was opened as.
    """

    name: str
    identity: str
    facts: Mapping[str, Any]
    source: GeneratorSource

    def complete(self, asked: Sequence[Asked], settings: Settings) -> list[list[Made]]:
        """``settings.n`` completions of each; what fails for one of them is told of that one.

        Raises:
            UserError: nothing can be completed at all.
        """

    def bytes(self) -> dict[str, int] | None:
        """Bytes on disk by part, ``total`` first; ``None``: not known."""

    def speed(self, asked: Sequence[Asked], settings: Settings) -> Speed:
        """How fast it is with some of these, one at a time."""


@dataclass(frozen=True)
class Kind:
    """A kind of source.

    Attributes:
        module: of :mod:`lilliput.verbs.completers`, whose ``open_completer(source)`` opens it (with ``note=``, where
            it is not local); where it is, ``found(source)`` looks for it first.
        matches: whether a name is of this kind.
        is_local: it runs in a process of its own, whose memory can be measured.
    """

    module: str
    matches: Callable[[str], bool]
    is_local: bool = True


KINDS: Mapping[str, Kind] = {
    "endpoint": Kind("endpoint", lambda model: model.startswith(("http://", "https://")), is_local=False),
    "artifact": Kind("artifact", is_artifact),
    "checkpoint": Kind("checkpoint", lambda model: True),
}
"""The first that matches opens a source."""


def kind_of(source: GeneratorSource) -> str:
    """Which of :data:`KINDS` a source is."""
    return next(name for name, kind in KINDS.items() if kind.matches(source.model))


def refuse_precision(precision: str, models: Sequence[str]) -> None:
    """Refuse a precision where no checkpoint is run in it.

    Raises:
        UserError: there is none among ``models``.
    """
    runs = any(kind_of(GeneratorSource(model)) == "checkpoint" for model in models)
    asked = precision != GeneratorSource.precision
    refuse_unused({"--precision": (asked and not runs, "goes with a checkpoint, and there is none")})


def refuse_threads(threads: int | None, models: Sequence[str]) -> None:
    """Refuse a number of threads where no model runs here.

    Raises:
        UserError: all of ``models`` are servers'.
    """
    local = any(KINDS[kind_of(GeneratorSource(model))].is_local for model in models)
    refuse_unused({"--threads": (threads is not None and not local, "goes with a model that runs here")})


def require_openable(source: GeneratorSource, note: Note | None = None) -> None:
    """Refuse what cannot be opened, as far as that shows without loading a model: before the work that comes first.

    Raises:
        UserError: there is nothing of that name, or it is no generator.
        MissingExtra: it is a checkpoint, and torch or transformers is not installed.
    """
    kind = KINDS[kind_of(source)]
    if kind.is_local:
        _module(kind).found(source)
    else:
        open_completer(source, note)


def open_completer(source: GeneratorSource, note: Note | None = None) -> Completer:
    """Open what is to be measured; ``note`` is told where a server keeps one waiting.

    Raises:
        UserError: it cannot be opened, or an option is not for its kind.
        MissingExtra: it is a checkpoint, and torch or transformers is not installed.
    """
    if source.precision not in PRECISIONS:
        raise UserError(
            f"'{source.precision}' is no precision.", where="--precision", remedy=f"Use {' or '.join(PRECISIONS)}."
        )
    kind = KINDS[kind_of(source)]
    more = {} if kind.is_local else {"note": note}
    return cast("Completer", _module(kind).open_completer(source, **more))


def _module(kind: Kind) -> Any:
    return import_module(f"lilliput.verbs.completers.{kind.module}")
