"""The classifier at run time: its dependencies, its speed, and the input that it rejects."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import openvino as ov
import pytest

import lilliput
from lilliput.artifact import open_artifact, save
from lilliput.errors import ArtifactError, DataError, UserError
from lilliput.runtime.classifier import Classifier
from lilliput.runtime.engine import Engine, read_graph

FORBIDDEN = ("torch", "transformers", "onnx", "sklearn", "matplotlib", "jinja2")


def run_fresh(code: str, *arguments: object) -> dict[str, object]:
    """Run ``code`` in a fresh interpreter; it prints one JSON object."""
    argv = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_predicting_imports_no_optional_dependency(small):
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


def test_predictions_are_probabilities_in_input_order(small):
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


def test_rejects_a_pair_given_to_a_model_of_single_functions(small):
    with pytest.raises(DataError, match=r"example 1 has 2 function\(s\)"):
        lilliput.load(small).predict(["int f() {}", ("int f() {}", "int g() {}")])


def test_vectors_have_one_row_per_function(small):
    model = lilliput.load(small)
    vectors = model.vectors(["int f() { return 1; }", "int g(char *p) { return strlen(p); }"])
    assert vectors.shape == (2, model.manifest.config.architecture.hidden)


def test_no_functions_give_an_empty_array_of_vectors(small):
    model = lilliput.load(small)
    assert model.vectors([]).shape == (0, model.manifest.config.architecture.hidden)


@pytest.mark.parametrize(
    ("examples", "words"),
    [
        ("int f() { return 1; }", "a single string was given where a list of examples is expected"),
        (b"int f() {}", "a value of type bytes was given"),
        (None, "a value of type NoneType was given"),
        (7, "a value of type int was given"),
        ([None], "example 0: is not a string but NoneType"),
        (["int f() {}", 3], "example 1: is not a string but int"),
        ([b"int f() {}"], "example 0: is not a string but bytes"),
        (["int f() {}", "\ud800"], "example 1: holds a lone surrogate"),
        ([()], r"example 0 has 0 function\(s\)"),
    ],
)
def test_rejects_invalid_examples(examples, words, small):
    with pytest.raises(DataError, match=words) as caught:
        lilliput.load(small).predict(examples)
    assert caught.value.remedy


def test_rejects_a_single_string_for_a_list_of_functions(small):
    with pytest.raises(DataError, match=r"a single string was given.*Put it in a list"):
        lilliput.load(small).vectors("int f() {}")
    with pytest.raises(DataError, match="function 0: is not a string but tuple"):
        lilliput.load(small).vectors([("int f() {}", "int g() {}")])


def test_accepts_arrays_and_generators_of_functions(small):
    model = lilliput.load(small, threads=1)
    functions = ["int f(char *p) { strcpy(p, src); }", "int g() { return 1; }"]
    expected = model.predict(functions)
    assert model.predict(np.array(functions)) == expected
    assert model.predict(np.array(functions, object)) == expected
    assert model.predict(text for text in functions) == expected
    assert model.predict(np.array([])) == []


@pytest.mark.parametrize("threads", [-1, 0, True, 1.5, "2"])
def test_rejects_invalid_number_of_threads(threads, small):
    with pytest.raises(UserError, match="threads: must be 1 or more"):
        lilliput.load(small, threads=threads)


@pytest.mark.parametrize("change", [lambda words: words.pop("<s>"), lambda words: words.update({"one more": 9999})])
def test_rejects_tokenizer_of_another_model(change, small, tmp_path):
    artifact = open_artifact(small)
    files = {name: artifact.file(name).read_bytes() for name in artifact.hashes}
    tokenizer = json.loads(files["tokenizer.json"])
    change(tokenizer["model"]["vocab"])
    tokenizer["added_tokens"] = []
    files["tokenizer.json"] = json.dumps(tokenizer).encode()
    made = save(tmp_path / "other", artifact.classifier, files)
    with pytest.raises(ArtifactError, match=r"tokenizer.json: does not belong to the model"):
        Classifier(made)


def test_rejects_external_data_of_a_graph(tmp_path, monkeypatch):
    """They are unverified: read neither beside the graph nor in the working directory, where the engine would look."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hidden.bin").write_bytes(np.float32(4).tobytes())
    weight = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1])
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="hidden.bin")
    place, result = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Mul", ["x", "w"], ["y"])], "g", [place], [result], [weight])
    (tmp_path / "model.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(ArtifactError, match=r"model.onnx: keeps weights in other files"):
        read_graph(tmp_path / "model.onnx")


def test_rejects_graph_of_another_kind_of_model(small, tmp_path):
    artifact = open_artifact(small)
    files = {name: artifact.file(name).read_bytes() for name in artifact.hashes}
    files["model.onnx"] = open_artifact("clone-python").file("model.onnx").read_bytes()
    with pytest.raises(ArtifactError, match=r"model.onnx: is the graph of another kind of model"):
        Classifier(save(tmp_path / "pairs", artifact.classifier, files))


def test_rejects_a_token_id_beyond_the_embedding(small, tmp_path):
    artifact = open_artifact(small)
    files = {name: artifact.file(name).read_bytes() for name in artifact.hashes}
    tokenizer = json.loads(files["tokenizer.json"])
    words = tokenizer["model"]["vocab"]
    words[max(words, key=words.get)] = 5000
    files["tokenizer.json"] = json.dumps(tokenizer).encode()
    with pytest.raises(ArtifactError, match="ids go up to 5,000"):
        Classifier(save(tmp_path / "far", artifact.classifier, files))


def test_concurrent_predictions_equal_sequential_ones(small):
    classifier = lilliput.load(small, 1)
    batches = [[f"int f{i}(char *p) {{ return p[{i}] + {j}; }}" for i in range(20)] for j in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(classifier.predict, batches * 5))
    assert found == [classifier.predict(batch) for batch in batches] * 5


def test_products_are_computed_in_float32():
    """On a processor with bfloat16, the engine would choose it: three digits of a logit."""
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(4, 256)).astype(np.float32), rng.normal(size=(256, 8)).astype(np.float32)
    place = ov.opset13.parameter([4, 256], ov.Type.f32)
    engine = Engine(ov.Model([ov.opset13.matmul(place, ov.opset13.constant(right), False, False)], [place], "product"))
    np.testing.assert_allclose(engine(left)[0], left.astype(np.float64) @ right, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_out_of_memory_in_the_engine_is_reported(threads, monkeypatch):
    place = ov.opset13.parameter([1], ov.Type.f32)
    engine = Engine(ov.Model([ov.opset13.relu(place)], [place], "relu"), threads)
    monkeypatch.setattr(engine, "request", OutOfMemoryRequest())
    with pytest.raises(MemoryError, match="bad_alloc"):
        engine.infer([np.ones(1, np.float32)])


class OutOfMemoryRequest:
    """An inference request that runs out of memory."""

    def infer(self, inputs, **how):
        raise RuntimeError("Exception from src/inference:\nstd::bad_alloc")

    start_async = infer


def test_rejects_graph_whose_sizes_differ_from_the_manifest(small, tmp_path):
    shutil.copytree(small, tmp_path / "small")
    manifest = tmp_path / "small" / "manifest.json"
    values = json.loads(manifest.read_text())
    values["config"]["architecture"]["hidden"] *= 2
    manifest.write_text(json.dumps(values))
    with pytest.raises(ArtifactError, match=r"model\.onnx: gives .* numbers where its manifest says "):
        lilliput.load(tmp_path / "small")
