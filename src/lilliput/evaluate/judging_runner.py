"""Run a program and then its tests, and report on standard error, in one line, which of the two failed.

Never imported: :mod:`lilliput.evaluate.judging` prepends this file's text to the source that the sandbox runs. The line
is ``wrong: ...`` where the tests raised, ``error: ...`` where the program did, ``tests: ...`` where the tests are not
valid Python.
"""


def judge(parts: list[str], tests: str, stand_in: str) -> None:
    """Execute all parts as one module ``__main__``, then ``tests`` in it.

    Args:
        parts: pieces of the program.
        tests: code that raises if the program is wrong.
        stand_in: source of a substitute for numpy where it is not installed; ``""``: the tests do not need it.
    """
    import os
    import sys
    import types

    write, leave = os.write, os._exit  # the program may replace the module's attributes

    def end(kind: str, error: BaseException) -> None:
        try:
            message = f"{type(error).__name__}: {error}".removesuffix(": ")
        except BaseException:
            message = type(error).__name__
        line = " ".join(f"{kind}: {message}".split())
        write(2, b"\n" + line.encode("utf-8", "replace")[:180] + b"\n")
        leave(101)

    try:
        checked = compile(tests, "<tests>", "exec")
    except (SyntaxError, ValueError, RecursionError) as error:
        end("tests", error)
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module  # dataclasses, pickle and typing look names up there
    stage = "error"
    try:
        for part in parts:
            exec(compile(part, "<completion>", "exec"), module.__dict__)
        stage = "wrong"
        if stand_in:
            try:
                __import__("numpy")
            except ImportError:
                made = types.ModuleType("numpy")
                sys.modules["numpy"] = sys.modules["numpy.testing"] = made
                exec(compile(stand_in, "<numpy>", "exec"), made.__dict__)
                made.__dict__["testing"] = made
        exec(checked, module.__dict__)
    except (MemoryError, SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        files, step = [], error.__traceback__
        while step is not None:
            files.append(step.tb_frame.f_code.co_filename)
            step = step.tb_next
        inner = [file for file in files if file in ("<completion>", "<tests>")]
        undefined = isinstance(error, NameError)  # the program should have defined the name
        end("error" if undefined or inner[-1:] == ["<completion>"] else stage, error)
