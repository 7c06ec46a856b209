"""Generators run in this process: artifacts in the engine, checkpoints in torch, with one decoding loop for both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.errors import NumericError, UserError
from lilliput.evaluate import energy
from lilliput.runtime.generator import Completion, Generator
from lilliput.runtime.prompts import Prompt
from lilliput.runtime.settings import Settings
from lilliput.runtime.writing import Draft
from lilliput.verbs.complete import TimedSession
from lilliput.verbs.completers.base import Asked, GeneratorSource, Made, Speed
from lilliput.verbs.completers.chat import ChatTemplate

TIMED_PROMPTS, TIMED_TOKENS = 4, 64
"""Problems, and maximum tokens of each, for measuring speed and energy."""


class SteadyGenerator(Generator):
    """A generator whose sampling depends only on the seed, the problem and the sample, not on the rest of the batch.

    A resumed run therefore gives the same completions as an uninterrupted one.
    """

    places: Sequence[int] = ()

    def _draft(self, prompt: Prompt, settings: Settings, row: int, sample: int) -> Draft:
        return super()._draft(prompt, settings, self.places[row], sample)


class LocalCompleter:
    """A generator in this process; see :class:`~lilliput.verbs.completers.base.Completer`.

    Args:
        name, identity, facts, source: see there.
        generator: the generator to run.
        sizes: bytes on disk by part.
        template: chat template; ``None``: plain completions.
    """

    def __init__(
        self,
        name: str,
        identity: str,
        facts: Mapping[str, Any],
        source: GeneratorSource,
        generator: Generator,
        sizes: dict[str, int],
        template: ChatTemplate | None,
    ) -> None:
        self.name, self.identity, self.source = name, identity, source
        self.facts = {**facts, "chat_template": None if template is None else template.facts}
        self.generator = SteadyGenerator(generator.session, generator.tokenizer, generator.manifest)
        self.sizes, self.template = sizes, template

    def bytes(self) -> dict[str, int]:
        """See :class:`~lilliput.verbs.completers.base.Completer`."""
        return self.sizes

    def complete(self, asked: Sequence[Asked], settings: Settings) -> list[list[Made]]:
        """See :class:`~lilliput.verbs.completers.base.Completer`."""
        prompts = [one.text if self.template is None else self.template.framed(one.text) for one in asked]
        self.generator.places = [place_of(one.problem.task_id) for one in asked]
        options = {name: getattr(settings, name) for name in Settings.__dataclass_fields__}
        try:
            return [[_made(one) for one in row] for row in self.generator.generate(prompts, **options)]
        except NumericError:  # concerns the model, not a problem
            raise
        except UserError as error:
            if len(asked) == 1:  # prompt too long: the model cannot solve this problem
                return [[Made("", 0, "refused", str(error))] * settings.n]
        return [self.complete([one], settings)[0] for one in asked]

    def speed(self, asked: Sequence[Asked], settings: Settings) -> Speed:
        """See :class:`~lilliput.verbs.completers.base.Completer`; greedy, without stops: the same for all models."""
        tokens = min(TIMED_TOKENS, settings.max_new_tokens)
        plain = Settings(max_new_tokens=tokens, batch=1)
        kept, sessions = self.generator.session, []
        made: list[Made] = []

        def run() -> None:
            for one in asked[:TIMED_PROMPTS]:
                self.generator.session = session = TimedSession(kept)
                sessions.append(session)
                made.extend(self.complete([one], plain)[0])

        try:
            spent = energy.measure(run)
        finally:
            self.generator.session = kept
        read, written = sum(one.prompt_tokens for one in sessions), sum(one.decoded for one in sessions)
        prefill, decode = sum(one.prefill for one in sessions), sum(one.decode for one in sessions)
        return Speed(
            prefill_tokens_per_s=read / prefill if prefill else None,
            decode_tokens_per_s=written / decode if written else None,
            tokens=sum(one.tokens or 0 for one in made),
            energy=spent,
            method=f"a timing of its own after the run: the first {len(sessions)} problems, one sequence at a time, "
            f"greedy, {tokens} tokens each at most, without stops; the model's own time",
        )


def place_of(task_id: str) -> int:
    """A number for a problem, stable across runs."""
    return int.from_bytes(hashlib.sha256(task_id.encode("utf-8", "surrogatepass")).digest()[:4], "big")


def _made(completion: Completion) -> Made:
    return Made(completion.text, completion.tokens, completion.finish)
