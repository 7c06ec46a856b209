"""Kinds of results that a report shows: how each is recognized, and what its fields must be."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.report.rules import (
    ESTIMATE,
    RATIO,
    SHARE,
    Rule,
    estimates,
    is_correlation,
    is_count,
    is_estimate,
    is_interval,
    is_list,
    is_name,
    is_object,
    is_positive,
    is_ratio,
    is_share,
    is_text,
    under,
)

GENERATOR, CLASSIFIER, COMPARISON, FLIPS, RECODE, SUMMARIES, REPOSITORY = (
    "generator",
    "classifier",
    "comparison",
    "flips",
    "recode",
    "summaries",
    "repository",
)


@dataclass(frozen=True)
class Kind:
    """A kind of result.

    Attributes:
        name: of the kind.
        marks: fields that together identify it.
        rules: that its fields must obey.
    """

    name: str
    marks: tuple[str, ...]
    rules: tuple[Rule, ...] = ()


_FLIPS = (
    Rule("", is_object, "an object"),
    Rule("rewrites", is_list, "a list"),
    Rule("rewrites.*.rewrite", is_name, "a name"),
    Rule("rewrites.*.n", is_count, "a count"),
    Rule("any", is_object, "an object"),
    Rule("any.n", is_count, "a count"),
    *estimates("any", "worst", "worst_accuracy", required=False),
    *estimates("rewrites.*", "flipped", "accuracy", required=False),
)


_FAITHFUL = ("agreement", "confident", "student.before", "student.after", "teacher.before", "teacher.after")

_TESTED = ("gained", "lost")

_PAIRED = (
    Rule("name", is_name, "a name"),
    Rule("n", is_count, "a count"),
    Rule("perturbations", is_list, "a list"),
    Rule("families", is_list, "a list"),
    Rule("perturbations.*.name", is_name, "a name"),
    Rule("families.*.name", is_name, "a name"),
    Rule("nominal", is_object, "an object", False),
    *estimates("nominal.*", "difference", required=False),
    *estimates("all.mean_pass", "difference", required=False),
    *(Rule(f"nominal.*.{name}", is_count, "a count", False) for name in _TESTED),
    Rule("nominal.*.p_value", is_share, "a share", False),
    *(
        rule
        for line in ("perturbations.*", "families.*", "all")
        for rule in (
            Rule(line, is_object, "an object", False),
            *estimates(f"{line}.difference", "robust_pass.difference", "robust_drop", required=False),
            *(Rule(f"{line}.difference.robust_pass.{name}", is_count, "a count", False) for name in _TESTED),
            Rule(f"{line}.difference.robust_pass.p_value", is_share, "a share", False),
            *estimates(f"{line}.reference", "robust_pass", required=False),
        )
    ),
)
"""Rules for a generator's robustness compared with another's."""

_PHASES = ("prefill", "decode", "fixed", "natural")

_RATIOS = (
    "cold_start",
    "time_to_first_token",
    *(f"{phase}.{measure}" for phase in _PHASES for measure in ("speed", "cpu", "energy")),
)

KINDS: tuple[Kind, ...] = (
    Kind(
        COMPARISON,
        ("models", "ratios"),
        (
            Rule("original", is_name, "a model's name"),
            Rule("models", lambda value: is_list(value) and len(value) > 0, "a list of models"),
            Rule("models.*.name", is_name, "a name"),
            Rule("models.*.bytes.total", is_positive, "a positive number"),
            Rule("models.*.peak_memory_mb", is_positive, "a positive number"),
            Rule("models.*.private_mb", is_positive, "a positive number", False),
            Rule("models.*.cold_start_ms.value", is_positive, "a positive number", False),
            Rule("models.*.phases", is_object, "an object"),
            *estimates("models.*.phases.*", "units_per_second"),
            *estimates("models.*", "time_to_first_token_ms", required=False),
            *estimates("models.*.phases.*", "grams_co2e_per_unit", "usd_per_million_units", required=False),
            *estimates("models.*.phases.*", "energy.joules_per_unit", required=False),
            Rule("models.*.phases.*.energy.kind", is_name, "a word", False),
            Rule("ratios", is_list, "a list"),
            Rule("ratios.*.name", is_name, "a name"),
            Rule("ratios.*.bytes", is_positive, "a positive number"),
            Rule("ratios.*.peak_memory", is_positive, "a positive number"),
            *(Rule(f"ratios.*.{name}", is_ratio, RATIO, False) for name in _RATIOS),
        ),
    ),
    Kind(
        FLIPS,
        ("flips",),
        (
            Rule("n", is_count, "a count"),
            *under("flips", _FLIPS),
            Rule("against", is_object, "an object", False),
            Rule("against.name", is_name, "a name", False),
            *under("against.flips", _FLIPS, required=False),
            Rule("against.faithfulness.confidence", is_share, "a share", False),
            *estimates("against.faithfulness", *_FAITHFUL, required=False),
            *estimates("calibration", "before", "after", required=False),
        ),
    ),
    Kind(
        RECODE,
        ("perturbations", "families"),
        (
            Rule("perturbations", is_list, "a list"),
            Rule("perturbations.*.name", is_name, "a name"),
            Rule("perturbations.*.family", is_name, "a name", False),
            Rule("perturbations.*.k", is_count, "a count"),
            Rule("perturbations.*.seeds", is_count, "a count"),
            *estimates("perturbations.*", "nominal_pass", "robust_pass", "robust_relative"),
            *estimates("perturbations.*", "robust_drop", required=False),
            Rule("against", is_object, "an object", False),
            *under("against", _PAIRED, required=False),
        ),
    ),
    Kind(
        GENERATOR,
        ("k", "problems", "failures"),
        (
            Rule("name", is_name, "a name", False),
            Rule("task", is_name, "a benchmark's name"),
            Rule("warning", is_text, "text", False),
            Rule("k", lambda value: is_list(value) and bool(value), "a list of numbers"),
            Rule("k.*", lambda value: is_count(value) and value > 0, "a positive whole number"),
            Rule("n", is_count, "a count"),
            Rule("failures", is_object, "an object"),
            Rule("failures.*", is_count, "a count"),
            Rule("intervals", is_object, "an object"),
            Rule("intervals.*", is_interval, "two numbers, the lower first", False),
            Rule("problems", lambda value: is_list(value) and bool(value), "a list of problems"),
            Rule("problems.*.task_id", is_name, "a name"),
            Rule("problems.*.completions", lambda value: is_list(value) and bool(value), "a list of completions"),
            Rule("problems.*.completions.*.outcome", is_name, "a word"),
            *(Rule(f"problems.*.completions.*.{name}", is_text, "text", False) for name in ("detail", "text", "code")),
            Rule("bytes", is_object, "an object", False),
            Rule("bytes.total", is_positive, "a positive number", False),
            *(
                Rule(name, is_positive, "a positive number", False)
                for name in ("decode_tokens_per_s", "prefill_tokens_per_s", "peak_memory_mb")
            ),
            Rule("energy", is_object, "an object", False),
            Rule("energy.joules_per_token", is_positive, "a positive number", False),
            Rule("energy.kind", is_text, "text", False),
            Rule("carbon", is_object, "an object", False),
            Rule("carbon.grams_co2e_per_token", is_positive, "a positive number", False),
            *(Rule(name, is_object, "an object", False) for name in ("settings", "data", "machine", "sandbox")),
        ),
    ),
    Kind(
        REPOSITORY,
        ("lines", "next_token"),
        (
            *estimates("lines.model", "exact", "similarity"),
            Rule("lines.baselines", is_object, "an object"),
            *estimates("lines.baselines.*", "exact", "similarity"),
            Rule("lines.places", is_count, "a count", False),
            Rule("next_token", is_object, "an object", False),
            Rule("next_token.perplexity_value", is_positive, "a positive number", False),
            *estimates("next_token", "perplexity", "every.top1", "code.top1", required=False),
        ),
    ),
    Kind(
        SUMMARIES,
        ("bleu4", "rouge_l", "chrf"),
        (
            Rule("bleu4", is_estimate, ESTIMATE),
            Rule("rouge_l", is_estimate, ESTIMATE),
            Rule("chrf", is_estimate, ESTIMATE),
            Rule("n", is_count, "a count"),
            Rule("baselines", is_object, "an object"),
            *estimates("baselines.*", "bleu4", "rouge_l", "chrf"),
        ),
    ),
    Kind(
        CLASSIFIER,
        ("accuracy",),
        (
            Rule("accuracy", is_share, SHARE),
            Rule("n", is_count, "a count", False),
            *(Rule(name, is_share, SHARE, False) for name in ("f1", "precision", "recall")),
            Rule("mcc", is_correlation, "a number from -1 to 1", False),
            Rule("intervals", is_object, "an object", False),
            Rule("intervals.*", is_interval, "two numbers, the lower one first", False),
            Rule("baselines", is_object, "an object", False),
            *(Rule(name, is_object, "an object", False) for name in ("bytes", "latency_ms", "energy", "carbon")),
            Rule("bytes.total", is_count, "a count", within="bytes"),
            Rule("latency_ms.p50", is_positive, "a number above 0", within="latency_ms"),
            Rule("peak_memory_mb", is_positive, "a number above 0", False),
        ),
    ),
)
"""A file is of the first kind whose marks are all present."""
