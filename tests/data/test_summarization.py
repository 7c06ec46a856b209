"""Functions with summaries: several file formats, and errors named by file and line."""

import gzip
import json

import pytest

from lilliput.data.summarization import Summarized, joined, read_summaries
from lilliput.errors import DataError
from tests.conftest import shared_folder

REAL = shared_folder() / "data" / "summarization"
TOKENS = {"idx": "1", "pl_tokens": ["int", "f", "(", ")", "{", "}"], "nl_tokens": ["Does", "nothing", "."]}
TEXT = {"code": "def f():\n    '''Does nothing.'''\n    return 1\n", "docstring": "Does\n  nothing ."}


def write(folder, text, name="data.json"):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["data.json", "data.json.gz"])
@pytest.mark.parametrize("indent", [None, 1])
def test_reads_arrays_of_tokens(tmp_path, name, indent):
    found = read_summaries(write(tmp_path, json.dumps([TOKENS, TOKENS], indent=indent), name))
    assert found.examples == (Summarized("int f ( ) { }", "Does nothing ."),) * 2
    assert found.columns == ("pl_tokens", "nl_tokens")
    assert found.sources == (name,)


def test_docstrings_are_removed_from_code(tmp_path):
    lines = json.dumps({**TEXT, "language": "python"}) + "\n" + json.dumps(TEXT)
    found = read_summaries(write(tmp_path, lines, "data.jsonl"))
    code = "def f():\n    return 1\n"
    assert found.examples == (Summarized(code, "Does nothing .", "python"), Summarized(code, "Does nothing ."))


def test_columns_can_be_named(tmp_path):
    path = write(tmp_path, 'source,said\n"f()","one two three"\n', "data.csv")
    assert read_summaries(path, ("source", "said")).examples == (Summarized("f()", "one two three"),)
    with pytest.raises(DataError, match=r"data\.csv, line 2: has no columns with code and summary.*'said', 'source'|"):
        read_summaries(path)
    with pytest.raises(DataError, match="has no column 'text'"):
        read_summaries(path, ("source", "text"))


def test_too_short_and_too_long_summaries_are_skipped(tmp_path):
    rows = [{**TOKENS, "nl_tokens": ["word"] * count} for count in (2, 3, 256, 257)]
    found = read_summaries(write(tmp_path, json.dumps(rows)))
    assert [len(example.summary.split()) for example in found.examples] == [3, 256]
    assert found.skipped == 2
    with pytest.raises(DataError, match=r"no summary of 300 to 400 words \(4 others\)"):
        read_summaries(tmp_path / "data.json", fewest=300, most=400)


def test_comment_tokens_end_their_line():
    assert joined(["a", "=", "1", "# one", "b", "//", "c"]) == "a = 1 # one\nb // c"
    assert joined(["f", "(", ")", "// done", "}"]) == "f ( ) // done\n}"


@pytest.mark.parametrize(
    "text, problem",
    [
        ('[\n {"pl_tokens": ["a"], "nl_tokens": ["b", "c", "d"]},\n 3]', r"line 3: is not a JSON object but 3"),
        ('[\n\n {"pl_tokens": [1], "nl_tokens": ["b"]}]', r"line 3: 'pl_tokens' is neither text nor a list of tokens"),
        ('[{"pl_tokens": [], "nl_tokens": ["b"]}]', r"line 1: 'pl_tokens' is empty"),
        ('[{"pl_tokens": ["a"]}]', r"line 1: has no columns with code and summary"),
        ('[{"pl_tokens": ["a"],\n "nl_tokens" ["b"]}]', r"line 2: is not JSON: Expecting ':' delimiter"),
        (
            '[{"pl_tokens": ["a"], "nl_tokens": ["b"]}',
            r"line 1: is not JSON: a comma or the end of the list is missing",
        ),
        ('{"code": "f()", "docstring": 3}', r"line 1: 'docstring' is neither text nor a list"),
        ("[]", r"has no summary"),
        ("", r"is empty"),
    ],
)
def test_invalid_rows_are_named(tmp_path, text, problem):
    with pytest.raises(DataError, match=rf"data\.json.*{problem}"):
        read_summaries(write(tmp_path, text))


@pytest.mark.skipif(not REAL.is_dir(), reason="the summarization data are not on this machine (LILLIPUT_SHARED)")
@pytest.mark.parametrize("language, count", [("java", 482), ("python", 1264)])
def test_real_data_are_read(language, count):
    found = read_summaries(REAL / f"codesearchnet_sample_{language}.json.gz")
    assert len(found.examples) + found.skipped == count
    assert 0 < found.skipped < count / 5
