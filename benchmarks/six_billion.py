"""A 6 B CodeGen on a laptop: quantize it under a memory cap, load it, and run it, with random weights of its shape.

Run: python benchmarks/six_billion.py FOLDER [--weights int8 int4] [--cap 4GB] [--output FILE]

FOLDER needs 27 GB. The checkpoint (14 GB, float16, sharded) is made there once. ``lilliput quantize`` then runs in its
own process, inside a cgroup if the user may create one: a cgroup counts every page, including the page cache. Its
private memory is sampled. The artifact is loaded in another process, which reports memory and speed. Memory reads and
decoding then alternate, because decoding is bounded by the current memory bandwidth divided by the bytes of weights
read per token.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.artifact import open_artifact
from lilliput.evaluate import paired
from lilliput.evaluate.resources import machine
from lilliput.files import write_json
from lilliput.kernels.build import in_use
from lilliput.runtime.loading import load
from lilliput.units import parse_bytes

CONFIG = {
    "model_type": "codegen",
    "vocab_size": 51200,
    "n_embd": 4096,
    "n_layer": 33,
    "n_head": 16,
    "n_positions": 2048,
    "rotary_dim": 64,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 50256,
}
"""Salesforce/codegen-6B-mono's published configuration."""

SHARD_BYTES = 2_000_000_000
TOKENS = 200
ROUNDS = 20
BLOCK = np.random.default_rng(0).normal(0, 0.02, 16_777_213).astype(np.float16)
"""Weights repeat this block, starting at a different offset for each tensor."""


def shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    width, inner, vocabulary = CONFIG["n_embd"], 4 * CONFIG["n_embd"], CONFIG["vocab_size"]
    yield "transformer.wte.weight", (vocabulary, width)
    for layer in range(CONFIG["n_layer"]):
        name = f"transformer.h.{layer}"
        yield f"{name}.ln_1.weight", (width,)
        yield f"{name}.ln_1.bias", (width,)
        yield f"{name}.attn.qkv_proj.weight", (3 * width, width)
        yield f"{name}.attn.out_proj.weight", (width, width)
        yield f"{name}.mlp.fc_in.weight", (inner, width)
        yield f"{name}.mlp.fc_in.bias", (inner,)
        yield f"{name}.mlp.fc_out.weight", (width, inner)
        yield f"{name}.mlp.fc_out.bias", (width,)
    yield "transformer.ln_f.weight", (width,)
    yield "transformer.ln_f.bias", (width,)
    yield "lm_head.weight", (vocabulary, width)
    yield "lm_head.bias", (vocabulary,)


def make_checkpoint(folder: Path) -> None:
    """Write the checkpoint as transformers would."""
    shards: list[list[tuple[str, tuple[int, ...]]]] = [[]]
    for name, shape in shapes():
        if sum(2 * int(np.prod(s)) for _, s in shards[-1]) + 2 * np.prod(shape) > SHARD_BYTES:
            shards.append([])
        shards[-1].append((name, shape))
    folder.mkdir(parents=True, exist_ok=True)
    index = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        header, end = {}, 0
        for name, shape in shard:
            size = 2 * int(np.prod(shape))
            header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [end, end + size]}
            end, index[name] = end + size, file
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with (folder / file).open("wb") as stream:
            stream.write(len(text).to_bytes(8, "little") + text)
            for name, shape in shard:
                left, place = int(np.prod(shape)), hash_of(name) % BLOCK.size
                while left:
                    part = BLOCK[place : place + left]
                    stream.write(part.data)
                    left, place = left - part.size, 0
    make_tokenizer(folder, CONFIG["vocab_size"], CONFIG["eos_token_id"])
    total = sum(2 * int(np.prod(shape)) for shard in shards for _, shape in shard)
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": index})
    write_json(folder / "config.json", CONFIG)


def make_tokenizer(folder: Path, size: int, special: int) -> None:
    """Write a byte-level tokenizer of ``size`` tokens; token ``special`` begins and ends texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*letters, *(f"<unused {number}>" for number in range(len(letters), size))]
    vocabulary = {token: number for number, token in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(False), decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    kinds = {f"{kind}_token": names[special] for kind in ("bos", "eos", "unk", "pad")}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **kinds})


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode(), "little")


@contextlib.contextmanager
def memory_cap(size: int) -> Iterator[tuple[str, Path | None]]:
    """Yield the shell prefix to enter a cgroup of ``size`` bytes and its peak file; empty if none can be created."""
    group = Path("/sys/fs/cgroup/memory/lilliput-benchmark")
    try:
        group.mkdir(exist_ok=True)
        (group / "memory.limit_in_bytes").write_text(str(size))
    except OSError:
        yield "", None
        return
    try:
        yield f"echo $$ > {group}/cgroup.procs && ", group / "memory.max_usage_in_bytes"
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


class PrivateMemory(threading.Thread):
    """Sample the anonymous memory of a process tree until it ends."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        self.process, self.peak, self.resident = process, 0, 0

    def run(self) -> None:
        while self.process.poll() is None:
            with contextlib.suppress(OSError, KeyError):  # the process has just ended
                lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines()
                found = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
                anonymous = 1024 * int(found["RssAnon"])
                self.peak = max(self.peak, anonymous)
                self.resident = max(self.resident, anonymous + 1024 * int(found["RssFile"]))
            time.sleep(0.02)


def quantize(checkpoint: Path, out: Path, weights: str, cap: int) -> dict[str, Any]:
    tool = str(Path(sys.executable).with_name("lilliput"))
    command = [tool, "quantize", str(checkpoint), "--weights", weights, "--out", str(out)]
    with memory_cap(cap) as (enter, told):
        start = time.monotonic()
        process = subprocess.Popen(["bash", "-c", f"{enter}exec {shlex.join(command)}"])
        watch = PrivateMemory(process)
        watch.start()
        code = process.wait()
        watch.join()
        peak = int(told.read_text(encoding="utf-8")) if told else None
    if code:
        raise SystemExit(f"{shlex.join(command)} ended with {code}")
    return {
        "weights": weights,
        "seconds": time.monotonic() - start,
        "private_mb": watch.peak / 1e6,
        "resident_mb": watch.resident / 1e6,
        "cap_mb": cap / 1e6 if told else None,
        "control_group_peak_mb": None if peak is None else peak / 1e6,
        "artifact_bytes": open_artifact(out).bytes().total,
    }


def resident() -> dict[str, float]:
    """Memory of this process in MB."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines}
    return {"resident_mb": found["Rss"], "private_mb": found["Anonymous"]}


class Memory:
    """Memory read bandwidth of threads that each compute the maximum of ``size`` bytes.

    Summing instead, as in results before 2026-12-01, is bound by arithmetic on some processors (a Xeon: 18 GB/s, where
    this reads 28).
    """

    def __init__(self, threads: int = 2, size: int = 1 << 29) -> None:
        self.parts = [np.ones(size // 8) for _ in range(threads)]
        self.rates: list[float] = []

    def rate(self) -> float:
        """Bytes per second of one measurement."""
        workers = [threading.Thread(target=part.max) for part in self.parts]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.rates.append(sum(part.nbytes for part in self.parts) / (time.perf_counter() - start))
        return self.rates[-1]


def bandwidth() -> float:
    """Bytes per second that two threads read, the best of several."""
    memory = Memory()
    return max(memory.rate() for _ in range(8))


def run(artifact: Path) -> dict[str, Any]:
    """Load, decode ``TOKENS`` tokens after a prompt of 32, then alternate memory reads and decoding for ``ROUNDS``."""
    start = time.perf_counter()
    model = load(artifact, threads=2)
    loaded = time.perf_counter() - start
    session = model.session
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    logits = session.start([rng.integers(0, 50000, 32)])
    first = time.perf_counter() - start

    def decode(count: int) -> list[float]:
        """Decode ``count`` tokens and return the seconds of each."""
        nonlocal logits
        times = []
        for _ in range(count):
            token = logits.argmax(axis=1)
            start = time.perf_counter()
            logits = session.step(token, np.zeros(1, np.int32))
            times.append(time.perf_counter() - start)
        return times

    times = decode(TOKENS)
    used = resident()
    weights = json.loads((artifact / "evidence.json").read_text(encoding="utf-8"))["weights"]
    read = sum(entry["bytes"] for entry in weights if entry["name"] != "embedding.weight")
    memory = Memory()
    share = paired.median([read / (memory.rate() * statistics.median(decode(4))) for _ in range(ROUNDS)])
    return {
        **used,
        "kernels": in_use(),
        "load_seconds": loaded,
        "first_logits_seconds": first,
        "tokens_per_second": 1 / statistics.median(times),
        "tokens": TOKENS,
        "bytes_a_token": read,
        "bandwidth_gb": statistics.median(memory.rates) / 1e9,
        "of_bandwidth": share.value,
        "of_bandwidth_interval": [share.low, share.high],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", nargs="+", default=["int8", "int4"])
    parser.add_argument("--cap", default="4GB")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "six_billion.json")
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(options.run)))
        return
    checkpoint = options.folder / "codegen-6b-random"
    if not (checkpoint / "config.json").exists():
        make_checkpoint(checkpoint)
    rows = []
    for weights in options.weights:
        out = options.folder / f"codegen-6b-{weights}"
        made = quantize(checkpoint, out, weights, parse_bytes(options.cap))
        command = [sys.executable, __file__, str(options.folder), "--run", str(out)]
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "2"})
        rows.append({"quantize": made, "run": json.loads(ran.stdout.decode().splitlines()[-1])})
        print(json.dumps(rows[-1], indent=2), flush=True)
        shutil.rmtree(out)
    command = shlex.join(["python", "benchmarks/six_billion.py", "FOLDER", *sys.argv[2:]])
    write_json(options.output, {"command": command, "machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
