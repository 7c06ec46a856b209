"""Sessions: a row's logits depend on what the row and its ancestors read, and on nothing else."""

import gc
from pathlib import Path

import numpy as np
import pytest

from lilliput.errors import UserError
from lilliput.runtime.engine import Engine
from lilliput.runtime.sessions import KEPT_TOKENS, Seq2SeqSession, padded
from tests.runtime.tiny_generators import EXACT, VOCABULARY, Tiny


@pytest.fixture(scope="module", params=["llama", "gpt2", "t5", "bart"])
def tiny(request, tmp_path_factory):
    return Tiny(request.param, tmp_path_factory.mktemp("model"))


def rows(*lengths, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(3, VOCABULARY, length) for length in lengths]


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def alone(tiny, row, tokens=()):
    """Logits after ``row`` and ``tokens``, read in a session of their own."""
    session = tiny.session()
    logits = session.start([row])
    for token in tokens:
        logits = session.step(np.array([token]), np.array([0]))
    return logits[0]


def test_rows_of_different_lengths_do_not_affect_each_other(tiny):
    prompts = rows(11, 7, 16)
    expected = [alone(tiny, row, [5, 9]) for row in prompts]
    session = tiny.session()
    session.start(prompts)
    session.step(np.array([5, 5, 5]), np.arange(3))
    close(session.step(np.array([9, 9, 9]), np.arange(3)), expected)


def test_rows_are_duplicated_reordered_and_dropped(tiny):
    first, second = rows(9, 6, seed=1)
    shrunk = [alone(tiny, first, [10, 22, 30]), alone(tiny, second, [11, 21, 31])]
    grown = [alone(tiny, second, [11, 21, 31, last]) for last in (40, 41)] + [alone(tiny, first, [10, 22, 30, 42])]
    session = tiny.session()
    session.start([first, second])
    session.step(np.array([10, 11, 12, 13]), np.array([0, 1, 0, 0]))
    session.step(np.array([20, 21, 22]), np.array([3, 1, 0]))
    close(session.step(np.array([30, 31]), np.array([2, 1])), shrunk)
    close(session.step(np.array([40, 41, 42]), np.array([1, 1, 0])), grown)


def fail(inputs):
    raise MemoryError


def test_failed_start_is_counted(tiny, monkeypatch):
    """Earlier sequences cannot be continued: their state is lost, in whole or in part."""
    session = tiny.session()
    for part in {"encoder", "decoder"} & vars(session).keys():
        session.start(rows(6))
        before = session.starts
        with monkeypatch.context() as patched, pytest.raises(UserError, match="6 tokens are too many for"):
            patched.setattr(getattr(session, part), "infer", fail)
            session.start(rows(6))
        assert session.starts == before + 1


@pytest.fixture
def little_memory():
    """An address-space limit a few gigabytes above current use."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 4 * 2**30, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not report memory use in /proc")
@pytest.mark.parametrize("tiny", ["t5"], indirect=True)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("before", [1, 9])
def test_rejects_and_forgets_a_source_too_long_for_memory(tiny, threads, before, little_memory):
    """A score for each pair of tokens takes 640 GB. With one thread, the engine does not report the failure itself."""
    encoder = Engine(tiny.graphs["encoder"], threads, EXACT)
    session = Seq2SeqSession(encoder, tiny.engines["model"], tiny.manifest.start)
    expected = session.start(rows(before))
    with pytest.raises(UserError, match=r"prompt: 200,000 tokens are too many for the available memory\. Shorten"):
        session.start(rows(200_000))
    close(session.start(rows(before)), expected)


def test_session_cannot_continue_after_a_failed_step(tiny, monkeypatch):
    """Some layers may have read the token and others not."""
    session, step = tiny.session(), (np.array([8]), np.array([0]))
    session.start(rows(6))
    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(session.decoder, "infer", fail)
        session.step(*step)
    with pytest.raises(IndexError):
        session.step(*step)
    close(session.start(rows(6))[0], alone(tiny, *rows(6)))
    close(session.step(*step)[0], alone(tiny, *rows(6), [8]))


def test_start_resets_the_session(tiny):
    one, other = rows(12, 5, seed=2)
    expected = alone(tiny, other, [7])
    session = tiny.session()
    session.start([one, one])
    session.step(np.array([8, 9]), np.arange(2))
    session.start([other])
    close(session.step(np.array([7]), np.array([0]))[0], expected)
    assert session.starts == 2


def test_first_logits_match_transformers(tiny):
    import torch

    row = rows(13, seed=3)[0]
    ids = torch.from_numpy(row[None])
    inputs = {"input_ids": ids}
    if not tiny.is_decoder:
        inputs["decoder_input_ids"] = torch.tensor([[tiny.manifest.start]])
    with torch.no_grad():
        expected = tiny.theirs(**inputs).logits[0, -1].numpy()
    close(tiny.session().start([row])[0], expected)


@pytest.mark.parametrize("tiny", ["llama", "gpt2"], indirect=True)  # sources of encoder-decoders are read whole
@pytest.mark.parametrize("pass_tokens", [1, 5, 16, 39])
def test_prompts_read_in_chunks_give_the_same_logits(tiny, pass_tokens):
    prompts, reported = rows(17, 3, 13, seed=4), []
    whole = tiny.session()
    expected = whole.start(prompts)
    expected_next = whole.step(np.array([3, 4, 5]), np.arange(3))
    session = tiny.session(pass_tokens=pass_tokens)
    close(session.start(prompts, reported.append), expected)
    close(session.step(np.array([3, 4, 5]), np.arange(3)), expected_next)
    assert len(reported) == -(-17 // max(pass_tokens // 3, min(pass_tokens, 256)))
    assert sum(reported) == 33


def test_rows_are_padded_on_either_side():
    ids, mask = padded([np.array([7, 8]), np.array([9])], left=True)
    assert (ids.tolist(), mask.tolist()) == ([[7, 8], [0, 9]], [[1, 1], [0, 1]])
    ids, mask = padded([np.array([7, 8]), np.array([9])], left=False)
    assert (ids.tolist(), mask.tolist()) == ([[7, 8], [9, 0]], [[1, 1], [1, 0]])


def test_consecutive_long_prompts_of_equal_length(tiny):
    """Nothing is decoded between them, and the memory of the first is released: the engine must not rely on it."""
    gc.collect()  # other live graphs may change how memory is handled
    batches = [rows(*[40] * 8, seed=seed) for seed in (5, 6, 5)]
    assert sum(map(len, batches[0])) > KEPT_TOKENS
    session = tiny.session()
    first, other, again = (session.start(batch) for batch in batches)
    close(again, first)
    close(other[0], alone(tiny, batches[1][0]))
