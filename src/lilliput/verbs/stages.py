"""Long work in stages that run once each, so that an interrupted command can resume."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.arrays import read_arrays
from lilliput.files import atomic_file, begin_work, empty, explain_disk_errors, read_json, work_folder, write_json
from lilliput.locks import release
from lilliput.progress import Progress

SETTINGS = "settings.json"

Weights = dict[str, NDArray[np.float32]]


class Stages:
    """Results of finished stages, kept in a hidden folder beside the target until the target exists.

    Args:
        target: what the work will write; the folder is ``.NAME.work`` beside it.
        settings: everything that decides the result, as plain JSON values.
        progress: notified when work resumes or starts anew.
        set_aside: what to do with results kept under other settings: if true, move them to ``.NAME.work.old``,
            replacing what was there, from where a run under their settings takes them back until the target exists; if
            false, delete them.

    Raises:
        UserError: another run is working on the same target, or the folder cannot be made.
    """

    def __init__(
        self, target: Path, settings: Mapping[str, Any], progress: Progress, *, set_aside: bool = False
    ) -> None:
        self.folder = work_folder(target)
        self.progress = progress
        wanted = json.loads(json.dumps(settings))
        with explain_disk_errors(self.folder):
            begun = begin_work(self.folder)
            if _settings(self.folder) != wanted:
                begun = self._given_way(wanted, set_aside)
        if begun:
            progress.note(f"{self.folder}: resuming from there.")
        else:
            write_json(self.file(SETTINGS), wanted)

    def _given_way(self, wanted: Any, set_aside: bool) -> bool:
        """Clear the folder's results; restore those set aside if made under ``wanted``, and say whether."""
        aside = self._aside()
        back = set_aside and _settings(aside) == wanted
        found = any(path.name != SETTINGS for path in self.folder.iterdir())
        away = _between(aside) if back else aside
        if found and set_aside:
            shutil.rmtree(away, ignore_errors=True)
            self.folder.rename(away)
        else:
            empty(self.folder)
        if back:
            shutil.rmtree(self.folder, ignore_errors=True)
            aside.rename(self.folder)
            if found:
                away.rename(aside)
        begin_work(self.folder)
        if found:
            place = f"set aside in {aside}" if set_aside else "deleted"
            self.progress.note(f"{self.folder}: work under other settings, {place}{'' if back else '; starting over'}.")
        return back

    def file(self, name: str) -> Path:
        """A path inside the folder."""
        return self.folder / name

    def once(self, name: str, compute: Callable[[], Any], take: Callable[[Any], Any] = lambda value: value) -> Any:
        """The JSON value that ``compute`` returned, now or in an earlier run, as ``take`` reads it.

        An unreadable value is computed again.
        """
        path = self.file(f"{name}.json")
        try:
            return take(read_json(path))
        except (OSError, ValueError, TypeError, KeyError):
            write_json(path, compute())
        return take(read_json(path))

    def weights(self, name: str, compute: Callable[[], tuple[Weights, Any]]) -> tuple[Weights, Any]:
        """The weights and the JSON value that ``compute`` returned, now or in an earlier run.

        Unreadable ones are computed again.
        """
        path, beside = self.file(f"{name}.npz"), self.file(f"{name}.json")
        try:
            return read_arrays(path), read_json(beside)
        except (OSError, ValueError):
            weights, facts = compute()
            write_json(beside, facts)
            with atomic_file(path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **weights)
        return read_arrays(path), read_json(beside)

    def finish(self) -> None:
        """Clean up once the target exists: remove the folder and what was set aside."""
        aside = self._aside()
        for folder in (aside, _between(aside)):
            shutil.rmtree(folder, ignore_errors=True)
        self.give_up()

    def give_up(self) -> None:
        """Abandon the work: remove the folder, but keep what was set aside."""
        shutil.rmtree(self.folder, ignore_errors=True)
        release(self.folder)

    def _aside(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.old")


def _between(aside: Path) -> Path:
    """Temporary place for work while it is swapped with what was set aside."""
    return aside.with_name(f"{aside.name}-new")


def _settings(folder: Path) -> Any:
    """Settings of the work in a folder; ``None``: there is no work, or its settings are unreadable."""
    try:
        return read_json(folder / SETTINGS)
    except (OSError, ValueError):
        return None
