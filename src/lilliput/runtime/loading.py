"""An artifact of either kind, loaded."""

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

    Which of the two it is, the artifact's manifest says, so that no type checker can know: code that needs to be told
    uses ``Classifier(open_artifact(path))`` or ``Generator.open(open_artifact(path))``, which refuse the other kind.

    Args:
        path: the artifact's folder.
        threads: processor threads; ``None`` leaves the choice to the engine.

    Returns:
        What ``lilliput shrink`` made, a :class:`~lilliput.runtime.classifier.Classifier`, to ``predict``; what
        ``lilliput quantize`` made, a :class:`~lilliput.runtime.generator.Generator`, to ``generate``.

    Raises:
        ArtifactError: it is missing, damaged, altered, or of a later schema.
    """
    artifact = open_artifact(path)
    if isinstance(artifact.manifest, GeneratorManifest):
        from lilliput.runtime.generator import Generator  # only then: a classifier starts the faster without

        return Generator.open(artifact, threads)
    return Classifier(artifact, threads)
