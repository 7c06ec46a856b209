"""torch files: written whole or not at all, and read without running code in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from lilliput import torchfiles
from lilliput.errors import CheckpointError, UserError


class Attack:
    """A pickle that creates a file if its reader runs code."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.witness}'",)


def test_values_survive(tmp_path):
    path = tmp_path / "new" / "state.pt"
    torchfiles.save(path, {"weights": torch.arange(5.0), "history": [{"loss": 0.5, "epoch": 1}], "none": None})
    got = torchfiles.load(path)
    assert torch.equal(got.pop("weights"), torch.arange(5.0))
    assert got == {"history": [{"loss": 0.5, "epoch": 1}], "none": None}
    assert [file.name for file in path.parent.iterdir()] == ["state.pt"]


def test_malicious_pickle_is_rejected_without_running_it(tmp_path):
    witness = tmp_path / "witness"
    torch.save({"weights": Attack(witness)}, tmp_path / "evil.pt")
    torch.load(tmp_path / "evil.pt", weights_only=False)
    assert witness.exists()  # the attack works on a reader that runs code
    witness.unlink()
    with pytest.raises(CheckpointError, match=r"evil\.pt: .*nothing of it was run"):
        torchfiles.load(tmp_path / "evil.pt")
    assert not witness.exists()


@pytest.mark.parametrize("keep", [0, 1, 100, 900])
def test_rejects_damaged_files(tmp_path, keep):
    path = tmp_path / "state.pt"
    torchfiles.save(path, {"weights": torch.zeros(500)})
    os.truncate(path, keep)
    with pytest.raises(CheckpointError, match=r"state\.pt: .*damaged"):
        torchfiles.load(path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.pt: there is no such file"):
        torchfiles.load(tmp_path / "nowhere.pt")


def test_full_disk_keeps_the_old_file(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "state.pt"
    torchfiles.save(path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(UserError, match="the file grew beyond the limit"):
            torchfiles.save(path, torch.zeros(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert torchfiles.load(path) == 1
    assert len(list(tmp_path.iterdir())) == 1
