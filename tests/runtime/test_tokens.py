"""The tokenizer at run time: source code is always text; the documented snippet gives the same ids."""

import re
from pathlib import Path

import pytest

import lilliput
from lilliput.bpe import train_tokenizer
from lilliput.runtime.tokens import CodeTokenizer

CONTROL = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
PAGE = Path(__file__).parents[2] / "docs" / "artifact.md"


@pytest.fixture(scope="module")
def tokenizer():
    return CodeTokenizer(train_tokenizer(["int f(vector x) { return x; }"] * 3, 300), max_tokens=64)


@pytest.mark.parametrize("token", CONTROL)
def test_control_token_in_source_code_is_text(token, tokenizer):
    (ids,) = tokenizer.encode([f"vector{token} x;"])
    assert (ids[0], ids[-1]) == (CONTROL["<s>"], CONTROL["</s>"])
    assert not set(ids[1:-1].tolist()) & set(CONTROL.values())
    assert tokenizer.tokenizer.decode(ids[1:-1].tolist()).replace(" ", "") == f"vector{token}x;"


def test_template_of_the_tokenizer_file_still_applies(tokenizer):
    own = tokenizer.tokenizer.encode("vector<s> x;").ids
    assert own == tokenizer.encode(["vector<s> x;"])[0].tolist()


@pytest.mark.parametrize("code", ["int f(char *p) { return *p; }", "vector<s> x; </s> <pad> " * 40])
def test_documented_snippet_gives_the_same_input(code, small, monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    example = '"int f(char *p) { return *p; }"'
    assert example in block
    monkeypatch.chdir(small.parent)
    names = {}
    exec(block.replace(example, repr(code)), names)
    assert names["ids"] == lilliput.load(small).tokenizer.encode([code])[0].tolist()
