"""Summarization: what does this function do? How that is asked of a generator, and how its answer is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lilliput.data.languages import LANGUAGES, for_language
from lilliput.generator_manifest import DECODER, SEQ2SEQ

_MARKS = re.compile(r"^(?:\s|//+|/\*+|#+|\*+/?|--|\"{3}|'{3})+|(?:\s|\*+/|\"{3}|'{3})+$")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?=\s+[^\sa-z])")


def first_line(text: str) -> str:
    """The first line that says anything, without the marks of comments around it."""
    return next((bare for line in text.splitlines() if (bare := _MARKS.sub("", line))), "")


def first_sentence(text: str) -> str:
    """The first sentence of the first line that says anything."""
    return _SENTENCE_END.split(first_line(text), maxsplit=1)[0]


def whole_text(text: str) -> str:
    """All of it, as one line."""
    return " ".join(text.split())


CUTS: Mapping[str, Callable[[str], str]] = {"line": first_line, "sentence": first_sentence, "whole": whole_text}
"""Name -> what of the answer is the summary."""


@dataclass(frozen=True)
class PromptForm:
    """How a summary is asked for.

    Attributes:
        name: what options call it.
        template: the prompt, with ``{code}`` and ``{comment}`` (what begins a comment of the language).
        cut: name in :data:`CUTS`: what of the answer is the summary, unless told otherwise.
        stop: strings at which the answer ends.
    """

    name: str
    template: str
    cut: str
    stop: tuple[str, ...] = ()

    def prompt(self, code: str, language: str) -> str:
        """The prompt for a function.

        Raises:
            UserError: there is no such language.
        """
        return self.template.format(code=code.rstrip(), comment=for_language(LANGUAGES, language).line[0])


FORMS: Mapping[str, PromptForm] = {
    form.name: form
    for form in (
        PromptForm(
            "comment", "{code}\n\n{comment} Summary of the function above, in one sentence:", "sentence", ("\n",)
        ),
        PromptForm("code", "{code}", "whole"),
    )
}
"""Name -> form: for decoders, the code and the beginning of a comment after it; for models that were trained on the
task, the code alone, and all they write is the summary, as in CodeXGLUE."""

FORM_OF_FAMILY: Mapping[str, str] = {DECODER: "comment", SEQ2SEQ: "code"}
"""A generator's family -> the form used where none is named."""
