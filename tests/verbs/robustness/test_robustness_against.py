"""Two generators on the same perturbed prompts: in one run, and against an earlier run's result."""

import io
import json

import pytest

from lilliput.cli.robustness_generator import show
from lilliput.errors import DataError
from lilliput.evaluate.judging import Limits
from lilliput.evaluate.perturb import perturbed
from lilliput.progress import LogProgress
from lilliput.runtime.settings import Settings
from lilliput.verbs.robustness.generator import robustness_generator
from tests.evaluate.perturbing import COUNT_VOWELS, DIGITS, SHORT
from tests.verbs.robustness.test_robustness_generator import knowing, write
from tests.verbs.test_score import FAST, UNSAFE
from tests.verbs.tiny_servers import served

PROBLEMS = (COUNT_VOWELS, SHORT, DIGITS)
HOW = {"perturbations": ["doc_change_case"], "seeds": 2, "limits": FAST, "unsafe": UNSAFE}
SETTINGS = Settings(max_new_tokens=40)


def versions(*problems):
    made = perturbed(problems, ["doc_change_case"], seeds=2)["doc_change_case"].values()
    return [problem for version in made for problem in version]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("problems") / "problems.jsonl.gz", PROBLEMS)


@pytest.fixture(scope="module")
def results(data, tmp_path_factory):
    """Results of an original that fails on one problem's versions and of a small model that fails on two others'."""
    folder = tmp_path_factory.mktemp("results")
    with (
        served(knowing(*PROBLEMS, *versions(COUNT_VOWELS, SHORT))) as original,
        served(knowing(*PROBLEMS, *versions(DIGITS))) as small,
    ):
        robustness_generator(original.url, data, settings=SETTINGS, out=folder / "original.json", **HOW)
        found = robustness_generator(small.url, data, against=original.url, settings=SETTINGS, **HOW)
        later = robustness_generator(small.url, data, against=folder / "original.json", settings=SETTINGS, **HOW)
    return folder / "original.json", found, later


def test_problems_gained_and_lost_are_reported(results):
    _, found, _ = results
    against = json.loads(json.dumps(found.as_dict()))["against"]
    assert (against["n"], against["lost"]) == (3, 0)
    assert against["nominal"]["prompt"]["difference"]["value"] == 0
    for line in (*against["perturbations"], *against["families"], against["all"]):
        difference = line["difference"]
        assert (difference["robust_pass"]["gained"], difference["robust_pass"]["lost"]) == (1, 2)
        assert difference["robust_pass"]["difference"]["value"] == pytest.approx(-1 / 3)
        assert difference["robust_drop"]["value"] == pytest.approx(1 / 3)
        assert line["reference"]["robust_pass"]["value"] == pytest.approx(2 / 3)
    assert [line["name"] for line in against["perturbations"]] == ["doc_change_case"]
    mean = against["all"]["mean_pass"]
    assert (mean["reference"], mean["value"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_progress_covers_the_whole_run(data, tmp_path):
    log = io.StringIO()
    how = {**HOW, "perturbations": ["doc_change_case", "newlines"], "seeds": 1, "progress": LogProgress(log, every=0)}
    with served(knowing()) as server:
        for _ in range(2):
            robustness_generator(server.url, data, settings=SETTINGS, out=tmp_path / "r.json", **how)
    lines = log.getvalue().splitlines()
    ends = [place for place, line in enumerate(lines) if "done in" in line]
    assert len(ends) == 2, "one loop per run, also in the second, whose completions are kept"
    for end in ends:
        assert "prompts and their versions: 12/12" in lines[end - 1]


def test_earlier_result_serves_as_well_as_the_model(results):
    _, found, later = results
    plain = [{k: v for k, v in one.as_dict()["against"].items() if k != "model"} for one in (found, later)]
    assert plain[0] == plain[1]


def test_table_shows_the_differences(results, capsys):
    show(results[1].as_dict())
    shown = capsys.readouterr().out
    assert "against tiny, n = 3" in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("RP, doc_change_case")]
    assert line.split()[2:6] == ["1", "2", "1.000", "-33.3"]
    assert "+33.3 [" in line


def test_result_contains_the_verdicts(results):
    file, *_ = results
    outcomes = json.loads(file.read_text())["outcomes"]
    assert outcomes["task_ids"] == [problem.task_id for problem in PROBLEMS]
    assert outcomes["verdicts"] == {"prompt": [["111"]], "doc_change_case": [["110"], ["110"]]}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"settings": Settings(max_new_tokens=41)}, "has max_new_tokens 40, not 41"),
        ({"limits": Limits(seconds=4.0)}, "has seconds 3.0, not 4.0"),
        ({"seeds": 1}, "other prompts for 'doc_change_case'"),
        ({"limit": 2}, "other prompts for 'prompt'"),
        ({"perturbations": ["newlines"]}, "has no verdicts for 'partial'; it has 'prompt', 'doc_change_case'"),
    ],
)
def test_rejects_a_reference_made_under_other_settings(results, data, how, said):
    how = {"settings": SETTINGS, **HOW, **how}
    with served(knowing()) as server, pytest.raises(DataError, match=said):
        robustness_generator(server.url, data, against=results[0], **how)
    assert not server.asked, "refused before anything is completed"


def changed(result, tmp_path, change):
    values = json.loads(result.read_text())
    change(values)
    (tmp_path / "other.json").write_text(json.dumps(values))
    return tmp_path / "other.json"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values.pop("outcomes"), "is not a result of a generator's robustness"),
        (lambda values: values["outcomes"]["verdicts"].update(prompt=[["1x1"]]), "is not a result"),
        (lambda values: values["outcomes"]["verdicts"].update(prompt=[["113"]]), "is not a result.*verdicts of prompt"),
        (lambda values: values["outcomes"]["verdicts"].update(prompt=[["11"]]), "is not a result.*verdicts of prompt"),
        (lambda values: values["data"].update(sha256="00"), "on another file of problems"),
    ],
)
def test_rejects_damaged_references(results, data, tmp_path, change, said):
    file = changed(results[0], tmp_path, change)
    with served(knowing()) as server, pytest.raises(DataError, match=said):
        robustness_generator(server.url, data, against=file, settings=SETTINGS, **HOW)


def test_missing_reference_is_named(data, tmp_path):
    with served(knowing()) as server, pytest.raises(DataError, match=r"none\.json: there is no such file"):
        robustness_generator(server.url, data, against=tmp_path / "none.json", settings=SETTINGS, **HOW)
