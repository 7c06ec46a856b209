"""Folders of tiny pretrained encoders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_teachers import ENCODERS, functions

from lilliput.bpe import train_tokenizer
from lilliput.teachers.scratch import wrapped


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``base_folder(kind)``: the folder of a tiny pretrained encoder of that kind."""
    made: dict[str, Path] = {}
    tokenizer = train_tokenizer(functions(40), 300)

    def make(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            torch.manual_seed(0)
            ENCODERS[kind](tokenizer.get_vocab_size()).save_pretrained(folder)
            wrapped(tokenizer).save_pretrained(folder)
            made[kind] = folder
        return made[kind]

    return make
