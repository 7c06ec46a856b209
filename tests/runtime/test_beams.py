"""Beam search against transformers' beam search and against exhaustive enumeration."""

import itertools

import numpy as np
import pytest

from lilliput.errors import UserError
from lilliput.runtime.beams import Beams, search
from lilliput.runtime.prompts import Prompt
from tests.runtime.test_generator import PROMPTS, Counting, ids_of
from tests.runtime.tiny_generators import PAD, Spy, Tiny, word_tokenizer, words


@pytest.fixture(scope="module", params=["llama", "gpt2", "t5", "bart"])
def tiny(request, tmp_path_factory):
    return Tiny(request.param, tmp_path_factory.mktemp("model"))


def without_padding(ids, end):
    """The tokens before the first end token; padding follows it."""
    place = next((place for place, id_ in enumerate(ids) if id_ in end), len(ids))
    return ids[:place]


@pytest.fixture(scope="module")
def ends(tiny):
    """End tokens taken from the likeliest texts, so that beams end early and at different steps."""
    texts = tiny.expected(PROMPTS, eos_token_id=None, num_beams=4)
    return tuple(sorted({texts[0][5], texts[1][9], texts[2][2]} - {PAD}))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"beams": 4}, {"num_beams": 4}),
        ({"beams": 5, "n": 3}, {"num_beams": 5, "num_return_sequences": 3}),
        (
            {"beams": 3, "n": 3, "length_penalty": 0.0},
            {"num_beams": 3, "num_return_sequences": 3, "length_penalty": 0.0},
        ),
        ({"beams": 4, "length_penalty": -1.5}, {"num_beams": 4, "length_penalty": -1.5}),
        ({"beams": 4, "length_penalty": 3.0}, {"num_beams": 4, "length_penalty": 3.0}),
        ({"beams": 3, "repetition_penalty": 1.4}, {"num_beams": 3, "repetition_penalty": 1.4}),
    ],
)
@pytest.mark.parametrize("ending", [False, True], ids=["no end", "ends"])
def test_beams_match_transformers(tiny, ends, ours, theirs, ending):
    end = ends if ending else ()
    expected = tiny.expected(PROMPTS, eos_token_id=list(end) or None, **theirs)
    generator = tiny.generator(tokenizer=word_tokenizer(), end=end)
    found = generator.generate(map(words, PROMPTS), max_new_tokens=20, batch=15, **ours)
    assert [ids_of(one) for row in found for one in row] == [without_padding(ids, end) for ids in expected]
    for one in (one for row in found for one in row):
        assert one.tokens == len(ids_of(one)) + (one.finish == "end")


def test_other_prompts_in_the_batch_change_nothing(tiny, ends):
    spy = Spy(tiny.session())
    how = {"max_new_tokens": 12, "beams": 4, "n": 2}
    together = tiny.generator(spy, word_tokenizer(), end=ends).generate(map(words, PROMPTS), batch=12, **how)
    assert [len(rows) for rows in spy.started] == [3]
    generator = tiny.generator(tokenizer=word_tokenizer(), end=ends)
    assert together == [generator.generate(words(row), **how)[0] for row in PROMPTS]
    few = Spy(tiny.session())
    assert tiny.generator(few, word_tokenizer(), end=ends).generate(map(words, PROMPTS), batch=8, **how) == together
    assert max(len(tokens) for tokens, _ in few.stepped) <= 8
    assert len(few.started) == 2


def test_stop_string_truncates_the_completion(tiny):
    generator = tiny.generator(tokenizer=word_tokenizer(), end=())
    ((whole,),) = generator.generate(words(PROMPTS[0]), max_new_tokens=12, beams=3)
    stop = whole.text.split()[4]
    ((cut,),) = generator.generate(words(PROMPTS[0]), max_new_tokens=12, beams=3, stop=stop)
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish == "stop"


def test_progress_ends_at_its_total(tiny, ends):
    progress = Counting()
    generator = tiny.generator(tokenizer=word_tokenizer(), end=ends)
    generator.generate(map(words, PROMPTS), n=2, beams=4, batch=8, progress=progress)
    assert progress.totals == [progress.done]


class MarkovSession:
    """A session whose next-token probabilities depend on the last token alone."""

    starts = 0

    def __init__(self, probabilities):
        self.logits = np.log(probabilities).astype(np.float32)

    def start(self, rows, advance=None):
        return self.logits[[row[-1] for row in rows]]

    def step(self, tokens, parents):
        return self.logits[tokens]


@pytest.mark.parametrize("seed", range(8))
def test_wide_beam_finds_the_likeliest_text(seed):
    """Texts of at most four tokens out of four, the last of which ends a text; the beam holds all of them."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(200, 0.02), 200)
    probabilities[:, 4:] = 1e-30
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    scores = {}
    for length in range(1, 5):
        for text in itertools.product(range(4), repeat=length):
            if 3 in text[:-1] or (length < 4 and text[-1] != 3):
                continue
            probability = np.prod([probabilities[a, b] for a, b in itertools.pairwise((0, *text))])
            scores[text] = np.log(max(probability, 1e-300)) / length
    prompt = Prompt(np.zeros(1, np.int64), np.zeros(1, np.int64), (), None)
    ((best, *_),) = search(MarkovSession(probabilities), [prompt], [4], Beams(64, 1.0, 1.0, frozenset({3})))
    wanted = max(scores, key=scores.get)
    assert best.ids == wanted
    assert best.score == pytest.approx(scores[wanted], abs=1e-4)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"beams": 0}, "beams: must be 1 or more"),
        ({"beams": 2.0}, "beams: must be a whole number"),
        ({"beams": 3, "n": 4}, "n: must be 3 or less"),
        ({"beams": 3, "temperature": 0.5}, "temperature: must be 0"),
        ({"beams": 2, "length_penalty": float("nan")}, "length_penalty: must be -10 to 10"),
        ({"beams": 2, "length_penalty": 400.0}, "length_penalty: must be -10 to 10"),
        ({"length_penalty": 2.0}, "length_penalty: goes with a beam search"),
        ({"length_penalty": "1"}, "length_penalty: must be a number"),
        ({"beams": 1000}, "beams: must be 160 or less"),
    ],
)
def test_rejects_invalid_options(tiny, options, complaint):
    with pytest.raises(UserError, match=complaint):
        tiny.generator().generate("def f(a):", max_new_tokens=3, **options)


def test_beam_search_cannot_be_streamed(tiny):
    with pytest.raises(UserError, match="beams: must be 1 to stream"):
        tiny.generator().stream("def f(a):", beams=2)
