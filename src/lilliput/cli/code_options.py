"""Options shared by the verbs that run model-written programs, declared once."""

from __future__ import annotations

from typing import Annotated

import typer

K = Annotated[
    str | None,
    typer.Option("--k", help="k of pass@k, comma-separated. Default: 1, and 10 if there are enough completions."),
]
Challenges = Annotated[
    bool, typer.Option("--challenges", help="Also judge MBPP by its challenge_test_list, where there is one.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Programs to run in parallel. Default: one per core.")
]
Seconds = Annotated[
    float, typer.Option("--seconds", help="Time limit of each program in seconds (wall clock), tests included.")
]
Memory = Annotated[int, typer.Option("--memory", min=64, help="Memory limit of each program in MB of address space.")]
Unsafe = Annotated[
    bool,
    typer.Option("--unsafe", help="Run programs even if the system cannot isolate them from your files and network."),
]
