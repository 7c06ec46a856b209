"""Convert a user's text to the token ids that a generator starts from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer

from lilliput.errors import ArtifactError, DataError, UserError, require_text
from lilliput.generator_manifest import SEQ2SEQ, FillMarks, GeneratorManifest
from lilliput.runtime.sessions import Ids
from lilliput.runtime.streaming import whole_end

ANCHOR = "\n"
"""Text that absorbs the space that some tokenizers put at the start, so that they put none before what follows."""

SPACES = ("▁", "Ġ")
"""Marks of a leading space in tokens: SentencePiece's and byte-level BPE's."""


@dataclass(frozen=True)
class Prompt:
    """The start of one or several completions.

    Attributes:
        ids: token ids that the model reads.
        seen: tokens that the repetition penalty counts as already generated.
        context: tokens right before the completion, if the completion's spelling depends on them.
        room: number of new tokens that fit into the model's positions; ``None``: any number.
    """

    ids: Ids
    seen: Ids
    context: tuple[int, ...]
    room: int | None


class PromptReader:
    """Makes prompts from text.

    Args:
        tokenizer: the model's; its truncation and padding are turned off, and fill marks become special tokens.
        manifest: the model's.

    Raises:
        ArtifactError: the tokenizer lacks a fill mark that the manifest names.
    """

    def __init__(self, tokenizer: Tokenizer, manifest: GeneratorManifest) -> None:
        self.tokenizer, self.manifest = tokenizer, manifest
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._marks = {} if manifest.fill is None else self._mark_ids(manifest.fill)

    def plain(self, text: Any, name: str) -> Prompt:
        """A prompt with the tokenizer's special tokens around it; control tokens in the text are honoured.

        Raises:
            DataError: ``text`` is not text; all error messages call it ``name``.
            UserError: ``text`` leaves no room for a completion, or has no tokens.
        """
        ids = list(self.tokenizer.encode(require_text(text, name)).ids)
        return self._prompt(ids, ids, name)

    def gap(self, prefix: Any, suffix: Any) -> Prompt:
        """A prompt whose completion goes between ``prefix`` and ``suffix``, in which control tokens are plain text.

        Raises:
            DataError: ``prefix`` or ``suffix`` is not text.
            UserError: the model was not trained to fill gaps, or there is no room for a completion.
        """
        if not self._marks:
            raise UserError(
                "this model cannot fill in the middle: it has no tokens that mark a gap.",
                where="suffix",
                remedy="Give the text before the gap alone, as a prompt; or choose a model that was trained to fill "
                "gaps, such as StarCoder, Qwen-Coder or Code Llama.",
            )
        before, after = (
            self._inside(require_text(text, name)) for text, name in ((prefix, "prefix"), (suffix, "suffix"))
        )
        framed = [self._marks["prefix"], *before, self._marks["suffix"], *after, self._marks["middle"]]
        start, end = self._frame() if self.manifest.family == SEQ2SEQ else (self._frame()[0], [])
        return self._prompt([*start, *framed, *end], before, "prefix and suffix")

    def ends(self, of_gap: bool) -> frozenset[int]:
        """Ids that end a completion; if it fills a gap, these include all fill marks."""
        return frozenset({*self.manifest.end, *(self._marks.values() if of_gap else ())})

    def _prompt(self, ids: list[int], before: list[int], name: str) -> Prompt:
        manifest = self.manifest
        ids = ids or list(manifest.end[:1])  # precedes texts in training, if the tokenizer has no start token
        if not ids:
            raise UserError("has no tokens.", where=name, remedy="Give at least one character.")
        foreign = next((id_ for id_ in ids if id_ >= manifest.vocabulary), None)
        if foreign is not None:
            token = self.tokenizer.id_to_token(foreign)
            raise UserError(
                f"holds the token {token!r}, which the model does not know.", where=name, remedy="Remove it."
            )
        read = np.array(ids, np.int64)
        seq2seq = manifest.family == SEQ2SEQ
        most = None if manifest.positions is None else manifest.positions - (0 if seq2seq else 1)
        if most is not None and len(ids) > most:
            raise UserError(
                f"{len(ids):,} tokens; this model takes {most:,} at most.",
                where=name,
                remedy="Shorten the text: the parts furthest from the completion matter least.",
            )
        own = np.array([manifest.start], np.int64) if seq2seq else read
        room = None if manifest.positions is None else manifest.positions - len(own)
        return Prompt(read, own, () if seq2seq else tuple(whole_end(self.tokenizer, before)), room)

    def _mark_ids(self, fill: FillMarks) -> dict[str, int]:
        found = {}
        for name in ("prefix", "suffix", "middle", "end"):
            mark = getattr(fill, name)
            id_ = None if mark is None else self.tokenizer.token_to_id(mark)
            if id_ is None and name == "end":
                continue
            if id_ is None or id_ >= self.manifest.vocabulary:
                raise ArtifactError(
                    f"names the fill mark '{mark}', which the model does not have.",
                    where="manifest.json",
                    remedy="Get the artifact again from its source.",
                )
            found[name] = id_
            # Some tokenizers have their marks as ordinary added tokens, which would match in any text.
            self.tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False)])
        return found

    def _inside(self, text: str) -> list[int]:
        """Ids of text from inside a document, in which control tokens are plain text."""
        encode = self.tokenizer.encode
        self.tokenizer.encode_special_tokens = True
        try:
            ids = encode(text, add_special_tokens=False).ids
            if "".join(encode("a", add_special_tokens=False).tokens).startswith(SPACES):
                anchor = encode(ANCHOR, add_special_tokens=False).ids
                anchored = encode(ANCHOR + text, add_special_tokens=False).ids
                ids = anchored[len(anchor) :] if anchored[: len(anchor)] == anchor else ids
            return list(ids)
        finally:
            self.tokenizer.encode_special_tokens = False

    def _frame(self) -> tuple[list[int], list[int]]:
        """The ids that the tokenizer puts before and after every text."""
        encoding = self.tokenizer.encode("a")
        own = [place for place, added in enumerate(encoding.special_tokens_mask) if not added] or [len(encoding.ids)]
        return list(encoding.ids[: own[0]]), list(encoding.ids[own[-1] + 1 :])


def checked_texts(prompts: Any) -> list[tuple[Any, str]]:
    """Each prompt, and its name in messages; a single string is a list of one.

    Raises:
        DataError: ``prompts`` is neither a string nor an iterable.
    """
    if isinstance(prompts, str):
        return [(prompts, "prompt")]
    if isinstance(prompts, bytes) or not isinstance(prompts, Iterable):
        raise DataError(f"prompts are of type {type(prompts).__name__}.", remedy="Give a string, or a list of strings.")
    return [(text, f"prompt {row}") for row, text in enumerate(prompts)]
