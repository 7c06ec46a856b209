"""A tiny generator's summaries, from the artifact to the scores."""

import json

import pytest

import lilliput
from lilliput.artifact import open_artifact
from lilliput.errors import ArtifactError, UserError
from lilliput.evaluate.summaries import score_summaries
from lilliput.quantize.activations import Activations
from lilliput.quantize.policy import policy
from lilliput.tasks.summarization import CUTS, FORMS
from lilliput.verbs.evaluate import SummarizationSettings, evaluate_summarization
from lilliput.verbs.evaluate import summarization as verb
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.verbs.evaluate.test_evaluate import Recorded
from tests.verbs.tiny_checkpoints import LLAMA, VARIANTS, checkpoint

EXACT = QuantizeSettings(policy("fp32"), Activations("none"))
SHORT = SummarizationSettings(language="python", max_new_tokens=5, batch=2)


@pytest.fixture(scope="module", params=["llama", "t5"])
def artifact(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    kind, options = LLAMA if request.param == "llama" else VARIANTS["t5"]
    options = {**options, "max_position_embeddings": 256} if kind == "llama" else options
    checkpoint(folder / "model", kind, options)
    quantize(folder / "model", folder / "artifact", settings=EXACT)
    return folder / "artifact"


@pytest.fixture
def data(tmp_path):
    rows = [
        {"code": f"def get_{name}(a):\n    '''Says.'''\n    return a\n", "docstring": f"Gets the {name} of a ."}
        for name in ("sum", "mean", "size", "<|end|>", "name")
    ]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def codes(rows):
    return [f"def get_{name}(a):\n    return a\n" for name in rows]


def measured(found):
    """The result without facts about the run alone."""
    return {name: value for name, value in found.as_dict().items() if name != "machine"}


def test_scores_what_the_generator_writes(artifact, data):
    found = evaluate_summarization(artifact, data, settings=SHORT, threads=1)
    form = FORMS["comment" if open_artifact(artifact).generator.family == "decoder" else "code"]
    assert found.settings["template"] == form.template
    generator = lilliput.load(artifact, 1)
    generator.tokenizer.encode_special_tokens = True
    names = ("sum", "mean", "size", "name")
    kept = [place for place in range(5) if place != 3]
    sources = codes(names)
    # Docstrings are no part of the prompt, except in the row whose code does not parse; "<|end|>" is mere text there.
    answers = generator.generate([form.prompt(code, "python") for code in sources], max_new_tokens=5, stop=form.stop)
    expected = [CUTS[form.cut](answer.text) for (answer,) in answers]
    assert [found.summaries[place] for place in kept] == expected
    references = [f"Gets the {name} of a ." for name in names]
    values = score_summaries(references, expected).model.values
    assert [found.scores.model.values["chrf"][place] for place in kept] == pytest.approx(list(values["chrf"]))
    assert found.scores.baselines["name"].chrf.value > found.scores.baselines["empty"].chrf.value == 0
    values = json.loads(json.dumps(found.as_dict()))
    assert (values["n"], values["truncated"], values["data"]["columns"]) == (5, 0, ["code", "docstring"])


def test_resumes_after_kill(artifact, data, tmp_path, monkeypatch):
    out, kept = tmp_path / "result.json", tmp_path / "result.kept.jsonl"
    whole = evaluate_summarization(artifact, data, settings=SHORT, threads=1, out=out)
    kept.write_bytes(b"".join(kept.read_bytes().splitlines(keepends=True)[:3]))  # three of five summaries
    asked = []
    generate = verb.Generator.generate

    def counting(self, prompts, **how):
        asked.extend(prompts)
        return generate(self, prompts, **how)

    monkeypatch.setattr(verb.Generator, "generate", counting)
    again = evaluate_summarization(artifact, data, settings=SHORT, threads=1, out=out)
    assert len(asked) == 2
    assert (again.summaries, measured(again)) == (whole.summaries, measured(whole))
    assert json.loads(out.read_text()) == again.as_dict()
    other = SummarizationSettings(language="python", max_new_tokens=4, batch=2)
    evaluate_summarization(artifact, data, settings=other, threads=1, out=out)
    assert len(asked) == 2 + 5


def test_rows_of_another_version_are_not_reused(artifact, data, tmp_path, monkeypatch):
    out, kept = tmp_path / "result.json", tmp_path / "result.kept.jsonl"
    for version in ("one", "two"):
        monkeypatch.setattr("lilliput.verbs.kept.VERSION", version)
        evaluate_summarization(artifact, data, settings=SHORT, threads=1, out=out)
    assert len(kept.read_bytes().splitlines()) == 2 * 5


def test_long_functions_are_truncated_to_fit(artifact, tmp_path):
    code = "def f(a):\n" + "    a = a + 1\n" * 500
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps({"code": code, "docstring": "Adds one very often ."}) + "\n")
    found = evaluate_summarization(artifact, path, settings=SHORT, threads=1)
    assert (found.truncated, found.scores.n) == (1, 1)


def test_examples_are_drawn_by_seed(artifact, data):
    drawn = [
        evaluate_summarization(
            artifact,
            data,
            settings=SummarizationSettings(language="python", max_new_tokens=2, examples=2, seed=seed),
            threads=1,
        )
        .scores.baselines["name"]
        .values["chrf"]
        for seed in (0, 0, 1)
    ]
    assert len(drawn[0]) == 2
    assert drawn[0] == drawn[1] != drawn[2]


def test_language_is_required_if_the_prompt_needs_one(artifact, data):
    settings = SummarizationSettings(form="comment", max_new_tokens=2)
    with pytest.raises(UserError, match="--language: is needed"):
        evaluate_summarization(artifact, data, settings=settings)
    rows = [{**json.loads(line), "language": "Java"} for line in data.read_text().splitlines()]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert evaluate_summarization(artifact, data, settings=settings, threads=1).settings["language"] == ["java"]


def test_notes_a_language_that_the_prompt_does_not_use(artifact, data):
    progress = Recorded()
    settings = SummarizationSettings(form="code", language="python", max_new_tokens=2)
    evaluate_summarization(artifact, data, settings=settings, threads=1, progress=progress)
    assert progress.notes == ["--language has no effect on artifact: its prompts ('code') do not name a language"]
    settings = SummarizationSettings(form="comment", language="python", max_new_tokens=2)
    evaluate_summarization(artifact, data, settings=settings, threads=1, progress=progress)
    assert len(progress.notes) == 1


@pytest.mark.parametrize(
    "settings, problem",
    [
        ({"form": "poem"}, "form: there is no 'poem'"),
        ({"cut": "half"}, "cut: there is no 'half'"),
        ({"examples": 0}, "examples: must be 1 or more"),
        ({"max_new_tokens": 0}, "max_new_tokens: must be 1 or more"),
    ],
)
def test_rejects_invalid_settings(settings, problem):
    with pytest.raises(UserError, match=problem):
        SummarizationSettings(**settings)


def test_rejects_a_folder_that_is_not_an_artifact(data, tmp_path):
    with pytest.raises(ArtifactError):
        evaluate_summarization(tmp_path, data)
