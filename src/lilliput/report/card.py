"""The model card: a Markdown description of an artifact, stored inside it.

It counts toward the artifact's bytes, so it is short. Lines whose figure is unknown are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lilliput.evaluate.thresholds import Operating, at_share
from lilliput.report import percent, scaled
from lilliput.report.front import LIBRARY, evaluated, front_matter, hub_id, tags
from lilliput.report.markdown import markdown_code, markdown_text

USES = {
    "vulnerability": "It says how likely a function is to be vulnerable, so that reviewers read the likeliest first.",
    "clone": "It finds pairs of functions that likely do the same thing, so that a reviewer can compare or merge them.",
    "classification": "It sorts functions into the classes below.",
}
"""Task -> intended use, in one sentence."""

GENERAL_USE = "It sorts code into the classes below."

INPUTS = {"clone": '("first function", "second function")'}
"""Task -> an example of its input as Python; the others take one function."""

MEANINGS = {
    "vulnerability": (
        "The probability is for triage: it says what to read first. It is not a verdict: a high value does not mean "
        "that a function is vulnerable, and a low value does not mean that it is safe."
    ),
    "clone": (
        "The probability says which pairs to look at first. A high value does not mean that the functions can replace "
        "each other, and a low value does not mean that they have nothing in common."
    ),
}
"""Task -> how to read its probability. These tasks have two classes, the second of which is the positive one."""

RARE = 0.01
"""A plausible share of the positive class outside a benchmark."""

LICENSE_OPEN = (
    "Not chosen yet. Before you distribute this model, check the licenses of its teacher and its training data, and "
    "enter the license you choose here and in the metadata above."
)


@dataclass(frozen=True)
class CardFacts:
    """The facts on a card. Optional ones that are ``None`` or empty are left out.

    Attributes:
        name: of the model; the heading of the card.
        task: ``vulnerability``, ``clone``, ``classification``.
        labels: class names, by index.
        architecture: the sizes in words, as ``str(Architecture)`` gives them.
        precision: how weights are stored.
        max_tokens: longest input in tokens; longer ones are truncated.
        bytes: by part, such as ``weights``, ``tokenizer`` and ``total``.
        parameters: number of weights.
        teacher: name of the teacher.
        taught: whether it learned from the teacher's outputs rather than from labels alone.
        data: name of a data file -> SHA-256 of its content.
        seed: of the run that made it.
        command: the command line that made it.
        version: of lilliput.
        accuracy: on validation data, as a fraction.
        accuracy_interval: its 95 % interval.
        majority: accuracy of the majority class on the same data.
        f1, mcc: on the same data.
        n: examples of validation data.
        operating_points: precision and recall on validation data at several thresholds, as
            :meth:`lilliput.evaluate.thresholds.OperatingPoints.as_dict` gives them.
        address: argument of ``lilliput.load``; ``None``: the folder that holds the card.
        license: of the model, by its hub identifier; ``None``: none was chosen.
        terms: sentences about the training data and its terms.
        limits: sentences about limits specific to this model.
    """

    name: str
    task: str
    labels: tuple[str, ...] = ()
    architecture: str | None = None
    precision: str | None = None
    max_tokens: int | None = None
    bytes: Mapping[str, int] = field(default_factory=dict)
    parameters: int | None = None
    teacher: str | None = None
    taught: bool = True
    data: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    command: str | None = None
    version: str | None = None
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None
    majority: float | None = None
    f1: float | None = None
    mcc: float | None = None
    n: int | None = None
    operating_points: Mapping[str, Any] | None = None
    address: str | None = None
    license: str | None = None
    terms: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


def model_card(facts: CardFacts) -> str:
    """Return the card as Markdown with front matter, about 2 KB."""
    sections = {
        "": _opening(facts),
        "Use": _use(facts),
        "What the number means": _meaning(facts),
        "Limits": _limits(facts),
        "Accuracy": _accuracy(facts),
        "Model": _model(facts),
        "How it was made": _making(facts),
        "License": [LICENSE_OPEN if facts.license is None else markdown_text(facts.license), *_paragraphs(facts.terms)],
    }
    parts = ["\n".join([f"## {title}\n", *lines] if title else lines) for title, lines in sections.items() if lines]
    return f"{_front(facts)}\n# {markdown_text(facts.name)}\n\n" + "\n\n".join(parts) + "\n"


def _front(facts: CardFacts) -> str:
    metrics = {"accuracy": facts.accuracy, "f1": facts.f1, "matthews_correlation": facts.mcc}
    data = ", ".join(name for name in facts.data if name.startswith("valid")) or "validation data"
    return front_matter(
        {
            "license": facts.license,
            "library_name": LIBRARY,
            "pipeline_tag": "text-classification",
            "tags": tags("code", facts.task),
            "base_model": hub_id(facts.teacher),
            "model-index": evaluated(facts.name, "text-classification", (data, "custom"), metrics),
        }
    )


def _opening(facts: CardFacts) -> list[str]:
    size = f" of {scaled(facts.bytes['total'], 'B')}" if "total" in facts.bytes else ""
    return [
        f"A small model of code{size} for the task *{markdown_text(facts.task)}*{_origin(facts)}. It runs on a CPU."
    ]


def _origin(facts: CardFacts) -> str:
    if facts.teacher is None:
        return ""
    teacher = markdown_text(facts.teacher)
    return f", distilled from {teacher}" if facts.taught else f", trained on labels alone (for comparison: {teacher})"


def _use(facts: CardFacts) -> list[str]:
    example = INPUTS.get(facts.task, '"int f(int *p) { return *p; }"')
    return [
        USES.get(facts.task, GENERAL_USE),
        *([f"Classes: {', '.join(map(markdown_text, facts.labels))}."] if facts.labels else []),
        "",
        "```python",
        "import lilliput",
        "",
        f'model = lilliput.load("{facts.address or "path/to/this/folder"}")',
        f"model.predict([{example}])",
        "```",
    ]


def _meaning(facts: CardFacts) -> list[str]:
    if facts.task not in MEANINGS:
        return []
    return [MEANINGS[facts.task], *_paragraphs(_thresholds(facts))]


def _thresholds(facts: CardFacts) -> list[str]:
    """The table of thresholds and how to read it; empty unless both classes occur."""
    found = facts.operating_points
    if found is None or not 0 < found["positives"] < found["n"]:
        return []
    looked_for, positives = markdown_text(facts.labels[1]), found["positives"]
    note = (
        f"Measured on validation data, of which {percent(positives / found['n'])} % ({positives:,} of "
        f"{found['n']:,}) are *{looked_for}*; in brackets: 95 % intervals. Precision is the share of flagged inputs "
        f"that are *{looked_for}*, recall the share of *{looked_for}* inputs that are flagged. The rarer this class, "
        f"the lower the precision: the last column gives it for a share of {100 * RARE:g} %, all else equal."
    )
    return [operating_table(found, looked_for), note]


def operating_table(found: Mapping[str, Any], label: str) -> str:
    """Precision and recall at several thresholds, as a table in Markdown.

    Args:
        found: as :meth:`lilliput.evaluate.thresholds.OperatingPoints.as_dict` gives it; both classes must occur.
        label: name of the positive class, as Markdown.
    """
    head = ["probability at least", "flagged", "precision", "recall", f"precision at {100 * RARE:g} % {label}"]
    rows = [head, ["---:"] * len(head)]
    for point in found["points"]:
        counts = Operating(point["threshold"], point["flagged"], point["right"])
        shares = (point["precision"], point["recall"], at_share(counts, found["n"], found["positives"], RARE))
        rows.append([f"{counts.threshold:g}", f"{counts.flagged:,}", *map(_with_interval, shares)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _with_interval(values: Sequence[float] | None) -> str:
    """``[value, low, high]`` in percent; empty where there is none."""
    return "" if values is None else "{} % [{}, {}]".format(*map(percent, values))


def _paragraphs(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in ("", text)]


def _limits(facts: CardFacts) -> list[str]:
    cut = f" It reads the first {facts.max_tokens} tokens of an input." if facts.max_tokens is not None else ""
    return [
        "Its answer is a signal for triage, not a verdict: it can be wrong either way, and replaces neither review nor "
        f"tests.{cut} On code unlike its training data (another language, another project, another style) expect it to "
        "be wrong more often. Its probabilities are not necessarily calibrated.",
        *_paragraphs(facts.limits),
    ]


def _accuracy(facts: CardFacts) -> list[str]:
    if facts.accuracy is None:
        return []
    interval = "" if facts.accuracy_interval is None else " [{}, {}]".format(*map(percent, facts.accuracy_interval))
    known = {
        "accuracy": f"{percent(facts.accuracy)} %{interval}",
        "F1": None if facts.f1 is None else f"{percent(facts.f1)} %",
        "MCC": None if facts.mcc is None else f"{facts.mcc:.3f}",
    }
    columns = {name: text for name, text in known.items() if text is not None}
    rows = [["", *columns], ["---"] * (1 + len(columns)), ["this model", *columns.values()]]
    if facts.majority is not None:
        rows.append(["majority class", f"{percent(facts.majority)} %", *[""] * (len(columns) - 1)])
    size = "" if facts.n is None else f"; n = {facts.n:,}"
    note = "; in brackets: 95 % interval" if interval else ""
    return [*(f"| {' | '.join(row)} |" for row in rows), "", f"On validation data{size}{note}."]


def _model(facts: CardFacts) -> list[str]:
    sizes = ", ".join(f"{markdown_text(part)} {count:,}" for part, count in facts.bytes.items())
    lines = {
        "Architecture": facts.architecture,
        "Parameters": None if facts.parameters is None else f"{facts.parameters:,}",
        "Precision of weights": facts.precision,
        "Longest input": None if facts.max_tokens is None else f"{facts.max_tokens} tokens",
        "Bytes": sizes or None,
    }
    return [f"- {name}: {markdown_text(value)}" for name, value in lines.items() if value is not None]


def _making(facts: CardFacts) -> list[str]:
    lines = [
        *([] if facts.teacher is None else [f"- Teacher: {markdown_text(facts.teacher)}"]),
        *(f"- Data: {markdown_text(name)}, SHA-256 {markdown_code(digest)}" for name, digest in facts.data.items()),
        *([] if facts.seed is None else [f"- Seed: {facts.seed}"]),
        *([] if not facts.command else [f"- Command: {markdown_code(facts.command)}"]),
    ]
    made_by = "lilliput" if facts.version is None else f"lilliput {markdown_text(facts.version)}"
    return [f"Made by {made_by}.", "", *lines] if lines or facts.version is not None else []
