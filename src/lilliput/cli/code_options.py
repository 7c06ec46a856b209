"""Options of the verbs that run what models wrote, declared once."""

from __future__ import annotations

from typing import Annotated

import typer

K = Annotated[
    str | None,
    typer.Option("--k", help="k of pass@k, several with commas. Default: 1, and 10 where there are so many."),
]
Challenges = Annotated[
    bool, typer.Option("--challenges", help="Judge MBPP by its challenge_test_list, too, where there is one.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Programs that run side by side. Default: one a core.")
]
Seconds = Annotated[float, typer.Option("--seconds", help="Wall-clock time of each program, its tests included.")]
Memory = Annotated[int, typer.Option("--memory", min=64, help="Memory of each program, MB of address space.")]
Unsafe = Annotated[
    bool,
    typer.Option("--unsafe", help="Run programs even where the system does not keep them from your files and network."),
]
