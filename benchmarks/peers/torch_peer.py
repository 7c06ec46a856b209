"""transformers in torch: a checkpoint's folder, fp32 or bf16."""

import sys

import torch
from protocol import THREADS, serve
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

torch.set_num_threads(THREADS)
seq2seq = AutoConfig.from_pretrained(sys.argv[1]).is_encoder_decoder
model = (AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM).from_pretrained(
    sys.argv[1], dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[sys.argv[2]]
)
model.eval()
state = encoded = None


@torch.inference_mode()
def read(ids):
    global state
    ids = torch.tensor([ids])
    decoder = {"input_ids": ids, "logits_to_keep": 1}
    given = {"decoder_input_ids": ids, "encoder_outputs": encoded} if seq2seq else decoder
    out = model(past_key_values=state, use_cache=True, **given)
    state = out.past_key_values
    return int(out.logits[0, -1].argmax())


@torch.inference_mode()
def start(ids):
    global state, encoded
    state = None
    if not seq2seq:
        return read(ids)
    encoded = model.get_encoder()(torch.tensor([ids]))
    return read([model.config.decoder_start_token_id])


def step(token):
    return read([token])


serve(start, step, model.config.vocab_size)
