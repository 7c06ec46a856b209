"""Names imported when they are first used; and the packages that have such names."""

import subprocess
import sys
from importlib import import_module

import pytest

from lilliput.lazily import on_first_use

PACKAGES = ("api", *(f"verbs.{name}" for name in ("compare", "evaluate", "robustness")))


def test_a_name_comes_from_its_home_and_another_is_none():
    get = on_first_use("json", {"JSONDecoder": ".decoder", "sqrt": "math"})
    assert get("JSONDecoder") is import_module("json.decoder").JSONDecoder
    assert get("sqrt")(9) == 3
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'nonsense'"):
        get("nonsense")


@pytest.mark.parametrize("package", PACKAGES)
def test_all_that_is_promised_is_there(package):
    module = import_module(f"lilliput.{package}")
    for name in module.__all__:
        assert getattr(module, name).__name__ == name


def test_a_measured_program_loads_no_verb():
    """Or its memory would be that of the verb, too."""
    programs = [f"lilliput.verbs.{name}" for name in ("compare.child", "evaluate.footprint", "completers.footprint")]
    asked = f"import sys, {', '.join(programs)}; print(*(name for name in sys.modules if name.startswith('lilliput')))"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert set(programs) <= set(loaded)
    assert not {"lilliput.verbs.compare.verb", "lilliput.verbs.evaluate.classifier", "openvino"} & set(loaded)
