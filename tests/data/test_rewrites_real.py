"""Rewrites of real functions, which do not compile on their own: most change, and none gains a parse error."""

import itertools

import pytest

from lilliput.data.formats import read_rows
from lilliput.data.rewrites import LANGUAGES, REWRITES, attempt, language_of
from lilliput.data.rewrites.source import Source
from tests.conftest import shared_folder

DATA = {
    "c": shared_folder() / "data/devign/valid.jsonl.gz",
    "java": shared_folder() / "data/bigclonebench/data.jsonl.gz",
}
COUNT = 40
LEAST = {"rename": 0.8, "dead_code": 0.8, "loops": 0.2, "order": 0.2, "format": 0.8, "add_comments": 0.8}
"""Share of functions that a rewrite changes at least; measured on 300 in docs/classifier-robustness.md."""


@pytest.mark.parametrize("language", DATA)
def test_real_functions_change_without_new_errors(language):
    if not DATA[language].exists():
        pytest.skip(f"needs the shared data: {DATA[language].name}")
    rows = itertools.islice(read_rows(DATA[language], ["func"]), COUNT)
    texts = [str(row.values["func"]) for row in rows]
    assert language_of(texts) == language
    errors = [Source(text, LANGUAGES[language]).errors for text in texts]
    for name in REWRITES:
        found = [attempt(text, language, name, 7) for text in texts]
        after = [Source(item.text, LANGUAGES[language]).errors for item in found]
        assert all(more <= less for more, less in zip(after, errors, strict=True))
        assert sum(item.refused for item in found) <= 1
        assert sum(item.changed for item in found) >= LEAST.get(name, 0) * COUNT
