"""The paper's genetic algorithm, kept to reproduce its search; :mod:`lilliput.search.exact` finds the true optimum.

Source: "Compressing Pre-trained Models of Code into 3 MB" (ASE 2022), section 3.2, and the authors' released search,
from which the order of genes, the operators and the settings are taken.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import numpy as np

from lilliput.errors import BudgetError
from lilliput.search.exact import exact_search
from lilliput.search.objective import Problem, SearchResult
from lilliput.search.space import Architectures

GENES = ("heads", "hidden", "intermediate", "layers", "vocabulary")
"""The sizes in the order of the released search: crossover and mutation change all genes from a random position on."""

Genome = tuple[int, ...]
"""For each of :data:`GENES`, an index into its allowed values."""

Ranked = tuple[float, float, Genome]
"""``(excess, -objective, genome)``: the best sorts first."""


@dataclass(frozen=True)
class GeneticSettings:
    """How a genetic search runs.

    Attributes:
        population: genomes kept per generation, and children made per generation.
        generations: generations of one run.
        crossover: probability that two parents are crossed; otherwise both are mutated.
        restarts: number of runs, of which the best counts.
        source: where the values come from.
    """

    population: int = 50
    generations: int = 100
    crossover: float = 0.6
    restarts: int = 10
    source: str = "ASE 2022, section 3.2; the values are the released search's defaults"


PAPER_SETTINGS = GeneticSettings()
"""The paper's settings."""

_ATTEMPTS = 100
"""Mutations tried to make a genome new before a duplicate is accepted: a small space may have no new one left."""


def genetic_search(problem: Problem, settings: GeneticSettings = PAPER_SETTINGS, seed: int = 0) -> SearchResult:
    """The best architecture found; the same for the same ``seed``.

    Architectures within the limits rank before all others; the others are ranked by how little they exceed them.

    Raises:
        BudgetError: no architecture of the space meets the limits, or this search found none.
    """
    start = time.perf_counter()
    rng = random.Random(seed)
    runs = [_Genes(problem, precision) for precision in problem.precisions for _ in range(settings.restarts)]
    (excess, _, best), genes = min(((_evolve(genes, settings, rng), genes) for genes in runs), key=lambda run: run[0])
    if excess > 0:
        exact_search(problem)  # Raises with the reason if nothing meets the limits.
        raise BudgetError(
            "the genetic search found nothing within the limits, though something exists.",
            remedy="Use the exact method, or another seed.",
        )
    architecture = genes.architectures([best]).at(0)
    return problem.result(architecture, genes.precision, time.perf_counter() - start, "genetic")


def _evolve(genes: _Genes, settings: GeneticSettings, rng: random.Random) -> Ranked:
    """One run: the best genome of its last generation."""
    seen: set[Genome] = set()
    population = genes.rank([genes.renewed(genes.drawn(rng), seen, rng) for _ in range(settings.population)])
    for _ in range(settings.generations):
        seen = {genome for _, _, genome in population}
        children: list[Genome] = []
        while len(children) < settings.population:
            (_, _, mother), (_, _, father) = rng.sample(population, 2)
            crossed = rng.random() < settings.crossover
            pair = _cross(mother, father, rng) if crossed else (genes.mutated(mother, rng), genes.mutated(father, rng))
            children += [genes.renewed(child, seen, rng) for child in pair]
        population = sorted(population + genes.rank(children))[: settings.population]
    return min(population)


def _cross(mother: Genome, father: Genome, rng: random.Random) -> tuple[Genome, Genome]:
    """Swap the parents' genes from a random position on."""
    place = rng.randint(1, len(mother) - 1)
    return mother[:place] + father[place:], father[:place] + mother[place:]


class _Genes:
    """The genes of a problem at one precision: their values, their mutation, and the scoring of genomes."""

    def __init__(self, problem: Problem, precision: str) -> None:
        self.problem = problem
        self.precision = precision
        self.values = [np.array(getattr(problem.space, name), np.int64) for name in GENES]

    def architectures(self, genomes: list[Genome]) -> Architectures:
        columns = np.array(genomes).T
        return Architectures(
            **{name: values[column] for name, values, column in zip(GENES, self.values, columns, strict=True)}
        )

    def drawn(self, rng: random.Random) -> Genome:
        return tuple(rng.randrange(values.size) for values in self.values)

    def mutated(self, genome: Genome, rng: random.Random) -> Genome:
        """Change every gene from a random position on to another of its values."""
        place = rng.randrange(len(genome))
        tail = (
            (index + rng.randrange(1, values.size)) % values.size if values.size > 1 else index
            for index, values in zip(genome[place:], self.values[place:], strict=True)
        )
        return genome[:place] + tuple(tail)

    def renewed(self, genome: Genome, seen: set[Genome], rng: random.Random) -> Genome:
        """``genome``, mutated until it is not in ``seen``, and then added to it."""
        for _ in range(_ATTEMPTS):
            if genome not in seen:
                break
            genome = self.mutated(genome, rng)
        seen.add(genome)
        return genome

    def rank(self, genomes: list[Genome]) -> list[Ranked]:
        """Score genomes; heads that do not divide the hidden size at an allowed width count as an excess of 1."""
        sizes = self.architectures(genomes)
        evaluation = self.problem.evaluate(sizes, self.precision)
        excess = evaluation.excess + ~self.problem.space.allows_heads(sizes.hidden, sizes.heads)
        return list(zip(excess.tolist(), (-evaluation.objective).tolist(), genomes, strict=True))
