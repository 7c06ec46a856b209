"""A server as a generator: a real one in this process, and the ways in which servers fail."""

import json
import time

import pytest

from lilliput import api
from lilliput.data.problems import Problem
from lilliput.errors import UserError
from lilliput.runtime.settings import Settings
from lilliput.verbs.completers import Asked, GeneratorSource, open_completer
from lilliput.verbs.completers import endpoint as completers_endpoint
from lilliput.verbs.completers.endpoint import EndpointCompleter, Patience, cut_at, seed_of
from tests.data.test_problems import HUMANEVAL, write
from tests.verbs.test_score import FAST, RIGHT, UNSAFE
from tests.verbs.tiny_servers import MODEL, chat, completion, served

IMPATIENT = Patience(tries=3, first=0.01, longest=0.02, answer=5.0)
PROBLEM = Problem(**HUMANEVAL)
SEEDS = (1234797308, 778162986, 1205246557)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(completers_endpoint, "Patience", lambda: IMPATIENT)
    for name in completers_endpoint.KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def problems(tmp_path):
    return write(tmp_path / "problems.jsonl", *({**HUMANEVAL, "task_id": f"T/{row}"} for row in range(8)))


def evaluate(server, problems, **how):
    how = {"limits": FAST, "unsafe": UNSAFE, **how}
    return api.evaluate_generator(server.url, "humaneval", problems, **how)


def outcomes(result):
    return [one["completions"][0]["outcome"] for one in result["problems"]]


def test_completions_are_requested_scored_and_recorded(problems, monkeypatch):
    monkeypatch.setenv("LILLIPUT_API_KEY", "secret-one")
    monkeypatch.setenv("OPENAI_API_KEY", "secret-two")
    settings = Settings(max_new_tokens=50, temperature=0.5, top_p=0.9, seed=7, n=2, batch=3)
    with served(
        lambda path, body, number: completion(RIGHT if body["seed"] == seed_of(7, 0) else "    x", 9)
    ) as server:
        result = evaluate(server, problems, settings=settings).as_dict()
    assert len(server.asked) == 16
    path, body = server.asked[0]
    assert path == "/v1/completions"
    assert body["prompt"] == HUMANEVAL["prompt"]
    assert {name: body[name] for name in ("model", "max_tokens", "temperature", "top_p")} == {
        "model": MODEL,
        "max_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
    }
    assert len(body["stop"]) == 4
    assert {body["seed"] for _, body in server.asked} == {seed_of(7, 0), seed_of(7, 1)}
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer secret-one"}
    assert (result["n"], result["pass@1"], result["name"]) == (8, 0.5, MODEL)
    assert "secret" not in json.dumps(result)
    for name in ("bytes", "decode_tokens_per_s", "prefill_tokens_per_s", "peak_memory_mb", "energy", "carbon"):
        assert result[name] is None
    assert "cannot be told apart" in result["throughput_method"]
    assert result["problems"][0]["completions"][0]["tokens"] == 9


def test_chat_completions(problems):
    answer = "Sure!\n```python\ndef double(n):\n    return 2 * n\n```\n# class if print"
    with served(lambda path, body, number: chat(answer)) as server:
        result = evaluate(server, problems, prompt="chat", limit=2).as_dict()
    path, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert [message["role"] for message in body["messages"]] == ["user"]
    assert HUMANEVAL["prompt"].rstrip() in body["messages"][0]["content"]
    assert "stop" not in body
    assert result["pass@1"] == 1.0
    first = result["problems"][0]["completions"][0]
    assert (first["text"], first["cut"], first["form"]) == (answer, "fence", "program")
    assert first["code"] == "def double(n):\n    return 2 * n\n"
    assert any("extracted from the answer" in step for step in result["postprocessing"])


def test_server_that_fails_midway(problems, tmp_path):
    def answer(path, body, number):
        return completion(RIGHT) if number <= 4 else (500, b"out of memory")

    settings = Settings(batch=1)
    with served(answer) as server:
        found = evaluate(server, problems, settings=settings, out=tmp_path / "out")
        url = server.url
    result = found.as_dict()
    assert outcomes(result) == ["passed"] * 4 + ["runner"] * 4
    assert (result["n"], result["pass@1"], result["failures"]["runner"]) == (4, 1.0, 4)
    assert "500: out of memory, 3 times" in result["problems"][7]["completions"][0]["detail"]
    assert found.exit_code == 1
    assert next(iter(result)) == "warning"
    assert "4 of 8 problems" in result["warning"]
    assert len(server.asked) == 4 + 4 * IMPATIENT.tries
    # A second run asks only for the completions that are missing.
    with served(lambda path, body, number: completion(RIGHT)) as server:
        server_url, completers_endpoint_url = server.url, url
        assert server_url != completers_endpoint_url
        again = evaluate(server, problems, settings=settings, out=tmp_path / "out").as_dict()
    assert len(server.asked) == 8  # another address is another source
    assert again["pass@1"] == 1.0


def test_resumes_with_the_missing_completions(problems, tmp_path):
    broken = [True]

    def answer(path, body, number):
        return (503, b"") if broken[0] and number > 4 else completion(RIGHT)

    with served(answer) as server:
        how = {"settings": Settings(batch=1), "out": tmp_path / "out.json"}
        assert evaluate(server, problems, **how).as_dict()["failures"]["runner"] == 4
        asked, broken[0] = len(server.asked), False
        assert evaluate(server, problems, **how).as_dict()["pass@1"] == 1.0
        assert len(server.asked) == asked + 4
    assert {path.name for path in tmp_path.iterdir()} == {"problems.jsonl", "out.json", "out.kept.jsonl"}


@pytest.mark.parametrize(
    "status, value, said",
    [
        (200, b"<html>", "is not JSON: b'<html>'"),
        (200, b"[" * 100_000, "is not JSON"),
        (200, {}, "has no completion: {}"),
        (200, [], "has no completion"),
        (200, {"choices": []}, "has no completion"),
        (200, {"choices": [{"text": None}]}, "has no completion"),
        (200, {"choices": [{"text": 5}]}, "has no completion"),
        (200, {"error": "x"}, "has no completion"),
        (400, b"too long\n\nfor me", "answered 400: too long for me"),
        (302, b"", "answered 302"),
        (429, b"slow down", "answered 429: slow down, 3 times"),
    ],
)
def test_invalid_answers_are_failures_and_not_empty_completions(status, value, said):
    with served(lambda path, body, number: (status, value)) as server:
        completer = EndpointCompleter(GeneratorSource(server.url))
        ((made,),) = completer.complete([Asked(PROBLEM, "x")], Settings())
    assert said in made.failure
    assert not made.is_model_s


def test_nonsense_written_by_the_model_counts_against_the_model(problems):
    texts = ["", "\x00\ud800", "!" * 400_000, "    return n\n" + "x = 1\n" * 100_000]
    with served(lambda path, body, number: completion(texts[number - 1], 100_000, "length")) as server:
        result = evaluate(server, problems, settings=Settings(batch=1), limit=4).as_dict()
    assert (result["n"], result["pass@1"], result["failures"]["runner"]) == (4, 0.0, 0)
    assert [len(one["completions"][0]["text"]) for one in result["problems"]] == [len(text) for text in texts]
    assert result["problems"][0]["completions"][0]["empty"]


def test_retries_a_server_that_recovers():
    replies = [(429, b"", {"Retry-After": "0.01"}), (502, b""), completion("    pass")]
    with served(lambda path, body, number: replies[number - 1]) as server:
        ((made,),) = EndpointCompleter(GeneratorSource(server.url)).complete([Asked(PROBLEM, "x")], Settings())
    assert (made.text, made.failure) == ("    pass", "")


def test_server_that_is_gone_is_reported():
    with served(lambda path, body, number: completion("")) as server:
        completer = EndpointCompleter(GeneratorSource(server.url))
    ((made,),) = completer.complete([Asked(PROBLEM, "x")], Settings())
    assert "no answer" in made.failure
    assert not made.is_model_s
    with pytest.raises(UserError, match="cannot list its models: no answer") as caught:
        EndpointCompleter(GeneratorSource(server.url))
    assert "--served" in caught.value.remedy


def test_waiting_is_reported_once_per_round():
    told = []
    with served(lambda path, body, number: (503, b"busy")) as server:
        patience = Patience(tries=3, first=0.3)
        completer = EndpointCompleter(GeneratorSource(server.url), patience, told.append)
        completer.complete([Asked(PROBLEM, str(row)) for row in range(8)], Settings(batch=8))
    assert len(server.asked) == 24
    said = f"{server.url}: the server answered 503: busy; retrying in"
    assert told == [f"{said} 0.3 s", f"{said} 0.6 s"]
    with pytest.raises(UserError, match="no answer"):
        open_completer(GeneratorSource(server.url), told.append)
    assert "no answer (URLError" in told[2]
    assert told[2].endswith("retrying in 0.01 s")


@pytest.mark.parametrize(("status", "word"), [(401, "key"), (403, "denies access"), (404, "no such address or model")])
def test_refusals_end_the_run(status, word, problems):
    with served(lambda path, body, number: (status, b"no")) as server, pytest.raises(UserError, match=word):
        evaluate(server, problems)


@pytest.mark.parametrize("url", ["http://", "http://user:key@host/v1", "http://host/v1?key=1", "http://host:x/v1"])
def test_rejects_invalid_addresses(url):
    with pytest.raises(UserError, match="is not a server address"):
        EndpointCompleter(GeneratorSource(url))


def test_rejects_too_long_answers(monkeypatch):
    monkeypatch.setattr(completers_endpoint, "LARGEST_ANSWER", 1000)
    with served(lambda path, body, number: completion("x" * 2000)) as server:
        ((made,),) = EndpointCompleter(GeneratorSource(server.url)).complete([Asked(PROBLEM, "x")], Settings())
    assert "longer than 1,000 bytes" in made.failure


def test_samples_of_different_seeds_differ():
    seeds = [{seed_of(seed, sample) for sample in range(100)} for seed in range(3)]
    assert len(set.union(*seeds)) == 300
    assert all(0 <= one < 2**31 for one in set.union(*seeds))
    assert (seed_of(0, 0), seed_of(0, 1), seed_of(1, 0)) == SEEDS  # the same on every platform and in every version


def test_texts_are_cut_at_the_first_completed_stop_string():
    assert cut_at("ab\ndef x\nif y", ("\nif ", "\ndef ")) == "ab"
    assert cut_at("abcd", ("bcd", "c")) == "ab"
    assert cut_at("abc", ("x",)) == "abc"
    assert cut_at("", ()) == ""


def test_refusal_is_reported_without_waiting_for_slow_answers():
    """The first request is refused; the second would be answered after waiting half a minute."""
    slow = (429, b"", {"Retry-After": "30"})
    with served(lambda path, body, number: (403, b"") if body["prompt"] == "a" else slow) as server:
        completer = EndpointCompleter(GeneratorSource(server.url), Patience(tries=5, longest=60.0))
        begun = time.monotonic()
        with pytest.raises(UserError, match="denies access"):
            completer.complete([Asked(PROBLEM, "a"), Asked(PROBLEM, "b")], Settings(batch=2))
    assert time.monotonic() - begun < 10
