"""optimum-intel: runs an exported folder, or exports one: ``optimum_peer.py CHECKPOINT FOLDER 8``."""

import json
import sys
from pathlib import Path

import numpy as np
import openvino as ov
from protocol import THREADS, serve

if len(sys.argv) == 4:
    from optimum.intel import OVModelForCausalLM, OVModelForSeq2SeqLM, OVWeightQuantizationConfig

    checkpoint, target, bits = sys.argv[1:]
    config = json.loads((Path(checkpoint) / "config.json").read_text(encoding="utf-8"))
    kind = OVModelForSeq2SeqLM if config.get("is_encoder_decoder") else OVModelForCausalLM
    how = OVWeightQuantizationConfig(bits=8) if bits == "8" else OVWeightQuantizationConfig(bits=4, group_size=128)
    model = kind.from_pretrained(checkpoint, export=True, quantization_config=how, compile=False)
    model.save_pretrained(target)
    raise SystemExit(0)

folder = Path(sys.argv[1])
encoder_file = folder / "openvino_encoder_model.xml"
seq2seq = encoder_file.exists()


def compiled(file):
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": THREADS}  # otherwise the engine's defaults
    return ov.Core().compile_model(str(file), "CPU", options)


decoder = compiled(folder / ("openvino_decoder_model.xml" if seq2seq else "openvino_model.xml"))
request = decoder.create_infer_request()
names = {name for port in decoder.inputs for name in port.get_names()}
length = 0
if seq2seq:
    encoder = compiled(encoder_file)
    first = json.loads((folder / "config.json").read_text(encoding="utf-8"))["decoder_start_token_id"]
source = {}


def read(ids):
    global length
    length += len(ids)
    values = {
        "input_ids": np.array([ids], np.int64),
        "attention_mask": np.ones((1, length), np.int64),
        "decoder_attention_mask": np.ones((1, length), np.int64),
        "position_ids": np.arange(length - len(ids), length)[None],
        "cache_position": np.arange(length - len(ids), length),
        "beam_idx": np.zeros(1, np.int32),
        **source,
    }
    request.infer({name: value for name, value in values.items() if name in names}, share_inputs=True)
    return int(request.get_tensor("logits").data[0, -1].argmax())


def start(ids):
    global length
    length = 0
    request.reset_state()
    if not seq2seq:
        return read(ids)
    mask = np.ones((1, len(ids)), np.int64)
    hidden = encoder({"input_ids": np.array([ids], np.int64), "attention_mask": mask})[0]
    source.update({"encoder_hidden_states": hidden, "encoder_attention_mask": mask})
    return read([first])


def step(token):
    return read([token])


serve(start, step, decoder.output("logits").get_partial_shape()[-1].get_length())
