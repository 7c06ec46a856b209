"""transformers in torch: a checkpoint's folder, fp32 or bf16."""

import sys

import torch
from protocol import THREADS, serve
from transformers import AutoModelForCausalLM

torch.set_num_threads(THREADS)
model = AutoModelForCausalLM.from_pretrained(
    sys.argv[1], dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[sys.argv[2]]
).eval()
state = None


@torch.inference_mode()
def read(ids):
    global state
    out = model(torch.tensor([ids]), past_key_values=state, use_cache=True, logits_to_keep=1)
    state = out.past_key_values
    return int(out.logits[0, -1].argmax())


def start(ids):
    global state
    state = None
    return read(ids)


def step(token):
    return read([token])


serve(start, step, model.config.vocab_size)
