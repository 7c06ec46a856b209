"""With the engine's own 8-bit key-value cache, a batch reads nothing of a smaller batch before it."""

import numpy as np

from lilliput.runtime.loading import load
from lilliput.verbs.quantize import quantize
from tests.verbs.tiny_checkpoints import LLAMA, checkpoint, tokens


def test_batch_larger_than_the_previous_one_gets_right_logits(tmp_path):
    """Heads of width 24 are left to the engine, whether or not there are kernels."""
    kind, options = LLAMA
    wide = {"hidden_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 24}
    checkpoint(tmp_path / "model", kind, {**options, **wide})
    quantize(tmp_path / "model", tmp_path / "made")
    rows = [row[:1] for row in tokens(2, 12)]
    session = load(tmp_path / "made", threads=1).session  # has already read a token or two of one sequence
    alone = [read(load(tmp_path / "made", threads=1).session, [row]) for row in rows]
    found = read(session, rows)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, np.concatenate(alone), rtol=0, atol=0.05 * np.abs(found).max())


def read(session, rows):
    """Logits after the rows and forty more tokens of each."""
    session.start(rows)
    for _ in range(40):
        logits = session.step(np.full(len(rows), 5), np.arange(len(rows)))
    return logits
