"""``lilliput evaluate`` for generators: an artifact, the checkpoint it was made from, and a server that runs it."""

import json
import shutil
import sys

import pytest
import torch

import lilliput
from lilliput import api
from lilliput.artifact import open_artifact, save
from lilliput.data.humaneval import instruction
from lilliput.errors import CheckpointError, MissingExtra, NumericError, UserError
from lilliput.evaluate.carbon import parse_intensity
from lilliput.progress import Progress
from lilliput.quantize.activations import Activations
from lilliput.quantize.policy import policy
from lilliput.runtime.settings import Settings
from lilliput.verbs.completers import Asked, GeneratorSource, open_completer
from lilliput.verbs.completers import local as completers_local
from lilliput.verbs.evaluate.generator import completions
from lilliput.verbs.kept import Kept
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.data.test_problems import HUMANEVAL, MBPP, read_problems, write
from tests.verbs.evaluate.test_evaluate import Recorded
from tests.verbs.test_score import FAST, UNSAFE
from tests.verbs.tiny_checkpoints import LLAMA, VARIANTS, checkpoint
from tests.verbs.tiny_servers import completion, served

KIND, OPTIONS = LLAMA
DIRTY = parse_intensity("800")
TEMPLATE = "<|user|>{{ messages[0].content }}<|end|>\n<|assistant|>"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A checkpoint with enough positions for the prompts, its artifact in float32, and problems."""
    folder = tmp_path_factory.mktemp("desk")
    checkpoint(folder / "llama", KIND, {**OPTIONS, "max_position_embeddings": 512})
    quantize(folder / "llama", folder / "artifact", settings=QuantizeSettings(policy("fp32"), Activations("none")))
    rows = [{**HUMANEVAL, "task_id": f"T/{row}", "prompt": HUMANEVAL["prompt"] + "    # a\n" * row} for row in range(5)]
    write(folder / "problems.jsonl", *rows)
    write(folder / "mbpp.jsonl", MBPP)
    return folder


def evaluate(model, desk, **how):
    how = {"settings": Settings(max_new_tokens=12, batch=2), "costs": False, "threads": 1, **how}
    return api.evaluate_generator(model, "humaneval", desk / "problems.jsonl", limits=FAST, unsafe=UNSAFE, **how)


def test_completions_survive_if_memory_cannot_be_measured(desk, monkeypatch):
    def failing(argv):
        raise UserError("the program measured for memory failed with exit code 1: MemoryError")

    monkeypatch.setattr("lilliput.evaluate.resources.peak_memory", failing)
    progress = Recorded()
    found = evaluate(desk / "artifact", desk, costs=True, progress=progress, limit=1).as_dict()
    note = "peak memory was not measured: the program measured for memory failed with exit code 1: MemoryError"
    assert (found["peak_memory_mb"], found["n"]) == (None, 1)
    assert note in found["notes"]
    assert note in progress.notes


def texts(found):
    return [[one["text"] for one in problem["completions"]] for problem in found.as_dict()["problems"]]


def test_artifact_is_measured(desk, tmp_path):
    progress = Recorded()
    found = evaluate(desk / "artifact", desk, costs=True, progress=progress, command="a command", out=tmp_path / "o")
    result = found.as_dict()
    assert json.loads(json.dumps(result)) == result == json.loads((tmp_path / "o/evaluation.json").read_text())
    assert (result["n"], result["pass@1"], result["k"], found.exit_code) == (5, 0.0, [1], 0)
    assert sum(result["failures"].values()) == 5
    assert result["failures"]["runner"] == 0
    assert result["bytes"]["total"] == sum(path.stat().st_size for path in (desk / "artifact").iterdir())
    assert result["decode_tokens_per_s"] > 0
    assert result["prefill_tokens_per_s"] > 0
    assert "a timing of its own" in result["throughput_method"]
    assert result["peak_memory_mb"] > 20
    assert result["energy"]["joules_per_token"] > 0
    assert result["energy"]["n"] == 4 * 12
    assert result["carbon"]["grams_co2e_per_token"] > 0
    assert result["settings"]["max_new_tokens"] == 12
    assert "\ndef " in result["settings"]["stop"]
    assert result["model"]["kind"] == "artifact"
    assert result["data"]["problems"] == 5
    generator = lilliput.load(desk / "artifact", threads=1)
    prompts = [problem.prompt for problem in read_problems(desk / "problems.jsonl")]
    expected = generator.generate(prompts, max_new_tokens=12, stop=result["settings"]["stop"])
    assert texts(found) == [[one.text for one in row] for row in expected]
    assert progress.loops["artifact: completing problems"] == [5, 5]


def test_checkpoint_writes_what_its_artifact_writes(desk, monkeypatch):
    ours = evaluate(desk / "artifact", desk)
    theirs = evaluate(desk / "llama", desk)
    assert texts(theirs) == texts(ours)
    assert any(text for (text,) in texts(ours))
    result = theirs.as_dict()
    assert (result["model"]["kind"], result["model"]["precision"]) == ("checkpoint", "fp32")
    assert result["bytes"]["weights"] == (desk / "llama" / "model.safetensors").stat().st_size
    rough = evaluate(desk / "llama", desk, precision="bf16", limit=1).as_dict()
    assert rough["model"]["precision"] == "bf16"


def test_checkpoint_is_timed(desk):
    completer = open_completer(GeneratorSource(str(desk / "llama"), threads=1))
    asked = [Asked(problem, problem.prompt) for problem in read_problems(desk / "problems.jsonl")]
    speed = completer.speed(asked, Settings(max_new_tokens=5))
    assert speed.tokens == completers_local.TIMED_PROMPTS * 5
    assert speed.decode_tokens_per_s > 0
    assert speed.energy.joules > 0


@pytest.mark.parametrize("kind", ["gpt2", "codegen", "t5", "bart"])
def test_checkpoints_of_other_kinds_match_transformers(kind, desk, tmp_path):
    model = checkpoint(tmp_path / kind, *VARIANTS[kind])
    (problem,) = read_problems(desk / "problems.jsonl")[:1]
    completer = open_completer(GeneratorSource(str(tmp_path / kind), threads=1))
    tokenizer = completer.generator.tokenizer
    prompts = ["def f(a):\n", "for i in range(3):\n    x"]
    made = completer.complete([Asked(problem, text) for text in prompts], Settings(max_new_tokens=8))
    for text, (one,) in zip(prompts, made, strict=True):
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.no_grad():
            found = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False, use_cache=False
            )
        new = found[0, 1 if model.config.is_encoder_decoder else ids.shape[1] :].tolist()
        end = set(completer.generator.manifest.end)
        kept = new[: next((place for place, id_ in enumerate(new) if id_ in end), len(new))]
        assert one.text.strip() == tokenizer.decode(kept).strip()


@pytest.mark.parametrize("model", ["artifact", "llama"])
def test_samples_do_not_depend_on_the_batch(model, desk):
    completer = open_completer(GeneratorSource(str(desk / model), threads=1))
    asked = [Asked(problem, problem.prompt) for problem in read_problems(desk / "problems.jsonl")]

    def written(**how):
        settings = Settings(**{"max_new_tokens": 10, "temperature": 1.0, "n": 2, "seed": 3, **how})
        made = completions(completer, asked, settings, Kept(None), Progress())
        return [[one.text for one in row] for row in made.values()]

    together = written(batch=8)
    assert written(batch=1) == together
    assert together[0][0] != together[0][1]
    assert together[0] != together[1]
    assert written(seed=4) != together


def test_resumes_after_kill(desk, tmp_path, monkeypatch):
    settings = Settings(max_new_tokens=10, temperature=1.0, n=2, batch=4)
    how = {"settings": settings, "limit": 3, "out": tmp_path / "result.json"}
    whole = evaluate(desk / "artifact", desk, settings=settings, limit=3)
    real, calls = completers_local.LocalCompleter.complete, []

    def complete(self, asked, settings):
        calls.append(len(asked))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, asked, settings)

    monkeypatch.setattr(completers_local.LocalCompleter, "complete", complete)
    with pytest.raises(KeyboardInterrupt):
        evaluate(desk / "artifact", desk, **how)
    assert [path.name for path in tmp_path.iterdir()] == ["result.kept.jsonl"]
    again = evaluate(desk / "artifact", desk, **how)
    assert calls == [2, 1, 1]
    assert texts(again) == texts(whole)
    evaluate(desk / "artifact", desk, **how)
    assert calls == [2, 1, 1]
    evaluate(desk / "artifact", desk, **{**how, "settings": Settings(max_new_tokens=9)})
    assert sum(calls[3:]) == 3  # other settings need other completions


def test_nan_logits_are_an_error_and_not_failed_problems(desk, monkeypatch):
    def broken(*_, **__):
        raise NumericError("the model computes infinity or NaN.", where="logits")

    monkeypatch.setattr("lilliput.runtime.writing.next_tokens", broken)
    with pytest.raises(NumericError, match="the model computes infinity or NaN"):
        evaluate(desk / "artifact", desk)


def test_rejects_threads_for_a_server(desk):
    with pytest.raises(UserError, match="--threads: goes with a model that runs here"):
        evaluate("http://127.0.0.1:9/v1", desk)


def test_too_long_prompt_fails_only_its_problem(desk, tmp_path):
    rows = [HUMANEVAL, {**HUMANEVAL, "task_id": "long", "prompt": HUMANEVAL["prompt"] + "# longer\n" * 600}]
    data = write(tmp_path / "p", *rows)
    found = api.evaluate_generator(
        desk / "artifact", "humaneval", data, settings=Settings(max_new_tokens=4), costs=False, unsafe=UNSAFE
    )
    result = found.as_dict()
    assert (result["n"], result["failures"]["runner"]) == (2, 0)
    long = result["problems"][1]["completions"][0]
    assert (long["outcome"], long["finish"], long["text"]) == ("error", "refused", "")
    assert "this model takes" in long["detail"]
    assert result["problems"][0]["completions"][0]["finish"] != "refused"
    assert result["notes"] == [f"the model refused 1 of 2 prompts; the first: {long['detail']}"]


def test_result_never_overwrites_an_input(desk, tmp_path):
    data = write(tmp_path / "problems.json", HUMANEVAL)
    with pytest.raises(UserError, match=r"--out: .*problems\.json is a file that this command reads"):
        api.evaluate_generator(desk / "artifact", "humaneval", data, unsafe=UNSAFE, out=data)


def test_chat_prompts_need_a_template(desk, tmp_path):
    for model in ("artifact", "llama"):
        with pytest.raises(UserError, match="has no chat template"):
            evaluate(desk / model, desk, prompt="chat")
    (tmp_path / "mine.jinja").write_text(TEMPLATE)
    found = evaluate(desk / "artifact", desk, prompt="chat", chat_template=tmp_path / "mine.jinja", limit=1)
    result = found.as_dict()
    assert result["model"]["chat_template"]["origin"] == "mine.jinja"
    assert result["settings"]["stop"] == []
    problem = read_problems(desk / "problems.jsonl")[0]
    asked = api.load(desk / "artifact", threads=1)
    framed = TEMPLATE.replace("{{ messages[0].content }}", instruction(problem))
    assert result["problems"][0]["completions"][0]["text"] == asked.generate(framed, max_new_tokens=12)[0][0].text
    (desk / "llama" / "chat_template.jinja").write_text(TEMPLATE)
    try:
        own = evaluate(desk / "llama", desk, prompt="chat", limit=1)
    finally:
        (desk / "llama" / "chat_template.jinja").unlink()
    assert texts(own) == texts(found)
    bare = open_artifact(desk / "artifact")
    files = {name: bare.file(name) for name in bare.hashes}
    save(tmp_path / "with", bare.generator, {**files, "chat_template.jinja": TEMPLATE.encode()})
    carried = evaluate(tmp_path / "with", desk, prompt="chat", limit=1)
    assert texts(carried) == texts(found)
    assert carried.as_dict()["model"]["chat_template"]["origin"] == "chat_template.jinja"


def test_server_running_the_artifact_gives_the_same_result(desk):
    generator = lilliput.load(desk / "artifact", threads=1)

    def answer(path, body, number):
        made = generator.generate(body["prompt"], max_new_tokens=body["max_tokens"], stop=body["stop"])[0][0]
        return completion(made.text, made.tokens, made.finish)

    with served(answer) as server:
        found = evaluate(server.url, desk, threads=None)
    ours = evaluate(desk / "artifact", desk)
    assert texts(found) == texts(ours)
    assert found.as_dict()["failures"] == ours.as_dict()["failures"]


def test_mbpp_and_stripped_prompts(desk):
    how = {"settings": Settings(max_new_tokens=4), "costs": False, "unsafe": UNSAFE}
    plain = api.evaluate_generator(desk / "artifact", "mbpp", desk / "mbpp.jsonl", **how).as_dict()
    assert (plain["task"], plain["n"]) == ("mbpp", 1)
    assert "docstring" in plain["prompts"]
    stripped = evaluate(desk / "artifact", desk, strip=True, limit=1).as_dict()
    assert stripped["settings"]["strip"] is True
    assert "without trailing white space" in stripped["prompts"]


@pytest.mark.parametrize(
    ("how", "where"),
    [
        ({"prompt": "poem"}, "--prompt"),
        ({"limit": 0}, "--limit"),
        ({"settings": Settings(n=2)}, "--n"),
        ({"k": (5,)}, "--k"),
        ({"precision": "fp8"}, "--precision"),
    ],
)
def test_rejects_invalid_options(how, where, desk):
    with pytest.raises(UserError) as caught:
        evaluate(desk / "llama", desk, **how)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("model", "how", "where"),
    [
        ("llama", {"chat_template": "mine.jinja"}, "--chat-template"),
        ("http://localhost:1/v1", {"chat_template": "mine.jinja", "prompt": "chat"}, "--chat-template"),
        ("artifact", {"served": "mine"}, "--served"),
        ("artifact", {"precision": "bf16"}, "--precision"),
        ("http://localhost:1/v1", {"precision": "bf16"}, "--precision"),
        ("llama", {"strip": True, "prompt": "chat"}, "--strip"),
        ("llama", {"challenges": True}, "--challenges"),
        ("llama", {"intensity": DIRTY}, "--carbon-intensity"),
        (
            "http://localhost:1/v1",
            {"intensity": DIRTY, "costs": True, "threads": None},
            "--carbon-intensity",
        ),
    ],
)
def test_rejects_options_without_effect(model, how, where, desk):
    with pytest.raises(UserError, match="goes with") as caught:
        evaluate(model if model.startswith("http") else desk / model, desk, **how)
    assert caught.value.where == where


def test_tokenizer_of_a_checkpoint_is_found_as_in_quantize(desk, tmp_path):
    copy = shutil.copytree(desk / "llama", tmp_path / "llama")
    (copy / "tokenizer.json").unlink()
    for attempt in (lambda: evaluate(copy, desk), lambda: quantize(copy, tmp_path / "small")):
        with pytest.raises(CheckpointError, match="there is no tokenizer here"):
            attempt()


def test_rejects_what_is_not_a_generator(desk, tmp_path):
    with pytest.raises(UserError, match="--task: 'spelling' is not a benchmark"):
        api.evaluate_generator(desk / "artifact", "spelling", desk / "problems.jsonl")
    with pytest.raises(UserError, match="is a problem of mbpp, not humaneval"):
        api.evaluate_generator(desk / "artifact", "humaneval", desk / "mbpp.jsonl")
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(CheckpointError, match="transformers does not run GGUF files") as caught:
        evaluate(tmp_path / "model.gguf", desk)
    assert "llama-server" in caught.value.remedy
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        evaluate(tmp_path / "empty", desk)


def test_missing_torch_is_reported_with_what_to_install(desk, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lilliput\[train\]'"):
        evaluate(desk / "llama", desk)
