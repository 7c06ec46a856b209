"""Models shipped in the package: valid, small, licensed, and usable by name wherever an artifact is."""

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import onnx
import pytest
from typer.testing import CliRunner

import lilliput
from lilliput import api
from lilliput.artifact import is_artifact, open_artifact, refuse_occupied
from lilliput.cli.app import app
from lilliput.data.corpus.rewrites import rewrite
from lilliput.errors import ArtifactError, MissingExtra, UserError
from lilliput.shipped import NAMES, SHIPPED, folder_named, folder_of, names_told
from lilliput.tasks import TASKS
from lilliput.verbs.compare.subjects import identified
from lilliput.verbs.inspect import inspect
from lilliput.verbs.subjects import open_subject
from tests.conftest import write_functions

LARGEST, LARGEST_TOGETHER = 3_000_000, 10_000_000

JAVA = """    public static void copyFile(File in, File out) throws IOException {
        FileChannel source = new FileInputStream(in).getChannel();
        FileChannel target = new FileOutputStream(out).getChannel();
        try {
            source.transferTo(0, source.size(), target);
        } finally {
            source.close();
            target.close();
        }
    }
"""

PYTHON = '''def longest_run(values, wanted):
    """The longest run of a value."""
    best = 0
    current = 0
    for index in range(len(values)):
        if values[index] == wanted:
            current += 1
            if current > best:
                best = current
        else:
            current = 0
    return best
'''

OTHER_PYTHON = """def parse_header(line, separator=":"):
    name, found, value = line.partition(separator)
    if not found:
        raise ValueError(f"no {separator} in {line!r}")
    return name.strip().lower(), [part.strip() for part in value.split(",")]
"""


@pytest.fixture(params=SHIPPED)
def name(request):
    return request.param


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_shipped_model_is_valid_and_describes_itself(name):
    artifact = open_artifact(name)  # checks every hash
    assert artifact.path == folder_of(name)
    assert set(artifact.hashes) == {"model.onnx", "tokenizer.json", "README.md", "evidence.json"}
    assert {file.name for file in artifact.path.iterdir()} == {*artifact.hashes, "manifest.json"}
    assert artifact.classifier.task == SHIPPED[name].task
    assert artifact.classifier.config.arity == TASKS[SHIPPED[name].task].arity


def test_shipped_models_are_small():
    sizes = {name: sum(file.stat().st_size for file in folder_of(name).iterdir()) for name in SHIPPED}
    assert max(sizes.values()) <= LARGEST
    assert sum(sizes.values()) <= LARGEST_TOGETHER


def test_card_has_license_terms_and_explains_the_probability(name):
    card = (folder_of(name) / "README.md").read_text()
    assert 'license: "apache-2.0"' in card
    assert "Training data: " in card and "holds none of it" in card
    assert "## What the number means" in card
    points = open_artifact(name).evidence()["valid"]["operating_points"]["points"]
    assert [point["threshold"] for point in points] == [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    for point in points:
        assert f"| {point['threshold']:g} | {point['flagged']:,} | " in card
    assert f'lilliput.load("{name}")' in card


def test_no_path_of_the_build_machine_is_included(name):
    texts = [(folder_of(name) / file).read_text() for file in ("manifest.json", "evidence.json", "README.md")]
    assert not re.search(r"(?:^|[\s\"'=])(?:~?/\w|[A-Z]:\\)", "\n".join(texts))


def test_copied_method_with_other_names_is_a_clone():
    renamed = JAVA.replace("source", "from").replace("target", "to").replace("copyFile", "duplicate")
    other = "    public int size() {\n        return count;\n    }\n"
    same, different = lilliput.load("clone", threads=1).predict([(JAVA, renamed), (JAVA, other)])
    assert (same.label, different.label) == ("clone", "different")


def test_rewritten_function_is_a_clone():
    rewritten = rewrite(PYTHON, Random(0))
    assert rewritten is not None and rewritten != PYTHON
    same, different = lilliput.load("clone-python", threads=1).predict([(PYTHON, rewritten), (PYTHON, OTHER_PYTHON)])
    assert (same.label, different.label) == ("clone", "different")


def test_vulnerability_gives_a_probability_between_its_golden_bounds():
    copy = "int f(char *d, const char *s) { char b[8]; strcpy(b, s); memcpy(d, b, 64); return gets(d) != 0; }"
    found = lilliput.load("vulnerability", threads=1).predict([copy])[0]
    assert set(found.probabilities) == {"safe", "vulnerable"}
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert 0.01 < found.probabilities["vulnerable"] < 0.99


def test_names_work_wherever_an_artifact_is_opened(here, name):
    (here / "f.txt").write_text("def f(): pass")
    files = ["f.txt"] * TASKS[SHIPPED[name].task].arity
    assert is_artifact(name)
    assert is_artifact(Path(name))
    assert api.load(name).manifest == open_artifact(name).manifest
    assert api.inspect(name).as_dict()["path"] == str(folder_of(name))
    assert [item.files for item in api.predict(name, files)] == [tuple(files)]
    subject = open_subject(name, SHIPPED[name].task)
    assert (subject.name, subject.bytes()["total"]) == (name, open_artifact(name).bytes().total)


def test_names_can_be_compared_and_reported(here):
    one, other = identified(["clone", "clone-python"])
    assert [(item.name, item.path, item.task) for item in (one, other)] == [
        ("clone", folder_of("clone"), "clone"),
        ("clone-python", folder_of("clone-python"), "clone"),
    ]
    api.report(["clone", "vulnerability"], "page.html")
    assert "vulnerability" in (here / "page.html").read_text()


def test_robustness_accepts_a_name(here):
    write_functions(here / "f.jsonl", 4, 0)
    assert api.robustness("vulnerability", "vulnerability", here / "f.jsonl").n == 4


def test_local_model_takes_precedence_over_the_name(here, small):
    shutil.copytree(small, here / "clone")
    for given in ("clone", Path("clone"), "./clone"):
        assert open_artifact(given).classifier.task == "vulnerability"
    assert open_subject("clone", "vulnerability").bytes()["total"] == open_artifact(small).bytes().total


@pytest.mark.parametrize("mark", ["lilliput-teacher.json", "config.json", "model.bin"])
def test_local_checkpoint_takes_precedence_over_the_name(here, mark):
    (here / "clone").mkdir()
    (here / "clone" / mark).touch()
    assert folder_named("clone") == Path("clone")
    assert not is_artifact("clone")
    with pytest.raises(ArtifactError, match="clone: is not an artifact"):
        open_artifact("clone")


def test_other_files_and_folders_of_the_name_are_ignored(here):
    (here / "clone").mkdir()
    (here / "clone" / "A.java").touch()
    (here / "vulnerability").touch()
    assert folder_named("clone") == folder_of("clone")
    assert open_artifact("vulnerability").path == folder_of("vulnerability")
    with pytest.raises(ArtifactError, match="already exists and is not an artifact"):
        refuse_occupied("clone")  # a target is never a shipped name
    refuse_occupied("clone-python")


def test_path_is_never_a_name(here):
    for path in ("./clone", str(here / "clone"), "clone/"):
        assert folder_named(path) == Path(path)
        with pytest.raises(ArtifactError, match="is not an artifact"):
            open_artifact(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "clone-pyhton", "f.py", "f.py"],
        ["inspect", "clone-pyhton"],
        ["evaluate", "clone-pyhton", "--task", "clone", "--data", "f.py"],
        ["robustness", "clone-pyhton", "--task", "clone", "--data", "f.py"],
        ["compare", "clone", "clone-pyhton"],
        ["report", "clone-pyhton"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_mistyped_name_lists_the_names(here, arguments, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    run = CliRunner().invoke(app, arguments)
    assert isinstance(run.exception, UserError)
    assert run.exception.exit_code == 2
    assert str(run.exception).startswith("clone-pyhton: ")
    assert NAMES in str(run.exception)


def test_other_paths_keep_their_error(here):
    (here / "clones").mkdir()
    for path in ("clones", "some/path", "x" * 300):
        with pytest.raises(MissingExtra) as caught, names_told(path):
            raise MissingExtra("this needs torch.", remedy="Install it.")
        assert str(caught.value) == "this needs torch. Install it."
    with pytest.raises(MissingExtra, match=f"Install it. Models that come with lilliput: {NAMES}."), names_told("clon"):
        raise MissingExtra("this needs torch.", remedy="Install it.")


def test_command_line_predicts_with_names(here):
    (here / "A.java").write_text(f"class A {{\n{JAVA}}}\n")
    (here / "B.java").write_text(f"class B {{\n    int size() {{ return 1; }}\n\n{JAVA}}}\n")
    run = CliRunner().invoke(app, ["predict", "clone", "A.java", "B.java"])
    assert run.exit_code == 0, run.stderr
    assert re.fullmatch(r"A\.java:2 copyFile and B\.java:4 copyFile: clone \(\d+\.\d%\)\n", run.stdout)
    run = CliRunner().invoke(app, ["predict", "clone", "A.java", "B.java", "--json"])
    (found,) = json.loads(run.stdout)["predictions"]
    assert found["files"] == ["A.java", "B.java"]
    assert found["functions"] == [{"name": "copyFile", "line": 2}, {"name": "copyFile", "line": 4}]
    assert found["label"] == "clone"


def test_predicting_needs_only_the_core_install(here):
    (here / "a.c").write_text("int f(int *p) { return *p; }\n")
    heavy = "torch transformers sklearn tree_sitter tree_sitter_c onnx onnxruntime safetensors huggingface_hub"
    program = (
        "import sys; from lilliput.cli.app import app\n"
        "app(['predict', 'vulnerability', 'a.c'], standalone_mode=False)\n"
        f"assert not set('{heavy}'.split()) & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert re.fullmatch(r"a\.c:1 f: (safe|vulnerable) \(\d+\.\d%\)\n", run.stdout)


@pytest.mark.parametrize("name", SHIPPED)
def test_inspect_counts_match_the_graph(name):
    """Every weight is stored in an initializer of two or more dimensions, or in a vector."""
    found = inspect(name).as_dict()
    graph = onnx.load(folder_of(name) / "model.onnx").graph
    kept = {item.name: list(item.dims) for item in graph.initializer}
    grams = found["options"]["grams"]
    if grams:
        assert kept["grams.weight"] == [2 ** grams["bits"], grams["width"]]
    stored = sum(
        math.prod(dims) for title, dims in kept.items() if not title.endswith(".scale") and "hash" not in title
    )
    assert abs(found["parameters"] - stored) < 200  # constants that are not weights
    layers, hidden = found["architecture"]["layers"], found["architecture"]["hidden"]
    seen = min(found["max_tokens"], found["options"]["positions"])
    ends = sum(math.prod(dims) for title, dims in kept.items() if title.startswith(("projection.", "head.")))
    most = seen * layers * hidden * (20 * hidden + 4 * seen) + ends  # multiply-adds; without layers, ends is all
    assert 2e-9 * (ends - 1000) < found["gflops"] < 2e-9 * (most + 1000)  # the ends include biases and scales
