"""A child process that opens one model and answers questions, so that several models can take turns.

``python -m lilliput.verbs.compare.child REQUEST.json``; started by
:class:`~lilliput.verbs.compare.process.MeasuredProcess`, not by users. The request names one of :data:`WORKS` and what
to open. The first answer is sent after the model's first output. Between questions the process only waits for standard
input; the answer to ``memory`` includes how idle it really was.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.evaluate.resources import STARTED

WORKS: Mapping[str, tuple[str, str]] = {
    "generator": ("generator", "GeneratorWork"),
    "classifier": ("classifier", "ClassifierWork"),
    "reference": ("reference", "ReferenceWork"),
}
"""Kind -> module of :mod:`lilliput.verbs.compare` and its class, which is made from a request and has ``facts`` and one
method per question."""


def main(file: Path) -> None:
    """Open what the request names, and answer questions until there are no more."""
    answer = _answers()
    request = json.loads(file.read_text(encoding="utf-8"))
    module, name = WORKS[request["kind"]]
    try:
        work = getattr(import_module(f"lilliput.verbs.compare.{module}"), name)(request)
        answer({"started": float(os.environ[STARTED]), **work.facts})
        watch = _IdleWatch()
        for line in iter(sys.stdin.readline, ""):
            watch.stop()
            question = json.loads(line)
            what = question.pop("do")
            answer({**memory(), "idle_cores": watch.cores} if what == "memory" else getattr(work, what)(**question))
            watch.start()
    except UserError as error:
        answer({"refusal": {"problem": error.problem, "remedy": error.remedy, "where": error.where}})
        sys.exit(error.exit_code)


def _answers() -> Callable[[Any], None]:
    """A function that writes values as lines to standard output; libraries' output is redirected to standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(value: Any) -> None:
        stream.write(json.dumps(value) + "\n")
        stream.flush()

    return answer


class _IdleWatch:
    """Processor time that this process uses between an answer and the next question."""

    def __init__(self) -> None:
        self.cpu = self.seconds = 0.0
        self.start()

    def start(self) -> None:
        self._cpu, self._wall = time.process_time(), time.monotonic()

    def stop(self) -> None:
        self.cpu += time.process_time() - self._cpu
        self.seconds += time.monotonic() - self._wall

    @property
    def cores(self) -> float:
        """Average number of busy cores."""
        return self.cpu / self.seconds if self.seconds else 0.0


def memory() -> dict[str, float | None]:
    """Memory of this process in MB (10^6 bytes); ``None`` if the system does not report it.

    ``resident_mb``: all resident pages, including mapped files; ``private_mb``: anonymous pages, which only this
    process uses and the system cannot drop.
    """
    table = Path("/proc/self/smaps_rollup")
    if not table.exists():
        return {"resident_mb": None, "private_mb": None}
    lines = [line.split() for line in table.read_text(encoding="utf-8").splitlines()]
    found = {line[0]: int(line[1]) * 1024 / 1e6 for line in lines if len(line) == 3 and line[2] == "kB"}
    return {"resident_mb": found["Rss:"], "private_mb": found["Anonymous:"]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
