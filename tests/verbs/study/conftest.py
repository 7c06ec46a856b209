"""The models of the studies."""

import pytest

from lilliput.teachers.generator import open_generator
from tests.verbs.study.small import KIND, OPTIONS
from tests.verbs.tiny_checkpoints import PLAIN, checkpoint


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "code-llama"
    checkpoint(folder, KIND, {**OPTIONS, "max_position_embeddings": 256})
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    known = {}

    def make(kind):
        if kind not in known:
            folder = tmp_path_factory.mktemp("checkpoint")
            checkpoint(folder, *PLAIN[kind])
            known[kind] = folder, open_generator(folder)
        return known[kind]

    return make
