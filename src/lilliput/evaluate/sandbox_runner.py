"""The innermost process of the sandbox: execute the untrusted program, and signal if it reached its end.

Never imported: :mod:`lilliput.evaluate.sandbox` passes this file's text to ``python -c`` inside the sandbox, with the
number of the pipe to signal on. Standard input is a file: a token, a line break, the program in UTF-8. The token is
read, and the file closed, before the program starts.
"""

import os
import sys
import types

FAILED, EXITED, OUT_OF_MEMORY = 101, 102, 103
"""Exit codes: an exception; ``SystemExit``; ``MemoryError``."""


def _everything(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def main() -> None:
    """Execute the program as the module ``__main__``."""
    write, leave = os.write, os._exit  # the program may replace the module's attributes
    end = int(sys.argv[1])
    token, _, source = _everything(0).partition(b"\n")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.argv = ["program"]
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module  # dataclasses, pickle and typing look names up there
    complain, errors, exit_code = sys.__excepthook__, sys.__stderr__, FAILED
    try:
        exec(compile(source.decode("utf-8"), "<program>", "exec"), module.__dict__)
        write(end, token)
        exit_code = 0
    except MemoryError:
        exit_code = OUT_OF_MEMORY
    except BaseException as error:
        exit_code = EXITED if isinstance(error, SystemExit) else FAILED
        complain(type(error), error, error.__traceback__)
        if errors is not None:
            errors.flush()
    finally:
        leave(exit_code)  # neither waits for the program's threads nor runs its exit handlers


main()
