"""A tiny generator on a folder of code, from the artifact to the scores."""

import itertools
import json

import numpy as np
import pytest
from tokenizers import Tokenizer

import lilliput
from lilliput.artifact import open_artifact
from lilliput.data.code_pieces import SHORTEST
from lilliput.data.repository import read_sources
from lilliput.errors import DataError, UserError
from lilliput.evaluate.edits import edit_similarity
from lilliput.evaluate.line_completion import first_line, places
from lilliput.evaluate.perplexity import perplexity
from lilliput.quantize.activations import Activations
from lilliput.quantize.policy import policy
from lilliput.verbs.evaluate import RepositorySettings, evaluate_repository
from lilliput.verbs.evaluate import repository as verb
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.verbs.tiny_checkpoints import LLAMA, VARIANTS, checkpoint

EXACT = QuantizeSettings(policy("fp32"), Activations("none"))
SMALL = RepositorySettings(pieces=5, length=20, places=6, context=24, max_new_tokens=6, batch=4)


def made(folder, kind, options):
    checkpoint(folder / "model", kind, options)
    quantize(folder / "model", folder / "artifact", settings=EXACT)
    return folder / "artifact"


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return made(tmp_path_factory.mktemp("llama"), *LLAMA)


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repo")
    for number in range(4):
        lines = [f"def function_{number}_{line}(a, b):\n    return a * {line} + b  # <|end|>\n" for line in range(6)]
        (folder / f"file{number}.py").write_text("\n\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def found(llama, repo):
    return evaluate_repository(llama, repo, settings=SMALL, threads=1)


def measured(found):
    """The result without facts about the run alone."""
    return {name: value for name, value in found.as_dict().items() if name != "machine"}


def test_perplexity_matches_its_own_measure(found, llama, repo):
    tokenizer = Tokenizer.from_file(str(llama / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    positions = open_artifact(llama).generator.positions
    two = evaluate_repository(llama, repo, settings=RepositorySettings(2, 10_000, 1, 24, 6), threads=1)
    assert two.settings["length"] == positions  # as many as the model has
    costs = []
    for source in read_sources(repo, 2).files:
        ids = np.array([tokenizer.encode(source.text).ids])
        windows = [ids[:, begin : begin + positions] for begin in range(0, ids.shape[1], positions)]
        read = [perplexity(llama, window, 1) for window in windows if window.shape[1] >= SHORTEST]
        costs.append([(one.nll * one.tokens, one.tokens) for one in read])
    pairs = [tuple(map(sum, zip(*pair, strict=True))) for pair in itertools.product(*costs)]
    assert two.next_token.nll.value in [pytest.approx(nll / tokens, rel=1e-5) for nll, tokens in pairs]
    assert found.next_token.pieces == 5
    assert found.next_token.every.tokens == 5 * 19
    assert 0 < found.next_token.code.tokens < found.next_token.every.tokens


def test_lines_are_those_that_the_generator_writes(found, llama, repo):
    generator = lilliput.load(llama, 1)
    generator.tokenizer.encode_special_tokens = True
    chosen = places(read_sources(repo, 6).files, 6)
    similarities = []
    for place in chosen:
        prompt = verb.left_context(place.before, generator.tokenizer, 24)
        assert len(generator.tokenizer.encode(prompt).ids) <= 24
        ((line,),) = generator.generate([prompt], max_new_tokens=6, stop="\n")
        similarities.append(edit_similarity(place.rest, first_line(line.text)))
    assert found.lines.model.similarity.value == pytest.approx(np.mean(similarities))
    assert found.lines.places == 6 and found.lines.files == 4
    assert max(score.similarity.value for score in found.lines.baselines.values()) > 0.5  # its lines are repetitive


def test_result_is_plain_values(found):
    values = json.loads(json.dumps(found.as_dict()))
    assert values["task"] == "repository"
    assert values["data"]["files"] == 4 and values["data"]["languages"] == {"python": 4}
    assert values["settings"]["length"] == 20
    assert 0 <= values["next_token"]["every"]["top1"]["value"] <= values["next_token"]["every"]["top5"]["value"] <= 1
    assert values["next_token"]["copied"]["top1"]["value"] > 0


def test_resumes_after_kill(found, llama, repo, tmp_path, monkeypatch):
    out, kept = tmp_path / "result.json", tmp_path / "result.kept.jsonl"
    evaluate_repository(llama, repo, settings=SMALL, threads=1, out=out)
    lines = kept.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5 + 6
    kept.write_bytes(b"".join(lines[:3]) + lines[3][:10])  # killed at its fourth piece
    read = []
    read_piece = verb.read_piece
    monkeypatch.setattr(verb, "read_piece", lambda *how: (read.append(1), read_piece(*how))[1])
    again = evaluate_repository(llama, repo, settings=SMALL, threads=1, out=out)
    assert len(read) == 2
    assert measured(again) == measured(found)
    monkeypatch.setattr(verb, "reader", None)  # everything is known: nothing is opened
    monkeypatch.setattr(verb, "Generator", None)
    assert measured(evaluate_repository(llama, repo, settings=SMALL, out=out)) == measured(found)


def test_rows_of_another_version_are_not_reused(llama, repo, tmp_path, monkeypatch):
    out, kept = tmp_path / "result.json", tmp_path / "result.kept.jsonl"
    for version in ("one", "two"):
        monkeypatch.setattr("lilliput.verbs.kept.VERSION", version)
        evaluate_repository(llama, repo, settings=SMALL, threads=1, out=out)
    assert len(kept.read_bytes().splitlines()) == 2 * (5 + 6)


def test_encoder_decoder_only_completes_lines(repo, tmp_path):
    found = evaluate_repository(made(tmp_path, *VARIANTS["t5"]), repo, settings=SMALL, threads=1)
    assert found.next_token is None
    assert found.lines.places == 6
    assert found.as_dict()["next_token"] is None


def test_rejects_code_too_small_to_measure_on(llama, tmp_path):
    (tmp_path / "a.py").write_text("x=1\n")
    with pytest.raises(DataError, match="its files are too small"):
        evaluate_repository(llama, tmp_path, settings=SMALL)


@pytest.mark.parametrize("settings", [{"pieces": 0}, {"length": 3}, {"places": 0}, {"context": 0}, {"batch": 0}])
def test_rejects_invalid_settings(settings):
    with pytest.raises(UserError, match=next(iter(settings))):
        RepositorySettings(**settings)


def test_rejects_too_few_positions(llama, repo):
    with pytest.raises(UserError, match="max_new_tokens: the model has"):
        evaluate_repository(llama, repo, settings=RepositorySettings(max_new_tokens=100_000))
