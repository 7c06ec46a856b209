"""Teacher outputs on disk: correct, cached, and resumed after a kill."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_teachers import ENCODERS, functions, pairs, singles

from lilliput.batching import TokenIds
from lilliput.bpe import train_tokenizer
from lilliput.errors import DataError
from lilliput.teachers import Teacher, inference
from lilliput.teachers.huggingface import tokenizing
from lilliput.teachers.model import EncoderClassifier
from lilliput.teachers.outputs import content_hash, teacher_outputs
from lilliput.teachers.scratch import wrapped


class Counting(EncoderClassifier):
    """Counts the functions it encodes; is interrupted after ``limit`` of them."""

    encoded = 0
    limit = 10**9

    def encode(self, ids: torch.Tensor, mask: torch.Tensor, layers: bool = False):
        if self.encoded >= self.limit:
            raise KeyboardInterrupt
        self.encoded += len(ids)
        return super().encode(ids, mask, layers)


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> Teacher:
    monkeypatch.setattr(inference, "CHUNK_TOKENS", 128)
    tokenizer = wrapped(train_tokenizer(functions(40), 300))
    torch.manual_seed(0)
    model = Counting(ENCODERS["roberta"](len(tokenizer)), 2, arity=2, pooling="mean", join="difference").eval()
    return Teacher("t", model, tokenizing(tokenizer, 60), 1, 60, ("different", "clone"), (), "fingerprint")


def same(one, other) -> bool:
    return np.array_equal(one.logits, other.logits) and np.array_equal(one.vectors, other.vectors)


def test_logits_and_vectors_match_the_model(teacher, tmp_path):
    data = pairs(30)
    outputs = teacher_outputs(teacher, data, tmp_path, exact=True)
    tokens: TokenIds = teacher.tokens(data)
    with torch.no_grad():
        alone = [teacher.model.encode(torch.from_numpy(ids)[None], torch.ones(1, len(ids))) for ids in tokens.ids]
    expected = torch.cat([encoded.vectors for encoded in alone]).numpy()
    np.testing.assert_allclose(outputs.vectors, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(outputs.logits, teacher.logits(data), rtol=0, atol=1e-5)
    assert outputs.logits.dtype == outputs.vectors.dtype == np.float32


def test_each_function_is_encoded_exactly_once(teacher, tmp_path):
    first = teacher_outputs(teacher, pairs(30), tmp_path)
    assert teacher.model.encoded == 20
    assert same(first, teacher_outputs(teacher, pairs(30), tmp_path))
    assert teacher.model.encoded == 20
    assert len(list(tmp_path.iterdir())) == 1


def test_resumes_after_kill(teacher, tmp_path):
    whole = teacher_outputs(teacher, pairs(30), tmp_path / "whole")
    teacher.model.encoded, teacher.model.limit = 0, 9
    with pytest.raises(KeyboardInterrupt):
        teacher_outputs(teacher, pairs(30), tmp_path / "killed")
    before = teacher.model.encoded
    assert 0 < before < 20
    teacher.model.limit = 10**9
    assert same(whole, teacher_outputs(teacher, pairs(30), tmp_path / "killed"))
    assert teacher.model.encoded == 20
    assert len(list((tmp_path / "killed").iterdir())) == 1


def test_damaged_part_is_recomputed(teacher, tmp_path):
    whole = teacher_outputs(teacher, pairs(30), tmp_path / "whole")
    teacher.model.encoded, teacher.model.limit = 0, 9
    with pytest.raises(KeyboardInterrupt):
        teacher_outputs(teacher, pairs(30), tmp_path / "killed")
    parts = sorted((tmp_path / "killed").glob("*.parts/*"))
    parts[0].write_bytes(b"not an npz")
    teacher.model.limit = 10**9
    assert same(whole, teacher_outputs(teacher, pairs(30), tmp_path / "killed"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255), cut=st.booleans())
def test_damaged_cache_is_recomputed(teacher, tmp_path, place, change, cut):
    first = teacher_outputs(teacher, pairs(6, texts=4), tmp_path)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    index = int(place * len(content))
    content[index] ^= change
    file.write_bytes(content[:index] if cut else content)
    assert same(first, teacher_outputs(teacher, pairs(6, texts=4), tmp_path))


def test_outputs_of_other_teachers_and_data_are_kept_apart(teacher, tmp_path):
    data = pairs(30)
    variants = [
        (teacher, data, False),
        (dataclasses.replace(teacher, fingerprint="other"), data, False),
        (dataclasses.replace(teacher, max_tokens=61), data, False),
        (teacher, data.subset(np.arange(29)), False),
        (teacher, dataclasses.replace(data, texts=functions(20, seed=1)), False),
        (teacher, data, True),
    ]
    for count, (one, some, exact) in enumerate(variants, start=1):
        teacher_outputs(one, some, tmp_path, exact=exact)
        assert len(list(tmp_path.iterdir())) == count


def test_content_hash_ignores_file_names():
    data = pairs(10)
    assert content_hash(data) == content_hash(dataclasses.replace(data, sources=("elsewhere",), sha256="x"))
    assert content_hash(data) != content_hash(dataclasses.replace(data, labels=1 - data.labels))
    assert content_hash(data) != content_hash(dataclasses.replace(data, members=data.members[:, ::-1]))


def test_rejects_data_of_another_task(teacher, tmp_path):
    with pytest.raises(DataError, match="join 1 function"):
        teacher_outputs(teacher, singles(4), tmp_path)
