"""The model card: complete, short, and without facts that were not given."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

import numpy as np
import pytest

from lilliput.artifact import open_artifact
from lilliput.evaluate.thresholds import operating_points
from lilliput.report.card import MEANINGS, CardFacts, model_card
from lilliput.report.card_facts import card_facts

FULL = CardFacts(
    name="vulnerability-3MB",
    task="vulnerability",
    labels=("safe", "vulnerable"),
    architecture="2 layers x 256, 4 heads, intermediate 512, vocabulary 4000",
    precision="int8",
    max_tokens=400,
    bytes={"weights": 2_700_000, "tokenizer": 239_000, "manifest": 2_312, "total": 2_941_312},
    parameters=2_690_000,
    teacher="a fine-tuned encoder",
    data={"train.jsonl": "ab" * 32, "valid.jsonl": "cd" * 32},
    seed=0,
    command="lilliput shrink teacher --data train.jsonl",
    version="0.1.0",
    accuracy=0.634,
    accuracy_interval=(0.616, 0.652),
    majority=0.541,
    f1=0.566,
    mcc=0.2551,
    n=2732,
)


def test_card_says_if_no_teacher_was_used() -> None:
    card = model_card(replace(FULL, taught=False))
    assert "trained on labels alone (for comparison: a fine-tuned encoder)" in card
    assert "distilled" not in card.partition("##")[0]


def test_full_card_is_complete_and_short() -> None:
    card = model_card(FULL)
    for text in (
        "# vulnerability-3MB\n",
        "2.94 MB",
        "distilled from a fine-tuned encoder",
        "a signal for triage, not a verdict",
        "| this model | 63.4 % [61.6, 65.2] | 56.6 % | 0.255 |",
        "| majority class | 54.1 % |  |  |",
        "n = 2,732; in brackets: 95 % interval",
        "- Architecture: 2 layers x 256, 4 heads",
        "- Parameters: 2,690,000",
        "- Precision of weights: int8",
        "reads the first 400 tokens",
        "weights 2,700,000, tokenizer 239,000, manifest 2,312, total 2,941,312",
        f"SHA-256 `{'cd' * 32}`",
        "- Seed: 0",
        "- Command: `lilliput shrink teacher --data train.jsonl`",
        "## License",
    ):
        assert text in card
    assert len(card.encode()) <= 2500


def test_unknown_facts_are_omitted() -> None:
    card = model_card(CardFacts(name="x", task="classification"))
    assert not re.search(r"None|accuracy|distilled|majority|Seed|Command|Teacher|MB|\d", card)
    assert "signal for triage" in card
    assert "lilliput.load" in card


def test_columns_are_those_of_the_known_figures() -> None:
    card = model_card(CardFacts(name="x", task="clone", accuracy=0.95, mcc=0.9, majority=0.5))
    assert (
        "|  | accuracy | MCC |\n| --- | --- | --- |\n| this model | 95.0 % | 0.900 |\n| majority class | 50.0 % |  |"
        in card
    )
    assert "interval" not in card


@pytest.mark.parametrize(
    ("task", "kind"), [("vulnerability", ast.Constant), ("clone", ast.Tuple), ("other", ast.Constant)]
)
def test_example_is_valid_python_for_the_task(task: str, kind: type[ast.expr]) -> None:
    found = re.search(r"```python\n(.*?)```", model_card(CardFacts(name="x", task=task)), re.DOTALL)
    assert found is not None
    call = ast.parse(found[1]).body[-1]
    assert isinstance(call, ast.Expr) and isinstance(call.value, ast.Call)
    examples = call.value.args[0]
    assert isinstance(examples, ast.List) and isinstance(examples.elts[0], kind)


def test_hostile_values_are_escaped() -> None:
    hostile = "a`b``\n## <img src=x> [l](y) | *z*"
    card = model_card(CardFacts(name=hostile, task=hostile, labels=(hostile,), teacher=hostile, command=hostile))
    command = card.split("- Command: ")[1].split("\n")[0]
    assert command == "```a`b`` ## <img src=x> [l](y) | *z*```"
    rest = card.replace(command, "")
    assert not re.search(r"(?<!\\)(<img|\[l\]|\| \*z|`b)", rest)
    assert [line for line in rest.splitlines() if line.startswith("## <")] == []


POINTS = operating_points(
    np.linspace(0, 1, 100), np.r_[np.zeros(49, int), 1, 0, np.ones(49, int)], thresholds=(0.5, 0.99)
).as_dict()


@pytest.mark.parametrize("task", ["vulnerability", "clone"])
def test_card_explains_the_probability(task: str) -> None:
    card = model_card(replace(FULL, task=task, labels=("no", "so_so"), operating_points=POINTS))
    section = card.split("## What the number means\n\n")[1].split("\n## ")[0]
    assert section.startswith(MEANINGS[task])
    assert "| probability at least | flagged | precision | recall | precision at 1 % so\\_so |" in section
    assert "| 0.5 | 50 | 98.0 % [" in section  # 49 of those 50
    assert "50.0 % (50 of 100) are *so\\_so*" in section
    assert card.index("## What the number means") < card.index("## Limits")


def test_vulnerability_model_is_for_triage_and_no_verdict() -> None:
    assert "for triage" in MEANINGS["vulnerability"] and "not a verdict" in MEANINGS["vulnerability"]


def test_no_table_of_thresholds_without_figures_or_with_one_class() -> None:
    alone = operating_points(np.array([0.1, 0.9]), np.array([1, 1])).as_dict()
    for points in (None, alone):
        assert "precision at" not in model_card(replace(FULL, operating_points=points))
    assert "What the number means" not in model_card(replace(FULL, task="classification", operating_points=POINTS))


def test_license_terms_and_address_are_shown() -> None:
    card = model_card(replace(FULL, license="apache-2.0", terms=("Data: one.", "Terms: two."), address="clone"))
    assert card.endswith("## License\n\napache-2.0\n\nData: one.\n\nTerms: two.\n")
    assert 'lilliput.load("clone")' in card


def test_card_matches_the_facts_of_the_artifact(small) -> None:
    artifact = open_artifact(small)
    sizes = {name: artifact.file(name).stat().st_size for name in artifact.hashes}
    facts = card_facts(small.name, artifact.classifier, artifact.evidence(), sizes)
    assert model_card(facts) == artifact.file("README.md").read_text()
    valid = artifact.evidence()["valid"]
    assert (facts.n, facts.majority, facts.operating_points) == (60, 0.5, valid["operating_points"])
    assert "| probability at least |" in artifact.file("README.md").read_text()


def test_many_files_are_counted(small) -> None:
    manifest = open_artifact(small).classifier
    data = {"train": {"files": list("abcdefgh"), "sha256": "ab"}}
    facts = card_facts("x", replace(manifest, provenance={"data": data}), {}, {"model.onnx": 1, "tokenizer.json": 2})
    assert facts.data == {"train (a, b, c and 5 more)": "ab"}
    assert (facts.accuracy, facts.teacher, facts.seed) == (None, None, None)
    assert "None" not in model_card(facts)
