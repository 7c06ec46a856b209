"""A stand-in for a child process that dies early."""

import os
import signal
import sys

print("Loading ...", file=sys.stderr)
print("MemoryError: no room for 14 GB", file=sys.stderr, flush=True)
if os.environ.get("BY_SIGNAL"):
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(3)
