"""Chats: frame a question with the model's template, and extract the code from the answer."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from lilliput.data.problem import defined_names
from lilliput.data.problems import Problem
from lilliput.errors import UserError
from lilliput.extras import require
from lilliput.teachers.chat_template import TEMPLATE_FILE
from lilliput.verbs.completers.base import GeneratorSource

CUT = (
    "the code is extracted from the answer: the first fenced block that defines the function, else the first fenced "
    "block; an unclosed block extends to the end of the answer; an answer without a block is taken as it is"
)
"""Description of :func:`code_of` for results."""

STRFTIME = "strftime_now"
"""Name of the function that templates call for the date."""

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\n`]*)\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class ChatTemplate:
    """A model's chat format: a Jinja template as in transformers, run in Jinja's sandbox.

    The beginning-of-text token is left out, because the tokenizer adds it.

    Attributes:
        source: the template.
        origin: where it was found.
        date: the current date for templates: the same in every chat of a run.
    """

    source: str
    origin: str
    date: datetime.date = field(default_factory=datetime.date.today)

    @property
    def facts(self) -> dict[str, str]:
        """Facts for results and cache keys; a template that uses the date gets a new key each day."""
        date = {"date": self.date.isoformat()} if STRFTIME in self.source else {}
        return {"origin": self.origin, "sha256": hashlib.sha256(self.source.encode()).hexdigest(), **date}

    def framed(self, question: str) -> str:
        """A chat with one question, up to where the answer begins.

        Raises:
            UserError: the template is not valid Jinja, refuses, or fails.
        """
        jinja = require("jinja2")
        environment = require("jinja2.sandbox").ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)

        def refuse(message: str) -> None:
            raise jinja.TemplateError(message)

        environment.globals["raise_exception"] = refuse
        environment.globals[STRFTIME] = self.date.strftime
        environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
        message = {"role": "user", "content": question}
        try:
            made = environment.from_string(self.source).render(
                messages=[message], add_generation_prompt=True, bos_token="", eos_token=""
            )
        except Exception as error:  # a template may raise whatever its expressions do
            raise UserError(
                f"the chat template fails ({type(error).__name__}: {error}).",
                where=self.origin,
                remedy="Give another with --chat-template, or use --prompt plain.",
            ) from error
        return str(made)


def template_for(source: GeneratorSource, own: tuple[str, str] | None) -> ChatTemplate:
    """The user's template, or else the model's own (given as source and origin).

    Raises:
        UserError: there is none.
    """
    if source.chat_template is not None:
        file = Path(source.chat_template)
        try:
            return ChatTemplate(file.read_text(encoding="utf-8"), file.name)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot be read: {error}.", where=file, remedy="Check --chat-template.") from error
    if own is None:
        raise UserError(
            "has no chat template.",
            where=source.model,
            remedy=f"Give the {TEMPLATE_FILE} of the original model with --chat-template, or use --prompt plain.",
        )
    return ChatTemplate(*own)


def code_of(answer: str, problem: Problem) -> tuple[str, str]:
    """The code in an answer, and how it was found: ``fence``, ``unclosed fence`` or ``no fence``. See :data:`CUT`."""
    blocks = list(_FENCE.finditer(answer))
    if not blocks:
        return answer, "no fence"
    defining = [block for block in blocks if problem.entry_point in (defined_names(block[3]) or ())]
    block = (defining or blocks)[0]
    closed = block[0].rstrip().endswith(block[1]) and block[0].count(block[1]) > 1
    return block[3], "fence" if closed else "unclosed fence"
