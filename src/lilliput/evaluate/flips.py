"""How many of a classifier's predictions change under rewrites that preserve semantics.

A flip is a prediction that differs from the one on the original, right or wrong. Shares are of the examples that the
rewrite changed: the others cannot flip.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.data.dataset import Dataset
from lilliput.data.rewrites import REWRITES
from lilliput.data.rewrites.datasets import RewrittenDataset, rewrite_dataset
from lilliput.errors import DataError
from lilliput.evaluate.intervals import Estimate, bounded_mean, wilson
from lilliput.progress import Progress

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Classify = Callable[[Dataset], Ints]
"""``classify(dataset) -> [n]``: the predicted class of each example."""


@dataclass(frozen=True)
class RewriteFlips:
    """The effect of one rewrite on the predictions.

    Attributes:
        rewrite: its name; ``any`` for all rewrites together.
        n: examples that the rewrite changed under at least one seed.
        of: examples tried.
        refused: rewritings of functions rejected by a check, over all seeds.
        flipped: share of predictions that change, over the rewritings of the ``n``; ``None`` where ``n`` is 0.
        worst: share of the ``n`` whose prediction changes under at least one seed.
        broken: labelled examples that were right and are wrong under at least one seed.
        mended: labelled examples that were wrong and are right under at least one seed.
        accuracy: over all labelled examples, rewritten where possible, averaged over seeds; ``None``: no labels.
        worst_accuracy: share of labelled examples that are right on the original and under every seed.
    """

    rewrite: str
    n: int
    of: int
    refused: int
    flipped: Estimate | None
    worst: Estimate | None
    broken: int
    mended: int
    accuracy: Estimate | None
    worst_accuracy: Estimate | None


@dataclass(frozen=True)
class Flips:
    """The effect of all rewrites on the predictions.

    Attributes:
        language: the functions were parsed as.
        seeds: of the rewritings.
        labelled: examples with a label.
        accuracy: on the original functions; ``None`` where none is labelled.
        rewrites: one entry per rewrite.
        any: the worst case over all rewrites and seeds.
    """

    language: str
    seeds: tuple[int, ...]
    labelled: int
    accuracy: Estimate | None
    rewrites: tuple[RewriteFlips, ...]
    any: RewriteFlips

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; shares are fractions, with their 95 % intervals and sample sizes."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Rewritings:
    """A dataset under all rewrites and seeds, computed once for several classifiers.

    Attributes:
        original: the unchanged dataset.
        language: of its functions.
        seeds: of the rewritings.
        by_rewrite: name of a rewrite -> the dataset under it, one per seed.
    """

    original: Dataset
    language: str
    seeds: tuple[int, ...]
    by_rewrite: Mapping[str, tuple[RewrittenDataset, ...]]


def rewritings(
    dataset: Dataset,
    language: str,
    rewrites: Sequence[str] = tuple(REWRITES),
    seeds: Sequence[int] = (0,),
    progress: Progress | None = None,
) -> Rewritings:
    """Apply every rewrite to the functions of ``dataset``, with every seed.

    Args:
        dataset: examples, labelled or not.
        language: of the functions.
        rewrites: names in :data:`~lilliput.data.rewrites.REWRITES`.
        seeds: one complete rewriting each.
        progress: shown while working.

    Raises:
        DataError: there are no examples, no rewrites, or no seeds.
        UserError: the language or a rewrite is unknown.
        MissingExtra: tree-sitter or the language's grammar is not installed.
    """
    if not len(dataset) or not seeds or not rewrites:
        raise DataError("there is nothing to rewrite.", remedy="Give at least one example, one rewrite and one seed.")
    with (progress or Progress()).track("rewriting functions", len(rewrites) * len(seeds) * len(dataset.texts)) as go:
        made = {name: tuple(rewrite_dataset(dataset, language, name, seed, go) for seed in seeds) for name in rewrites}
    return Rewritings(dataset, language, tuple(seeds), made)


def flips(classify: Classify, made: Rewritings, progress: Progress | None = None) -> Flips:
    """Count the predictions that change under ``made``.

    Intervals are Wilson's for shares of examples, and the percentile bootstrap's over examples where several seeds give
    an example more than one rewriting.

    Args:
        classify: the classifier; called once for the original, and once for each rewrite and seed with the examples
            that changed.
        made: the result of :func:`rewritings`.
        progress: shown while working.
    """
    dataset = made.original
    known = dataset.labels >= 0
    lines, everything = [], []
    with (progress or Progress()).track("classifying", 1 + len(made.by_rewrite) * len(made.seeds)) as advance:
        base = np.asarray(classify(dataset), np.int64)
        advance()
        for name, datasets in made.by_rewrite.items():
            runs = []
            for rewritten in datasets:
                runs.append(_run(classify, rewritten, base))
                advance()
            lines.append(_line(name, runs, base, dataset.labels))
            everything += runs
    return Flips(
        language=made.language,
        seeds=made.seeds,
        labelled=int(known.sum()),
        accuracy=_share(base == dataset.labels, known),
        rewrites=tuple(lines),
        any=_line("any", everything, base, dataset.labels),
    )


@dataclass(frozen=True)
class _Run:
    """One complete rewriting: predictions ``[n]``, changed examples ``[n]``, and the number of refused rewritings."""

    predictions: Ints
    changed: Bools
    refused: int


def _run(classify: Classify, rewritten: RewrittenDataset, base: Ints) -> _Run:
    rows = np.flatnonzero(rewritten.changed)
    predictions = base.copy()
    if len(rows):
        predictions[rows] = classify(rewritten.dataset.subset(rows))
    return _Run(predictions, rewritten.changed, rewritten.refused)


def _line(name: str, runs: Sequence[_Run], base: Ints, labels: Ints) -> RewriteFlips:
    changed = np.stack([run.changed for run in runs])  # [runs, n], like all that follows
    predictions = np.stack([run.predictions for run in runs])
    flipped, right, known = predictions != base, predictions == labels, labels >= 0
    touched, was_right = np.asarray(changed.any(axis=0)), base == labels
    per_example = flipped.sum(axis=0)[touched] / changed.sum(axis=0)[touched]
    return RewriteFlips(
        rewrite=name,
        n=int(touched.sum()),
        of=len(labels),
        refused=sum(run.refused for run in runs),
        flipped=_mean(per_example),
        worst=_share(np.asarray(flipped.any(axis=0)), touched),
        broken=int((was_right & ~right.all(axis=0))[known].sum()),
        mended=int((~was_right & right.any(axis=0))[known].sum()),
        accuracy=_mean(right.mean(axis=0)[known]),
        worst_accuracy=_share(was_right & right.all(axis=0), known),
    )


def _share(what: Bools, among: Bools) -> Estimate | None:
    count = int(among.sum())
    return wilson(int((what & among).sum()), count) if count else None


def _mean(values: NDArray[np.float64]) -> Estimate | None:
    """The mean of numbers from 0 to 1; where all are 0 or 1, as a proportion, whose interval does not collapse."""
    if not len(values):
        return None
    if np.isin(values, (0.0, 1.0)).all():
        return wilson(int(values.sum()), len(values))
    return bounded_mean(values)
