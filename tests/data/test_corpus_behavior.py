"""Functions of the standard library behave the same on the same inputs before and after rewriting."""

from __future__ import annotations

import copy
import importlib
import shutil
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from inspect import isgenerator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lilliput.data.corpus.harvest import Harvested, harvest
from lilliput.data.corpus.rewrites import opened, rewrite
from lilliput.data.corpus.trees import WORDS

REWRITES_EACH = 8
INPUTS_EACH = 8


@dataclass(frozen=True)
class Trial:
    """A function, and a generator of its arguments."""

    module: str
    name: str
    arguments: Callable[[Random], tuple[Any, ...]]


def numbers(rng: Random, least: int = 0) -> list[int]:
    return [rng.randrange(-9, 10) for _ in range(rng.randrange(least, 9))]


def ordered(rng: Random) -> list[int]:
    return sorted(numbers(rng))


def words(rng: Random) -> str:
    lines = (" " * rng.randrange(5) + " ".join(rng.choices(WORDS, k=rng.randrange(5))) for _ in range(rng.randrange(6)))
    return "\n".join(lines)


def path(rng: Random) -> str:
    return rng.choice(("", "/", "//")) + "/".join(rng.choices(("a", "b", ".", "..", "", "c.d"), k=rng.randrange(6)))


def color(rng: Random) -> tuple[float, float, float]:
    return tuple(rng.choice((0.0, 0.2, 0.5, 0.9, 1.0)) for _ in range(3))  # type: ignore[return-value]


def trials(module: str, names: str, arguments: Callable[[Random], tuple[Any, ...]]) -> list[Trial]:
    return [Trial(module, name, arguments) for name in names.split()]


TRIALS = [
    *trials(
        "bisect",
        "bisect_left bisect_right insort_right",
        lambda rng: (ordered(rng), rng.randrange(-9, 9), rng.choice((0, 1, -1))),
    ),
    *trials("heapq", "heappop", lambda rng: (ordered(rng),)),
    *trials("heapq", "heappushpop heapreplace", lambda rng: (ordered(rng), rng.randrange(9))),
    *trials("heapq", "_siftup _siftup_max", lambda rng: (numbers(rng, 4), rng.randrange(4))),
    *trials("heapq", "_siftdown _siftdown_max", lambda rng: (numbers(rng, 4), 0, rng.randrange(4))),
    *trials("heapq", "nsmallest nlargest", lambda rng: (rng.randrange(5), numbers(rng), rng.choice((None, abs)))),
    *trials("colorsys", "rgb_to_hls rgb_to_hsv hsv_to_rgb hls_to_rgb yiq_to_rgb", color),
    *trials("textwrap", "dedent", lambda rng: (words(rng),)),
    *trials("textwrap", "indent", lambda rng: (words(rng), "> ", rng.choice((None, str.istitle)))),
    *trials("posixpath", "join commonpath", lambda rng: ([path(rng) for _ in range(rng.randrange(4))],)),
    *trials("posixpath", "split basename dirname splitext expandvars", lambda rng: (path(rng),)),
    *trials("posixpath", "relpath join", lambda rng: (path(rng), path(rng))),
    *trials("genericpath", "commonprefix", lambda rng: ([path(rng) for _ in range(rng.randrange(4))],)),
    *trials("statistics", "median median_low median_high mode multimode mean fmean", lambda rng: (numbers(rng),)),
    *trials("statistics", "quantiles variance pvariance", lambda rng: (numbers(rng),)),
    *trials("statistics", "harmonic_mean", lambda rng: ([abs(n) for n in numbers(rng)],)),
    *trials("statistics", "_sum _ss", lambda rng: ([*numbers(rng), Fraction(1, 3), 0.5],)),
    *trials("statistics", "correlation covariance", lambda rng: (numbers(rng, 5)[:5], numbers(rng, 5)[:5])),
    *trials("statistics", "linear_regression", lambda rng: (numbers(rng, 5)[:5], numbers(rng, 5)[:5])),
    *trials("calendar", "monthrange", lambda rng: (rng.randrange(1, 3000), rng.randrange(0, 14))),
    *trials("fractions", "Fraction.limit_denominator", lambda rng: (Fraction(rng.randrange(99), 97), rng.randrange(9))),
    *trials("shlex", "split", lambda rng: (words(rng), rng.random() < 0.5)),
    *trials("quopri", "needsquoting", lambda rng: (bytes([rng.randrange(256)]), rng.random() < 0.5, False)),
    *trials("difflib", "_format_range_unified _format_range_context", lambda rng: (rng.randrange(9), rng.randrange(9))),
    *trials("difflib", "get_close_matches", lambda rng: (rng.choice(WORDS), list(WORDS), rng.randrange(4))),
    *trials("json/decoder", "py_scanstring", lambda rng: ("".join(rng.choices('ab\\"un01', k=9)) + '"', 0)),
    *trials("ipaddress", "_find_address_range", lambda rng: (ordered(rng),)),
    *trials(
        "ipaddress", "ip_address ip_network", lambda rng: (f"10.0.{rng.randrange(300)}.0{rng.choice(('', '/24'))}",)
    ),
]


def outcome(text: str, trial: Trial, arguments: tuple[Any, ...]) -> tuple[str, str]:
    """What a caller observes: the result or exception, and the arguments afterwards."""
    function = opened(text)
    assert function is not None
    space = dict(vars(importlib.import_module(trial.module.replace("/", "."))))
    exec(text, space)
    given = copy.deepcopy(arguments)
    try:
        result = space[function.name](*given)
        shown = repr(list(result) if isgenerator(result) else result)
    except Exception as error:
        shown = repr(error)
    return shown, repr(given)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Harvested]:
    folder = tmp_path_factory.mktemp("library")
    for module in {trial.module for trial in TRIALS}:
        target = folder / f"{module}.py"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(Path(sysconfig.get_path("stdlib"), f"{module}.py"), target)
    return {(found.file.removesuffix(".py"), found.name): found for found in harvest(folder)}


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: f"{trial.module}.{trial.name}")
def test_rewritten_function_behaves_the_same(trial: Trial, sources: dict[tuple[str, str], Harvested]) -> None:
    if (trial.module, trial.name) not in sources:
        pytest.skip("this Python's standard library has no such function, or one that was left out")
    source = sources[trial.module, trial.name].text
    rng = Random(f"{trial.module}.{trial.name}")
    inputs = [trial.arguments(rng) for _ in range(INPUTS_EACH)]
    wanted = [outcome(source, trial, arguments) for arguments in inputs]
    for _ in range(REWRITES_EACH):
        text = rewrite(source, rng, rng.uniform(0.5, 1.0))
        assert text is not None
        assert [outcome(text, trial, arguments) for arguments in inputs] == wanted, text
