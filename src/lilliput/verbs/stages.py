"""Long work in stages that are done once: killed at any moment, the same command goes on where it stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.files import atomic_file, claim, empty, explain_disk_errors, release, work_folder, write_json
from lilliput.progress import Progress

SETTINGS = "settings.json"

Weights = dict[str, NDArray[np.float32]]


class Stages:
    """Results of finished stages, kept in a hidden folder beside the target until the target is there.

    Args:
        target: what the work will write; the folder is ``.NAME.work`` beside it.
        settings: everything that decides the result, as plain JSON values. Results kept under other settings are
            thrown away.
        progress: told when work goes on, or starts anew.

    Raises:
        UserError: another run is at work on the same target, or the folder cannot be made.
    """

    def __init__(self, target: Path, settings: Mapping[str, Any], progress: Progress) -> None:
        self.folder = work_folder(target)
        self.progress = progress
        wanted = json.loads(json.dumps(settings))
        begun = self.folder.exists()
        with explain_disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            claim(self.folder)
        if begun and self._settings() == wanted:
            progress.note(f"{self.folder}: going on from there.")
            return
        if begun:
            progress.note(f"{self.folder}: holds work under other settings; starting anew.")
            empty(self.folder)
        write_json(self.file(SETTINGS), wanted)

    def _settings(self) -> Any:
        return _read(self.file(SETTINGS))

    def file(self, name: str) -> Path:
        """A path inside the folder."""
        return self.folder / name

    def once(self, name: str, compute: Callable[[], Any]) -> Any:
        """The JSON value that ``compute`` returned, now or in an earlier run."""
        path = self.file(f"{name}.json")
        if not path.exists():
            write_json(path, compute())
        return _read(path)

    def weights(self, name: str, compute: Callable[[], tuple[Weights, Any]]) -> tuple[Weights, Any]:
        """The weights, with a JSON value, that ``compute`` returned, now or in an earlier run."""
        path = self.file(f"{name}.npz")
        if not path.exists():
            weights, facts = compute()
            write_json(self.file(f"{name}.json"), facts)
            with atomic_file(path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **weights)
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored), _read(self.file(f"{name}.json"))

    def finish(self) -> None:
        """The target is there: the folder is no longer needed."""
        shutil.rmtree(self.folder, ignore_errors=True)
        release(self.folder)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
