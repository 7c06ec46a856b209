"""Next-token accuracy and perplexity against transformers' logits; the copy baseline against counting."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from lilliput.artifact import open_artifact
from lilliput.data.code_pieces import Piece
from lilliput.errors import UserError
from lilliput.evaluate import next_token as measured
from lilliput.evaluate.next_token import GUESSES, copied_ranks, counted, next_token_scores, read_piece
from lilliput.evaluate.perplexity import perplexity, reader
from lilliput.quantize.activations import Activations
from lilliput.quantize.policy import policy
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.verbs.tiny_checkpoints import LLAMA, VARIANTS, checkpoint

IDS = np.random.default_rng(0).integers(3, 300, (5, 40))
EXACT = QuantizeSettings(policy("fp32"), Activations("none"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    checkpoint(folder / "model", *LLAMA)
    quantize(folder / "model", folder / "artifact", settings=EXACT)
    return folder


@pytest.fixture(scope="module")
def logits(llama):
    """Logits from transformers, ``[5, 40, vocabulary]``."""
    model = AutoModelForCausalLM.from_pretrained(llama / "model").eval()
    with torch.no_grad():
        return model(torch.from_numpy(IDS)).logits


@pytest.mark.parametrize("tokens", [7, 39, 128])
def test_costs_and_ranks_match_transformers(tokens, llama, logits, monkeypatch):
    monkeypatch.setattr("lilliput.evaluate.perplexity.PASS_TOKENS", tokens)
    engine = reader(open_artifact(llama / "artifact"), 1)
    for row, theirs in zip(IDS, logits[:, :-1], strict=True):
        costs, ranks = read_piece(engine, row)
        next_ids = torch.from_numpy(row[1:])
        expected = torch.nn.functional.cross_entropy(theirs, next_ids, reduction="none").numpy()
        assert costs == pytest.approx(expected, abs=1e-4)
        gap = theirs - theirs.gather(1, next_ids[:, None])
        # Ranks may differ where logits are within rounding of each other.
        assert ((gap > 1e-4).sum(1).numpy() <= ranks).all() and (ranks <= (gap > -1e-4).sum(1).numpy() - 1).all()


def test_scores_are_shares_and_match_the_perplexity_measure(llama, logits):
    engine = reader(open_artifact(llama / "artifact"), 1)
    code = np.random.default_rng(1).random(IDS.shape) < 0.5
    pieces = [Piece(f"{row % 3}.py", ids, code[row]) for row, ids in enumerate(IDS)]
    read = [read_piece(engine, piece.ids) for piece in pieces]
    copies = [counted(piece, copied_ranks(piece.ids.tolist())) for piece in pieces]
    scores = next_token_scores(
        [counted(piece, ranks, costs) for piece, (costs, ranks) in zip(pieces, read, strict=True)], copies
    )
    assert scores.perplexity.value == pytest.approx(perplexity(llama / "artifact", IDS, 1).perplexity, rel=1e-5)
    guesses = logits[:, :-1].topk(GUESSES).indices.numpy()
    right = guesses == IDS[:, 1:, None]
    inside = code[:, 1:]
    assert scores.every.top1.value == pytest.approx(right[..., 0].mean())
    assert scores.every.top5.value == pytest.approx(right.any(-1).mean())
    assert scores.code is not None
    assert scores.code.top1.value == pytest.approx(right[..., 0][inside].mean())
    assert scores.code.top5.value == pytest.approx(right.any(-1)[inside].mean())
    assert (scores.every.tokens, scores.code.tokens, scores.pieces) == (5 * 39, inside.sum(), 5)
    assert scores.every.top1.n == scores.perplexity.n == 3
    assert scores.copied.top5.value == pytest.approx(sum(each.top5 for each in copies) / (5 * 39))
    assert scores.as_dict()["perplexity"]["n"] == 3


def test_without_code_tokens_there_is_no_accuracy_on_code():
    piece = Piece("a.py", np.arange(4), np.zeros(4, np.bool_))
    counts = [counted(piece, np.array([0, 4, 5]), np.ones(3))]
    scores = next_token_scores(counts, counts)
    assert scores.code is None and scores.copied_code is None
    assert (scores.every.top1.value, scores.every.top5.value) == pytest.approx((1 / 3, 2 / 3))


def test_single_piece_has_no_perplexity_interval_but_accuracy_intervals_with_width():
    counts = [counted(Piece("a.py", np.arange(4), np.ones(4, np.bool_)), np.array([0, 4, 5]), np.log([1, 2, 4]))]
    scores = next_token_scores(counts, counts)
    assert scores.perplexity_value == pytest.approx(2)
    assert scores.nll is scores.perplexity is scores.as_dict()["perplexity"] is None
    assert scores.every.top1.low < scores.every.top1.value < scores.every.top1.high


def test_infinite_perplexity_is_none():
    pieces = [Piece(name, np.arange(4), np.ones(4, np.bool_)) for name in ("a.py", "b.py", "c.py")]
    counts = [counted(piece, np.array([0, 4, 5]), np.ones(3) * 300 * place) for place, piece in enumerate(pieces, 1)]
    scores = next_token_scores(counts, counts)  # only the upper end of the interval overflows
    assert scores.nll.value == pytest.approx(600) and scores.nll.high > 709.8
    assert scores.perplexity is scores.as_dict()["perplexity"] is None
    assert scores.perplexity_value == pytest.approx(np.exp(600))
    counts = [counted(pieces[0], np.array([0, 4, 5]), np.ones(3) * 800)]
    assert next_token_scores(counts, counts).perplexity_value is None


def test_pieces_of_a_single_file_are_resampled_one_by_one():
    pieces = [Piece("a.py", np.arange(4), np.ones(4, np.bool_))] * 3
    counts = [counted(piece, np.array([0, 0, rank]), np.ones(3) * rank) for rank, piece in enumerate(pieces, 1)]
    scores = next_token_scores(counts, counts)
    assert scores.perplexity.low < scores.perplexity.value < scores.perplexity.high
    assert scores.perplexity.n == 3


def test_ties_are_ranked_by_token_id():
    logits = np.array([[1, 2, 2, 0], [2, 2, 2, 2]], np.float32)
    ranks = measured._ranks(logits, np.array([2, 3]))
    assert ranks.tolist() == [1, 3]


def naive_guesses(ids, place):
    """Guesses of the copy baseline, by its definition."""
    found = []
    for n in (3, 2, 1, 0):
        if n > place:
            continue
        context = ids[place - n : place]
        counts = Counter(ids[at] for at in range(n, place) if ids[at - n : at] == context)
        found += [token for token, _ in sorted(counts.items(), key=lambda item: -item[1])][:GUESSES]
    return list(dict.fromkeys(found))[:GUESSES]


@settings(deadline=None)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=40))
def test_copy_baseline_matches_its_definition(ids):
    expected = []
    for place in range(1, len(ids)):
        guesses = naive_guesses(ids, place)
        expected.append(guesses.index(ids[place]) if ids[place] in guesses else GUESSES)
    assert copied_ranks(ids).tolist() == expected


def test_copy_baseline_repeats_what_it_has_read():
    assert copied_ranks([1, 2, 3, 4, 1, 2, 3, 4]).tolist()[-3:] == [0, 0, 0]


def test_rejects_an_encoder_decoder(tmp_path):
    checkpoint(tmp_path / "model", *VARIANTS["t5"])
    quantize(tmp_path / "model", tmp_path / "artifact", settings=EXACT)
    with pytest.raises(UserError, match="has an encoder"):
        reader(open_artifact(tmp_path / "artifact"))
