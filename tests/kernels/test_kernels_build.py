"""Kernels are compiled once, cached where nobody else can write, and left out where they cannot be built."""

import os
import platform
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from lilliput.files import CACHE_VARIABLE
from lilliput.kernels import build, trial
from lilliput.kernels.library import Library

SUPPORTED = build.kernels().library is not None
needs_compiler = pytest.mark.skipif(not SUPPORTED, reason=f"no kernels here: {build.kernels().about}")


def test_kernels_are_available_where_expected():
    """Other tests of kernels are skipped without kernels; this one fails if that is because they do not compile."""
    switched_off = os.environ.get(build.SWITCH, "").lower() == "off"
    if switched_off or sys.platform != "linux" or platform.machine() != "x86_64" or not shutil.which("c++"):
        pytest.skip("no kernels are expected here")
    if "avx2" not in build._processor().split():
        pytest.skip("this processor has no AVX2")
    assert build.kernels().library is not None, build.kernels().about


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(build.SWITCH, raising=False)
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    build.kernels.cache_clear()
    yield tmp_path / "lilliput" / "kernels"
    build.kernels.cache_clear()


@needs_compiler
def test_compiled_library_is_cached_and_verified(cache, monkeypatch, capsys):
    assert build.kernels().library is not None
    assert "compiling" in capsys.readouterr().err
    (made,) = cache.glob("*.so")
    assert sorted(path.suffix for path in cache.iterdir()) == [".sha256", ".so"]

    monkeypatch.setattr(build, "_compile", lambda *_: pytest.fail("compiled twice"))
    build.kernels.cache_clear()
    assert build.kernels().library is not None

    content = bytearray(made.read_bytes())
    content[-1] ^= 1
    made.unlink()  # it is loaded: its pages must stay
    made.write_bytes(content)
    monkeypatch.setattr(build, "_compile", lambda *_: (_ for _ in ()).throw(build.Unavailable("compiled again")))
    build.kernels.cache_clear()
    assert build.kernels() == build.Kernels(None, "compiled again")


@needs_compiler
def test_only_one_of_two_concurrent_starts_compiles(cache, monkeypatch):
    compiled, compile_ = [], build._compile

    def counting(*what):
        compiled.append(1)
        compile_(*what)

    monkeypatch.setattr(build, "_compile", counting)
    with ThreadPoolExecutor(2) as pool:  # each thread has its own lock, as two processes would
        places = list(pool.map(lambda _: build._built(), range(2)))
    assert (len(compiled), len(set(places))) == (1, 1)


def test_no_kernels_without_a_compiler(cache, monkeypatch):
    monkeypatch.setattr(build.shutil, "which", lambda _: None)
    assert build.kernels().library is None
    assert build.kernels().about == "there is no C++ compiler" or not SUPPORTED


@needs_compiler
def test_failing_compiler_is_reported(cache, monkeypatch, tmp_path):
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\necho 'x.cpp:1: fatal error: no such luck' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    about = build.kernels().about
    assert "exit code 3" in about
    assert "no such luck" in about
    assert list(cache.glob("*.so")) == []


@needs_compiler
def test_failure_is_not_retried_at_every_start(cache, monkeypatch):
    tried = []
    monkeypatch.setattr(build, "_compile", lambda *_: fail(tried))
    assert build.kernels().about == "no luck"
    for _ in range(2):
        build.kernels.cache_clear()
        assert build.kernels().about.startswith("no luck (tried before; ")
    assert len(tried) == 1
    (note,) = cache.glob("*.failed")
    os.utime(note, (0, 0))  # long ago
    build.kernels.cache_clear()
    assert build.kernels().about == "no luck"
    assert len(tried) == 2


@needs_compiler
def test_transient_failure_is_not_recorded(cache, monkeypatch):
    def killed(*_):
        build._run(["sh", "-c", "kill -KILL $$"], "cannot be compiled")

    monkeypatch.setattr(build, "_compile", killed)
    assert build.kernels().about == "cannot be compiled: sh was killed"
    assert list(cache.glob("*.failed")) == []


def fail(tried):
    tried.append(1)
    raise build.Unavailable("no luck")


@pytest.mark.parametrize("command", ["no-such-compiler", "no-such-compiler -m64"])
def test_missing_compiler_named_by_cxx_is_reported(command, monkeypatch):
    monkeypatch.setenv("CXX", command)
    with pytest.raises(build.Unavailable, match=r"there is no C\+\+ compiler \("):
        build._compiler()


def test_invalid_command_in_cxx_is_reported(cache, monkeypatch):
    monkeypatch.setenv("CXX", "g++ 'unfinished")
    assert build.kernels().library is None
    assert "CXX is not a valid command" in build.kernels().about or not SUPPORTED


def test_compiler_may_have_arguments(monkeypatch):
    monkeypatch.setenv("CXX", f"{sys.executable} -c 'a b'")
    assert build._compiler() == (sys.executable, "-c", "a b")


@needs_compiler
def test_crashing_library_is_not_cached(cache, monkeypatch):
    monkeypatch.setattr(build, "_compile", lambda _, target: target.write_bytes(b"no library"))
    assert "does not work when compiled" in build.kernels().about
    assert list(cache.glob("*.so")) == []


@needs_compiler
def test_folder_that_others_can_write_to_is_not_used(cache):
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    assert "others can write to" in build.kernels().about


def test_kernels_can_be_switched_off(cache, monkeypatch):
    monkeypatch.setenv(build.SWITCH, "off")
    assert build.kernels() == build.Kernels(None, "LILLIPUT_KERNELS is off")


@needs_compiler
@pytest.mark.parametrize("wrong", [(), (4,), (8,), (4, 8)])
def test_trial_names_the_wrong_products(wrong, monkeypatch, capsys):
    packed = Library.packed

    def altered(self, layout, codes, *rest):
        return packed(self, layout, codes ^ 1 if layout.bits in wrong and layout.grouped else codes, *rest)

    monkeypatch.setattr(Library, "packed", altered)
    assert trial.main(str(build._built())) == bool(wrong)
    said = ", ".join(f"products of {bits}-bit weights" for bits in wrong)
    assert capsys.readouterr().err == (f"wrong: {said}\n" if wrong else "")
