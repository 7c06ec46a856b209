"""Robust pass of generators: a server with scripted answers, and an artifact."""

import gzip
import json
from dataclasses import asdict

import pytest

from lilliput.errors import DataError, UserError
from lilliput.evaluate.perturb import partial, perturbed
from lilliput.kernels.build import kernels
from lilliput.quantize.activations import Activations
from lilliput.quantize.policy import policy
from lilliput.runtime.settings import Settings
from lilliput.verbs.quantize import QuantizeSettings, quantize
from lilliput.verbs.robustness import robustness_generator
from tests.evaluate.perturbing import COUNT_VOWELS, DIGITS, SHORT
from tests.verbs.test_score import FAST, UNSAFE
from tests.verbs.tiny_checkpoints import LLAMA, checkpoint
from tests.verbs.tiny_servers import completion, served

PROBLEMS = (COUNT_VOWELS, SHORT, DIGITS)
FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")


def write(path, problems):
    rows = [{name: asdict(problem)[name] for name in FIELDS} for problem in problems]
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.write("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "problems.jsonl.gz", PROBLEMS)


def knowing(*problems):
    """Answer these problems' prompts with their solutions, and all others with a wrong completion."""
    solutions = {problem.prompt: problem.canonical_solution for problem in problems}
    return lambda path, body, number: completion(solutions.get(body["prompt"], "    return None\n"))


def measured(answer, data, **how):
    how = {"settings": Settings(max_new_tokens=40), "limits": FAST, "unsafe": UNSAFE, **how}
    with served(answer) as server:
        found = robustness_generator(server.url, data, **how)
    return found, server


def test_model_that_memorized_prompts_fails_on_changed_ones(data, tmp_path):
    found, server = measured(
        knowing(*PROBLEMS), data, perturbations=["doc_change_case", "newlines"], seeds=2, out=tmp_path / "result.json"
    )
    result = found.as_dict()
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(json.dumps(result))
    assert (result["n"], result["lost"], found.exit_code) == (3, 0, 0)
    assert result["nominal"]["prompt"]["value"] == 1.0
    assert result["nominal"]["partial"]["value"] == pytest.approx(1 / 3)  # a one-line solution is not split
    case = next(line for line in result["perturbations"] if line["name"] == "doc_change_case")
    assert (case["seeds"], case["changed"], case["on"]) == (2, 1.0, "prompt")
    assert (case["nominal_pass"]["value"], case["robust_pass"]["value"]) == (1.0, 0.0)
    assert (case["robust_drop"]["value"], case["robust_relative"]["value"]) == (1.0, 1.0)
    assert [line["name"] for line in result["families"]] == ["docstring", "format"]
    assert len(server.asked) == len({body["prompt"] for _, body in server.asked})  # no prompt is asked for twice


def test_model_that_solves_all_versions_loses_nothing(data):
    versions = perturbed(PROBLEMS, ["doc_change_case", "dead_code"], seeds=2)
    everything = [problem for seeds in versions.values() for version in seeds.values() for problem in version]
    answer = knowing(*PROBLEMS, *map(partial, PROBLEMS), *everything)
    found, _ = measured(answer, data, perturbations=["doc_change_case", "dead_code"], seeds=2)
    for line in (*found.perturbations, *found.families):
        assert line.scores.robust_pass.value == 1.0
        assert line.scores.robust_drop is not None
        assert (line.scores.robust_drop.value, line.scores.robust_relative.value) == (0.0, 0.0)


def test_failing_server_does_not_count_as_a_drop(data):
    changed = {
        version[1].prompt for version in perturbed(PROBLEMS, ["doc_change_case"], seeds=1)["doc_change_case"].values()
    }
    known = knowing(*PROBLEMS)

    def answer(path, body, number):
        return (400, {"error": "no"}) if body["prompt"] in changed else known(path, body, number)

    found, _ = measured(answer, data, perturbations=["doc_change_case"], seeds=1)
    assert (found.n, found.lost, found.exit_code) == (2, 1, 1)
    assert "failed because of the runner" in found.as_dict()["warning"]


def test_released_files_are_used(data, tmp_path):
    released = tmp_path / "released"
    for seed, problems in perturbed(PROBLEMS, ["doc_change_case"], seeds=2)["doc_change_case"].items():
        write(released / "nlaugmenter" / f"humaneval_ChangeCharCase_s{seed}.jsonl.gz", problems)
    found, _ = measured(knowing(*PROBLEMS), data, released=released)
    (line,) = found.perturbations
    assert (line.name, line.family, line.scores.seeds, line.changed) == ("ChangeCharCase", "docstring", 2, 1.0)
    assert found.as_dict()["perturbed_by"] == "ReCode's released files"
    with pytest.raises(UserError, match="matches none of the files"):
        measured(knowing(), data, released=released, perturbations=["syntax"])
    with pytest.raises(DataError, match="lacks problem"):
        write(released / "nlaugmenter" / "humaneval_ChangeCharCase_s0.jsonl.gz", PROBLEMS[:1])
        write(released / "nlaugmenter" / "humaneval_ChangeCharCase_s1.jsonl.gz", PROBLEMS[:1])
        measured(knowing(), data, released=released)


def test_artifact_is_measured(data, tmp_path):
    kind, options = LLAMA
    checkpoint(tmp_path / "llama", kind, {**options, "max_position_embeddings": 1024})
    quantize(tmp_path / "llama", tmp_path / "tiny", settings=QuantizeSettings(policy("fp32"), Activations("none")))
    how = {"perturbations": ["tab_indent"], "settings": Settings(max_new_tokens=4), "limits": FAST, "unsafe": UNSAFE}
    kernels.cache_clear()  # not loaded yet, as in a new process
    found = robustness_generator(tmp_path / "tiny", data, threads=1, limit=2, **how)
    assert found.facts["machine"]["kernels"] == kernels().about
    assert (found.n, found.name) == (2, "tiny")
    assert found.perturbations[0].scores.robust_drop is None  # nothing passed before perturbation


def test_invalid_references_are_rejected_before_the_work(data, tmp_path, small, workshop):
    (tmp_path / "code.c").write_text("int f();")
    (tmp_path / "mine.json").write_bytes(data.read_bytes())
    refused = (
        (tmp_path / "none", "there is no such file or folder"),
        (tmp_path / "code.c", "is a file, not a checkpoint's folder"),
        (small, "is a classifier, not a generator"),
        (workshop / "teacher", "is a classifier, not a generator"),
        ("http://localhost:x/v1", "is not a server address"),
    )
    for against, said in refused:
        with served(knowing()) as server, pytest.raises(UserError, match=said):
            robustness_generator(server.url, data, against=against, unsafe=UNSAFE, out=tmp_path / "out")
        assert not server.asked
        assert not (tmp_path / "out").exists()
    with (
        served(knowing()) as server,
        pytest.raises(UserError, match=r"--out: .*mine\.json is a file that this command"),
    ):
        robustness_generator(server.url, tmp_path / "mine.json", unsafe=UNSAFE, out=tmp_path / "mine.json")
