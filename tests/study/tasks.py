"""Small functions that tests pass to executors; other processes import this module."""

import os
import signal
import time
from pathlib import Path

from lilliput.errors import UserError


def square(number):
    return number * number


def fail_at_two(number):
    if number == 2:
        raise UserError("two is too many.", remedy="Choose another.")
    if number == 3:
        raise ValueError("three,\n  too")
    return number


def die_at_two(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def chatter(number):
    print("this is no answer")
    os.write(1, b"nor is this\n")
    return number


def wait(folder):
    """Announce the process by a file named after its id, then wait for ten minutes."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)


def environment(_):
    return os.getpid(), os.environ.get("OMP_NUM_THREADS")


def wait_or_not(folder):
    """Call :func:`wait` if a folder is given."""
    if folder:
        wait(folder)
    return folder
