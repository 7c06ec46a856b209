"""The protocol of the peers: requests, one per line, on standard input; JSON answers on standard output.

``prefill N``: start over and read N tokens; returns the seconds until the logits of the next token are available.
``decode N``: decode N more tokens greedily; returns the seconds of each.
``memory``: returns resident and private megabytes.

Imports only the standard library, because each peer runs in its own environment.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

THREADS = 2


def prompt(tokens: int, vocabulary: int) -> list[int]:
    """Return token ids, the same for every peer."""
    return [random.Random(tokens).randrange(100, min(vocabulary, 30_000)) for _ in range(tokens)]


def memory() -> dict[str, float]:
    with Path("/proc/self/smaps_rollup").open(encoding="ascii") as stream:
        lines = [line.split() for line in stream if line.count(":") == 1 and "kB" in line]
    found = {name.rstrip(":"): int(kilobytes) * 1024 / 1e6 for name, kilobytes, _ in lines}
    return {"resident_mb": found["Rss"], "private_mb": found["Anonymous"]}


def serve(start: Callable[[Sequence[int]], int], step: Callable[[int], int], vocabulary: int, **facts: Any) -> None:
    """Answer requests until the input ends.

    Args:
        start: Resets the state and reads a prompt; returns the most likely next token.
        step: Reads one more token; likewise.
        vocabulary: Size of the model's vocabulary.
        facts: Sent with the first answer.
    """
    token = start(prompt(16, vocabulary))
    for _ in range(3):
        token = step(token)
    _answer({"ready": True, **facts})
    for line in sys.stdin:
        what, *arguments = line.split()
        if what == "prefill":
            ids = prompt(int(arguments[0]), vocabulary)
            begin = time.perf_counter()
            token = start(ids)
            _answer(time.perf_counter() - begin)
        elif what == "decode":
            times = []
            for _ in range(int(arguments[0])):
                begin = time.perf_counter()
                token = step(token)
                times.append(time.perf_counter() - begin)
            _answer(times)
        else:
            _answer(memory())


_OUT = os.fdopen(os.dup(1), "w")  # a private copy: libraries may print to standard output
os.dup2(2, 1)


def _answer(value: Any) -> None:
    try:
        print(json.dumps(value), file=_OUT, flush=True)
    except BrokenPipeError:  # the reader is gone
        os._exit(1)
