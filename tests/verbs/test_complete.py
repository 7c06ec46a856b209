"""``lilliput complete``, and loading artifacts made by ``lilliput quantize``."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

import lilliput
from lilliput import api
from lilliput.artifact import open_artifact, save
from lilliput.cli.app import app
from lilliput.errors import ArtifactError, UserError
from lilliput.quantize.activations import Activations
from lilliput.quantize.policy import policy
from lilliput.runtime.generator import Generator
from lilliput.verbs.complete import read_prompt, unescaped
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.runtime.tiny_generators import END, EXACT, Tiny, tiny_tokenizer

PROMPT = "def f(a):\n"
FORBIDDEN = ("torch", "transformers", "onnx", "sklearn", "matplotlib", "jinja2")


class Made:
    """A tiny generator and its artifact."""

    def __init__(self, kind, folder):
        self.tiny = Tiny(kind, folder / "checkpoint")
        tiny_tokenizer().save(str(folder / "checkpoint" / "tokenizer.json"))
        settings = QuantizeSettings(policy("fp32"), Activations("none"))
        quantize(folder / "checkpoint", folder / "made", settings=settings)
        made = open_artifact(folder / "made")
        manifest = replace(made.generator, activations={"engine": EXACT})  # else the cache is in 8 bits
        self.path = save(folder / "artifact", manifest, {name: made.file(name) for name in made.hashes}).path


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return Made("llama", tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    return Made("t5", tmp_path_factory.mktemp("t5"))


def started(*arguments, **how):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "ascii"}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    argv = [sys.executable, "-m", "lilliput", "complete", *map(str, arguments)]
    return subprocess.Popen(argv, env=environment, **{**pipes, **how})


def invoked(*arguments, stdin=None):
    """Run the command line in this process and return its output; exceptions propagate."""
    result = CliRunner().invoke(app, ["complete", *map(str, arguments)], input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_artifact_completes_as_transformers_does(name, request):
    made = request.getfixturevalue(name)
    generator = lilliput.load(made.path, threads=1)
    assert isinstance(generator, Generator)
    ids = made.tiny.expected([tiny_tokenizer().encode(PROMPT).ids])[0]
    found = generator.generate(PROMPT, max_new_tokens=20)[0][0]
    assert found.text == tiny_tokenizer().decode([id_ for id_ in ids if id_ != END])


def test_result_has_text_and_speeds(llama):
    result = api.complete(llama.path, PROMPT, max_new_tokens=9, threads=1).as_dict()
    expected = llama.tiny.generator().generate(PROMPT, max_new_tokens=9)[0][0]
    assert result["completions"] == [{"text": expected.text, "tokens": 9, "finish": "length"}]
    assert result["prompt_tokens"] == len(tiny_tokenizer().encode(PROMPT).ids)
    assert 0 < 1000 * result["prefill_seconds"] <= result["first_token_ms"]
    assert result["decode_tokens_per_second"] > 0
    assert api.complete(llama.path, PROMPT, max_new_tokens=1).decode_tokens_per_second is None


def test_text_is_printed_unchanged_and_ends_with_a_line_feed(llama):
    how = {"max_new_tokens": 30, "temperature": 1.0, "seed": 5}
    expected = llama.tiny.generator().generate(PROMPT, **how)[0][0].text
    process = started(llama.path, PROMPT, "--max-new-tokens", 30, "--temperature", 1, "--seed", 5, "--threads", 1)
    out, err = process.communicate()
    assert (out.decode("utf-8"), err, process.returncode) == (expected.removesuffix("\n") + "\n", b"", 0)
    assert any(ord(letter) > 127 for letter in expected)


def test_prints_one_json_object(llama):
    found = json.loads(invoked(llama.path, PROMPT, "--max-new-tokens", 5, "--json"))
    assert set(found) == set(api.complete(llama.path, PROMPT, max_new_tokens=1).as_dict())
    assert [item["tokens"] for item in found["completions"]] == [5]


def test_several_samples_are_printed_in_sequence(llama):
    how = {"max_new_tokens": 6, "temperature": 0.9, "n": 3, "seed": 2}
    expected = llama.tiny.generator().generate(PROMPT, **how)[0]
    out = invoked(llama.path, PROMPT, "--max-new-tokens", 6, "--temperature", 0.9, "--samples", 3, "--seed", 2)
    parts = [f"--- completion {i} of 3 ---\n{item.text}" for i, item in enumerate(expected, 1)]
    assert out == "".join(part if part.endswith("\n") else f"{part}\n" for part in parts)
    with pytest.raises(UserError, match="--samples: 3 completions at temperature 0 would be the same"):
        invoked(llama.path, PROMPT, "--samples", 3)


def test_equal_samples_are_rejected_before_the_model_is_loaded(tmp_path):
    with pytest.raises(UserError, match="n: 2 completions at temperature 0 would be the same"):
        api.complete(tmp_path / "none", PROMPT, n=2)


@pytest.mark.parametrize("name", ["llama", "t5"])
def test_beam_search(name, request):
    """Its result is printed only when complete, alone or with the runners-up."""
    made = request.getfixturevalue(name)
    how = {"max_new_tokens": 9, "beams": 4, "length_penalty": 0.5}
    best, second = lilliput.load(made.path).generate(PROMPT, n=2, **how)[0]
    words = (made.path, PROMPT, "--max-new-tokens", 9, "--beams", 4, "--length-penalty", 0.5)
    assert invoked(*words).removesuffix("\n") == best.text.removesuffix("\n")
    assert [item["text"] for item in json.loads(invoked(*words, "--samples", 2, "--json"))["completions"]] == [
        best.text,
        second.text,
    ]
    with pytest.raises(UserError, match="--samples: must be 4 or less"):
        invoked(*words, "--samples", 5)


def test_stop_strings_may_contain_escapes(llama):
    whole = llama.tiny.generator().generate(PROMPT, max_new_tokens=20)[0][0].text
    out = invoked(llama.path, PROMPT, "--max-new-tokens", 20, "--stop", "\\n\\nnever", "--stop", whole[4:6])
    assert out.removesuffix("\n") == whole[: whole.index(whole[4:6])].removesuffix("\n")
    assert unescaped(r"a\nb\tc\rd\\ne\qf é\ ") == "a\nb\tc\rd\\ne\\qf é\\ "


def test_gap_is_filled(llama):
    generator = Generator.open(open_artifact(llama.path))
    expected = generator.fill(PROMPT, "return a", max_new_tokens=8)[0].text
    for more in ((), ("--json",)):
        out = invoked(llama.path, PROMPT, "--suffix", "return a", "--max-new-tokens", 8, *more)
        assert (json.loads(out)["completions"][0]["text"] if more else out.removesuffix("\n")) == expected


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_prompt_is_read_from_standard_input(llama, arguments):
    expected = invoked(llama.path, PROMPT, "--max-new-tokens", 6)
    assert invoked(llama.path, *arguments, "--max-new-tokens", 6, stdin=PROMPT) == expected


def test_rejects_standard_input_that_is_not_text(llama):
    process = started(llama.path, "-", stdin=subprocess.PIPE)
    out, err = process.communicate(b"def \xff")
    assert (process.returncode, out) == (2, b"")
    assert err.startswith(b"error: <stdin>: byte 5 of the file (0xff) is not UTF-8.")


def test_rejects_endless_standard_input(monkeypatch):
    class Endless(io.RawIOBase):
        def read(self, size=-1):
            return b"x" * size

    class Input:
        buffer = Endless()

    monkeypatch.setattr(sys, "stdin", Input())
    with pytest.raises(UserError, match="<stdin>: is longer than 16,777,216 bytes"):
        read_prompt("-")


def test_missing_prompt_at_a_terminal_is_an_error(llama):
    ours, theirs = pty.openpty()
    process = started(llama.path, stdin=theirs)
    _, err = process.communicate()
    os.close(ours), os.close(theirs)
    assert (process.returncode, err) == (
        2,
        b"error: PROMPT: is missing. Give a text, or '-' to type one, ended by Ctrl-D.\n",
    )


def test_closed_pipe_is_no_error(t5):
    process = started(t5.path, PROMPT, "--max-new-tokens", 100_000, "--temperature", 1)
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(timeout=60) in (0, 1)
    assert process.stderr.read() == b""
    process.stderr.close()


def test_interrupt_ends_the_line(t5):
    process = started(t5.path, PROMPT, "--max-new-tokens", 100_000, "--temperature", 1)
    process.stdout.read(10)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err, out[-1:]) == (130, b"interrupted\n", b"\n")


def test_options_are_checked_before_the_model_is_loaded(tmp_path):
    with pytest.raises(UserError, match=r"^--top-p: must be above 0"):
        invoked(tmp_path / "none", PROMPT, "--top-p", 0)
    with pytest.raises(ArtifactError, match="is not an artifact"):
        invoked(tmp_path / "none", PROMPT)


@pytest.mark.parametrize("option", ["--top-p=0.9", "--top-k=5", "--seed=1"])
@pytest.mark.parametrize("others", [(), ("--beams", 2), ("--json",)])
def test_rejects_sampling_options_without_sampling(option, others, tmp_path):
    name = option.partition("=")[0]
    with pytest.raises(UserError, match=rf"^{name}: goes with a --temperature above 0.*Leave it out"):
        invoked(tmp_path / "none", PROMPT, option, *others)
    with pytest.raises(ArtifactError, match="is not an artifact"):
        invoked(tmp_path / "none", PROMPT, option, "--temperature", 0.5)


@pytest.mark.parametrize("others", [(), ("--beams", 2), ("--json",)])
def test_closed_standard_output_gets_nothing(others, llama):
    """A shell can close file descriptor 1, so that Python has no object for it."""
    process = started(llama.path, PROMPT, "--max-new-tokens", 3, *others, preexec_fn=lambda: os.close(1))
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, b""), errors
    assert b"rror" not in errors


def test_generating_imports_no_optional_dependency(llama):
    code = (
        "import json, sys, lilliput\n"
        "lilliput.load(sys.argv[1]).generate('a', max_new_tokens=2)\n"
        "from lilliput import api\n"
        "api.complete(sys.argv[1], 'a', max_new_tokens=2)\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code, llama.path], capture_output=True, text=True, check=True)
    assert not set(json.loads(done.stdout)) & set(FORBIDDEN)


def test_rejects_an_invalid_graph(llama, tmp_path):
    artifact = open_artifact(llama.path)
    (tmp_path / "model.xml").write_text("<net/>")
    (tmp_path / "model.bin").touch()
    with pytest.raises(ArtifactError, match=r"model\.xml: is not a graph that OpenVINO can run"):
        Generator.open(type(artifact)(tmp_path, artifact.manifest, artifact.hashes))
    with pytest.raises(ArtifactError, match=r"model\.xml: is not among the artifact's files"):
        Generator.open(type(artifact)(llama.path, artifact.manifest, {}))
