"""Random generators of a few thousand weights, transformers' own models of them, and a tokenizer built in code."""

import json

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from lilliput.generator_manifest import DECODER, SEQ2SEQ, FillMarks, GeneratorManifest
from lilliput.graph.architectures import architecture_of, float_weights, graphs
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import stored
from lilliput.runtime.engine import Engine
from lilliput.runtime.generator import Generator
from lilliput.runtime.sessions import DecoderSession, Seq2SeqSession
from lilliput.teachers.tensors import SafetensorsFolder

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
VOCABULARY = 320
POSITIONS = 64
END, PAD = 0, 1
MARKS = FillMarks("<fim_prefix>", "<fim_suffix>", "<fim_middle>")

DECODER_SIZES = {
    "llama": {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": POSITIONS,
    },
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS},
}
SEQ2SEQ_SIZES = {
    "t5": {"d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": PAD},
    "bart": {
        "d_model": 64,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 96,
        "decoder_ffn_dim": 96,
        "max_position_embeddings": POSITIONS,
        "decoder_start_token_id": END,
    },
}
SPECIAL = {"vocab_size": VOCABULARY, "bos_token_id": END, "eos_token_id": END, "pad_token_id": PAD}


def tiny_tokenizer(frame: str = "$A") -> Tokenizer:
    """Byte-level BPE with two special tokens, and fill marks that are ordinary added tokens, as Qwen-Coder's are.

    Args:
        frame: the template around a text.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|end|>", "<|pad|>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(["def f(a):\n    return a + 1\n\nfor i in range(n):\n    print(i)\n"] * 3, trainer)
    marks = (MARKS.prefix, MARKS.suffix, MARKS.middle)
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in marks])
    tokenizer.post_processor = processors.TemplateProcessing(single=frame, special_tokens=[("<|end|>", END)])
    return tokenizer


def word_tokenizer() -> Tokenizer:
    """One word per id, ``w17``, so that text shows the ids."""
    tokenizer = Tokenizer(models.WordLevel({f"w{id_}": id_ for id_ in range(VOCABULARY)}, unk_token="w2"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def words(ids) -> str:
    return " ".join(f"w{id_}" for id_ in ids)


NOISE = {"llama": 0.15, "gpt2": 0.3, "t5": 0.4, "bart": 0.15}
"""Standard deviation of the noise added to matrices, large enough that the likeliest token varies from step to step."""


def random_model(kind):
    torch.manual_seed(0)
    sizes = DECODER_SIZES.get(kind) or SEQ2SEQ_SIZES[kind]
    of_kind = AutoModelForCausalLM if kind in DECODER_SIZES else AutoModelForSeq2SeqLM
    config = AutoConfig.for_model(kind, **SPECIAL, **sizes, tie_word_embeddings=False)
    model = of_kind.from_config(config).eval().float()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * (NOISE[kind] if weight.ndim > 1 else 0.05))
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight) * 0.3)
    model.generation_config.forced_eos_token_id = None
    return model


class Spy:
    """A session that records what it is asked."""

    def __init__(self, session):
        self.session, self.started, self.stepped = session, [], []

    @property
    def starts(self):
        return self.session.starts

    def start(self, rows, advance=None):
        self.started.append([list(map(int, row)) for row in rows])
        return self.session.start(rows, advance)

    def step(self, tokens, parents):
        self.stepped.append((tokens.tolist(), parents.tolist()))
        return self.session.step(tokens, parents)


class Scripted:
    """A session whose every row continues with the same tokens, whatever it is asked."""

    def __init__(self, tokens, vocabulary=VOCABULARY):
        self.tokens, self.vocabulary, self.starts = tokens, vocabulary, 0

    def start(self, rows, advance=None):
        self.starts, self.place = self.starts + 1, 0
        return self._next(len(rows))

    def step(self, tokens, parents):
        self.place += 1
        return self._next(len(tokens))

    def _next(self, rows):
        return np.repeat(np.eye(self.vocabulary, dtype=np.float32)[[self.tokens[self.place]]], rows, 0)


class Tiny:
    """A random generator in both implementations: ``theirs`` is transformers' model, the rest is ours."""

    def __init__(self, kind, folder):
        self.kind, self.folder = kind, folder
        self.theirs = random_model(kind)
        self.theirs.save_pretrained(folder)
        values = json.loads((folder / "config.json").read_text())
        architecture, tensors = architecture_of(values), SafetensorsFolder(folder)
        config = architecture.config(values)
        pieces = architecture.pieces(config, values)
        self.is_decoder = isinstance(config, DecoderConfig)
        if not self.is_decoder:
            pieces = stored(pieces, tensors)
        self.graphs = graphs(config, float_weights(pieces, tensors), last_only=True)
        self.engines = {name: Engine(graph, 1, EXACT) for name, graph in self.graphs.items()}
        self.tokenizer = tiny_tokenizer()
        self.manifest = GeneratorManifest(
            family=DECODER if self.is_decoder else SEQ2SEQ,
            model_type=kind,
            architecture={},
            parameters=1,
            weights={},
            activations={"engine": EXACT},
            positions=config.positions,
            vocabulary=VOCABULARY,
            end=(END,),
            start=None if self.is_decoder else values["decoder_start_token_id"],
        )

    def session(self, **how):
        """A new session on the same compiled graphs; use one at a time."""
        if self.is_decoder:
            return DecoderSession(self.engines["model"], **how)
        return Seq2SeqSession(self.engines["encoder"], self.engines["model"], self.manifest.start)

    def generator(self, session=None, tokenizer=None, **changes):
        """Our generator; ``changes`` are fields of its manifest."""
        manifest = GeneratorManifest(**{**vars(self.manifest), **changes})
        return Generator(session or self.session(), tokenizer or tiny_tokenizer(), manifest)

    def expected(self, rows, **how):
        """New ids of each row of ids from transformers' ``generate``; rows are padded as it requires."""
        longest = max(map(len, rows))
        ids, mask = np.full((len(rows), longest), PAD), np.zeros((len(rows), longest), np.int64)
        for row, given in enumerate(rows):
            place = slice(longest - len(given), None) if self.is_decoder else slice(len(given))
            ids[row, place], mask[row, place] = given, 1
        how = {"max_new_tokens": 20, "do_sample": False, "eos_token_id": END, "pad_token_id": PAD, **how}
        with torch.no_grad():
            found = self.theirs.generate(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask), **how)
        return found[:, longest if self.is_decoder else 1 :].tolist()
