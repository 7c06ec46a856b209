"""Devign (Zhou et al., NeurIPS 2019) in CodeXGLUE's form: JSON Lines with ``func`` and ``target``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lilliput.data.dataset import Dataset
from lilliput.data.tables import Columns, read_tables, require_single

DEVIGN_COLUMNS = Columns(code="func", label="target")
VULNERABILITY_LABELS = ("safe", "vulnerable")
"""By index, as ``target`` gives them."""


def read_devign(
    paths: Sequence[Path],
    columns: Columns = DEVIGN_COLUMNS,
    label_names: tuple[str, ...] | None = None,
    labelled: bool = True,
) -> Dataset:
    """Read functions that are safe or vulnerable; any table will do if ``columns`` names its columns.

    Raises:
        UserError: ``columns`` names a second code column.
        DataError, MissingExtra: as :func:`~lilliput.data.tables.read_tables` does.
    """
    require_single(columns)
    return read_tables(paths, columns.or_else(DEVIGN_COLUMNS), label_names or VULNERABILITY_LABELS, labelled)
