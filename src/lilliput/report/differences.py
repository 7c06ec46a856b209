"""The problems on which the reference and another model differ, with the completions of both.

A completion can be any text: characters that HTML forbids, or that would hide or reorder the code around them (control
characters, marks of writing direction), are shown as replacement characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.report import clean, plural
from lilliput.report.given import Attempted, Run
from lilliput.report.pairs import Pair
from lilliput.report.reading import NO_VERDICT
from lilliput.report.sections import Fold, Group, Section

MOST_FOLDS = 200
"""Maximum problems per pair of models shown with their completions; the others are only named."""

LONGEST_CODE = 20_000
"""Maximum characters of a completion shown."""


def differences_section(pairs: Sequence[Pair]) -> Section:
    """One group of folds per compared pair; problems lost come first."""
    return Section(
        "Problems that came out differently", groups=[_group(pair) for pair in pairs if pair.difference is not None]
    )


def _group(pair: Pair) -> Group:
    reference, other = clean(pair.reference.name), clean(pair.other.name)
    lost, gained = pair.flips(True), pair.flips(False)
    counts = f"{plural(len(lost), 'problem')} solved by {reference} alone, {len(gained):,} by {other} alone"
    every = [
        *((before, after, f"solved by {reference}, not by {other}") for before, after in lost),
        *((before, after, f"solved by {other}, not by {reference}") for before, after in gained),
    ]
    folds = [_fold(pair, before, after, words) for before, after, words in every[:MOST_FOLDS]]
    rest = [clean(before.task_id) for before, *_ in every[MOST_FOLDS:]]
    legend = f"Not shown with their completions: {', '.join(rest)}." if rest else ""
    return Group(f"{other} against {reference}, {pair.other.benchmark}: {counts}", folds, legend)


def _fold(pair: Pair, before: Attempted, after: Attempted, words: str) -> Fold:
    pieces = [_piece(pair.reference, before), _piece(pair.other, after)]
    said = [f"{title}: the result has no text." for title, text in pieces if text is None]
    code = [(title, text) for title, text in pieces if text is not None]
    return Fold(f"{clean(before.task_id)}: {words}", said, code)


def _piece(run: Run, attempted: Attempted) -> tuple[str, str | None]:
    """A model's completion to show, and its outcome: the first that passed, or else the first."""
    judged = [one for one in attempted.completions if one["outcome"] != NO_VERDICT]
    one = next((each for each in judged if each["outcome"] == "passed"), judged[0])
    passed = (
        "" if len(judged) == 1 else f", {sum(each['outcome'] == 'passed' for each in judged)} of {len(judged)} passed"
    )
    detail = f" ({clean(one['detail'])[:300]})" if one.get("detail") else ""
    return f"{clean(run.name)}: {clean(one['outcome'])}{detail}{passed}", _text(one)


def _text(completion: Mapping[str, Any]) -> str | None:
    """The code extracted from a chat answer, or the completion as it is."""
    text = completion.get("code") if isinstance(completion.get("code"), str) else completion.get("text")
    if not isinstance(text, str):
        return None
    if len(text) > LONGEST_CODE:
        return f"{code_text(text[:LONGEST_CODE])}\n… {len(text) - LONGEST_CODE:,} more characters"
    return code_text(text) or "(an empty completion)"


def code_text(text: str) -> str:
    """``text`` with its line breaks and tabs, and all other invisible characters replaced."""
    lines = text.replace("\r\n", "\n")
    return "".join(c if c.isprintable() or c in "\n\t" else " " if c.isspace() else "\ufffd" for c in lines)
