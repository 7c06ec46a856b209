"""Measure generators after quantization: perplexity on unseen code, and pass@1 on HumanEval.

Run: python benchmarks/generator_quality.py ARTIFACT... [--humaneval HumanEval.jsonl.gz] [--llama FILE.gguf]

Perplexity is on pieces of the standard library that calibration never sees, with each artifact's own tokenizer, so only
artifacts with the same tokenizer are comparable. HumanEval is completed greedily, without a chat template, with at most
320 new tokens, cut at the stop strings of ``lilliput.data.humaneval``; the programs run in the sandbox. --llama runs
llama.cpp on the same prompts, stop strings and tokens, if the package llama-cpp-python is installed.

HumanEval's prompts end in a line break. Tokenizers like GPT-2's (CodeGen, StarCoder, SmolLM) merge line breaks with the
indentation that follows, so their models have rarely seen text continue after a lone line break, and may write nothing
at all; for them, --strip removes it. Qwen's tokenizer keeps the two apart, and its models need the line break.

Every completion is saved to a file beside the output as soon as it is made, keyed by model, settings and versions, so
that an interrupted run resumes. --fresh discards them.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.metadata
import json
import math
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.artifact import MANIFEST, TOKENIZER, open_artifact
from lilliput.data.humaneval import STOPS, Problem, program
from lilliput.data.problems import read_problems
from lilliput.errors import UserError
from lilliput.evaluate.intervals import Estimate, bootstrap_mean
from lilliput.evaluate.passk import Tries, mean_pass_at_k
from lilliput.evaluate.perplexity import held_out_ids, perplexity
from lilliput.evaluate.resources import machine, usable_cores
from lilliput.evaluate.sandbox import protections, run_many
from lilliput.files import sha256_of, write_json
from lilliput.progress import for_stream
from lilliput.runtime.generator import Generator

NEW_TOKENS = 320
PIECE_TOKENS = 512
VERSIONS = ("lilliput", "openvino", "tokenizers", "llama-cpp-python")

Row = dict[str, Any]


class Kept:
    """Results of earlier runs, as JSON lines, each written as soon as it is known.

    Args:
        path: the file; a line truncated by an interruption is skipped.
        fresh: discard existing results.
    """

    def __init__(self, path: Path, fresh: bool) -> None:
        self.path = path
        if fresh:
            path.unlink(missing_ok=True)
        self.found: dict[str, Row] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            self.found[record["key"]] = record

    def key(self, *what: object) -> str:
        """Return a cache key for a result of exactly these inputs and the installed package versions."""
        return hashlib.sha256(json.dumps([*what, versions()]).encode()).hexdigest()

    def add(self, key: str, record: Mapping[str, Any]) -> None:
        self.found[key] = {"key": key, **record}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            start = "\n" if stream.tell() else ""  # terminates a truncated line
            stream.write(start + json.dumps(self.found[key]))


def versions() -> dict[str, str]:
    found = {}
    for package in VERSIONS:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


Complete = Callable[[Sequence[str]], list[Row]]
"""Complete prompts: a ``text``, ``tokens`` and ``finish`` for each."""


def completions(
    name: str, model: str, open_model: Callable[[], Complete], problems: Sequence[Problem], batch: int, kept: Kept
) -> list[Row]:
    """Complete each problem, reusing saved completions; the model is opened only if one is missing."""
    keys = {problem: kept.key(model, problem.prompt, NEW_TOKENS, STOPS, batch) for problem in problems}
    missing = sorted((p for p in problems if keys[p] not in kept.found), key=lambda problem: len(problem.prompt))
    if missing:
        complete = open_model()
        with for_stream().track(f"{name}: completing", len(missing)) as advance:
            for first in range(0, len(missing), batch):
                part = missing[first : first + batch]
                for problem, made in zip(part, complete([problem.prompt for problem in part]), strict=True):
                    kept.add(keys[problem], {"task_id": problem.task_id, **made})
                advance(len(part))
    return [kept.found[keys[problem]] for problem in problems]


def judged(name: str, problems: Sequence[Problem], made: Sequence[Row]) -> Row:
    """Compute pass@1 and the outcome of each problem."""
    for_stream().note(f"{name}: running the programs")
    programs = [program(problem, one["text"]) for problem, one in zip(problems, made, strict=True)]
    verdicts = run_many(programs, progress=for_stream())
    rate = mean_pass_at_k([Tries(1, int(verdict.passed)) for verdict in verdicts], 1)
    return {
        "pass@1": asdict(rate),
        "solved": sum(verdict.passed for verdict in verdicts),
        "empty": sum(not one["text"].strip() for one in made),
        "problems": [
            {
                "task_id": problem.task_id,
                "outcome": verdict.outcome,
                "detail": verdict.detail,
                "tokens": one["tokens"],
                "finish": one["finish"],
            }
            for problem, verdict, one in zip(problems, verdicts, made, strict=True)
        ],
    }


def artifact_row(path: Path, problems: Sequence[Problem], options: argparse.Namespace, kept: Kept) -> Row:
    artifact = open_artifact(path)
    model = sha256_of(path / MANIFEST)  # contains the hash of every other file
    name = path.resolve().name
    row: Row = {"model": name, "bytes": artifact.bytes().total, "weights": dict(artifact.generator.weights)}
    row["manifest_sha256"] = model
    if options.perplexity_pieces:
        key = kept.key(model, "perplexity", options.perplexity_pieces, PIECE_TOKENS)
        if key not in kept.found:
            ids = held_out_ids(path, options.perplexity_pieces, PIECE_TOKENS)
            try:
                found = asdict(perplexity(path, ids, options.threads, for_stream()))
            except UserError as error:  # an encoder-decoder
                found = {"note": error.problem}
            kept.add(key, {"found": found})
        row["perplexity"] = kept.found[key]["found"]
    if problems:

        def open_model() -> Complete:
            generator = Generator.open(artifact, options.threads)

            def complete(prompts: Sequence[str]) -> list[Row]:
                made = generator.generate(prompts, max_new_tokens=NEW_TOKENS, stop=STOPS, batch=options.batch)
                return [asdict(one) for (one,) in made]

            return complete

        row["humaneval"] = judged(name, problems, completions(name, model, open_model, problems, options.batch, kept))
    return row


class Llama:
    """A GGUF file in llama.cpp.

    Args:
        path: the file.
        threads: number of threads.
        positions: positions in its KV cache.
        every_logit: keep the logits of all prompt tokens (much memory), not only of the last.
    """

    def __init__(self, path: Path, threads: int, positions: int, every_logit: bool) -> None:
        package: Any = importlib.import_module("llama_cpp")
        self.model = package.Llama(
            model_path=str(path),
            n_ctx=positions,
            n_threads=threads,
            n_threads_batch=threads,
            logits_all=every_logit,
            verbose=False,
        )

    def complete(self, prompts: Sequence[str]) -> list[Row]:
        made = []
        for prompt in prompts:
            answer = self.model.create_completion(
                prompt, max_tokens=NEW_TOKENS, temperature=0.0, repeat_penalty=1.0, stop=list(STOPS)
            )
            choice = answer["choices"][0]
            tokens = answer["usage"]["completion_tokens"]
            made.append({"text": choice["text"], "tokens": tokens, "finish": choice["finish_reason"]})
        return made

    def same_tokens(self, text: str, ids: Sequence[int]) -> bool:
        """Return whether these ids stand for the same text in this vocabulary."""
        known = max(ids) < self.model.n_vocab()
        return known and self.model.detokenize(list(ids)).decode("utf-8", "replace").strip() == text.strip()

    def costs(self, rows: Sequence[Sequence[int]]) -> Iterator[float]:
        """Mean negative log-likelihood, in nats, of each piece's tokens except the first."""
        for row in rows:
            self.model.reset()
            self.model.eval(row[:-1])
            logits = np.asarray(self.model.scores[: len(row) - 1], np.float64)
            logits -= logits.max(axis=1, keepdims=True)
            chosen = logits[np.arange(len(logits)), row[1:]]
            yield float((np.log(np.exp(logits).sum(axis=1)) - chosen).mean())


def llama_row(path: Path, artifact: Path, problems: Sequence[Problem], options: argparse.Namespace, kept: Kept) -> Row:
    """Measure a GGUF file; perplexity is on the same tokens as for ``artifact`` if they share a vocabulary."""
    model, name = sha256_of(path), f"{path.parent.name}/{path.name}, llama.cpp"
    row: Row = {"model": name, "bytes": path.stat().st_size, "file_sha256": model}
    threads = options.threads or usable_cores()
    if options.perplexity_pieces:
        ids = held_out_ids(artifact, options.perplexity_pieces, PIECE_TOKENS)
        key = kept.key(model, "perplexity", hashlib.sha256(ids.tobytes()).hexdigest())
        if key not in kept.found:
            text = tokenizer_of(artifact).decode(ids[0].tolist(), skip_special_tokens=False)
            llama = Llama(path, threads, PIECE_TOKENS, every_logit=True)
            if llama.same_tokens(text, ids[0].tolist()):
                kept.add(key, {"found": llama_perplexity(llama, ids, name)})
            else:
                kept.add(key, {"found": {"note": f"its tokens are not those of {artifact.name}"}})
        row["perplexity"] = kept.found[key]["found"]
    if problems:
        made = completions(
            name, model, lambda: Llama(path, threads, 2048, every_logit=False).complete, problems, 1, kept
        )
        row["humaneval"] = judged(name, problems, made)
    return row


def tokenizer_of(artifact: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(open_artifact(artifact).file(TOKENIZER)))


def llama_perplexity(llama: Llama, ids: np.ndarray, name: str) -> Row:
    costs = []
    with for_stream().track(f"{name}: perplexity", len(ids)) as advance:
        for cost in llama.costs(ids.tolist()):
            costs.append(cost)
            advance()
    mean = bootstrap_mean(np.array(costs))
    return {
        "perplexity": math.exp(mean.value),
        "nll": mean.value,
        "interval": [math.exp(mean.low), math.exp(mean.high)],
        "pieces": costs,
        "tokens": ids[:, 1:].size,
    }


def show(rows: Sequence[Row]) -> None:
    print(f"\n{'model':34} {'MB':>8} {'perplexity':>10} {'95 %':>16} {'pass@1 %':>9} {'95 %':>14}  outcomes")
    for row in rows:
        cells = f"{row['model'][-34:]:34} {row['bytes'] / 1e6:8.1f} "
        found = row.get("perplexity", {})
        if "nll" in found:
            low, high = found["interval"]
            cells += f"{found['perplexity']:10.3f} {f'[{low:.3f}, {high:.3f}]':>16} "
        else:
            cells += f"{'-':>10} {'':16} "
        if "humaneval" in row:
            rate = Estimate(**row["humaneval"]["pass@1"])
            outcomes = [problem["outcome"] for problem in row["humaneval"]["problems"]]
            counts = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in sorted(set(outcomes)))
            cells += f"{100 * rate.value:9.1f} {f'[{100 * rate.low:.1f}, {100 * rate.high:.1f}]':>14}  {counts}"
        print(cells)
        if "note" in found:
            print(f"  perplexity: {found['note']}")
        if row.get("humaneval", {}).get("empty"):
            print(
                f"  {row['humaneval']['empty']} completions are empty: see --help on line breaks at the prompts' ends"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", type=Path, nargs="+", metavar="ARTIFACT")
    parser.add_argument("--humaneval", type=Path, help="HumanEval.jsonl.gz; needed for pass@1")
    parser.add_argument("--limit", type=int, help="use only the first problems of the file; all by default")
    parser.add_argument("--strip", action="store_true", help="remove the line break at the end of prompts")
    parser.add_argument("--perplexity-pieces", type=int, default=64, help=f"pieces of {PIECE_TOKENS} tokens; 0: none")
    parser.add_argument("--batch", type=int, default=8, help="prompts per batch")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--llama", type=Path, action="append", default=[], metavar="FILE.gguf", help="repeatable")
    parser.add_argument("--fresh", action="store_true", help="discard completions of earlier runs")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "generator_quality.json")
    options = parser.parse_args()
    problems = read_problems(options.humaneval, "humaneval")[: options.limit] if options.humaneval else []
    if options.strip:
        problems = [replace(problem, prompt=problem.prompt.rstrip()) for problem in problems]
    kept = Kept(options.output.with_suffix(".kept.jsonl"), options.fresh)
    rows = [artifact_row(path, problems, options, kept) for path in options.artifacts]
    if options.llama:
        try:
            importlib.import_module("llama_cpp")
        except ImportError as error:
            print(f"no column for llama.cpp: {error}; pip install llama-cpp-python brings it.", file=sys.stderr)
        else:
            rows += [llama_row(file, options.artifacts[0], problems, options, kept) for file in options.llama]
    show(rows)
    given = [Path(word).name if "/" in word else word for word in sys.argv[1:]]  # without local folders
    write_json(
        options.output,
        {
            "command": shlex.join(["python", "benchmarks/generator_quality.py", *given]),
            "machine": machine(),
            "versions": versions(),
            "settings": {
                "new_tokens": NEW_TOKENS,
                "stops": STOPS,
                "stripped": options.strip,
                "batch": options.batch,
                "threads": options.threads,
            },
            "sandbox": asdict(protections()),
            "rows": rows,
        },
    )
    print(f"\nwrote {options.output}")


if __name__ == "__main__":
    main()
