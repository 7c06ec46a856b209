import dataclasses

import pytest

from lilliput.errors import BudgetError
from lilliput.search.cost import artifact_bytes
from lilliput.search.exact import exact_paper, exact_search
from lilliput.search.genetic import PAPER_SETTINGS, GeneticSettings, genetic_search
from lilliput.search.latency import FEATURES, Conditions, LatencyModel
from lilliput.search.objective import PaperProblem, SearchProblem
from lilliput.search.space import DEFAULT_SPACE, PAPER_SPACE, Architecture, SearchSpace

SMALL = SearchSpace((1, 2, 4), (32, 64, 96), (1, 2, 3), (64, 128, 256), (1000, 2000, 3000), head_widths=(32, 48, 64))
CONDITIONS = Conditions("a processor", 1, "int8", "2025-01-01", {})
MODEL = LatencyModel(dict(zip(FEATURES, (0.1, 0.05, 0.3, 1.0, 1.0, 4.0, 1.0, 1.0), strict=True)), CONDITIONS)


def without_time(result):
    return dataclasses.replace(result, seconds=0.0)


def test_settings_match_the_released_search():
    settings = PAPER_SETTINGS
    assert (settings.population, settings.generations, settings.crossover, settings.restarts) == (50, 100, 0.6, 10)


def test_equal_seeds_give_equal_answers():
    first, second = (genetic_search(PaperProblem(3), seed=7) for _ in range(2))
    assert without_time(first) == without_time(second)


def test_runs_come_near_the_optimum_but_never_exceed_it():
    best = exact_paper(3)
    answers = [genetic_search(PaperProblem(3), seed=seed) for seed in range(4)]
    assert all(answer.architecture in PAPER_SPACE for answer in answers)
    assert all(answer.fitness <= best.fitness for answer in answers)
    assert max(answer.fitness for answer in answers) > 0.85 * best.fitness
    assert all(answer.method == "genetic" for answer in answers)


def test_more_generations_are_no_worse():
    short, long = (
        genetic_search(PaperProblem(25), GeneticSettings(generations=generations, restarts=1), seed=3)
        for generations in (5, 100)
    )
    assert long.fitness >= short.fitness


def test_small_space_is_solved_exactly():
    problem = SearchProblem(500_000, SMALL)
    found, best = genetic_search(problem), exact_search(problem)
    assert found.fitness == best.fitness
    assert found.architecture in SMALL


def test_limits_and_head_widths_are_respected():
    problem = SearchProblem(3_000_000, max_ms=10.0, latency={"int8": MODEL})
    found = genetic_search(problem, seed=1)
    assert found.architecture in DEFAULT_SPACE
    assert found.bytes <= 3_000_000
    assert found.latency_ms <= 10.0
    assert found.fitness <= exact_search(problem).fitness


def test_precisions_are_compared():
    problem = SearchProblem(500_000, SMALL, precisions=("fp32", "int4"))
    assert genetic_search(problem).precision == exact_search(problem).precision == "int4"


def test_space_of_one_point_terminates():
    space = SearchSpace((1,), (32,), (1,), (64,), (1000,))
    assert genetic_search(PaperProblem(3, space=space), GeneticSettings(generations=2, restarts=1)).bytes > 0


def test_rejects_an_unreachable_budget():
    with pytest.raises(BudgetError, match="the smallest possible artifact takes"):
        genetic_search(SearchProblem(10_000, SMALL))


def test_failed_search_is_distinguished_from_an_empty_space():
    smallest = Architecture(1, 32, 1, 64, 1000)
    problem = SearchProblem(artifact_bytes(smallest, "int8"))
    assert exact_search(problem).architecture == smallest
    with pytest.raises(BudgetError, match="found nothing within the limits, though something exists"):
        genetic_search(problem, GeneticSettings(population=2, generations=1, restarts=1))
