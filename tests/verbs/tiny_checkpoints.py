"""Tiny checkpoints of every architecture, and what their artifacts compute."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import openvino as ov
import torch
from openvino import opset13 as ops
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM

from lilliput.formats.weights import Scheme
from lilliput.graph.architectures import graphs
from lilliput.graph.stored import StoredWeight
from lilliput.runtime.engine import Engine
from lilliput.teachers.generator import open_generator
from tests.graph.test_decoders import EXACT, LLAMA_LIKE
from tests.graph.test_decoders import VARIANTS as DECODERS
from tests.graph.test_seq2seq import VARIANTS as SEQ2SEQ
from tests.graph.test_seq2seq import random_model as random_seq2seq
from tests.quantize.test_stream import read_back

VOCABULARY = 320
FILL_MARKS = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
CODE = ["def f(a):\n    return a + 1\n", "for (int i = 0; i < 10; ++i) { sum += values[i]; }\n"]

VARIANTS = {
    name: (kind, {**options, "vocab_size": VOCABULARY}) for name, (kind, options) in {**DECODERS, **SEQ2SEQ}.items()
}
PLAIN = {kind: (kind, options) for name, (kind, options) in VARIANTS.items() if name.partition(",")[0] == name} | {
    "starcoder2": VARIANTS["starcoder2, window"]
}
"""One variant of each architecture."""

LLAMA = ("llama", {**LLAMA_LIKE, "vocab_size": VOCABULARY})


def tiny_tokenizer(marks=(), size=300):
    """A byte-level BPE tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CODE * 3, trainer)
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in ("<|end|>", *marks)])
    return tokenizer


def random_model(kind, options):
    """A transformers model whose biases and norms are random, too."""
    if kind in {kind for kind, _ in SEQ2SEQ.values()}:
        return random_seq2seq(kind, options)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **options)).eval().float()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
    return model


def checkpoint(folder, kind, options, model=None, tokenizer=None, config=None, **how):
    """Save a model with a tokenizer and return it; ``config`` holds changes to its ``config.json``."""
    model = random_model(kind, options) if model is None else model
    model.save_pretrained(folder, **how)
    (tiny_tokenizer() if tokenizer is None else tokenizer).save(str(folder / "tokenizer.json"))
    if config is not None:
        rewrite(folder / "config.json", **config)
    return model


def rewrite(path, **fields):
    """Change fields of a JSON file; those set to ``None`` are removed."""
    values = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))


def tokens(rows, length, seed=0):
    return np.random.default_rng(seed).integers(3, VOCABULARY, (rows, length))


SOURCE, IDS = tokens(2, 11, seed=1), tokens(2, 7, seed=2)
"""The source of an encoder-decoder, and what any model decodes."""


def expected_logits(model):
    """Transformers' logits of the last token of each row."""
    ids = torch.from_numpy(IDS)
    given = {"input_ids": ids}
    if model.config.is_encoder_decoder:
        given = {"input_ids": torch.from_numpy(SOURCE), "decoder_input_ids": ids}
    with torch.no_grad():
        return model(**given).logits[:, -1:].float().numpy()


def run(models):
    """Logits of the last token of each row, from the graph ``model`` and, for an encoder-decoder, ``encoder``."""
    mask, rows = np.ones_like(IDS), np.arange(len(IDS), dtype=np.int32)
    inputs = [IDS, mask, np.arange(IDS.shape[1]) * mask, rows]
    if "encoder" in models:
        (cross,) = Engine(models["encoder"], 1, EXACT)(SOURCE, np.ones_like(SOURCE))
        inputs += [cross, np.ones_like(SOURCE)]
    return Engine(models["model"], 1, EXACT)(*inputs)[0]


def artifact_logits(folder):
    """Logits from an artifact's graphs."""
    paths = {path.stem: path for path in folder.glob("*.xml")}
    return run({name: ov.Core().read_model(str(path), str(folder / "model.bin")) for name, path in paths.items()})


def held_weights(folder):
    """Our names of the weights -> their values in an artifact's files, located as its graphs say."""
    places = {}
    for path in folder.glob("*.xml"):
        for layer in ElementTree.parse(path).iterfind("./layers/layer"):
            name, _, part = layer.get("name").rpartition("/")
            if layer.get("type") == "Const" and part in ("codes", "scales", "zeros"):
                data = layer.find("data").attrib
                place = int(data["offset"]), int(data["size"])
                assert places.setdefault(name, {}).setdefault(part, place) == place
    raw = (folder / "model.bin").read_bytes()
    figures = json.loads((folder / "evidence.json").read_text())["weights"]
    assert places.keys() == {item["name"] for item in figures}
    found = {}
    for item in figures:
        entry = StoredWeight(item["name"], tuple(item["shape"]), Scheme(**item["scheme"]), places[item["name"]])
        found[entry.name] = read_back(entry, raw).astype(np.float32)
    return found


def float_logits(folder, weights):
    """Logits from the graphs of a checkpoint with these weights, in float32."""
    values = {name: (lambda weight=weight: ops.constant(weight)) for name, weight in weights.items()}
    return run(graphs(open_generator(folder).config, values, last_only=True))
