"""Load an artifact of either kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lilliput.artifact import open_artifact
from lilliput.generator_manifest import GeneratorManifest
from lilliput.runtime.classifier import Classifier

if TYPE_CHECKING:
    from lilliput.runtime.generator import Generator


def load(path: str | Path, threads: int | None = None) -> Classifier | Generator:
    """Open an artifact and make it ready to run.

    The manifest decides which kind is returned, so type checkers cannot know it. Code that needs one kind uses
    ``Classifier(open_artifact(path))`` or ``Generator.open(open_artifact(path))``, which reject the other.

    Args:
        path: the artifact's folder.
        threads: processor threads; ``None`` leaves the choice to the engine.

    Returns:
        A :class:`~lilliput.runtime.classifier.Classifier` (made by ``lilliput shrink``), with ``predict``; or a
        :class:`~lilliput.runtime.generator.Generator` (made by ``lilliput quantize``), with ``generate``.

    Raises:
        ArtifactError: the artifact is missing, damaged, altered, or of a later schema.
    """
    artifact = open_artifact(path)
    if isinstance(artifact.manifest, GeneratorManifest):
        from lilliput.runtime.generator import Generator  # not above: classifiers start faster without it

        return Generator.open(artifact, threads)
    return Classifier(artifact, threads)
