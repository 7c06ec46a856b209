"""A generator in a comparison: prefill and greedy decoding of one sequence."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lilliput.artifact import EVIDENCE
from lilliput.errors import UserError
from lilliput.generator_manifest import DECODER
from lilliput.kernels.build import in_use
from lilliput.runtime.sessions import Ids, Session
from lilliput.verbs.compare.turns import code_text, turn
from lilliput.verbs.completers import GeneratorSource, open_completer
from lilliput.verbs.completers.local import LocalCompleter

FIRST_PROMPT = "def fibonacci(n):\n"
"""Prompt of a cold start."""

_ONE = np.zeros(1, np.int32)


class GeneratorWork:
    """An opened generator.

    Args:
        request: ``model``, ``threads``, and ``precision`` (of a checkpoint).
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        completer = open_completer(GeneratorSource(request["model"], request["threads"], request["precision"]))
        if not isinstance(completer, LocalCompleter):
            raise UserError("does not run on this machine.", where=request["model"], remedy="Compare models that do.")
        generator = completer.generator
        self.session: Session = generator.session
        self.tokenizer: Tokenizer = generator.tokenizer
        self.text: str = FIRST_PROMPT
        self.tokens: int = len(self.tokenizer.encode(FIRST_PROMPT).ids)
        self.token: int
        self.token, _ = self._first()
        is_artifact, weights = completer.facts["kind"] == "artifact", None
        if generator.manifest.family == DECODER:
            path = Path(request["model"])
            weights = artifact_bytes_per_token(path) if is_artifact else torch_bytes_per_token(self.session)
        self.facts = {
            "bytes": completer.bytes(),
            "runs_in": "OpenVINO" if is_artifact else f"torch, {request['precision']}",
            "longest": generator.manifest.positions,
            "weight_bytes_per_token": weights,
            "kernels": in_use(),
        }

    def _first(self) -> tuple[int, float]:
        """The token after the prompt, and the seconds spent reading the prompt's tokens."""
        ids: Ids = np.resize(np.array(self.tokenizer.encode(self.text).ids, np.int64), self.tokens)
        begin = time.perf_counter()
        logits = self.session.start([ids])
        seconds = time.perf_counter() - begin
        token = int(logits[0].argmax())
        self.tokenizer.decode([token])
        return token, seconds

    def prepare(self, tokens: int) -> dict[str, Any]:
        """Choose the prompt: the first ``tokens`` tokens of some code."""
        text = code_text()
        encoded = self.tokenizer.encode(text[: 8 * tokens])
        if len(encoded.ids) < tokens:  # long tokens, or a long prompt
            encoded = self.tokenizer.encode(text)
        end = encoded.offsets[min(tokens, len(encoded.ids)) - 1][1]
        self.text, self.tokens = text[:end], tokens
        return {}

    def prefill(self) -> dict[str, Any]:
        """Read the prompt from scratch; ``first_token``: seconds from its text to the text of the first token."""
        seconds = first_token = 0.0

        def run() -> list[float]:
            nonlocal seconds, first_token
            begin = time.perf_counter()
            self.token, seconds = self._first()
            first_token = time.perf_counter() - begin
            return [seconds]

        return {**turn(run, self.tokens), "first_token": first_token}

    def decode(self, tokens: int) -> dict[str, Any]:
        """Decode ``tokens`` more tokens, ignoring ends of text; time each one."""

        def run() -> list[float]:
            times = []
            for _ in range(tokens):
                begin = time.perf_counter()
                logits = self.session.step(self._token, _ONE)
                self.token = int(logits[0].argmax())
                times.append(time.perf_counter() - begin)
            return times

        return turn(run, tokens)

    @property
    def _token(self) -> NDArray[np.int64]:
        return np.array([self.token], np.int64)


def torch_bytes_per_token(session: Any) -> int:
    """Bytes of all parameters of a session's model, except an embedding that is not tied to the output layer."""
    model = session.model
    total = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return int(total if embedding is head else total - embedding.numel() * embedding.element_size())


def artifact_bytes_per_token(folder: Path) -> int | None:
    """Bytes of a decoder's weights read per token: all but the embedding, of which a token reads one row.

    ``None``: the artifact does not say.
    """
    try:
        weights = json.loads((folder / EVIDENCE).read_text(encoding="utf-8"))["weights"]
        sizes = {str(entry["name"]): int(entry["bytes"]) for entry in weights}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    embedding = sizes.get("embedding.weight", 0) if "head.weight" in sizes else 0
    return sum(sizes.values()) - embedding
