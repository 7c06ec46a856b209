"""Generators against transformers' ``generate``, and against what their interface promises."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier, Event

import numpy as np
import pytest

from lilliput.artifact import Artifact, Manifest
from lilliput.encoder import Architecture, EncoderConfig
from lilliput.errors import ArtifactError, UserError
from lilliput.progress import Progress
from lilliput.runtime.classifier import Classifier
from lilliput.runtime.generator import Generator
from lilliput.runtime.writing import Draft, groups
from tests.runtime.tiny_generators import (
    END,
    POSITIONS,
    Scripted,
    Spy,
    Tiny,
    tiny_tokenizer,
    word_tokenizer,
    words,
)

PROMPTS = [[70, 80, 90, 100, 110, 120, 131], [30, 41, 52, 63, 74], [200, 190, 180, 170, 160, 150, 140, 130, 120]]


@pytest.fixture(scope="module", params=["llama", "gpt2", "t5", "bart"])
def tiny(request, tmp_path_factory):
    return Tiny(request.param, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return Tiny("llama", tmp_path_factory.mktemp("model"))


def scripted(tokens, tiny, tokenizer=None, **changes):
    return tiny.generator(Scripted(tokens), tokenizer, **changes)


def ids_of(completion):
    return [int(word[1:]) for word in completion.text.split()]


# Against transformers


@pytest.mark.parametrize("rows", [PROMPTS[:1], PROMPTS], ids=["one", "a padded batch"])
def test_greedy_completions_match_transformers(tiny, rows):
    expected = tiny.expected(rows, eos_token_id=None)
    generator = tiny.generator(tokenizer=word_tokenizer(), end=())
    found = generator.generate(map(words, rows), max_new_tokens=20)
    assert [ids_of(completion) for (completion,) in found] == expected
    assert {(completion.tokens, completion.finish) for (completion,) in found} == {(20, "length")}


def test_completions_end_where_transformers_ends_them(tiny):
    whole = tiny.expected(PROMPTS, eos_token_id=None)
    end = sorted({whole[0][6], whole[1][3]})
    spy = Spy(tiny.session())
    found = tiny.generator(spy, word_tokenizer(), end=tuple(end)).generate(map(words, PROMPTS), max_new_tokens=20)
    for (completion,), ids, row in zip(found, whole, PROMPTS, strict=True):
        cut = next((place for place, id_ in enumerate(ids) if id_ in end), None)
        assert ids_of(completion) == ids[:cut]
        assert (completion.finish, completion.tokens) == (("length", 20) if cut is None else ("end", cut + 1))
        with_them = tiny.expected([row], eos_token_id=end)[0]
        assert ids_of(completion) == (with_them if cut is None else with_them[:-1])
    sizes = [len(tokens) for tokens, _ in spy.stepped]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 3


def test_repetition_penalty_matches_transformers(tiny):
    expected = tiny.expected(PROMPTS[:1], eos_token_id=None, repetition_penalty=1.7)
    generator = tiny.generator(tokenizer=word_tokenizer(), end=())
    ((found,),) = generator.generate(words(PROMPTS[0]), max_new_tokens=20, repetition_penalty=1.7)
    assert ids_of(found) == expected[0]
    assert expected != tiny.expected(PROMPTS[:1], eos_token_id=None)


# Sampling


@pytest.mark.parametrize("how", [{"top_k": 5}, {"top_p": 0.7}, {"top_k": 9, "top_p": 0.9, "repetition_penalty": 1.2}])
def test_samples_depend_on_the_seed_and_not_on_the_batch(tiny, how):
    generator = tiny.generator(tokenizer=word_tokenizer())
    wanted = {"n": 3, "max_new_tokens": 12, "temperature": 1.0, "seed": 7, **how}
    texts = [words(row) for row in PROMPTS]
    found = generator.generate(texts, **wanted)
    assert found == generator.generate(texts, **wanted)
    assert found == generator.generate(texts, **wanted, batch=1)
    assert found == generator.generate(texts, **wanted, batch=4)
    assert found != generator.generate(texts, **{**wanted, "seed": 8})
    assert len({completion.text for row in found for completion in row}) == 9


def test_top_1_sampling_is_greedy(llama):
    generator = llama.generator()
    greedy = generator.generate("def f(a):", max_new_tokens=12)
    assert generator.generate("def f(a):", max_new_tokens=12, temperature=2.0, top_k=1, seed=3) == greedy
    assert generator.generate("def f(a):", max_new_tokens=12, temperature=2.0, top_p=1e-9) == greedy


def test_samples_share_one_prefill_of_their_prompt(tiny):
    spy = Spy(tiny.session())
    tiny.generator(spy, word_tokenizer(), end=()).generate(words(PROMPTS[0]), n=5, temperature=1.0, max_new_tokens=3)
    assert spy.started == [[PROMPTS[0]]]
    assert [parents for _, parents in spy.stepped] == [[0] * 5, list(range(5))]


def test_more_samples_than_fit_in_a_batch(llama):
    spy = Spy(llama.session())
    generator = llama.generator(spy, word_tokenizer(), end=())
    found = generator.generate(words(PROMPTS[0]), n=10, batch=8, temperature=1.0, max_new_tokens=3)
    assert [len(tokens) for tokens, _ in spy.stepped] == [5, 5, 5, 5]
    assert len({completion.text for completion in found[0]}) == 10


def test_groups_have_similar_lengths_and_bounded_size(llama):
    reader = llama.generator(tokenizer=word_tokenizer())._reader
    lengths = [3, 40, 22, 21, 20, 9, 2, 2]
    rows = [[Draft(reader.plain(words([9] * length), ""), 1, None, None)] * 3 for length in lengths]
    found = [[(len(part[0].prompt.ids), len(part)) for part in group] for group in groups(rows, 7)]
    assert found == [[(40, 3), (22, 3)], [(21, 3), (20, 3)], [(9, 3)], [(3, 3), (2, 3)], [(2, 3)]]


# Limits


def test_completions_stop_at_the_last_position(llama):
    generator = llama.generator(tokenizer=word_tokenizer(), end=())
    for length in (POSITIONS - 1, POSITIONS - 4, 10):
        ((found,),) = generator.generate(words([9] * length), max_new_tokens=60)
        assert (found.tokens, found.finish) == (min(60, POSITIONS - length), "length")


@pytest.mark.parametrize("length", [POSITIONS, POSITIONS + 9])
def test_too_long_prompt_is_rejected_with_the_limit(llama, length):
    generator = llama.generator(tokenizer=word_tokenizer())
    with pytest.raises(UserError, match=rf"prompt 1: {length} tokens; this model takes 63 at most. Shorten the text"):
        generator.generate(["w9", words([9] * length)])
    with pytest.raises(UserError, match=r"^prompt: 1,000 tokens"):
        generator.stream(words([9] * 1000))


def test_sources_and_targets_have_separate_limits(tmp_path):
    bart = Tiny("bart", tmp_path)
    generator = bart.generator(tokenizer=word_tokenizer(), end=())
    ((found,),) = generator.generate(words([9] * POSITIONS), max_new_tokens=500)
    assert (found.tokens, found.finish) == (POSITIONS - 1, "length")
    with pytest.raises(UserError, match="65 tokens; this model takes 64"):
        generator.generate(words([9] * (POSITIONS + 1)))


def test_model_without_positions_has_no_limit(tmp_path):
    t5 = Tiny("t5", tmp_path)
    generator = t5.generator(tokenizer=word_tokenizer(), end=())
    ((found,),) = generator.generate(words([9] * 100), max_new_tokens=80)
    assert found.tokens == 80


# Text


def test_text_ends_before_a_stop_string(llama):
    generator = llama.generator(tokenizer=word_tokenizer(), end=())
    ((whole,),) = generator.generate(words(PROMPTS[0]), max_new_tokens=20)
    stop = whole.text.split()[5]
    for given in (stop, [stop, "never"]):
        ((cut,),) = generator.generate(words(PROMPTS[0]), max_new_tokens=20, stop=given)
        assert cut.text == whole.text[: whole.text.index(stop)]
        assert (cut.finish, cut.tokens) == ("stop", 1 + len(whole.text[: whole.text.index(stop)].split()))


@pytest.mark.parametrize("seed", range(6))
def test_streamed_pieces_add_up_to_the_completion(tiny, seed):
    generator = tiny.generator()
    how = {"max_new_tokens": 40, "temperature": 1.2, "seed": seed, "stop": ["a", "\ufffd\ufffd\ufffd"]}
    pieces = list(generator.stream("def f(a):\n", **how))
    assert all(pieces)
    assert "".join(pieces) == generator.generate("def f(a):\n", **how)[0][0].text


def test_pieces_are_streamed_before_the_completion_ends(llama):
    ids = tiny_tokenizer().encode("return 1\n").ids
    generator = scripted([*ids, *ids, END], llama)
    pieces = generator.stream("def f():")
    assert next(pieces) == tiny_tokenizer().decode(ids[:1])
    assert generator.session.place == 0
    assert "".join(pieces) == ("return 1\n" * 2)[len(tiny_tokenizer().decode(ids[:1])) :]


def test_text_has_whole_characters_and_no_end_token(llama):
    tokenizer = tiny_tokenizer()
    generator = scripted([*tokenizer.encode("naïve 漢字").ids, END], llama)
    assert "".join(generator.stream("x")) == "naïve 漢字"
    ((found,),) = generator.generate("x")
    assert (found.text, found.finish) == ("naïve 漢字", "end")
    assert found.tokens == len(tokenizer.encode("naïve 漢字").ids) + 1
    half = tokenizer.encode("漢").ids[:-1]
    ((found,),) = scripted(half, llama).generate("x", max_new_tokens=len(half))
    assert (found.text, found.finish) == (tokenizer.decode(half), "length")


# Options


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("max_new_tokens", value) for value in (0, -3, 1.5, True, "9", None)),
        *(("n", value) for value in (0, -1, 2.0)),
        *(("batch", value) for value in (0, "8")),
        *(("seed", value) for value in (-1, 0.5)),
        *(("temperature", value) for value in (-0.1, float("nan"), float("inf"), "hot")),
        *(("top_p", value) for value in (0, 1.1, "all")),
        *(("top_k", value) for value in (-1, 2.5)),
        *(("repetition_penalty", value) for value in (0, None)),
        *(("stop", value) for value in (3, "", ["a", ""], [b"a"], {"a"})),
    ],
)
def test_rejects_invalid_options_by_name(llama, option, value):
    generator = llama.generator()
    for ask in (generator.generate, generator.stream):
        with pytest.raises(UserError, match=f"^{option}: must be"):
            ask("def f():", **{option: value})


def test_accepts_numpy_numbers(llama):
    generator = llama.generator()
    how = {"max_new_tokens": np.int64(3), "temperature": np.float32(0.5), "seed": np.int32(1)}
    assert generator.generate("a", **how) == generator.generate("a", max_new_tokens=3, temperature=0.5, seed=1)


def in_threads(calls):
    """The results of the calls, each made in its own thread, all starting at once."""
    together = Barrier(len(calls))

    def run(call):
        together.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


@pytest.mark.parametrize("how", [{}, {"temperature": 1.0, "n": 3}, {"beams": 2}])
def test_concurrent_completions_equal_sequential_ones(how, tiny):
    generator = tiny.generator(end=())
    prompts = ["def f(a):", "return", "for i in range(n):"]
    calls = [partial(generator.generate, [prompt] * 2, max_new_tokens=20, **how) for prompt in prompts]
    assert in_threads(calls) == [call() for call in calls]


def test_stream_waits_for_a_completion_in_another_thread(llama):
    generator = llama.generator(end=())
    whole = partial(generator.generate, "return", max_new_tokens=20)
    expected, begun, step = (whole(), list(generator.stream("def f(a):"))), Event(), generator.session.step

    def stream():
        begun.wait()
        return list(generator.stream("def f(a):"))

    generator.session.step = lambda *inputs: [begun.set(), step(*inputs)][1]
    assert tuple(in_threads([whole, stream])) == expected


def test_only_one_completion_can_be_streamed(llama):
    with pytest.raises(UserError, match=r"^n: must be 1 to stream"):
        llama.generator().stream("a", n=2, temperature=1.0)


def test_stream_interrupted_by_another_completion_raises(llama):
    generator = llama.generator(end=())
    first = generator.stream("def f(a):", max_new_tokens=40)
    next(first)
    second = list(generator.stream("return", max_new_tokens=5))
    with pytest.raises(UserError, match="another completion was started"):
        list(first)
    assert second == list(generator.stream("return", max_new_tokens=5))


# Progress and kinds of artifact


class Counting(Progress):
    def __init__(self):
        self.totals, self.done = [], 0

    def track(self, what, total):
        self.totals.append(total)
        counting = self

        class Loop:
            def __enter__(self):
                return counting.add

            def __exit__(self, *_):
                pass

        return Loop()

    def add(self, steps=1, note=""):
        self.done += steps


def test_progress_ends_at_its_total(tiny):
    end = tiny.expected(PROMPTS[:1], eos_token_id=None)[0][4]
    progress = Counting()
    generator = tiny.generator(tokenizer=word_tokenizer(), end=(end,))
    generator.generate(map(words, PROMPTS), n=3, temperature=0.5, batch=5, progress=progress)
    assert progress.totals == [progress.done]


def test_progress_of_a_stream_counts_a_prompt_read_in_chunks(llama, monkeypatch):
    progress = Counting()
    tiny = llama.generator(llama.session(pass_tokens=5), word_tokenizer(), end=())
    list(tiny.stream(words(PROMPTS[0]), max_new_tokens=9, progress=progress))
    assert (progress.totals, progress.done) == ([], 0)
    monkeypatch.setattr("lilliput.runtime.generator.PASS_TOKENS", 5)
    list(tiny.stream(words(PROMPTS[0]), max_new_tokens=9, progress=progress))
    assert (progress.totals, progress.done) == ([7], 7)


def test_each_class_rejects_artifacts_of_other_kinds(llama, tmp_path):
    config = EncoderConfig(Architecture(1, 16, 1, 16, 300), classes=2)
    classifier = Artifact(tmp_path, Manifest("vulnerability", ("a", "b"), config, "int8", 64), {})
    with pytest.raises(ArtifactError, match="lilliput predict"):
        Generator.open(classifier)
    with pytest.raises(ArtifactError, match="lilliput complete"):
        Classifier(Artifact(tmp_path, llama.manifest, {}))
    with pytest.raises(UserError, match="threads: must be 1 or more"):
        Generator.open(classifier, threads=0)
