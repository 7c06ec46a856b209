"""Rows kept in a file: those of a killed run are found again, those of other runs are not."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilliput.artifact import open_artifact
from lilliput.errors import UserError
from lilliput.kernels.build import Kernels
from lilliput.verbs.kept import Kept, KeptRows, artifact_key, beside, refuse_inputs, refuse_unwritable

KEY = {"artifact": "abc", "settings": {"seed": 0}}
NAMES = ("one", "two", "three")


def names_in(path, key=KEY):
    kept = KeptRows(path, key)
    return [name for name in NAMES if name in kept]


@pytest.fixture
def path(tmp_path):
    kept = KeptRows(tmp_path / "new" / "rows.jsonl", KEY)
    kept.add("one", {"text": "a\nb", "n": 1})
    kept.add("two", {"text": "é", "n": 2})
    return tmp_path / "new" / "rows.jsonl"


def test_rows_survive(path):
    assert names_in(path) == ["one", "two"]
    assert KeptRows(path, KEY)["two"] == {"text": "é", "n": 2}


@pytest.mark.parametrize("cut", range(1, 25))
def test_incomplete_row_is_dropped_and_the_next_starts_a_line(path, cut):
    path.write_bytes(path.read_bytes()[:-cut])
    assert names_in(path) == ["one"]
    KeptRows(path, KEY).add("three", {"n": 3})
    assert names_in(path) == ["one", "three"]


def test_rows_of_another_run_are_neither_used_nor_lost(path):
    assert names_in(path, {**KEY, "settings": {"seed": 1}}) == []
    assert names_in(path) == ["one", "two"]


def test_rows_stay_in_memory_without_a_file(tmp_path):
    kept = KeptRows(None, KEY)
    kept.add("one", {"n": 1})
    assert kept["one"] == {"n": 1}
    assert not list(tmp_path.iterdir())


def test_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        KeptRows(tmp_path / "file" / "rows.jsonl", KEY).add("one", {"n": 1})


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="this system has no /dev/null")
def test_special_file_is_written_directly(monkeypatch):
    """An ordinary user cannot write files beside /dev/null."""
    monkeypatch.setattr("tempfile.TemporaryFile", None)
    refuse_unwritable(Path("/dev/null"))
    assert beside(Path("/dev/null"), "score.json") == (Path("/dev/null"), None)


@pytest.mark.skipif(sys.platform != "linux", reason="open files have no names in /dev/fd")
def test_open_file_is_rejected_as_folder_for_results(tmp_path):
    with (tmp_path / "redirected").open("w") as stream, pytest.raises(UserError, match="a file that is open"):
        beside(Path(f"/dev/fd/{stream.fileno()}"), "score.json")


def test_key_depends_on_whether_kernels_are_used(small, monkeypatch):
    artifact = open_artifact(small)
    keys = set()
    for library in (None, object()):
        monkeypatch.setattr("lilliput.verbs.kept.kernels", lambda library=library: Kernels(library, ""))
        keys.add(artifact_key(artifact))
    assert len(keys) == 2


def test_place_is_tried_before_the_work(tmp_path):
    file, kept = beside(tmp_path / "new", "found.json")
    assert (file, kept) == (tmp_path / "new" / "found.json", tmp_path / "new" / "found.kept.jsonl")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").write_text("")
    (tmp_path / "new" / "found.json").mkdir()
    for out in (tmp_path / "file", tmp_path / "file" / "found.json", tmp_path / "new"):
        with pytest.raises(UserError, match="cannot write"):
            beside(out, "found.json")
    assert beside(None, "found.json") == (None, None)


def test_result_never_overwrites_an_input(tmp_path):
    for name in ("mine.json", "mine.kept.jsonl", "old.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "link.json").symlink_to("mine.json")
    mine, old = tmp_path / "mine.json", tmp_path / "old.json"
    inputs = ["http://localhost:1/v1", "x" * 5000, None, tmp_path / "none", tmp_path, [str(old), mine]]
    for out in (mine, old, tmp_path / "link.json"):
        with pytest.raises(UserError, match=f"^--out: {out} is a file that this command reads"):
            beside(out, "found.json", inputs)
    with pytest.raises(UserError, match=r"mine\.kept\.jsonl is a file that this command reads"):
        beside(mine, "found.json", [tmp_path / "mine.kept.jsonl"])
    for out in (old, tmp_path / "new.json"):
        refuse_inputs(out, [mine])  # other existing files may be replaced
    assert not (tmp_path / "none").exists()


def test_result_never_overwrites_a_part_of_a_model(tmp_path):
    model = tmp_path / "model"
    (model / "parts").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "parts/x.json"):
        (model / name).write_text("{}")
    for name in ("config.json", "parts/x.json"):
        with pytest.raises(UserError, match="is a file that this command reads"):
            refuse_inputs(model / name, [model])
    refuse_inputs(model / "found.json", [model])  # it does not exist yet
    (tmp_path / "found.json").write_text("{}")
    refuse_inputs(tmp_path / "found.json", [tmp_path])  # it is not a model


WORKING = """
import sys
from pathlib import Path
from lilliput.verbs.kept import Kept
kept = Kept(Path(sys.argv[1]))
print("mine", flush=True)
sys.stdin.read()
"""


def retry(make, seconds=10):
    """Retry ``make`` until it succeeds: on a busy machine, locks are released shortly after their process ends."""
    end = time.monotonic() + seconds
    while True:
        try:
            return make()
        except UserError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_only_one_process_writes_to_a_file_at_a_time(tmp_path):
    path, pipe = tmp_path / "new" / "r.kept.jsonl", subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", WORKING, path], stdin=pipe, stdout=pipe) as other:
        assert other.stdout.readline() == b"mine\n"
        with pytest.raises(UserError, match=r"r\.kept\.jsonl: another run is at work there"):
            Kept(path)
        other.kill()
    first = retry(lambda: Kept(path))  # its death released the lock
    second = Kept(path)  # a process does not lock itself out
    del first, second
    subprocess.run([sys.executable, "-c", WORKING, path], stdin=subprocess.DEVNULL, check=True, capture_output=True)
