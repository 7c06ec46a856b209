"""``inspect``: what an artifact is, where it came from, and where its bytes go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.artifact import Artifact, Manifest, open_artifact
from lilliput.generator_manifest import GeneratorManifest
from lilliput.search.cost import StudentShape, flops

WORST = 3
"""Number of a generator's weights to show: those that rounding changed most."""


@dataclass(frozen=True)
class Inspection:
    """An artifact's facts; :meth:`as_dict` gives them as plain JSON values."""

    artifact: Artifact

    def as_dict(self) -> dict[str, Any]:
        """Kind, bytes by part, provenance, hashes."""
        manifest = self.artifact.manifest
        facts = self._generator(manifest) if isinstance(manifest, GeneratorManifest) else self._classifier(manifest)
        return {
            "path": str(self.artifact.path),
            **facts,
            "bytes": self.artifact.bytes().as_dict(),
            "provenance": dict(manifest.provenance),
            "sha256": dict(self.artifact.hashes),
            "evidence": _summary(self.artifact.evidence()),
        }

    def _classifier(self, manifest: Manifest) -> dict[str, Any]:
        config = manifest.config
        nodes = config.data_flow.nodes if config.data_flow else 0
        shape = StudentShape(
            config.classes, config.arity, config.positions, config.vector, config.grams, nodes, config.linear
        )
        return {
            "kind": "classifier",
            "task": manifest.task,
            "labels": list(manifest.labels),
            "architecture": config.architecture.as_dict(),
            "options": {name: value for name, value in config.as_dict().items() if name != "architecture"},
            "precision": manifest.precision,
            "max_tokens": manifest.max_tokens,
            "parameters": config.parameters,
            "gflops": 1e-9 * flops(config.architecture, min(manifest.max_tokens, config.positions), shape),
        }

    def _generator(self, manifest: GeneratorManifest) -> dict[str, Any]:
        return manifest.as_dict()


def inspect(path: str | Path) -> Inspection:
    """Open and verify an artifact.

    Raises:
        ArtifactError: it is damaged, altered, or of a later schema.
    """
    return Inspection(open_artifact(path))


def _summary(evidence: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: evidence[name] for name in ("valid", "quantization") if name in evidence}
    weights = evidence.get("weights")
    if isinstance(weights, list):  # a generator's: show the worst
        rated = [item for item in weights if _is_rated(item)]
        found["worst_weights"] = sorted(rated, key=lambda item: -item["relative_error"])[:WORST]
    return found


def _is_rated(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    return isinstance(item.get("name"), str) and isinstance(item.get("relative_error"), float)
