"""Names imported on first use, and the packages that have such names."""

import subprocess
import sys
from importlib import import_module

import pytest

from lilliput.lazily import on_first_use

PACKAGES = ("api", *(f"verbs.{name}" for name in ("compare", "evaluate", "robustness")))


def test_name_comes_from_its_module_and_unknown_ones_raise():
    get = on_first_use("json", {"JSONDecoder": ".decoder", "sqrt": "math"})
    assert get("JSONDecoder") is import_module("json.decoder").JSONDecoder
    assert get("sqrt")(9) == 3
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'nonsense'"):
        get("nonsense")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exported_name_exists(package):
    module = import_module(f"lilliput.{package}")
    for name in module.__all__:
        assert getattr(module, name).__name__ == name


def test_measured_programs_load_no_verb():
    """Otherwise their memory would include the verb's."""
    programs = [f"lilliput.verbs.{name}" for name in ("compare.child", "evaluate.footprint", "completers.footprint")]
    asked = f"import sys, {', '.join(programs)}; print(*(name for name in sys.modules if name.startswith('lilliput')))"
    loaded = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert set(programs) <= set(loaded)
    assert not {"lilliput.verbs.compare.verb", "lilliput.verbs.evaluate.classifier", "openvino"} & set(loaded)
