"""The front matter of model cards, read back by a YAML parser and by the hub's own library."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.generator_manifest import GeneratorManifest
from lilliput.report import clean
from lilliput.report.card import CardFacts, model_card
from lilliput.report.front import evaluated, front_matter, hub_id, read_front, tags
from lilliput.report.generator_card import generator_card

yaml = pytest.importorskip("yaml", reason="PyYAML comes with lilliput[train]")

HOSTILE = "no: [x]\n---\n# & * ! | > '\" \\ %\x00\x85\u2028\ud800 \U0001f600 {{ }}"
SCHEME = {"format": "int8", "symmetric": True, "group": 0, "rounding": "nearest"}


def front(card: str) -> dict[str, Any]:
    found = re.match(r"---\n(.*?)\n---\n\n# ", card, re.DOTALL)
    assert found is not None, "the card begins with its front matter, and its heading follows"
    values = yaml.safe_load(found[1])
    assert isinstance(values, dict)
    return values


def manifest(name: str = "some-owner/some-model", **checkpoint: Any) -> GeneratorManifest:
    return GeneratorManifest(
        family="decoder",
        model_type="llama",
        architecture={},
        parameters=10,
        weights={"linear": SCHEME, "head": {**SCHEME, "format": "int4"}},
        activations={"mode": "none"},
        positions=64,
        vocabulary=100,
        end=(0,),
        provenance={
            "checkpoint": {"name": name, **checkpoint},
            "date": "2026-01-01",
            "versions": {"lilliput": "0.1.0"},
        },
    )


def test_front_matter_of_a_classifier_has_the_known_facts() -> None:
    facts = CardFacts(
        name="small",
        task="vulnerability",
        teacher="some-owner/teacher",
        data={"train (a.jsonl)": "ab", "valid (b.jsonl)": "cd"},
        accuracy=0.63444,
        f1=0.5,
        license="mit",
    )
    assert front(model_card(facts)) == {
        "license": "mit",
        "library_name": "lilliput",
        "pipeline_tag": "text-classification",
        "tags": ["code", "vulnerability"],
        "base_model": "some-owner/teacher",
        "model-index": [
            {
                "name": "small",
                "results": [
                    {
                        "task": {"type": "text-classification"},
                        "dataset": {"name": "valid (b.jsonl)", "type": "custom"},
                        "metrics": [
                            {"type": "accuracy", "name": "accuracy", "value": 0.6344},
                            {"type": "f1", "name": "f1", "value": 0.5},
                        ],
                    }
                ],
            }
        ],
    }
    assert "## License\n\nmit" in model_card(facts)


def test_unknown_facts_are_omitted() -> None:
    assert front(model_card(CardFacts(name="x", task="clone", teacher="a-folder"))) == {
        "library_name": "lilliput",
        "pipeline_tag": "text-classification",
        "tags": ["code", "clone"],
    }
    plain = front(generator_card("x", manifest("a-folder"), 10))
    assert plain == {
        "library_name": "lilliput",
        "pipeline_tag": "text-generation",
        "tags": ["code", "openvino", "llama", "int8", "int4"],
    }


def test_front_matter_of_a_generator_has_base_license_and_evaluation() -> None:
    evaluation = {"task": "humaneval", "k": [1, 10], "pass@1": 0.41234, "pass@10": None}
    values = front(generator_card("x", manifest(license="apache-2.0"), 10, evaluation))
    assert (values["license"], values["base_model"], values["base_model_relation"]) == (
        "apache-2.0",
        "some-owner/some-model",
        "quantized",
    )
    (result,) = values["model-index"][0]["results"]
    assert result["dataset"] == {"name": "HumanEval", "type": "openai/openai_humaneval"}
    assert result["metrics"] == [{"type": "pass@1", "name": "pass@1", "value": 0.4123}]


def test_facts_from_the_checkpoint_files_are_included() -> None:
    known = {
        "source": "some-owner/coder",
        "base_model": ["some-owner/base"],
        "license": "other",
        "license_name": "research",
        "license_link": "https://example.org/license",
    }
    card = generator_card("x", manifest("0123abcd", **known), 10)
    values = front(card)
    assert (values["base_model"], values["base_model_relation"]) == ("some-owner/coder", "quantized")
    assert [values[name] for name in ("license", "license_name", "license_link")] == [
        "other",
        "research",
        "https://example.org/license",
    ]
    assert "| made of | some-owner/coder (0123abcd) |" in card
    descends = front(generator_card("x", manifest("coder.gguf", base_model=["some-owner/base", "a b"]), 10))
    assert descends["base_model"] == ["some-owner/base"]
    assert "base_model_relation" not in descends
    listed = front(generator_card("x", manifest("m", license="mit", license_name="no name of one on the list"), 10))
    assert listed["license"] == "mit"
    assert "license_name" not in listed


CARD = """---
# of a model
license: apache-2.0   # a comment
license_link: https://huggingface.co/o/m/blob/main/LICENSE
base_model:
- Qwen/Qwen2.5-Coder-0.5B
- "o/other"
quoted: 'it is text'
flow: [a, b]
alias: &x y
block: |
  license: mit
folded: a
  b
nothing: null
truth: no
number: 1.5
widget:
- text: hello
  license: mit
model-index:
- name: m
---
license: not this
"""


def test_untrusted_front_matter_is_read_as_yaml_reads_it() -> None:
    found = read_front(CARD)
    assert found == {
        "license": ("apache-2.0",),
        "license_link": ("https://huggingface.co/o/m/blob/main/LICENSE",),
        "base_model": ("Qwen/Qwen2.5-Coder-0.5B", "o/other"),
        "quoted": ("it is text",),
    }
    values = yaml.safe_load(CARD.split("---")[1])
    for name, texts in found.items():
        assert list(texts) == (values[name] if isinstance(values[name], list) else [values[name]])
    assert read_front(CARD.replace("\n", "\r\n")) == found
    for text in ("", "# a card\nlicense: mit\n", "---\nlicense: mit\n", "\n" + CARD, "---\n---\n"):
        assert read_front(text) == {}


PLAIN = st.text(st.sampled_from("aZ09 .-_:#'\"[]{},&*!|>%@`~?\n\t/\\"), max_size=12)


@settings(deadline=None)
@given(st.lists(PLAIN, max_size=4))
def test_front_matter_is_read_right_or_not_at_all(values: list[str]) -> None:
    block = "".join(f"k{place}: {value}\n" for place, value in enumerate(values))
    found = read_front(f"---\n{block}---\n")
    try:
        reference = yaml.safe_load(block) or {}
    except yaml.YAMLError:
        return  # a card that the hub cannot read either
    for name, texts in found.items():
        known = reference[name] if isinstance(reference[name], list) else [reference[name]]
        assert list(texts) == known


def test_hub_library_reads_the_card() -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub comes with lilliput[train]")
    evaluation = {"task": "mbpp", "k": [1], "pass@1": 0.5}
    card = hub.ModelCard(generator_card("x", manifest(), 10, evaluation))
    assert card.data.library_name == "lilliput"
    assert card.data.model_name == "x"
    (found,) = card.data.eval_results
    assert (found.dataset_name, found.metric_type, found.metric_value) == ("MBPP", "pass@1", 0.5)
    assert card.text.lstrip().startswith("# x\n")


def test_hostile_names_stay_within_one_field() -> None:
    facts = CardFacts(name=HOSTILE, task=HOSTILE, teacher=HOSTILE, data={f"valid {HOSTILE}": "ab"}, accuracy=0.5)
    values = front(model_card(facts))
    assert set(values) == {"library_name", "pipeline_tag", "tags", "model-index"}
    assert values["tags"] == ["code"]
    assert values["model-index"][0]["name"].startswith("no: [x] --- # & * !")
    assert set(front(generator_card("x", manifest(HOSTILE), 10))) == {"library_name", "pipeline_tag", "tags"}


@settings(deadline=None)
@given(st.text(), st.lists(st.text()), st.floats(0, 1), st.dictionaries(st.sampled_from("abc"), st.text(), min_size=1))
def test_any_text_survives_a_round_trip(text: str, items: list[str], number: float, inner: dict[str, str]) -> None:
    block = front_matter({"text": text, "items": items, "number": round(number, 4), "inner": inner, "list": [inner]})
    values = yaml.safe_load(block.removeprefix("---\n").removesuffix("---\n")) or {}
    assert values.get("text", "") == clean(text)
    assert values.get("items", []) == [clean(item) for item in items if clean(item)]
    assert values["number"] == pytest.approx(number, abs=5.1e-5)
    kept = {name: clean(item) for name, item in inner.items() if clean(item)}
    assert values.get("inner", {}) == kept
    assert values.get("list", []) == ([kept] if kept else [])


def test_ids_and_tags_have_the_form_of_the_hub() -> None:
    assert hub_id("owner/model-1.5_b") == "owner/model-1.5_b"
    for name in (None, "model", "/abs/path", "a/b/c", "../x", "owner/mo del", "owner/", "o/m\n"):
        assert hub_id(name) is None
    assert tags("code", "a b", "code", "", "x<y") == ["code"]
    assert evaluated("m", "t", ("d", "custom"), {"a": None}) == []


def test_names_are_escaped_and_the_example_is_python() -> None:
    card = generator_card('a|b"c', manifest("x|y"), 10)
    assert "| made of | x\\|y |" in card
    assert 'lilliput.load("a|b\\"c")' in card
