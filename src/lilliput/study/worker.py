"""A process that runs one job: ``python -m lilliput.study.worker``, started by
:class:`~lilliput.study.executors.LocalProcesses`, not by people.

Reads a function and a job from its parent, runs the one on the other, and writes what came of it. The pickles come
from the parent alone, through a pipe that nobody else has.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading


def main() -> None:
    """Do one job."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no part of the answer
    path, size = pickle.load(sys.stdin.buffer)
    sys.path[:] = path
    request = sys.stdin.buffer.read(size)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    from lilliput.study.executors import Failed, problem_of

    try:
        function, job = pickle.loads(request)
        answer = pickle.dumps(function(job))
    except Exception as error:  # told to the parent, which records it
        answer = pickle.dumps(Failed(problem_of(error)))
    answers.write(answer)
    answers.close()


def _end_with_parent() -> None:
    """The parent keeps its end of the pipe open as long as it lives."""
    while os.read(0, 1):  # not through sys.stdin, whose lock this thread would hold when the interpreter ends
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
