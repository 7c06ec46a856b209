"""llama.cpp, through llama-cpp-python: runs a GGUF file, or makes one: ``llama_peer.py SOURCE TARGET Q8_0``."""

import sys
from pathlib import Path

import llama_cpp
import numpy as np
from protocol import THREADS, serve

if len(sys.argv) == 4:
    source, target, kind = sys.argv[1:]
    how = llama_cpp.llama_model_quantize_default_params()
    how.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")
    how.allow_requantize, how.nthread = True, THREADS
    if llama_cpp.llama_model_quantize(str(Path(source)).encode(), str(Path(target)).encode(), how):
        raise SystemExit("llama.cpp refused")
    raise SystemExit(0)

model = llama_cpp.Llama(
    sys.argv[1], n_ctx=2048, n_batch=512, n_threads=THREADS, n_threads_batch=THREADS, logits_all=False, verbose=False
)


def likeliest():
    logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(model.ctx, -1), (model.n_vocab(),))
    return int(logits.argmax())


def start(ids):
    model.reset()
    model._ctx.kv_cache_clear() if hasattr(model._ctx, "kv_cache_clear") else None
    model.eval(ids)
    return likeliest()


def step(token):
    model.eval([token])
    return likeliest()


serve(start, step, model.n_vocab())
