"""What every peer is asked, line by line on standard input, and answers in JSON on standard output.

``prefill N``: read N tokens, from nothing; seconds until the logits of the next one are there.
``decode N``: go on for N tokens, the most likely each time; seconds of each.
``memory``: resident and private megabytes.

Imports nothing but the standard library: each peer runs in an environment of its own.
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
    """The same ids for every peer."""
    return [random.Random(tokens).randrange(100, min(vocabulary, 30_000)) for _ in range(tokens)]


def memory() -> dict[str, float]:
    with Path("/proc/self/smaps_rollup").open(encoding="ascii") as stream:
        found = {
            line.split(":")[0]: int(line.split()[1]) / 1e3 for line in stream if line.count(":") == 1 and "kB" in line
        }
    return {"resident_mb": found["Rss"], "private_mb": found["Anonymous"]}


def serve(start: Callable[[Sequence[int]], int], step: Callable[[int], int], vocabulary: int, **facts: Any) -> None:
    """Answer until there are no more questions.

    Args:
        start: forgets everything, reads a prompt; the most likely next token.
        step: reads one more; likewise.
        vocabulary: of the model.
        facts: told first.
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


_OUT = os.fdopen(os.dup(1), "w")  # libraries print where they like; answers go where they are waited for
os.dup2(2, 1)


def _answer(value: Any) -> None:
    try:
        print(json.dumps(value), file=_OUT, flush=True)
    except BrokenPipeError:  # nobody waits any more
        os._exit(1)
