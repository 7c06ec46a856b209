"""New names for local variables and parameters."""

from __future__ import annotations

from random import Random

from lilliput.data.rewrites.source import Edit, Source
from lilliput.data.rewrites.variables import variables
from lilliput.data.rewrites.words import fresh_names


def rename_variables(source: Source, rng: Random) -> list[Edit]:
    """Rename every local variable and parameter of a C or Java function that can be renamed.

    Functions, fields, types, macros and labels keep theirs. See :mod:`~lilliput.data.rewrites.variables` for the names
    that are left alone.
    """
    names = fresh_names(source, rng)
    edits = []
    for variable in variables(source).values():
        if variable.renameable:
            name = next(names)
            edits += [Edit(place.start_byte, place.end_byte, name) for place in variable.places]
    return edits
