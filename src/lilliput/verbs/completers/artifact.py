"""An artifact measured as a generator."""

from __future__ import annotations

from lilliput.artifact import MANIFEST, Artifact, open_artifact
from lilliput.files import sha256_of
from lilliput.generator_manifest import GeneratorManifest
from lilliput.runtime.generator import Generator
from lilliput.teachers.chat_template import TEMPLATE_FILE
from lilliput.verbs.completers.base import GeneratorSource
from lilliput.verbs.completers.chat import ChatTemplate, template_for
from lilliput.verbs.completers.local import LocalCompleter
from lilliput.verbs.kept import artifact_key


def found(source: GeneratorSource) -> tuple[Artifact, GeneratorManifest]:
    """The artifact ``source.model`` and its manifest.

    Raises:
        ArtifactError: it is damaged, or a classifier's.
    """
    artifact = open_artifact(source.model)
    return artifact, artifact.generator


def open_completer(source: GeneratorSource) -> LocalCompleter:
    """Open the artifact ``source.model``.

    Raises:
        ArtifactError: it is damaged, or a classifier's.
        UserError: a chat is requested, and there is no template.
    """
    artifact, manifest = found(source)
    path = artifact.path
    template: ChatTemplate | None = None
    if source.chat:
        own = artifact.file(TEMPLATE_FILE) if TEMPLATE_FILE in artifact.hashes else None
        template = template_for(source, None if own is None else (own.read_text(encoding="utf-8"), own.name))
    facts = {
        "kind": "artifact",
        "model_type": manifest.model_type,
        "weights": dict(manifest.weights),
        "activations": dict(manifest.activations),
        "manifest_sha256": sha256_of(path / MANIFEST),
    }
    generator = Generator.open(artifact, source.threads)
    sizes = artifact.bytes().as_dict()
    return LocalCompleter(path.resolve().name, artifact_key(artifact), facts, source, generator, sizes, template)
