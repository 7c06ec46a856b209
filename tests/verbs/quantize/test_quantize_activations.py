"""Artifacts with inputs rounded per token, or to static ranges, against transformers' layers."""

import json

import numpy as np
import openvino as ov
import pytest
import torch

from lilliput.artifact import open_artifact
from lilliput.errors import UserError
from lilliput.files import sha256_of
from lilliput.formats.precision import ActivationRange
from lilliput.quantize import ranges
from lilliput.quantize.activations import Activations
from lilliput.quantize.calibration import Calibration
from lilliput.quantize.policy import policy
from lilliput.runtime.engine import Engine
from lilliput.runtime.overflow import overflows
from lilliput.verbs.quantize import QuantizeSettings, quantize, verb
from tests.verbs.tiny_checkpoints import PLAIN, VARIANTS, artifact_logits, checkpoint, expected_logits

METHODS = ("minmax", "percentile", "mse", "entropy")
FEW = Calibration(pieces=6, tokens=32)
BIASED = VARIANTS["llama, all keys, biases, tied"]


def static(weights="int8", calibration="minmax", **options):
    return QuantizeSettings(policy(weights, **options), Activations("static", calibration=calibration), FEW)


def rounded_logits(model, rounding):
    """Transformers' logits if all linear layers but the last read ``rounding(values)``."""
    handles = [
        module.register_forward_pre_hook(lambda _, given: (torch.from_numpy(rounding(given[0].numpy())), *given[1:]))
        for name, module in model.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D") and not name.endswith(("lm_head", "embed_out"))
    ]
    assert handles
    found = expected_logits(model)
    for handle in handles:
        handle.remove()
    return found


def by_token(values):
    scale = np.maximum(np.abs(values).max(axis=-1, keepdims=True), 1e-30) / 127
    return (np.rint(values / scale) * scale).astype(np.float32)


def products(folder, graph="model"):
    """For each product in an artifact's graph as executed, whether it multiplies integers."""
    model = ov.Core().read_model(str(folder / f"{graph}.xml"), str(folder / "model.bin"))
    engine = Engine(model, 1, open_artifact(folder).generator.activations["engine"])
    return list(engine.integer_products().values())


def integer_count(count):
    """How many of ``count`` possible integer products are in integers: none on a processor where sums overflow."""
    return 0 if overflows({}) else count


@pytest.mark.parametrize("kind", PLAIN)
def test_scale_per_token_matches_transformers(kind, tmp_path):
    """Check every input of every architecture's linear layers but the last."""
    model = checkpoint(tmp_path / "model", *PLAIN[kind])
    settings = QuantizeSettings(policy("fp32"), Activations("token"))
    quantize(tmp_path / "model", tmp_path / "small", settings=settings, allow_slow=True)
    found, plain = artifact_logits(tmp_path / "small"), expected_logits(model)
    expected = rounded_logits(model, by_token)
    # A value halfway between two codes may go either way for its last digit, and moves what follows by as much.
    assert np.linalg.norm(found - expected) < 0.25 * np.linalg.norm(expected - plain)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A checkpoint, its model, and the folder for its artifacts."""
    folder = tmp_path_factory.mktemp("llama")
    return folder / "model", checkpoint(folder / "model", *BIASED), folder


@pytest.fixture(scope="module")
def made(llama):
    """A folder with an artifact for each calibration method, named after it."""
    source, _, folder = llama
    for method in METHODS:
        quantize(source, folder / method, settings=static(calibration=method))
    return folder


LAYERS, DISTINCT = 7 * 2, 4 * 2
"""Linear layers of :data:`BIASED`, and their distinct inputs."""


@pytest.mark.parametrize("method", METHODS)
def test_products_with_static_ranges_are_in_integers(method, made):
    runs = products(made / method)
    assert len(runs) == LAYERS + 1
    assert sum(runs) == integer_count(LAYERS)  # all but the output layer's


def test_products_in_other_modes_are_not_in_integers(llama, tmp_path):
    for mode in ("none", "dynamic", "token"):
        settings = QuantizeSettings(policy("int8"), Activations(mode))
        quantize(llama[0], tmp_path / mode, settings=settings, allow_slow=True)
        assert products(tmp_path / mode) == [False] * (LAYERS + 1)


@pytest.mark.parametrize("method", METHODS)
def test_static_ranges_stay_close_to_the_model(method, llama, made):
    found, expected = artifact_logits(made / method).ravel(), expected_logits(llama[1]).ravel()
    assert found @ expected > 0.98 * np.linalg.norm(found) * np.linalg.norm(expected)


def evidence_ranges(folder):
    found = open_artifact(folder).evidence()["inputs"]
    return {layer: ActivationRange(item["low"], item["high"]) for item in found for layer in item["layers"]}


def test_inputs_are_rounded_to_the_ranges_in_the_evidence(llama, tmp_path):
    """With unrounded weights, only inputs are rounded."""
    source, model, _ = llama
    quantize(source, tmp_path / "small", settings=static("fp32", "percentile"), allow_slow=True)
    known = evidence_ranges(tmp_path / "small")
    assert len(known) == LAYERS
    names = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "o_proj": "output"}
    handles = []
    for name, module in model.named_modules():
        if not name.startswith("model.layers.") or not isinstance(module, torch.nn.Linear):
            continue
        _, _, index, _, last = name.split(".")
        ends = known[f"layers.{index}.{names.get(last, last.removesuffix('_proj'))}"]

        def rounded(_, given, ends=ends):
            return torch.fake_quantize_per_tensor_affine(given[0], ends.scale, ends.zero_point, 0, 255)

        handles.append(module.register_forward_pre_hook(rounded))
    expected = expected_logits(model)
    for handle in handles:
        handle.remove()
    found, plain = artifact_logits(tmp_path / "small"), expected_logits(model)
    assert np.linalg.norm(found - expected) < 0.25 * np.linalg.norm(expected - plain)


def test_layers_that_read_the_same_input_have_one_range(made):
    items = open_artifact(made / "minmax").evidence()["inputs"]
    assert len(items) == DISTINCT
    assert items[0]["layers"] == [f"layers.0.{part}" for part in ("query", "key", "value")]
    model = ov.Core().read_model(str(made / "minmax" / "model.xml"), str(made / "minmax" / "model.bin"))
    assert sum(node.get_type_name() == "FakeQuantize" for node in model.get_ops()) == DISTINCT


@pytest.mark.parametrize("rounding", ["gptq", "awq", "awq-gptq"])
def test_static_ranges_work_with_any_rounding_of_weights(rounding, llama, tmp_path):
    source, model, _ = llama
    quantize(source, tmp_path / "small", settings=static(rounding=rounding))
    assert sum(products(tmp_path / "small")) == integer_count(LAYERS)
    found, expected = artifact_logits(tmp_path / "small").ravel(), expected_logits(model).ravel()
    assert found @ expected > 0.99 * np.linalg.norm(found) * np.linalg.norm(expected)


def test_static_ranges_with_weights_that_make_them_slow(llama, tmp_path):
    settings = static("int8", symmetric=False, rounding="hqq")
    quantize(llama[0], tmp_path / "small", settings=settings, allow_slow=True)
    assert not any(products(tmp_path / "small"))
    assert open_artifact(tmp_path / "small").generator.activations["emulated"] is True


def test_manifest_and_card_describe_the_rounding(llama, made, tmp_path):
    manifest = open_artifact(made / "mse").generator
    engine = Activations("static").engine()
    wanted = {"mode": "static", "group": None, "calibration": "mse", "emulated": False, "engine": engine}
    assert manifest.activations == wanted
    seen = manifest.provenance["calibration"]
    assert (seen["pieces"], seen["tokens"], len(seen["sha256"])) == (6, 32, 64)
    card = (made / "mse" / "README.md").read_text()
    assert "8 bits, one range per layer, from calibration (mse) |" in card
    settings = QuantizeSettings(policy("int8"), Activations("token"))
    result = quantize(llama[0], tmp_path / "small", settings=settings, allow_slow=True)
    assert result.as_dict()["settings"]["activations"]["emulated"] is True
    opened = open_artifact(tmp_path / "small")
    assert opened.generator.activations["calibration"] is None
    assert opened.generator.provenance["calibration"] == {}
    assert "inputs" not in opened.evidence()
    assert "one scale per token, computed at run time; emulated in floating point, which is slow |" in (
        tmp_path / "small" / "README.md"
    ).read_text(encoding="utf-8")


def digests(folder):
    names = ("model.bin", "model.xml", "evidence.json")
    return {name: sha256_of(folder / name) for name in names}


class Killed(BaseException):
    """Stands in for the death of the process."""


def kill(*_, **__):
    raise Killed


@pytest.mark.parametrize("when", ["first range", "second range", "graphs", "saving"])
@pytest.mark.parametrize("rounding", ["nearest", "gptq"])
def test_killed_run_resumes_to_the_same_artifact(when, rounding, llama, tmp_path, monkeypatch):
    settings = static(calibration="mse", rounding=rounding)
    quantize(llama[0], tmp_path / "whole", settings=settings)
    with monkeypatch.context() as patch:
        patch.setattr(ranges, "KEEP_EVERY", 0)
        if when.endswith("range"):
            original_look, last = ranges._look, "layers.0." if when == "first range" else "layers.1."

            def look(model, stage, flow, method):
                return (kill if stage.own == last else original_look)(model, stage, flow, method)

            patch.setattr(ranges, "_look", look)
        else:
            patch.setattr(verb, "write_graphs" if when == "graphs" else "_save", kill)
        with pytest.raises(Killed):
            quantize(llama[0], tmp_path / "small", settings=settings)
    assert not (tmp_path / "small").exists()
    quantize(llama[0], tmp_path / "small", settings=settings)
    assert digests(tmp_path / "small") == digests(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small", "whole"]


def test_another_calibration_method_starts_over(llama, made, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(verb, "write_graphs", kill)
        with pytest.raises(Killed):
            quantize(llama[0], tmp_path / "small", settings=static(calibration="minmax"))
    quantize(llama[0], tmp_path / "small", settings=static(calibration="entropy"))
    assert digests(tmp_path / "small") == digests(made / "entropy")


@pytest.mark.parametrize("kind", ["t5", "plbart"])
def test_static_ranges_of_an_encoder_decoder(kind, tmp_path):
    """All products of both graphs but the output layer's are in integers."""
    model = checkpoint(tmp_path / "model", *PLAIN[kind])
    quantize(tmp_path / "model", tmp_path / "small", settings=static())
    items = open_artifact(tmp_path / "small").evidence()["inputs"]
    own, cross = 2 * (6 + 6 + 2), 2 * 2  # of two blocks each; keys and values of the source are in the encoder's graph
    assert len({layer for item in items for layer in item["layers"]}) == sum(len(item["layers"]) for item in items)
    assert sum(len(item["layers"]) for item in items) == own + cross
    assert len(items) == 2 * (4 + 6) + 1
    runs = products(tmp_path / "small", "encoder"), products(tmp_path / "small")
    assert [sum(run) for run in runs] == [integer_count(2 * 6 + cross), integer_count(2 * 8)]
    # The decoder's include cross-attention, which is decomposed, and the output layer's.
    assert [len(run) for run in runs] == [2 * 6 + cross, 2 * 8 + 2 * 2 + 1]
    found, expected = artifact_logits(tmp_path / "small").ravel(), expected_logits(model).ravel()
    assert found @ expected > 0.98 * np.linalg.norm(found) * np.linalg.norm(expected)
    seen = open_artifact(tmp_path / "small").generator.provenance["calibration"]
    assert (seen["pieces"], seen["tokens"], seen["target_tokens"]) == (6, 32, 32)


@pytest.mark.parametrize("when", ["encoder.layers.1.", "decoder.layers.1."])
def test_killed_run_of_an_encoder_decoder_resumes_to_the_same_artifact(when, tmp_path, monkeypatch):
    checkpoint(tmp_path / "model", *PLAIN["t5"])
    settings, original_look = static(rounding="gptq"), ranges._look
    quantize(tmp_path / "model", tmp_path / "whole", settings=settings)
    with monkeypatch.context() as patch:
        patch.setattr(ranges, "KEEP_EVERY", 0)
        patch.setattr(ranges, "_look", lambda *given: (kill if given[1].own == when else original_look)(*given))
        with pytest.raises(Killed):
            quantize(tmp_path / "model", tmp_path / "small", settings=settings)
    quantize(tmp_path / "model", tmp_path / "small", settings=settings)
    assert digests(tmp_path / "small") == digests(tmp_path / "whole")


def test_insufficient_disk_space_is_noticed_first(llama, tmp_path, monkeypatch):
    need = 2 * 4 * 6 * 32 * BIASED[1]["hidden_size"]
    usage = type("Usage", (), {"free": verb.ROOM_FOR_GRAPHS + need - 1})
    monkeypatch.setattr(verb.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match="are needed, but only"):
        quantize(llama[0], tmp_path / "small", settings=static())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--activations", "token"], "--activations: token would be emulated in floating point, and save no time"),
        (["--activations", "static", "--asymmetric"], "only with int8 weights with one scale per row and no zero"),
        (["--activations", "static", "--weights", "int4"], "choose such weights, or dynamic; "),
        (["--activations", "static", "--group", "32"], "add --allow-slow"),
        (["--activations", "rows"], "Choose one of: none, dynamic, token, static."),
        (["--activation-calibration", "max"], "Choose one of: minmax, percentile, mse, entropy."),
    ],
)
def test_rejects_options(options, words, llama, tmp_path, lilliput):
    code, _, errors = lilliput("quantize", llama[0], "--out", tmp_path / "small", *options)
    assert code == 2
    assert words in errors.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_command_makes_the_requested_artifact(llama, tmp_path, lilliput):
    asked = ["--activations", "static", "--activation-calibration", "entropy", "--json"]
    few = ["--calibration-pieces", 6, "--calibration-tokens", 32]
    code, output, _ = lilliput("quantize", llama[0], "--out", tmp_path / "small", *asked, *few)
    assert code in (0, None)
    facts = json.loads(output)["settings"]["activations"]
    assert (facts["mode"], facts["calibration"], facts["emulated"]) == ("static", "entropy", False)
    code, _, errors = lilliput(
        "quantize", llama[0], "--out", tmp_path / "slow", "--activations", "token", "--allow-slow"
    )
    assert code in (0, None), errors


@pytest.mark.parametrize(("field", "value"), [("calibration", 7), ("emulated", "no")])
def test_rejects_a_manifest_with_invalid_activations(field, value, made, tmp_path):
    from lilliput.generator_manifest import GeneratorManifest

    values = open_artifact(made / "mse").generator.as_dict()
    GeneratorManifest.checked(json.loads(json.dumps(values)))
    values["activations"] = {**values["activations"], field: value}
    with pytest.raises(ValueError, match=field):
        GeneratorManifest.checked(json.loads(json.dumps(values)))
