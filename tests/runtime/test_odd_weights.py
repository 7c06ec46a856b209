"""Weights of untrusted graphs: only chains as they are written pass; on some others the engine would crash."""

import hashlib
import json
import math
import subprocess
import sys
from xml.etree import ElementTree

import openvino as ov
import pytest

from lilliput.quantize.policy import policy
from lilliput.runtime.odd_weights import odd_weight
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.verbs.tiny_checkpoints import LLAMA, PLAIN, checkpoint

FORMATS = {"int8": {}, "int4": {"group": 32}, "int3": {}, "int2": {}, "nf4": {}, "int4, one in all": {"group": -1}}
BITS = {"u4": 4, "i8": 8, "f16": 16}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``made(kind, format)``: the folder of the artifact."""
    folder = tmp_path_factory.mktemp("made")
    checkpoint(folder / "llama", *LLAMA)
    checkpoint(folder / "t5", *PLAIN["t5"])

    def make(kind, name):
        target = folder / f"{kind} {name}"
        if not target.exists():
            how = QuantizeSettings(policy(name.partition(",")[0], **FORMATS[name]))
            quantize(folder / kind, target, settings=how)
        return target

    return make


def altered(graph, constant, shape, place=0):
    """A graph's XML with another shape for a constant; ``place`` is its index among constants of that name."""
    tree = ElementTree.parse(graph)
    layer = [layer for layer in tree.iterfind("./layers/layer") if layer.get("name") == constant][place]
    data, port = layer.find("data"), layer.find("./output/port")
    data.set("shape", ", ".join(map(str, shape)))
    data.set("size", str(math.prod(shape) * BITS[data.get("element_type")] // 8))
    for dim in port.findall("dim"):
        port.remove(dim)
    for size in shape:
        ElementTree.SubElement(port, "dim").text = str(size)
    return ElementTree.tostring(tree.getroot())


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_written_graphs_pass(kind, name, made):
    graphs = list(made(kind, name).glob("*.xml"))
    assert len(graphs) == (1 if kind == "llama" else 2)
    for graph in graphs:
        assert odd_weight(ov.Core().read_model(graph, made(kind, name) / "model.bin")) is None


ODD = {
    "a row of codes": ("int4", "layers.0.gate.weight/codes", (1, 2, 32)),
    "a row of codes, ungrouped": ("int8", "layers.0.down.weight/codes", (1, 96)),
    "scales of other rows": ("int4", "layers.0.gate.weight/scales", (1, 2, 1)),
    "scales of other groups": ("int4", "layers.0.gate.weight/scales", (96, 1, 1)),
    "one scale, without a shape": ("int8", "layers.0.gate.weight/scales", ()),
    "scales of more dimensions": ("int8", "layers.0.gate.weight/scales", (1, 96, 1)),
    "zero points of other rows": ("int4", "layers.0.gate.weight/zeros", (1, 2, 1)),
}


@pytest.mark.parametrize("name", ODD)
def test_mismatched_shapes_are_found(name, made):
    kind, constant, shape = ODD[name]
    folder = made("llama", kind)
    model = ov.Core().read_model(altered(folder / "model.xml", constant, shape), (folder / "model.bin").read_bytes())
    assert odd_weight(model).rpartition("/")[0] == constant.rpartition("/")[0]


def test_codes_without_a_chain_are_found(made):
    codes = ov.opset13.constant([[1, 2]], ov.Type.i8)
    place = ov.opset13.parameter([1, 2], ov.Type.f16)
    product = ov.opset13.multiply(ov.opset13.convert(codes, "f16"), place)  # by what is not a constant
    codes.set_friendly_name("alone")
    assert odd_weight(ov.Model([product], [place], "m")) == "alone"


@pytest.mark.parametrize(("kind", "name", "constant"), [("llama", "int8", "head"), ("t5", "int4", "embedding")])
def test_rejects_a_graph_that_would_crash_the_engine(kind, name, constant, made, tmp_path):
    """Run in a process of its own, which would crash if the graph were accepted."""
    folder = made(kind, name)
    content = altered(folder / "model.xml", f"{constant}.weight/codes", (1, 64))
    copy = tmp_path / "altered"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(content if file.name == "model.xml" else file.read_bytes())
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["model.xml"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    found = subprocess.run(
        [sys.executable, "-m", "lilliput", "complete", copy, "def f("], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert f"model.xml: has a weight of shapes that do not match, '{constant}.weight/codes'" in found.stderr
