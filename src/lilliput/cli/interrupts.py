"""Ctrl-C at a moment when Python would lose it.

KeyboardInterrupt is raised wherever the program happens to be. In a finalizer, or a callback of a weak reference or a C
library, nothing can catch it: Python prints "Exception ignored" and continues. The import system has such a callback
for every module; about one in 500 interrupts in a verb's first two seconds was lost there.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

SOON = 0.01
"""Seconds until a lost interrupt is sent again. If that hits another callback, it is lost and sent once more."""


@contextlib.contextmanager
def not_lost() -> Iterator[None]:
    """Context in which interrupts that Python would ignore are sent again a moment later."""
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs, /) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            before(unraisable)
            return
        timer = threading.Timer(SOON, _interrupt)
        timer.daemon = True
        with contextlib.suppress(RuntimeError):  # the interpreter is shutting down anyway
            timer.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _interrupt() -> None:
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):  # also interrupts blocking calls
        signal.pthread_kill(main, signal.SIGINT)
    else:
        _thread.interrupt_main()
