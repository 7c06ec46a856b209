"""Random encoder-decoders with calibration data of unequal lengths, and the inputs of transformers' layers."""

import numpy as np
import torch

from lilliput.graph.architectures import read_piece, stored_name
from lilliput.quantize.blockwise import Original
from lilliput.quantize.calibration import Tokens
from lilliput.quantize.policy import head_name
from lilliput.teachers.generator import open_generator
from tests.graph.test_seq2seq import VARIANTS as SEQ2SEQ
from tests.verbs.tiny_checkpoints import VARIANTS, VOCABULARY, checkpoint

NAMES = tuple(SEQ2SEQ)


def rows(lengths, seed):
    random = np.random.default_rng(seed)
    return [random.integers(3, VOCABULARY, length) for length in lengths]


DATA = Tokens.of(rows((24, 11, 24, 3, 17, 24), 0)), Tokens.of(rows((5, 19, 19, 12, 1, 19), 1))
"""Sources and targets, in more than one batch."""


class Seq2Seq:
    """Transformers' model, the same model read from its checkpoint, and its linear layers' inputs on :data:`DATA`."""

    def __init__(self, name, folder):
        self.theirs = checkpoint(folder, *VARIANTS[name])
        opened = open_generator(folder)
        self.opened, self.original = opened, Original(opened.config, opened.pieces, opened.tensors)
        self.floats = {name: read_piece(piece, opened.tensors) for name, piece in opened.pieces.items()}
        self.head = head_name(opened.pieces)

    def reads(self):
        """Our name of each linear layer and of the output layer -> what transformers' reads, ``[tokens, width]``."""
        tensors = {stored_name(piece, self.opened.tensors): name for name, piece in self.opened.pieces.items()}
        seen, handles = {}, []
        for name, module in self.theirs.named_modules():
            if isinstance(module, torch.nn.Linear):
                ours = "head" if name == "lm_head" else tensors[f"{name}.weight"].removesuffix(".weight")
                note = lambda _, given, ours=ours: seen.update({ours: given[0].numpy().copy()})  # noqa: E731
                handles.append(module.register_forward_pre_hook(note))
        source, target = DATA
        with torch.no_grad():
            self.theirs(
                input_ids=torch.from_numpy(source.ids),
                attention_mask=torch.from_numpy(source.mask.astype(np.int64)),
                decoder_input_ids=torch.from_numpy(target.ids),
            )
        for handle in handles:
            handle.remove()
        of_source = {"encoder", "cross_key", "cross_value"}
        return {
            layer: values[(source if of_source & {layer.split(".")[0], layer.split(".")[-1]} else target).mask]
            for layer, values in seen.items()
        }
