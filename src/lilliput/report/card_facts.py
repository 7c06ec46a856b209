"""The facts of a classifier's card, collected from its artifact: manifest, evidence, file sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.artifact import GRAPH, TOKENIZER, Manifest
from lilliput.encoder import EncoderConfig
from lilliput.report import undefined
from lilliput.report.card import CardFacts

NAMED = 3
"""Maximum number of files named per data split; the rest are counted."""


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
    """Collect the facts of a card.

    Args:
        name: of the model.
        manifest: of the artifact, with its provenance.
        evidence: the content of ``evidence.json``.
        sizes: file name -> bytes, at least for the graph and the tokenizer.
        address: argument that loads it; ``None``: the folder that holds it.
        license: by its hub identifier; ``None``: none was chosen.
        terms: sentences about the data's terms.
        limits: sentences about limits specific to this model, besides the general ones.
    """
    config, made, valid = manifest.config, manifest.provenance, evidence.get("valid", {})
    mix = evidence.get("settings", {}).get("mix") or {"soft": 1.0}  # older artifacts do not record it
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
    """The layers, and the n-gram tables, data flow and vector beside them, in words."""
    beside = ""
    for name, grams in config.tables.items():
        kind = "single tokens" if grams.order == 1 else f"n-grams of 1 to {grams.order} tokens"
        how = "; linear model of " if name == "linear" else "; "
        beside += f"{how}{kind}, {grams.rows:,} rows x {grams.width}"
    vector = f"; vectors of {config.vector} 8-bit numbers" if config.vector else ""
    flow = f"; {config.data_flow}" if config.data_flow else ""
    return f"{config.architecture}{beside}{flow}{vector}"


def _files(data: Mapping[str, Any]) -> str:
    """The first files and a count of the rest. Older manifests have no count, but name all files."""
    names = data["files"]
    more = data.get("file_count", len(names)) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
