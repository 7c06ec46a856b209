"""Summarization: how a generator is asked what a function does, and how its answer is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lilliput.data.languages import LANGUAGES, for_language
from lilliput.generator_manifest import DECODER, SEQ2SEQ

_MARKS = re.compile(r"^(?:\s|//+|/\*+|#+|\*+/?|--|\"{3}|'{3})+|(?:\s|\*+/|\"{3}|'{3})+$")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?=\s+[^\sa-z])")


def first_line(text: str) -> str:
    """The first line that is more than comment markers, without the markers around it."""
    return next((bare for line in text.splitlines() if (bare := _MARKS.sub("", line))), "")


def first_sentence(text: str) -> str:
    """The first sentence of :func:`first_line`."""
    return _SENTENCE_END.split(first_line(text), maxsplit=1)[0]


def whole_text(text: str) -> str:
    """The whole text, as one line."""
    return " ".join(text.split())


CUTS: Mapping[str, Callable[[str], str]] = {"line": first_line, "sentence": first_sentence, "whole": whole_text}
"""Name -> how the summary is extracted from the answer."""


@dataclass(frozen=True)
class PromptForm:
    """How a generator is prompted for a summary.

    Attributes:
        name: its name in options.
        template: the prompt, with ``{code}`` and ``{comment}`` (the language's line-comment marker).
        cut: default name in :data:`CUTS`: how the summary is extracted from the answer.
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
"""Name -> form. For decoders: the code, followed by the beginning of a comment. For models that were trained on the
task: the code alone, and everything they generate is the summary, as in CodeXGLUE."""

FORM_OF_FAMILY: Mapping[str, str] = {DECODER: "comment", SEQ2SEQ: "code"}
"""A generator's family -> its default form."""
