"""Prompts for summaries, and parsing of answers."""

import pytest

from lilliput.errors import UserError
from lilliput.tasks.summarization import CUTS, FORM_OF_FAMILY, FORMS


def test_prompts_of_the_forms():
    assert FORMS["code"].prompt("f()\n", "java") == "f()"
    prompt = FORMS["comment"].prompt("def f(): {}\n\n", "python")
    assert prompt.startswith("def f(): {}\n\n# ") and prompt.endswith(":")
    assert "\n// " in FORMS["comment"].prompt("f()", "java")
    with pytest.raises(UserError, match="--language: no language is called 'cobol'"):
        FORMS["comment"].prompt("f()", "cobol")


def test_every_family_has_a_form():
    assert set(FORM_OF_FAMILY) == {"decoder", "seq2seq"}
    assert set(FORM_OF_FAMILY.values()) <= set(FORMS)
    assert {form.cut for form in FORMS.values()} <= set(CUTS)


@pytest.mark.parametrize(
    "answer, line, sentence",
    [
        (" Returns the sum. Of both.\nfoo", "Returns the sum. Of both.", "Returns the sum."),
        ('\n\n"""Gets it, e.g. one, of 0.5 kB."""\n', "Gets it, e.g. one, of 0.5 kB.", "Gets it, e.g. one, of 0.5 kB."),
        ("/** Is it? Yes. */", "Is it? Yes.", "Is it?"),
        ("# \n// one", "one", "one"),
        ("", "", ""),
    ],
)
def test_answers_are_cut_to_the_summary(answer, line, sentence):
    assert CUTS["line"](answer) == line
    assert CUTS["sentence"](answer) == sentence
    assert CUTS["whole"](answer) == " ".join(answer.split())
