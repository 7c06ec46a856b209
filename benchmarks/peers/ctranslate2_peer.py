"""CTranslate2: a converted folder. Its API has no single decoding step, so a callback times the tokens."""

import json
import sys
import time
from itertools import pairwise
from pathlib import Path

import ctranslate2
from protocol import THREADS, _answer, memory, prompt

folder = Path(sys.argv[1])
shared = folder / "shared_vocabulary.json"  # encoder-decoders
kind = ctranslate2.Translator if shared.exists() else ctranslate2.Generator
model = kind(str(folder), device="cpu", intra_threads=THREADS, compute_type=sys.argv[2])
names = json.loads((shared if shared.exists() else folder / "vocabulary.json").read_text(encoding="utf-8"))


def write(tokens, new, callback):
    if shared.exists():
        limits = {"beam_size": 1, "max_input_length": 0, "max_decoding_length": new, "min_decoding_length": new}
        return model.translate_batch([tokens], callback=callback, **limits)
    return model.generate_batch(
        [tokens], max_length=new, min_length=new, include_prompt_in_result=False, callback=callback
    )


def run(count, new):
    """Seconds until each of ``new`` tokens, after a prompt of ``count``; the first includes the prefill."""
    stamps = [time.perf_counter()]
    tokens = [names[i] for i in prompt(count, len(names))]
    write(tokens, new, lambda result: stamps.append(time.perf_counter()) or False)
    return [after - before for before, after in pairwise(stamps)]


run(16, 4)
_answer({"ready": True})
context = 16
for line in sys.stdin:
    what, *arguments = line.split()
    if what == "prefill":
        context = int(arguments[0])
        _answer(run(context, 1)[0])
    elif what == "decode":
        _answer(run(context, int(arguments[0]) + 1)[1:])
    else:
        _answer(memory())
