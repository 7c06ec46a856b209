"""The run time: what it needs, how fast it is there, and what it refuses."""

import json
import subprocess
import sys

import pytest

import lilliput
from lilliput.errors import DataError

FORBIDDEN = ("torch", "transformers", "onnx", "sklearn", "matplotlib", "jinja2")


def run_fresh(code: str, *arguments: object) -> dict[str, object]:
    """Run ``code`` in a fresh interpreter; it prints one JSON object."""
    argv = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_predicting_imports_nothing_of_the_extras(small):
    code = (
        "import json, sys, lilliput\n"
        "model = lilliput.load(sys.argv[1])\n"
        "label = model.predict(['int f(char *p) { strcpy(p, src); }'])[0].label\n"
        "print(json.dumps({'label': label, 'loaded': sorted(sys.modules)}))"
    )
    found = run_fresh(code, small)
    assert found["label"] in ("safe", "vulnerable")
    assert not {name.split(".")[0] for name in found["loaded"]} & set(FORBIDDEN)


def test_import_is_fast():
    code = (
        "import json, time\nstart = time.perf_counter()\n"
        "import lilliput\nprint(json.dumps(time.perf_counter() - start))"
    )
    assert min(run_fresh(code) for _ in range(3)) < 0.3


def test_cold_start_to_first_prediction_is_fast(small):
    code = (
        "import json, sys, time\nstart = time.perf_counter()\nimport lilliput\n"
        "lilliput.load(sys.argv[1]).predict(['int f() { return 1; }'])\n"
        "print(json.dumps(time.perf_counter() - start))"
    )
    assert min(run_fresh(code, small) for _ in range(3)) < 1.0


def test_predictions_are_probabilities_in_the_order_given(small):
    model = lilliput.load(small, threads=1)
    functions = [f"int f(char *p) {{ {'strcpy' if i % 2 else 'strncpy'}(p, src); return {i}; }}" for i in range(9)]
    together = model.predict(functions)
    for function, verdict in zip(functions, together, strict=True):
        alone = model.predict([function])[0]
        assert alone.label == verdict.label
        assert alone.probability == pytest.approx(verdict.probability, abs=0.02)
        assert sum(verdict.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert set(verdict.probabilities) == {"safe", "vulnerable"}
    assert model.predict([]) == []


def test_a_pair_given_to_a_model_of_functions_is_refused(small):
    with pytest.raises(DataError, match=r"example 1 joins 2 function\(s\)"):
        lilliput.load(small).predict(["int f() {}", ("int f() {}", "int g() {}")])


def test_vectors_are_one_a_function(small):
    model = lilliput.load(small)
    vectors = model.vectors(["int f() { return 1; }", "int g(char *p) { return strlen(p); }"])
    assert vectors.shape == (2, model.manifest.config.architecture.hidden)
