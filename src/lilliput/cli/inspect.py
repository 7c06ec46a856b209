"""``lilliput inspect``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lilliput.cli import options
from lilliput.cli.output import print_facts, print_json
from lilliput.data_flow import DataFlow
from lilliput.errors import plain
from lilliput.generator_manifest import KIND
from lilliput.report.generator_card import activations_in_words, in_words
from lilliput.search.space import Architecture
from lilliput.shipped import NAMES
from lilliput.verbs.inspect import inspect as run


def inspect(
    artifact: Annotated[str, typer.Argument(help=f"An artifact's folder, or {NAMES}.")],
    json: options.Json = False,
) -> None:
    """Describe an artifact and verify all of its files.

    Shows its bytes by part, architecture, provenance and hashes.
    """
    facts = run(artifact).as_dict()
    if json:
        print_json(facts)
        return
    sizes = {"bytes": f"{facts['bytes']['total']:,}"}
    sizes |= {f"  {name}": f"{size:,}" for name, size in facts["bytes"].items() if name != "total"}
    shown = _generator(facts) if facts["kind"] == KIND else _classifier(facts)
    hashes = {"sha256": "of every file, verified, in the format of sha256sum:"}
    print_facts({"artifact": facts["path"], **shown, **sizes, **_made(facts), **hashes})
    for name, digest in facts["sha256"].items():
        typer.echo(plain(f"{digest}  {name}"))


def _classifier(facts: Mapping[str, Any]) -> dict[str, Any]:
    flow = facts["options"]["data_flow"]
    return {
        "task": f"{facts['task']}: {', '.join(facts['labels'])}",
        "architecture": Architecture(**facts["architecture"]),
        **({"reads besides tokens": DataFlow(**flow)} if flow else {}),
        "weights": f"{facts['parameters']:,} parameters, {facts['precision']}",
        "longest input": f"{facts['max_tokens']} tokens",
    }


def _generator(facts: Mapping[str, Any]) -> dict[str, Any]:
    worst = [f"{item['name']} {item['relative_error']:.2%}" for item in facts["evidence"].get("worst_weights", [])]
    return {
        "architecture": f"{facts['model_type']}, {facts['parameters']:,} parameters",
        **{f"{role} weights": in_words(scheme) for role, scheme in facts["weights"].items()},
        "activations": activations_in_words(facts["activations"]),
        "largest errors": ", ".join(worst) or "unknown",
        "longest sequence": "unlimited" if facts["positions"] is None else f"{facts['positions']} tokens",
        "fill in the middle": "no" if facts["fill"] is None else "yes",
    }


def _made(facts: Mapping[str, Any]) -> dict[str, Any]:
    made = facts["provenance"]
    source = made.get("teacher") or made.get("checkpoint") or {}
    seed = f", seed {made['seed']}" if "seed" in made else ""
    return {
        "made from": source.get("name", "unknown"),
        **{f"data, {name}": _examples(part) for name, part in made.get("data", {}).items()},
        "made": f"{made.get('date', 'unknown')}{seed}",
    }


def _examples(part: Mapping[str, Any]) -> str:
    count = part.get("examples")
    return f"{count:,} examples" if isinstance(count, int) else "unknown"
