"""Checkpoints that are already quantized are rejected, whichever way they show it."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.verbs.tiny_checkpoints import LLAMA, checkpoint, rewrite

NAME = "model.layers.1.mlp.up_proj.weight"


def said(value):
    return lambda folder: rewrite(folder / "config.json", quantization_config=value)


def codes(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors[NAME] = np.rint(tensors[NAME] * 100).astype(np.int8)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def pickled(kind):
    def change(folder):
        tensors = {name: torch.from_numpy(array) for name, array in load_file(folder / "model.safetensors").items()}
        tensors[NAME] = tensors[NAME].to(kind)
        torch.save(tensors, folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()

    return change


PACKED = {
    "GPTQ": (said({"quant_method": "gptq", "bits": 4}), "config.json: has 'quantization_config'", "by gptq."),
    "bitsandbytes of old": (said({"load_in_8bit": True}), "config.json", "by bitsandbytes."),
    "a method without a name": (said("4 bits"), "config.json", "by an unnamed method."),
    "codes for weights": (codes, "model.safetensors: holds the tensor", f"'{NAME}' as I8: codes of weights"),
    "pickled codes": (pickled(torch.int8), "", f"'{NAME}' as torch.int8: codes of weights"),
    "pickled floats of 8 bits": (pickled(torch.float8_e4m3fn), "", f"'{NAME}' as torch.float8_e4m3fn: codes"),
}


@pytest.mark.parametrize("name", PACKED)
def test_rejects_a_quantized_checkpoint(name, tmp_path, lilliput):
    change, place, words = PACKED[name]
    checkpoint(tmp_path / "model", *LLAMA)
    change(tmp_path / "model")
    code, _, text = lilliput("quantize", tmp_path / "model", "--out", tmp_path / "small")
    assert (code, text.count("\n")) == (2, 1), text
    assert text.startswith(f"error: {tmp_path / 'model'}")
    for part in (place, words, "quantized already", "Give the checkpoint that it was made from"):
        assert part in text
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
