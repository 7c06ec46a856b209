"""optimum-intel: an exported folder; or exports one: ``optimum_peer.py CHECKPOINT FOLDER 8``."""

import sys

import numpy as np
import openvino as ov
from protocol import THREADS, serve

if len(sys.argv) == 4:
    from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig

    checkpoint, target, bits = sys.argv[1:]
    how = OVWeightQuantizationConfig(bits=8) if bits == "8" else OVWeightQuantizationConfig(bits=4, group_size=128)
    model = OVModelForCausalLM.from_pretrained(checkpoint, export=True, quantization_config=how, compile=False)
    model.save_pretrained(target)
    raise SystemExit(0)

options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": THREADS}  # and otherwise the engine's defaults
compiled = ov.Core().compile_model(f"{sys.argv[1]}/openvino_model.xml", "CPU", options)
request = compiled.create_infer_request()
names = {name for port in compiled.inputs for name in port.get_names()}
length = 0


def read(ids):
    global length
    length += len(ids)
    values = {
        "input_ids": np.array([ids], np.int64),
        "attention_mask": np.ones((1, length), np.int64),
        "position_ids": np.arange(length - len(ids), length)[None],
        "beam_idx": np.zeros(1, np.int32),
    }
    request.infer({name: value for name, value in values.items() if name in names})
    return int(request.get_tensor("logits").data[0, -1].argmax())


def start(ids):
    global length
    length = 0
    request.reset_state()
    return read(ids)


def step(token):
    return read([token])


serve(start, step, compiled.output("logits").get_partial_shape()[-1].get_length())
