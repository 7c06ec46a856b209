"""Add a linear model to the network of an existing artifact.

Run: python benchmarks/beside.py ARTIFACT --teacher RECORDED --train FILE --valid FILE --out FOLDER

ARTIFACT is an int8 classifier of single functions without a linear model; RECORDED is what vulnerability_teacher.py
wrote. The network's weights are read from the graph, and quantizing them again reproduces them exactly; the tokenizer
and the mix of losses stay the same. The network is not trained (``lilliput shrink --linear`` trains both at once). The
shipped vulnerability model was made this way from the network that shipped before.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from lilliput.artifact import CARD, EVIDENCE, GRAPH, TOKENIZER, open_artifact, save
from lilliput.batching import TokenIds
from lilliput.distill.integer import calibrated
from lilliput.distill.lesson import Lesson
from lilliput.distill.linear import Linear, fit_linear
from lilliput.distill.losses import DistillationMix
from lilliput.distill.student import Student
from lilliput.encoder import PAD_ID
from lilliput.evaluate.classification import score
from lilliput.formats.precision import PRECISIONS
from lilliput.progress import for_stream
from lilliput.report.card import model_card
from lilliput.report.card_facts import card_facts
from lilliput.runtime.classifier import Classifier, EncoderRunner
from lilliput.tasks import task_named
from lilliput.teachers import open_teacher
from lilliput.teachers.outputs import teacher_outputs
from lilliput.verbs.shrink import validation_evidence


def weights_of(graph: onnx.GraphProto, names: list[str]) -> dict[str, NDArray[np.float32]]:
    """Return the weights of one of our int8 graphs, with the names and shapes of a student."""
    arrays = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    arrays["grams.weight.scale"] = arrays[_scale_of_table(graph)]
    found = {}
    for name in names:
        stored = name if name in arrays else name.removesuffix(".weight")  # embeddings are stored without '.weight'
        value, scale = arrays[stored].astype(np.float32), arrays.get(f"{stored}.scale", np.float32(1))
        linear = stored.endswith(".weight") and value.ndim == 2 and not stored.startswith("grams")
        found[name] = np.ascontiguousarray((value * scale).T if linear else value * scale)
    return found


def _scale_of_table(graph: onnx.GraphProto) -> str:
    """Find the name of the n-gram table's scale by following Gather, Cast and Mul."""
    value = "grams.weight"
    for kind in ("Gather", "Cast", "Mul"):
        (node,) = (node for node in graph.node if node.op_type == kind and node.input[0] == value)
        value = node.output[0]
    return str(node.input[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    artifact, progress, linear = open_artifact(options.artifact), for_stream(), Linear()
    manifest, evidence = artifact.classifier, artifact.evidence()
    before, task, precision = manifest.config, task_named(manifest.task), PRECISIONS[manifest.precision]
    if before.linear or before.arity != 1 or precision.bits != 8:
        parser.error(f"{options.artifact}: no int8 classifier of single functions without a linear model")
    config = dataclasses.replace(before, linear=linear.grams(before.classes))
    student = Student(config, seed=0)
    graph = onnx.load(artifact.file(GRAPH)).graph
    student.load(
        weights_of(graph, list(before.shapes())) | {n: v for n, v in student.export().items() if "linear" in n}
    )

    train, valid = (task.read([file], None, manifest.labels, True) for file in (options.train, options.valid))
    encode = Classifier(artifact, 1).tokenizer.encode
    learned, checked = (TokenIds(encode(data.texts), PAD_ID, manifest.max_tokens) for data in (train, valid))
    mix = DistillationMix(**evidence["settings"]["mix"])
    with tempfile.TemporaryDirectory() as scratch:
        taught = teacher_outputs(open_teacher(options.teacher, task=task.name), train, Path(scratch), progress)
    line = fit_linear(student, Lesson(train, learned, taught.logits), mix, linear, progress=progress)

    def logits_of(model: bytes) -> NDArray[np.float32]:
        return EncoderRunner(model, config).logits(list(checked.ids), valid.members)

    def accuracy_of(model: bytes) -> float:
        return float((logits_of(model).argmax(axis=1) == valid.labels).mean())

    made = calibrated(student, learned, precision, accuracy_of, evidence["settings"]["seed"])
    logits = logits_of(made.graph)
    scores = score(valid.labels, logits.argmax(axis=1), before.classes, task.positive)
    found: dict[str, Any] = {
        **evidence,
        "valid": validation_evidence(scores, logits, valid.labels, task.positive),
        "quantization": {"method": made.method, "clip": made.clip, "accuracy_after": made.accuracy},
        "history": [*evidence["history"], {"stage": "linear", **line}],
        "settings": {**evidence["settings"], "linear": dataclasses.asdict(linear)},
    }
    both = dataclasses.replace(manifest, config=config)
    tokenizer = artifact.file(TOKENIZER).read_bytes()
    facts = card_facts(options.out.name, both, found, {GRAPH: len(made.graph), TOKENIZER: len(tokenizer)})
    files = {GRAPH: made.graph, TOKENIZER: tokenizer, EVIDENCE: json.dumps(found, separators=(",", ":")).encode()}
    total = save(options.out, both, files | {CARD: model_card(facts).encode()}).bytes().total
    print(f"{options.out}: {total:,} bytes, {scores.accuracy:.2%} of validation")


if __name__ == "__main__":
    main()
