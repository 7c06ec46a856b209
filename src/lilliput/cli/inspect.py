"""``lilliput inspect``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput.cli import options
from lilliput.cli.output import print_facts, print_json
from lilliput.search.space import Architecture
from lilliput.verbs.inspect import inspect as run


def inspect(
    artifact: Annotated[Path, typer.Argument(help="An artifact's folder.")],
    json: options.Json = False,
) -> None:
    """Show what an artifact is: bytes by part, architecture, provenance, hashes. Verifies every file."""
    facts = run(artifact).as_dict()
    if json:
        print_json(facts)
        return
    sizes, made = facts["bytes"], facts["provenance"]
    print_facts(
        {
            "artifact": facts["path"],
            "task": f"{facts['task']}: {', '.join(facts['labels'])}",
            "architecture": Architecture(**facts["architecture"]),
            "weights": f"{facts['parameters']:,} parameters, {facts['precision']}",
            "longest input": f"{facts['max_tokens']} tokens",
            "bytes": f"{sizes['total']:,}",
            **{f"  {name}": f"{size:,}" for name, size in sizes.items() if name != "total"},
            "teacher": made.get("teacher", {}).get("name", "unknown"),
            **{f"data, {name}": _examples(part) for name, part in made.get("data", {}).items()},
            "made": f"{made.get('date', 'unknown')}, seed {made.get('seed', 'unknown')}",
            **{f"sha256 {name}": digest for name, digest in facts["sha256"].items()},
        }
    )


def _examples(part: Mapping[str, Any]) -> str:
    count = part.get("examples")
    return f"{count:,} examples" if isinstance(count, int) else "unknown"
