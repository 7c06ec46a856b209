"""Untrusted generator artifacts: ``inspect`` shows them or they are rejected with a reason; nothing else happens."""

import hashlib
import json
import re
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lilliput.artifact import SCHEMA, open_artifact
from lilliput.cli.inspect import inspect as show
from lilliput.errors import ArtifactError
from lilliput.kernels.build import kernels
from lilliput.kernels.library import Library
from lilliput.quantize.policy import policy
from lilliput.runtime.engine import Engine
from lilliput.verbs.inspect import inspect
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.verbs.tiny_checkpoints import FILL_MARKS, LLAMA, PLAIN, checkpoint, tiny_tokenizer


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the artifacts of a decoder and of an encoder-decoder."""
    folder = tmp_path_factory.mktemp("made")
    checkpoint(folder / "llama", *LLAMA, tokenizer=tiny_tokenizer(FILL_MARKS))
    checkpoint(folder / "t5", *PLAIN["t5"])
    for name in ("llama", "t5"):
        quantize(folder / name, folder / f"small-{name}", settings=QuantizeSettings(policy("int4", group=32)))
    return folder


@pytest.fixture
def small(made, tmp_path):
    return shutil.copytree(made / "small-llama", tmp_path / "small")


@pytest.fixture
def seq2seq(made, tmp_path):
    return shutil.copytree(made / "small-t5", tmp_path / "small")


def edit(folder, change):
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def replaced(folder, name, content):
    """Replace the content of a file and its hash in the manifest."""
    (folder / name).write_bytes(content)
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    edit(folder, lambda values: values["files"].update({name: entry}))


def test_inspect_prints_a_description(small, lilliput):
    code, shown, _ = lilliput("inspect", small)
    assert code == 0
    lines = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in shown.splitlines())
    assert lines["architecture"].startswith("llama, 102,720 parameters")
    assert lines["linear weights"] == "int4, one scale per 32 weights and a zero point, rounded by nearest"
    assert lines["embedding weights"] == "int8, one scale per row, rounded by nearest"
    assert lines["activations"] == "8 bits, one scale per 32 values, computed at run time"
    assert lines["longest sequence"] == "64 tokens"
    assert lines["fill in the middle"] == "yes"
    assert lines["made from"] == "llama"
    assert len(lines["largest errors"].split(", ")) == 3
    assert int(lines["bytes"].replace(",", "")) == sum(path.stat().st_size for path in small.iterdir())
    assert lines[hashlib.sha256((small / "model.bin").read_bytes()).hexdigest()] == "model.bin"


def test_inspect_prints_json(seq2seq, lilliput):
    code, shown, _ = lilliput("inspect", seq2seq, "--json")
    facts = json.loads(shown)
    assert (code, facts["kind"], facts["family"]) == (0, "generator", "seq2seq")
    assert facts["bytes"]["total"] == sum(path.stat().st_size for path in seq2seq.iterdir())
    assert facts == json.loads(json.dumps(inspect(seq2seq).as_dict()))


def test_quantize_prints_a_description_and_json(made, tmp_path, lilliput):
    code, shown, _ = lilliput("quantize", made / "llama", "--out", tmp_path / "small")
    assert code == 0
    assert f"Try it: lilliput complete {tmp_path / 'small'} 'def fibonacci(n):'" in shown
    assert "bits per weight" in shown
    code, shown, _ = lilliput("quantize", made / "llama", "--out", tmp_path / "small", "--json")
    assert json.loads(shown)["path"] == str(tmp_path / "small")


@pytest.mark.parametrize(
    "name", ["model.bin", "model.xml", "encoder.xml", "tokenizer.json", "README.md", "evidence.json"]
)
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_rejects_an_altered_artifact(name, damage, seq2seq, lilliput):
    content = bytearray((seq2seq / name).read_bytes())
    content[len(content) // 2] ^= 1
    (seq2seq / name).write_bytes(content if damage == "flipped" else content[:-1])
    if damage == "gone":
        (seq2seq / name).unlink()
    code, _, text = lilliput("inspect", seq2seq)
    assert code == 2
    words = {"flipped": "was altered: its SHA-256", "cut": "bytes where the manifest says", "gone": "is missing"}
    assert text.startswith(f"error: {seq2seq / name}: ")
    assert words[damage] in text
    assert "'lilliput quantize'" in text  # the verb that makes generators
    assert "shrink" not in text
    assert text.count("\n") == 1


def test_insufficient_memory_is_reported_as_such(small, lilliput, monkeypatch):
    if kernels().library is None:
        pytest.skip("only kernels copy weights, and there are none")

    def full(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(Library, "packed", full)
    code, _, errors = lilliput("complete", small, "def f(")
    assert code == 2
    assert "there is not enough memory for the model" in errors


def test_insufficient_memory_for_the_first_tokens_is_insufficient_for_the_model(seq2seq, lilliput, monkeypatch):
    def full(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(Engine, "infer", full)
    code, _, errors = lilliput("complete", seq2seq, "def f(")
    assert (code, errors.count("\n")) == (2, 1)
    assert "there is not enough memory for the model" in errors


def fields(**changes):
    return lambda values: values.update(changes)


def engine(**changes):
    return lambda values: values["activations"]["engine"].update(changes)


def taken(name):
    return lambda values: values.pop(name)


CRAFTED = {
    "a later schema": (fields(schema=SCHEMA + 1), f"has schema {SCHEMA + 1}; this version"),
    "another kind": (fields(kind="ensemble"), "is of an unknown kind, 'ensemble'"),
    "a kind that is a list": (fields(kind=["generator"]), "is of an unknown kind"),
    "a classifier": (fields(kind="classifier"), "a field is missing"),
    "a cache folder": (engine(CACHE_DIR="/tmp/x"), "'activations: engine' must be of DYNAMIC_QUANTIZATION_GROUP_SIZE"),
    "a number of threads": (engine(INFERENCE_NUM_THREADS=999), "'activations: engine' must be of"),
    "a precision": (engine(INFERENCE_PRECISION_HINT="f64"), "INFERENCE_PRECISION_HINT' must be a value that it may"),
    "a precision that is a list": (engine(INFERENCE_PRECISION_HINT=[]), "INFERENCE_PRECISION_HINT' must be"),
    "a group": (engine(DYNAMIC_QUANTIZATION_GROUP_SIZE="32"), "DYNAMIC_QUANTIZATION_GROUP_SIZE' must be"),
    "a group below 0": (engine(DYNAMIC_QUANTIZATION_GROUP_SIZE=-1), "DYNAMIC_QUANTIZATION_GROUP_SIZE' must be"),
    "a cache of codes": (engine(KV_CACHE_PRECISION="u4"), "KV_CACHE_PRECISION' must be"),
    "an engine": (lambda values: values["activations"].update(engine=[]), "'activations: engine' must be an object"),
    "a mode": (lambda values: values["activations"].update(mode=3), "'activations: mode' must be a word"),
    "activations": (fields(activations="none"), "'activations' must be an object"),
    "a family": (fields(family="encoder"), "'family' must be 'decoder' or 'seq2seq'"),
    "a seq2seq without a start": (fields(family="seq2seq"), "'start' must be there for a seq2seq"),
    "a decoder with a start": (fields(start=1), "'start' must be there for a seq2seq"),
    "an end that is none": (fields(end=[320]), "'end and start' must be ids of tokens"),
    "an end that is true": (fields(end=[True]), "'end and start' must be ids of tokens"),
    "an end alone": (fields(end=2), "'end' must be a list"),
    "no vocabulary": (fields(vocabulary=0), "'vocabulary' must be a positive whole number"),
    "a large vocabulary": (fields(vocabulary=2**40), "'vocabulary' must be at most"),
    "positions": (fields(positions=1), "'positions' must be above 1"),
    "parameters": (fields(parameters=1.5), "'parameters' must be a positive whole number"),
    "sampling": (fields(sampling={"temperature": "warm"}), "'sampling: temperature' must be a number"),
    "sampling at infinity": (fields(sampling={"top_p": float("inf")}), "is damaged: it holds Infinity"),
    "marks": (fields(fill={"prefix": 1, "suffix": "b", "middle": "c"}), "'fill' must be of words"),
    "half the marks": (fields(fill={"prefix": "a"}), "missing 2 required positional arguments"),
    "other marks": (fields(fill={"prefix": "a", "suffix": "b", "middle": "c", "x": 1}), "unexpected keyword"),
    "weights": (fields(weights={"linear": "int4"}), "'weights: linear' must be how weights are stored"),
    "half a scheme": (fields(weights={"linear": {"format": "int4"}}), "'weights: linear' must be"),
    "a checkpoint": (fields(provenance={"checkpoint": "llama"}), "'provenance: checkpoint' must be an object"),
    "data": (fields(provenance={"data": [1]}), "'provenance: data' must be an object"),
    "examples": (fields(provenance={"data": {"train": 5}}), "'provenance: data' must be of objects"),
    "no model": (lambda values: values["files"].pop("model.bin"), "lists no model.bin"),
    "no family": (taken("family"), "a field is missing or of the wrong kind (KeyError: 'family')"),
    "no end": (taken("end"), "a field is missing or of the wrong kind (KeyError: 'end')"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_rejects_a_crafted_manifest(name, small, lilliput):
    change, message = CRAFTED[name]
    edit(small, change)
    code, _, text = lilliput("inspect", small)
    assert (code, text.count("\n")) == (2, 1), text
    assert text.startswith(f"error: {small / 'manifest.json'}: ")
    assert message in text


def test_rejects_a_seq2seq_without_its_encoder(seq2seq):
    edit(seq2seq, lambda values: values["files"].pop("encoder.xml"))
    with pytest.raises(ArtifactError, match=r"lists no encoder.xml"):
        open_artifact(seq2seq)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places_in(value, path=()):
    """The path to every key of nested objects."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from places_in(inner, (*path, key))


def changed(values, path, new):
    *way, last = path
    inner = values
    for key in way:
        inner = inner[key]
    inner[last] = new
    return values


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["llama", "t5"]))
def test_any_field_of_a_manifest_is_shown_or_rejected(data, kind, made):
    folder = made / f"small-{kind}"
    original = (folder / "manifest.json").read_text()
    values = json.loads(original)
    path = data.draw(st.sampled_from(sorted(places_in(values))))
    (folder / "manifest.json").write_text(json.dumps(changed(values, path, data.draw(JSON))))
    try:
        show(folder)
        show(folder, json=True)
    except ArtifactError:
        with pytest.raises(ArtifactError):
            open_artifact(folder)
    finally:
        (folder / "manifest.json").write_text(original)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(weights=JSON | st.lists(st.fixed_dictionaries({}, optional={"name": JSON, "relative_error": JSON}), max_size=5))
def test_any_evidence_is_shown(weights, made):
    folder = made / "small-llama"
    originals = {name: (folder / name).read_bytes() for name in ("manifest.json", "evidence.json")}
    replaced(folder, "evidence.json", json.dumps({"weights": weights, "valid": 1}).encode())
    try:
        show(folder)
    finally:
        for name, content in originals.items():
            (folder / name).write_bytes(content)


@pytest.mark.parametrize("evidence", [b"[]", b"{", b"\xff", b"[" * 100_000])
def test_rejects_invalid_evidence(evidence, small, lilliput):
    replaced(small, "evidence.json", evidence)
    code, _, text = lilliput("inspect", small)
    assert (code, text.count("\n")) == (2, 1)
    assert "evidence.json: is damaged" in text


def test_rejects_a_link(small, tmp_path):
    shutil.move(small / "model.bin", tmp_path / "elsewhere")
    (small / "model.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match="is a link"):
        open_artifact(small)


def test_generator_is_rejected_as_classifier_with_the_right_verb(small, lilliput, tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    code, _, text = lilliput("predict", small, tmp_path / "a.py")
    assert code == 2
    assert "is a generator, not a classifier. Use 'lilliput complete' with it." in text
