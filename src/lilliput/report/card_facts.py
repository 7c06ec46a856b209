"""What a classifier's card says, from what its artifact says: manifest, evidence, sizes of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.artifact import GRAPH, TOKENIZER, Manifest
from lilliput.encoder import EncoderConfig
from lilliput.report import undefined
from lilliput.report.card import CardFacts

NAMED = 3
"""Files of one part of the data that are named; more are counted."""


def card_facts(
    name: str,
    manifest: Manifest,
    evidence: Mapping[str, Any],
    sizes: Mapping[str, int],
    *,
    address: str | None = None,
    license: str | None = None,
    terms: Sequence[str] = (),
    limits: Sequence[str] = (),
) -> CardFacts:
    """The facts of a card.

    Args:
        name: of the model.
        manifest: what it is and where it comes from.
        evidence: the content of ``evidence.json``.
        sizes: file name -> bytes, of graph and tokenizer at least.
        address: what loads it; ``None``: the folder that it is in.
        license: as the hub of models names it; ``None``: nobody chose one.
        terms: sentences about the data's terms.
        limits: sentences about this very model, beside what is said of all.
    """
    config, made, valid = manifest.config, manifest.provenance, evidence.get("valid", {})
    mix = evidence.get("settings", {}).get("mix") or {"soft": 1.0}  # artifacts of before do not tell
    accuracy_interval = valid.get("intervals", {}).get("accuracy")
    return CardFacts(
        name=name,
        task=manifest.task,
        labels=manifest.labels,
        architecture=_architecture(config),
        precision=manifest.precision,
        max_tokens=manifest.max_tokens,
        bytes={"weights and graph": sizes[GRAPH], "tokenizer": sizes[TOKENIZER]},
        parameters=config.parameters,
        teacher=made.get("teacher", {}).get("name"),
        taught=bool(mix.get("soft") or mix.get("hidden")),
        data={f"{part} ({_files(data)})": data["sha256"] for part, data in made.get("data", {}).items()},
        seed=made.get("seed"),
        command=made.get("command") or None,
        version=made.get("versions", {}).get("lilliput"),
        accuracy=valid.get("accuracy"),
        accuracy_interval=None if accuracy_interval is None else (accuracy_interval[0], accuracy_interval[1]),
        majority=valid.get("majority"),
        f1=None if "f1" in undefined(valid) else valid.get("f1"),
        mcc=None if "mcc" in undefined(valid) else valid.get("mcc"),
        n=valid.get("n"),
        operating_points=valid.get("operating_points"),
        address=address,
        license=license,
        terms=tuple(terms),
        limits=tuple(limits),
    )


def _architecture(config: EncoderConfig) -> str:
    """The layers, and what stands beside them."""
    beside = ""
    for name, grams in config.tables.items():
        kind = "single tokens" if grams.order == 1 else f"n-grams of 1 to {grams.order} tokens"
        how = "; linear model of " if name == "linear" else "; "
        beside += f"{how}{kind}, {grams.rows:,} rows x {grams.width}"
    vector = f"; vectors of {config.vector} 8-bit numbers" if config.vector else ""
    flow = f"; {config.data_flow}" if config.data_flow else ""
    return f"{config.architecture}{beside}{flow}{vector}"


def _files(data: Mapping[str, Any]) -> str:
    """The first ones of all, whose number manifests of before do not tell: they name them all."""
    names = data["files"]
    more = data.get("file_count", len(names)) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
