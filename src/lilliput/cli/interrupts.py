"""Ctrl-C at a moment when Python would lose it.

An interrupt is an exception wherever the program happens to be. Where that is a callback of a weak reference or of a
library in C, or a finalizer, nobody can catch it: Python says "Exception ignored", and the program goes on. The import
system has such a callback for every module: of some 500 interrupts in a verb's first two seconds one was lost there.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

SOON = 0.01
"""Seconds until a lost interrupt comes again: by then the callback has ended, and if another has begun, it is lost and
comes again."""


@contextlib.contextmanager
def not_lost() -> Iterator[None]:
    """Within, interrupts that Python would ignore come again a moment later."""
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs, /) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            before(unraisable)
            return
        timer = threading.Timer(SOON, _interrupt)
        timer.daemon = True
        with contextlib.suppress(RuntimeError):  # the program is at its end anyway
            timer.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _interrupt() -> None:
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):  # also ends its waiting
        signal.pthread_kill(main, signal.SIGINT)
    else:
        _thread.interrupt_main()
