"""A classifier's part in a comparison: functions of one length, and examples as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.artifact import is_artifact
from lilliput.data.dataset import Dataset
from lilliput.errors import DataError
from lilliput.verbs.compare.turns import code_text, turn
from lilliput.verbs.subjects import example_runner, of_length, open_subject

FIRST_FUNCTION = "int f(int a) { return a + 1; }"
"""What a cold start is asked."""

INPUTS, CHARACTERS = 16, 4_000
"""Different inputs of one length, cut from pieces of code of so many characters."""

UNTIMED = 3
"""Calls at the beginning of a turn that are not timed: what others did meanwhile has emptied the caches."""


class ClassifierWork:
    """An opened classifier.

    Args:
        request: ``model``, ``threads``, ``task``, and of a checkpoint ``tokenizer`` or ``None``.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        tokenizer = None if request["tokenizer"] is None else Path(request["tokenizer"])
        self.subject = subject = open_subject(request["model"], request["task"], tokenizer, request["threads"])
        subject.pass_over(subject.encode([FIRST_FUNCTION])[0])
        self.facts = {
            "bytes": subject.bytes(),
            "runs_in": "OpenVINO" if is_artifact(request["model"]) else "torch, fp32",
            "longest": subject.max_tokens,
            "arity": subject.arity,
            "weight_bytes_per_token": None,
        }
        self.run_fixed: Callable[[int], object] = lambda call: None
        self.run_natural: Callable[[int], object] = lambda call: None

    def prepare(self, tokens: int, texts: list[str], members: list[list[int]]) -> dict[str, Any]:
        """Choose the inputs: code of ``tokens`` tokens; and, where there are any, examples.

        Raises:
            DataError: examples join not as many functions as the model does.
        """
        text = code_text()
        pieces = [text[place * CHARACTERS : (place + 1) * CHARACTERS] for place in range(INPUTS)]
        inputs = of_length(self.subject, pieces, tokens)
        self.run_fixed = lambda call: self.subject.pass_over(inputs[call % len(inputs)])
        if members:
            places = np.array(members, np.int64)
            if places.shape[1] != self.subject.arity:
                raise DataError(
                    f"joins {self.subject.arity} function(s) an example, and the data join {places.shape[1]}.",
                    remedy="Give data of the models' task.",
                )
            labels = np.full(len(places), -1)
            run = example_runner(self.subject, Dataset(tuple(texts), places, labels, self.subject.label_names))
            self.run_natural = lambda call: run(call % len(places))
        return {}

    def fixed(self, first: int, calls: int) -> dict[str, Any]:
        """Functions of the chosen length, one at a time, from the ``first`` on."""
        return _calls(self.run_fixed, first, calls)

    def natural(self, first: int, calls: int) -> dict[str, Any]:
        """Examples as they come, one at a time, tokenizing included."""
        return _calls(self.run_natural, first, calls)


def _calls(run: Callable[[int], object], first: int, calls: int) -> dict[str, Any]:
    def timed() -> list[float]:
        times = []
        for call in range(first, first + calls):
            begin = time.perf_counter()
            run(call)
            times.append(time.perf_counter() - begin)
        return times

    for call in range(first, first + UNTIMED):
        run(call)
    return turn(timed, calls)
