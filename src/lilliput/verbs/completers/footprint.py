"""A child process that opens a generator and completes prompts, so that its memory can be measured from outside.

``python -m lilliput.verbs.completers.footprint REQUEST.json``; started by :func:`peak_memory_mb`, not by users.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from lilliput.children import python_module
from lilliput.data.problems import Problem
from lilliput.evaluate.resources import tried_peak_memory
from lilliput.runtime.settings import Settings
from lilliput.verbs.completers.base import Asked, GeneratorSource, open_completer

TOKENS = 32
"""Maximum tokens per completion while memory is measured."""


def peak_memory_mb(
    source: GeneratorSource, asked: Sequence[Asked], batch: int, note: Callable[[str], object]
) -> float | None:
    """Peak resident memory in MB of a fresh process that opens the model and completes a batch of the longest prompts.

    ``None`` if it fails; ``note`` is called with the reason.
    """
    longest = sorted(asked, key=lambda one: -len(one.text))[:batch]
    request = {"source": asdict(source), "texts": [one.text for one in longest], "batch": batch}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "request.json"
        file.write_text(json.dumps(request), encoding="utf-8")
        return tried_peak_memory(python_module("lilliput.verbs.completers.footprint", str(file)), note)


def main(file: Path) -> None:
    """Carry out the request in a file."""
    request = json.loads(file.read_text(encoding="utf-8"))
    asked = [Asked(Problem(str(place), text, "f", "", ""), text) for place, text in enumerate(request["texts"])]
    completer = open_completer(GeneratorSource(**request["source"]))
    completer.complete(asked, Settings(max_new_tokens=TOKENS, batch=request["batch"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
