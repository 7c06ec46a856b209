"""What docs/dataflow.md shows works, and its figures are those of the committed measurement."""

import json
import re
import sys

import pytest

from tests.docs.test_documents import ROOT, blocks, run

DOCUMENT = "docs/dataflow.md"
RESULTS = ROOT / "benchmarks/results/graphcodebert.json"


def test_python_of_the_document(tmp_path):
    (block,) = blocks(DOCUMENT, "python")
    assert run([sys.executable, "-c", block], tmp_path).stdout.splitlines()[-1] == "10 x comes from (6, 8)"


@pytest.mark.parametrize("task", ["clone", "vulnerability"])
def test_figures_of_the_document(task):
    text = (ROOT / DOCUMENT).read_text()
    found = json.loads(RESULTS.read_text())["on the validation split"][task]
    for name, figures in found["accuracy"].items():
        (row,) = re.findall(rf"^\| {task}, {re.escape(name)} \|(.*)\|$", text, re.MULTILINE)
        cells = [
            f"{figures[key]:.3f} [{figures['intervals'][key][0]:.3f}, {figures['intervals'][key][1]:.3f}]"
            for key in ("accuracy", "f1", "mcc")
        ]
        assert [cell.strip() for cell in row.split("|")] == cells
    assert f"{found['extraction']['mean_ms']:.2f} ms" in text
