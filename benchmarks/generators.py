"""Speed and memory of generators against llama.cpp, CTranslate2, optimum-intel and torch; two threads, one sequence.

Run: python benchmarks/generators.py WORK --model qwen=model.gguf [--rounds 10] [--output FILE]
     python benchmarks/generators.py WORK --model codegen=random-codegen
     python benchmarks/generators.py WORK --model codet5=random-codet5

WORK holds an environment and converted models for each peer, created if missing (20 GB), so that peers need not share
package versions. Each peer runs in its own process (``peers/``) and answers one request at a time: all are loaded and
measured in turn, round after round, so that a slow phase of the machine affects all alike. Ratios are between medians,
with the 95 % interval of a bootstrap over rounds. 'random-' models have random weights; llama.cpp, for which there is
no file, is left out. For an encoder-decoder the prompt is the source.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
from six_billion import Memory

from lilliput.evaluate import paired
from lilliput.evaluate.resources import machine
from lilliput.files import write_json
from lilliput.kernels.build import kernels
from lilliput.progress import for_stream
from lilliput.quantize.policy import policy
from lilliput.verbs.quantize import QuantizeSettings, quantize

HERE = Path(__file__).parent
PROMPT, DECODED, REMEMBERED, SHORT = 512, 32, 200, 16
"""Tokens of a prompt; tokens decoded per round; tokens decoded before memory is measured; tokens of a short prompt."""

PACKAGES = {
    "llama": ("llama-cpp-python==0.3.36",),
    "ctranslate2": ("ctranslate2==4.8.5", "numpy"),
    "optimum": ("torch==2.13.0", "optimum-intel==2.2.0", "openvino", "nncf"),
    "torch": ("torch==2.13.0", "transformers", "safetensors", "ctranslate2==4.8.5"),
}
"""Environment -> packages installed in it. The one for torch also converts for CTranslate2."""

BUILT_WITH = {"llama": {"CMAKE_ARGS": r"-DCMAKE_CXX_FLAGS=-fno-dse\ -fno-tree-dse"}}
"""Environment -> variables for its installation. GCC 12 considers llama.cpp's AMX tile configuration unused and
eliminates it, so that the first product crashes the process."""

UNWANTED = {"optimum": ("torchvision",)}
"""Environment -> dependencies to remove that text models do not need: PyPI's torchvision is built for CUDA and does not
load with a CPU build of torch."""

OURS = {
    "lilliput int8": QuantizeSettings(policy("int8")),
    "lilliput int4": QuantizeSettings(policy("int4")),
    "lilliput int4 with int4 head": QuantizeSettings(policy("int4", head="int4")),
}
"""Rounded to nearest throughout: the rounding method makes no difference to speed."""


@dataclass(frozen=True)
class Peer:
    """A way to run the model.

    Attributes:
        name: name with precision.
        command: command that starts it.
        path: path of its weights.
        process: the process, once started.
    """

    name: str
    command: tuple[str, ...]
    path: Path

    @property
    def bytes(self) -> int:
        if self.path.is_file():
            return self.path.stat().st_size
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


class Workplace:
    """Paths of environments and models, created if missing."""

    def __init__(self, folder: Path, name: str, source: str) -> None:
        self.folder, self.name, self.source = folder, name, source
        self.models = folder / name

    def python(self, environment: str) -> str:
        home = self.folder / f"env-{environment}"
        if not (home / "ready").exists():
            print(f"installing {environment} ...", flush=True)
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            variables = {**os.environ, **BUILT_WITH.get(environment, {})}
            subprocess.run([str(home / "bin/pip"), "install", "-q", *PACKAGES[environment]], check=True, env=variables)
            if environment in UNWANTED:
                subprocess.run([str(home / "bin/pip"), "uninstall", "-q", "-y", *UNWANTED[environment]], check=True)
            (home / "ready").touch()
        return str(home / "bin/python")

    def checkpoint(self) -> Path:
        """Return a folder that transformers can read, float16."""
        folder = self.models / "checkpoint"
        if not (folder / "config.json").exists():
            checkpoints.make(self.source, folder)
        return folder

    def converted(self, peer: str, target: str, environment: str, *arguments: str) -> Path:
        """Return the checkpoint as converted by ``peer`` itself."""
        path = self.models / target
        if not path.exists():
            print(f"making {target} ...", flush=True)
            subprocess.run([self.python(environment), str(HERE / "peers" / peer), *arguments], check=True)
        return path

    def peers(self, wanted: Sequence[str]) -> list[Peer]:
        found = []
        for name, settings in OURS.items():
            out = self.models / name.replace(" ", "-")
            if not out.exists():
                quantize(self.checkpoint(), out, settings=settings, progress=for_stream())
            found.append(self._peer(name, sys.executable, "lilliput_peer.py", out))
        if "llama" in wanted and self.source.endswith(".gguf"):
            for kind in ("Q8_0", "Q4_0"):
                path = self.models / f"{kind}.gguf"
                self.converted("llama_peer.py", path.name, "llama", self.source, str(path), kind)
                found.append(self._peer(f"llama.cpp {kind}", self.python("llama"), "llama_peer.py", path))
        if "ctranslate2" in wanted:
            path = self.models / "ctranslate2-int8"
            if not path.exists():
                converter = str(Path(self.python("torch")).with_name("ct2-transformers-converter"))
                arguments = ["--model", str(self.checkpoint()), "--output_dir", str(path), "--quantization", "int8"]
                subprocess.run([converter, *arguments], check=True)
            python = self.python("ctranslate2")
            found.append(self._peer("CTranslate2 int8", python, "ctranslate2_peer.py", path, "int8"))
        if "optimum" in wanted:
            for bits in ("8", "4"):
                path = self.models / f"optimum-{bits}"
                self.converted("optimum_peer.py", path.name, "optimum", str(self.checkpoint()), str(path), bits)
                found.append(self._peer(f"optimum-intel int{bits}", self.python("optimum"), "optimum_peer.py", path))
        if "torch" in wanted:
            for kind in ("bf16", "fp32"):
                python = self.python("torch")
                found.append(self._peer(f"torch {kind}", python, "torch_peer.py", self.checkpoint(), kind))
        return found

    def _peer(self, name: str, python: str, script: str, path: Path, *arguments: str) -> Peer:
        return Peer(name, (python, str(HERE / "peers" / script), str(path), *arguments), path)


class Running:
    """A running peer."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.process = subprocess.Popen(peer.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.prefill: list[float] = []
        self.decode: list[float] = []
        self.shares: list[float] = []  # decoding speed as shares of the bandwidth limit
        self.memory: dict[str, float] = {}
        self.short_memory: dict[str, float] = {}

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.peer.name} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, question: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return self.answer()

    def memory_after(self, tokens: int) -> dict[str, float]:
        """Memory after a prompt of so many tokens and ``REMEMBERED`` more."""
        self.ask(f"prefill {tokens}")
        self.ask(f"decode {REMEMBERED}")
        found: dict[str, float] = self.ask("memory")
        return found


def interval(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, list[float]]:
    """Median of ``theirs`` divided by that of ``ours``, with a 95 % interval over rounds."""
    pairs = np.array([ours, theirs])
    rows = np.random.default_rng(0).integers(0, pairs.shape[1], (2000, pairs.shape[1]))
    medians = np.median(pairs[:, rows], axis=2)
    low, high = np.quantile(medians[1] / medians[0], [0.025, 0.975])
    return float(np.median(pairs[1]) / np.median(pairs[0])), [float(low), float(high)]


def share_of_limit(ours: Running, memory: Memory) -> float:
    """Weight bytes that decoding reads per second, divided by the memory bandwidth at the same time (median).

    The two alternate, four tokens at a time, because the memory bandwidth of a shared machine fluctuates.
    """
    weights, shares = weights_read(ours.peer.path), []
    for _ in range(DECODED // 4):
        rate = memory.rate()
        shares.append(weights / (statistics.median(ours.ask("decode 4")) * rate))
    return statistics.median(shares)


READ_ONCE = re.compile(r"encoder\.|.*\.cross_(key|value)\.|(.*\.)?embedding\.")
"""Weights of the encoder, and the embedding, of which a token reads one row."""


def weights_read(artifact: Path) -> int:
    """Bytes of weights read per token, including the embedding if it is tied to the output layer."""
    entries = json.loads((artifact / "evidence.json").read_text(encoding="utf-8"))["weights"]
    head = "head.weight" if any(entry["name"] == "head.weight" for entry in entries) else "embedding.weight"
    return sum(e["bytes"] for e in entries if e["name"] == head or not READ_ONCE.match(e["name"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    known = ", ".join(checkpoints.RANDOM)
    parser.add_argument("--model", required=True, help=f"NAME=FILE.gguf, or NAME= and one of {known}.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--peers", nargs="*", default=list(PACKAGES))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.rounds < paired.FEWEST:
        parser.error(f"argument --rounds: {paired.FEWEST} or more, for an interval")
    name, source = options.model.split("=", 1)
    kernels()
    work = Workplace(options.work.resolve(), name, source)
    running = [Running(peer) for peer in work.peers(options.peers)]
    for each in running:
        print(f"{each.peer.name}: {each.answer()}", flush=True)
        each.short_memory = each.memory_after(SHORT)
    memory = Memory()
    with for_stream().track("rounds", options.rounds) as advance:
        for _ in range(options.rounds):
            for each in running:
                each.prefill.append(each.ask(f"prefill {PROMPT}"))
                each.decode.append(statistics.median(each.ask(f"decode {DECODED}")))
            for each in running[: len(OURS)]:  # last, since so much memory traffic slows down what follows
                each.shares.append(share_of_limit(each, memory))
            advance()
    for each in running:
        each.memory = each.memory_after(PROMPT)
    rows = []
    print(f"\n{'':22} {'MB':>7} {'tokens/s':>9} {'limit':>6} {'prefill s':>9} {'resident MB':>12} {'private MB':>11}")
    for each in running:
        tokens = 1 / statistics.median(each.decode)
        row: dict[str, Any] = {
            "name": each.peer.name,
            "bytes": each.peer.bytes,
            "tokens_per_second": tokens,
            "prefill_seconds": statistics.median(each.prefill),
            **each.memory,
            **{f"{name}_after_short_prompt": value for name, value in each.short_memory.items()},
        }
        limit = ""
        if each.peer.name in OURS:
            share = paired.median(each.shares)
            row["of_bandwidth"], row["of_bandwidth_interval"] = share.value, [share.low, share.high]
            limit = f"{row['of_bandwidth']:.0%}"
        for ours in running[: len(OURS)]:
            row[f"decode, times {ours.peer.name}'s time"] = interval(ours.decode, each.decode)
            row[f"prefill, times {ours.peer.name}'s time"] = interval(ours.prefill, each.prefill)
        rows.append(row)
        print(
            f"{each.peer.name:22} {each.peer.bytes / 1e6:7.0f} {tokens:9.1f} {limit:>6} {row['prefill_seconds']:9.2f} "
            f"{row['resident_mb']:12.0f} {row['private_mb']:11.0f}"
        )
    output = options.output or HERE / "results" / f"generators-{name}.json"
    shown = [f"{name}={Path(source).name}" if argument == options.model else argument for argument in sys.argv[2:]]
    arguments = ["WORK", *shown]
    write_json(
        output,
        {
            "command": shlex.join(["python", "benchmarks/generators.py", *arguments]),
            "machine": machine(),  # including the kernels that our processes use
            "packages": PACKAGES,
            "prompt_tokens": PROMPT,
            "short_prompt_tokens": SHORT,
            "decoded_tokens": DECODED,
            "decoded_before_memory": REMEMBERED,
            "rounds": options.rounds,
            "read_bandwidth_gb_per_second": {
                "median": statistics.median(memory.rates) / 1e9,
                "best": max(memory.rates) / 1e9,
                "of": "threads that look for the largest of their numbers",
            },
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
