"""The common interface of completers: artifacts, original checkpoints and servers."""

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
"""Precisions for running a checkpoint; an artifact has its own."""


Note = Callable[[str], object]
"""Reports a line of progress."""


@dataclass(frozen=True)
class Asked:
    """A request for one problem.

    Attributes:
        problem: the problem.
        text: the text to continue, or the question of a chat.
    """

    problem: Problem
    text: str


@dataclass(frozen=True)
class Made:
    """One completion.

    Attributes:
        text: the generated text, without the stop string.
        tokens: number of generated tokens; ``None``: unknown.
        finish: why it ended: ``stop``, ``end``, ``length``, or what a server reports.
        failure: why there is no completion; empty if there is one.
        is_model_s: whether the failure is due to the model, and not to what runs it.
    """

    text: str
    tokens: int | None
    finish: str
    failure: str = ""
    is_model_s: bool = True


@dataclass(frozen=True)
class Speed:
    """Speed and energy of a model.

    Attributes:
        prefill_tokens_per_s: prompt tokens read per second; ``None``: unknown.
        decode_tokens_per_s: tokens per second after the first, one sequence at a time; ``None``: unknown.
        tokens: tokens generated while energy was measured.
        energy: energy spent meanwhile; ``None``: unknown.
        method: how these were found, in words.
    """

    prefill_tokens_per_s: float | None
    decode_tokens_per_s: float | None
    tokens: int
    energy: Energy | None
    method: str


@dataclass(frozen=True)
class GeneratorSource:
    """What to open, and how; plain values, so that another process can open it too.

    Attributes:
        model: an artifact's folder; a checkpoint's folder or hub id; or a server's address, ``http(s)://.../v1``.
        threads: processor threads; ``None`` leaves the choice to the engine.
        precision: precision for a checkpoint, one of :data:`PRECISIONS`.
        chat: whether to chat; a local model without a template is then refused.
        chat_template: file with a template; ``None``: the model's own.
        served: name of the model on the server; ``None``: the first that it lists.
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
        name: name in a report.
        identity: unique key, which also changes with the versions that run the model.
        facts: facts to record about it.
        source: what it was opened from.
    """

    name: str
    identity: str
    facts: Mapping[str, Any]
    source: GeneratorSource

    def complete(self, asked: Sequence[Asked], settings: Settings) -> list[list[Made]]:
        """``settings.n`` completions of each request; a failure is recorded in the completion concerned.

        Raises:
            UserError: nothing can be completed at all.
        """

    def bytes(self) -> dict[str, int] | None:
        """Bytes on disk by part, ``total`` first; ``None``: unknown."""

    def speed(self, asked: Sequence[Asked], settings: Settings) -> Speed:
        """Speed on some of these requests, one at a time."""


@dataclass(frozen=True)
class Kind:
    """A kind of source.

    Attributes:
        module: module of :mod:`lilliput.verbs.completers` whose ``open_completer(source)`` opens it (with ``note=`` if
            it is not local); a local kind also has ``found(source)``, which only locates it.
        matches: whether a name is of this kind.
        is_local: whether it runs in a process here, whose memory can be measured.
    """

    module: str
    matches: Callable[[str], bool]
    is_local: bool = True


KINDS: Mapping[str, Kind] = {
    "endpoint": Kind("endpoint", lambda model: model.startswith(("http://", "https://")), is_local=False),
    "artifact": Kind("artifact", is_artifact),
    "checkpoint": Kind("checkpoint", lambda model: True),
}
"""The first kind that matches opens a source."""


def kind_of(source: GeneratorSource) -> str:
    """The name of a source's kind in :data:`KINDS`."""
    return next(name for name, kind in KINDS.items() if kind.matches(source.model))


def refuse_precision(precision: str, models: Sequence[str]) -> None:
    """Refuse a precision if no model is a checkpoint.

    Raises:
        UserError: there is no checkpoint among ``models``.
    """
    runs = any(kind_of(GeneratorSource(model)) == "checkpoint" for model in models)
    asked = precision != GeneratorSource.precision
    refuse_unused({"--precision": (asked and not runs, "goes with a checkpoint, and there is none")})


def refuse_threads(threads: int | None, models: Sequence[str]) -> None:
    """Refuse a number of threads if no model runs here.

    Raises:
        UserError: all of ``models`` are on servers.
    """
    local = any(KINDS[kind_of(GeneratorSource(model))].is_local for model in models)
    refuse_unused({"--threads": (threads is not None and not local, "goes with a model that runs here")})


def require_openable(source: GeneratorSource, note: Note | None = None) -> None:
    """Refuse early what cannot be opened, as far as that can be told without loading a model.

    Raises:
        UserError: there is nothing of that name, or it is not a generator.
        MissingExtra: it is a checkpoint, and torch or transformers is not installed.
    """
    kind = KINDS[kind_of(source)]
    if kind.is_local:
        _module(kind).found(source)
    else:
        open_completer(source, note)


def open_completer(source: GeneratorSource, note: Note | None = None) -> Completer:
    """Open a source; ``note`` is called when a server keeps the user waiting.

    Raises:
        UserError: it cannot be opened, or an option does not apply to its kind.
        MissingExtra: it is a checkpoint, and torch or transformers is not installed.
    """
    if source.precision not in PRECISIONS:
        raise UserError(
            f"'{source.precision}' is not a precision.", where="--precision", remedy=f"Use {' or '.join(PRECISIONS)}."
        )
    kind = KINDS[kind_of(source)]
    more = {} if kind.is_local else {"note": note}
    return cast("Completer", _module(kind).open_completer(source, **more))


def _module(kind: Kind) -> Any:
    return import_module(f"lilliput.verbs.completers.{kind.module}")
