"""A process that runs one job: ``python -m lilliput.study.worker``, started by
:class:`~lilliput.study.executors.LocalProcesses`, not by users.

It reads a function and a job from its parent, calls the function on the job, and writes the result. The pickles come
only from the parent, through a pipe that no other process has.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading


def main() -> None:
    """Run one job."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not end up in the answer
    path, size = pickle.load(sys.stdin.buffer)
    sys.path[:] = path
    request = sys.stdin.buffer.read(size)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    from lilliput.study.executors import Failed, problem_of

    try:
        function, job = pickle.loads(request)
        answer = pickle.dumps(function(job))
    except Exception as error:  # sent to the parent, which records it
        answer = pickle.dumps(Failed(problem_of(error)))
    answers.write(answer)
    answers.close()


def _end_with_parent() -> None:
    """Exit when the parent's end of the pipe closes, which it keeps open as long as it lives."""
    while os.read(0, 1):  # not through sys.stdin, whose lock this thread would hold at interpreter exit
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
