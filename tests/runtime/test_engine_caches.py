"""Where the engine keeps keys and values in 8 bits, a batch reads nothing of a smaller one before it."""

import numpy as np

from lilliput.runtime.loading import load
from lilliput.verbs.quantize import quantize
from tests.verbs.tiny_checkpoints import LLAMA, checkpoint, tokens


def test_a_batch_that_outgrows_the_cache_of_the_one_before(tmp_path):
    """Heads of 24 are the engine's, with kernels or without."""
    kind, options = LLAMA
    wide = {"hidden_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 24}
    checkpoint(tmp_path / "model", kind, {**options, **wide})
    quantize(tmp_path / "model", tmp_path / "made")
    rows = [row[:1] for row in tokens(2, 12)]
    session = load(tmp_path / "made", threads=1).session  # has read a token or two of one sequence
    alone = [read(load(tmp_path / "made", threads=1).session, [row]) for row in rows]
    found = read(session, rows)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, np.concatenate(alone), rtol=0, atol=0.05 * np.abs(found).max())


def read(session, rows):
    """Logits after the rows and forty tokens more of each."""
    session.start(rows)
    for _ in range(40):
        logits = session.step(np.full(len(rows), 5), np.arange(len(rows)))
    return logits
