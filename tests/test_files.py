"""Files and folders appear whole or not at all, and errors of the disk are reported as such."""

import errno
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lilliput.errors import UserError
from lilliput.files import (
    atomic_file,
    atomic_folder,
    begin_work,
    cache_folder,
    read_json,
    require_place,
    sha256_of,
    write_json,
)
from lilliput.verbs.kept import refuse_unwritable


def test_failed_write_keeps_the_old_file(tmp_path):
    target = tmp_path / "a.json"
    write_json(target, {"old": 1})
    with pytest.raises(RuntimeError), atomic_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == '{\n  "old": 1\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_target_of_a_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "old.json").write_text("old")
    (tmp_path / "a.json").symlink_to(tmp_path / "disk" / "old.json")
    write_json(tmp_path / "a.json", 1)
    assert (tmp_path / "a.json").is_symlink()
    assert (tmp_path / "disk" / "old.json").read_text() == "1\n"
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["old.json"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are not supported")
def test_special_file_is_written_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor() as pool:
        read = pool.submit((tmp_path / "pipe").read_text)
        write_json(tmp_path / "pipe", 1)
        assert read.result(10) == "1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.skipif(sys.platform != "linux", reason="open files have no names in /proc and /dev")
def test_open_file_is_not_replaced_through_its_descriptor(tmp_path):
    """If a shell redirects standard output to a file, /dev/stdout is a link to such a name."""
    with (tmp_path / "redirected").open("w") as stream:
        stream.write("what a command prints")
        stream.flush()
        names = [Path(f"/proc/self/fd/{stream.fileno()}"), Path(f"/dev/fd/{stream.fileno()}"), tmp_path / "link"]
        names[-1].symlink_to(names[0])
        for name in names:
            with pytest.raises(UserError, match=f"^{name}: leads to a file that is open.*--json"):
                write_json(name, 1)
            with pytest.raises(UserError, match="is open"):
                refuse_unwritable(name)
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("link")  # a circle
    with pytest.raises(UserError, match="cannot write"):
        write_json(tmp_path / "link", 1)
    assert (tmp_path / "redirected").read_text() == "what a command prints"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
def test_new_file_has_the_default_permissions(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_json(tmp_path / "a.json", 1)
    finally:
        os.umask(before)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o666 & ~mask


def test_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "folder"
    for name in ("one", "two"):
        with atomic_folder(target) as temporary:
            (temporary / name).write_text(name)
    assert [path.name for path in target.iterdir()] == ["two"]
    with pytest.raises(RuntimeError), atomic_folder(target) as temporary:
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_replaced_content_is_not_left_beside(tmp_path, what):
    target = tmp_path / "small"
    target.write_text("old") if what == "file" else target.mkdir()
    with atomic_folder(target) as temporary:
        (temporary / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_link_to_a_folder_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "old").mkdir()
    (tmp_path / "small").symlink_to(tmp_path / "disk" / "old")
    with atomic_folder(tmp_path / "small") as temporary:
        (temporary / "new").touch()
    assert (tmp_path / "small").is_symlink()
    assert (tmp_path / "disk" / "old" / "new").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "small"]


def test_only_leftovers_of_killed_runs_are_removed(tmp_path):
    mine = [
        ".small.work",
        ".small.settings",
        ".small.abcdefgh",
        ".small.v2.abcdefgh.lilliput-new",
        "small.lilliput-old",
    ]
    for name in (*mine, ".small.abcdefgh.lilliput-new", ".small.0_cdefgh.lilliput-old"):
        (tmp_path / name).mkdir()
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "small"):
        raise RuntimeError
    assert (tmp_path / ".small.0_cdefgh.lilliput-old").exists()  # it may be all that is left of the old folder
    with atomic_folder(tmp_path / "small"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*mine, "small"])


def test_interrupt_between_renames_restores_the_old_folder(tmp_path, monkeypatch):
    target = tmp_path / "small"
    target.mkdir()
    (target / "old").touch()
    rename = Path.rename

    def interrupted(self, other):
        if self.name.endswith(".lilliput-new"):
            raise KeyboardInterrupt
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_folder(target):
        pass
    assert [path.name for path in target.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full. .*Free the space or choose another place, then"),
        (errno.EDQUOT, "the disk quota is used up. .*Free the space"),
        (errno.EROFS, "read-only. Nothing was left half-written. Choose another place, then"),
        (errno.EISDIR, "is a directory. .*Choose another place"),
        (errno.ENAMETOOLONG, "file name too long. .*Choose another place"),
    ],
)
def test_errors_of_the_disk_are_explained(tmp_path, number, words):
    with pytest.raises(UserError, match=words), atomic_file(tmp_path / "a"):
        raise OSError(number, "refused")


def test_rejects_a_circle_of_links(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(UserError, match=r"symbolic links|a directory"), atomic_folder(tmp_path / "a"):
        pass


def test_other_errors_propagate(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "a"):
        raise FileNotFoundError  # without an errno, it is not from the operating system


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested"),
        ('{"a":' * 500 + "1" + "}" * 500, "nested more than 100 levels"),
        ('["\\ud800"]', "surrogates not allowed"),
        ("{", "Expecting"),
        ("1" * 5000, "digits"),
    ],
)
def test_rejects_invalid_json(tmp_path, text, words):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "words"), [('{"a": 1, "b": {"c": 1, "d": 2, "c": 1}}', "'c' twice"), ("[NaN]", "holds NaN")]
)
def test_strict_json_rejects_duplicates_and_nan(tmp_path, text, words):
    (tmp_path / "a.json").write_text(text)
    read_json(tmp_path / "a.json")
    with pytest.raises(ValueError, match=words):
        read_json(tmp_path / "a.json", strict=True)


def test_json_survives_a_round_trip(tmp_path):
    value = {"a": [1, {"b": None}], "ü": "ö"}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_hash_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_lone_surrogate_is_replaced_instead_of_losing_the_result(tmp_path):
    write_json(tmp_path / "a.json", {"text": "a\ud800b"})
    assert read_json(tmp_path / "a.json") == {"text": "a?b"}


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("LILLIPUT_CACHE", raising=False)
    assert cache_folder() == tmp_path / "xdg" / "lilliput"
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_cache_folder_without_a_home_must_be_named(monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CACHE_HOME", "LILLIPUT_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(UserError, match=r"no home folder\. Name a folder with LILLIPUT_CACHE"):
        cache_folder()


@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize("work_is", ["a dangling link", "a link", "a file"])
def test_link_or_file_in_place_of_the_work_folder_is_rejected_and_kept(tmp_path, work_is, links):
    out, work = tmp_path / "small", tmp_path / ".small.work"
    (tmp_path / "elsewhere").mkdir()
    if work_is == "a file":
        work.write_text("mine")
    else:
        work.symlink_to(tmp_path / ("nowhere" if work_is == "a dangling link" else "elsewhere"))
    target = out
    if links:
        target = tmp_path / "elsewhere" / "link"
        target.symlink_to(out)
    for refuse, given in ((require_place, target), (begin_work, work)):
        with pytest.raises(UserError, match="it is a link or a file") as caught:
            refuse(given)
        assert caught.value.where == str(work)
    assert not out.exists() and not (tmp_path / "nowhere").exists()


def test_rejects_a_place_below_a_file_but_not_a_new_one(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="a part of this path is a file"):
        require_place(tmp_path / "file" / "deep" / "small")
    require_place(tmp_path / "new" / "deep" / "small")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where no files can be created")
def test_rejects_a_place_where_no_file_can_be_created():
    with pytest.raises(UserError, match="cannot write") as caught:
        require_place(Path("/proc/small"))
    assert caught.value.where == "/proc/small"
