"""The model card of a generator, in Markdown, inside its artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lilliput.generator_manifest import GeneratorManifest
from lilliput.report import as_number, clean, look_up
from lilliput.report.front import LIBRARY, evaluated, front_matter, hub_id, tags
from lilliput.report.markdown import markdown_text
from lilliput.units import show_bytes

SCHEMES = {-1: "one scale per matrix", 0: "one scale per row"}
"""Value of ``group`` that is not a number of weights -> in words."""

OTHER = "other"
"""The hub's identifier for a license not on its list; the card then also gives the license's name and link."""

DATASETS = {"humaneval": ("HumanEval", "openai/openai_humaneval"), "mbpp": ("MBPP", "google-research-datasets/mbpp")}
"""Benchmark -> its name and its hub id."""


def generator_card(
    name: str, manifest: GeneratorManifest, size: int, evaluation: Mapping[str, Any] | None = None
) -> str:
    """Return the card with its front matter.

    Args:
        name: of the artifact.
        manifest: of the artifact.
        size: bytes of graphs and weights.
        evaluation: its output of ``lilliput evaluate --json``; ``None``: not evaluated yet.
    """
    made = manifest.provenance
    rows = {
        "architecture": f"{manifest.model_type}, {manifest.parameters / 1e6:,.1f} million weights",
        "made of": _made_of(made["checkpoint"]),
        **{f"{role} weights": in_words(scheme) for role, scheme in manifest.weights.items()},
        "activations": activations_in_words(manifest.activations),
        "graphs and weights": show_bytes(size),
        "longest sequence": "any" if manifest.positions is None else f"{manifest.positions:,} tokens",
        "fills in the middle": "no" if manifest.fill is None else "yes",
        "made": f"{made['date']} with lilliput {made['versions']['lilliput']}",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    command = f"\n\n    {clean(str(made['command']))}" if made.get("command") else ""
    return f"""{_front(name, manifest, evaluation or {})}
# {markdown_text(name)}

A generator of code. Nothing was trained: the weights are the checkpoint's, rounded. Rounding can change what a model
writes; evaluate it on the task it is meant for. The checkpoint's license and limits apply to it too.

| | |
|---|---|
{table}

```python
import lilliput

model = lilliput.load({json.dumps(clean(name), ensure_ascii=False)})
print(model.generate("def fibonacci(n):")[0][0].text)
```
{command}
"""


def _made_of(checkpoint: Mapping[str, Any]) -> str:
    """The checkpoint: its hub id or title where its files give one, and its file or folder."""
    name = markdown_text(str(checkpoint["name"]))
    known = checkpoint.get("source") or checkpoint.get("title")
    return name if known is None else f"{markdown_text(str(known))} ({name})"


def _front(name: str, manifest: GeneratorManifest, evaluation: Mapping[str, Any]) -> str:
    checkpoint = manifest.provenance.get("checkpoint", {})
    license_ = _text_of(checkpoint, "license")
    source = hub_id(clean(str(checkpoint.get("source") or checkpoint.get("name"))))
    bases = checkpoint.get("base_model")
    others = [base for base in bases if isinstance(base, str) and hub_id(base)] if isinstance(bases, list) else []
    formats = dict.fromkeys(str(scheme["format"]) for scheme in manifest.weights.values())
    rates = {f"pass@{k}": as_number(look_up(evaluation, f"pass@{k}")) for k in evaluation.get("k", ())}
    task = str(evaluation.get("task"))
    return front_matter(
        {
            "license": license_,
            "license_name": _text_of(checkpoint, "license_name") if license_ == OTHER else None,
            "license_link": _text_of(checkpoint, "license_link") if license_ == OTHER else None,
            "library_name": LIBRARY,
            "pipeline_tag": "text-generation",
            "tags": tags("code", "openvino", manifest.model_type, *formats),
            "base_model": source or others,
            # the artifact descends from the models its checkpoint was made from, but is not their quantized form
            "base_model_relation": None if source is None else "quantized",
            "model-index": evaluated(name, "text-generation", DATASETS.get(task, (task, "custom")), rates),
        }
    )


def _text_of(facts: Mapping[str, Any], name: str) -> str | None:
    value = facts.get(name)
    return value if isinstance(value, str) else None


def in_words(scheme: Mapping[str, Any]) -> str:
    """Describe a quantization scheme of a manifest."""
    if scheme["format"].startswith("fp"):
        return str(scheme["format"])
    shared = SCHEMES.get(scheme["group"], f"one scale per {scheme['group']} weights")
    zeros = "" if scheme["symmetric"] else " and a zero point"
    return f"{scheme['format']}, {shared}{zeros}, rounded by {scheme['rounding']}"


def activations_in_words(activations: Mapping[str, Any]) -> str:
    """Describe how activations are rounded, given a manifest's entry."""
    group, found_by = (clean(str(activations.get(name))) for name in ("group", "calibration"))
    words = {
        "none": "float32",
        "dynamic": f"8 bits, one scale per {group} values, computed at run time",
        "token": "8 bits, one scale per token, computed at run time",
        "static": f"8 bits, one range per layer, from calibration ({found_by})",
    }.get(activations.get("mode", ""), "unknown")
    return f"{words}; emulated in floating point, which is slow" if activations.get("emulated") else words
