"""How inputs may be rounded: rejected settings, engine properties, and combinations known to be slow."""

import json

import numpy as np
import pytest

from lilliput.errors import UserError
from lilliput.formats.precision import ActivationRange
from lilliput.formats.weights import NEAREST, Scheme
from lilliput.graph.stored import CODES, SCALES, ZEROS, StoredWeight, write_graphs
from lilliput.quantize.activations import MODES, Activations
from lilliput.quantize.observe import OBSERVERS

INT8 = Scheme("int8")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mode": "row"}, r"--activations: .*'row'.* none, dynamic, token, static\."),
        ({"calibration": "max"}, r"--activation-calibration: .*'max'.* minmax, percentile, mse, entropy\."),
        ({"group": 8}, "--activation-group: 8 is not a group size"),
        ({"group": 40}, "multiple of 16"),
    ],
)
def test_rejects_invalid_settings(given, words):
    with pytest.raises(UserError, match=words):
        Activations(**given)


@pytest.mark.parametrize("mode", MODES)
def test_as_dict_keeps_only_what_the_mode_uses(mode):
    facts = Activations(mode, 64, "entropy").as_dict()
    assert facts["mode"] == mode
    assert facts["group"] == (64 if mode == "dynamic" else None)
    assert facts["calibration"] == ("entropy" if mode == "static" else None)
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize("mode", MODES)
def test_engine_rounds_inputs_in_dynamic_mode_only(mode):
    engine = Activations(mode, 64).engine()
    assert engine["DYNAMIC_QUANTIZATION_GROUP_SIZE"] == (64 if mode == "dynamic" else 0)
    assert engine["INFERENCE_PRECISION_HINT"] == "f32"


SCHEMES = [
    INT8,
    Scheme("int8", True, -1),
    Scheme("int8", True, 32),
    Scheme("int8", False),
    Scheme("int8", False, 32),
    Scheme("int4", True, 0),
    Scheme("int4", False, 32),
    Scheme("int2", True, 32),
    Scheme("nf4", True, 32),
    Scheme("fp16"),
    Scheme("fp32"),
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_emulated_schemes_are_those_the_engine_multiplies_in_floating_point(scheme, tmp_path):
    """Multiply a layer, stored as in artifacts, with inputs of a static range."""
    import openvino as ov
    from openvino import opset13 as ops

    from lilliput.graph.layers import graph_input
    from lilliput.graph.rounded_inputs import rounded_to_ranges
    from lilliput.runtime.engine import Engine
    from lilliput.runtime.overflow import overflows

    rows, width = 32, 64
    groups = scheme.groups(width)
    scales = 2 * (1 if scheme.group == -1 else rows * groups)
    sizes = {CODES: rows * width * scheme.kind.stored_bits // 8}
    sizes |= {} if scheme.kind.floating else {SCALES: scales}
    sizes |= {} if scheme.symmetric else {ZEROS: scales * scheme.kind.stored_bits // 16}
    file, places = tmp_path / "model.bin", {}
    with file.open("wb") as stream:
        for part, size in sizes.items():
            stream.write(b"\0" * (-stream.tell() % 64))
            places[part] = stream.tell(), size
            stream.write(np.random.default_rng(0).integers(1, 50, size).astype(np.uint8).tobytes())
    entry = StoredWeight("a.weight", (rows, width), scheme, places)

    def build(weights):
        value = graph_input("x", [-1, width], ov.Type.f32)
        rounded = rounded_to_ranges({"a": ActivationRange(-1.0, 2.0)})("a", value)
        return {"model": ov.Model([ops.result(ops.matmul(rounded, weights["a.weight"](), False, True))], [value], "m")}

    (graph,) = write_graphs(build, [entry], tmp_path, file)
    chosen = Activations("static")
    engine = Engine(ov.Core().read_model(str(graph), str(file)), 1, chosen.engine())
    assert list(engine.integer_products().values()) == [not (chosen.emulated(scheme) or overflows({}))]


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_emulated_schemes_are_refused_with_fast_alternatives(scheme):
    for mode in MODES:
        chosen = Activations(mode)
        if mode in ("none", "dynamic") or (mode == "static" and scheme in SCHEMES[:2]):
            assert not chosen.emulated(scheme)
            chosen.refuse_slow(scheme)
        else:
            assert chosen.emulated(scheme)
            with pytest.raises(UserError, match=rf"--activations: {mode} would be emulated.* dynamic; .*--allow-slow"):
                chosen.refuse_slow(scheme)


def test_rounding_method_of_weights_does_not_matter():
    assert INT8.rounding == NEAREST
    assert not Activations("static").emulated(Scheme("int8", rounding="gptq"))


def test_every_calibration_method_has_an_observer():
    assert set(OBSERVERS) == {"minmax", "percentile", "mse", "entropy"}
