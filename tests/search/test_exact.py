import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import BudgetError
from lilliput.search.cost import artifact_bytes, flops, paper_fitness
from lilliput.search.exact import exact_paper, exact_search, top
from lilliput.search.latency import FEATURES, Conditions, LatencyModel
from lilliput.search.objective import PaperProblem, SearchProblem, SearchResult
from lilliput.search.space import PAPER_SPACE, Architecture, SearchSpace

CONDITIONS = Conditions("a processor", 1, "int8", "2025-01-01", {})
MODEL = LatencyModel(dict(zip(FEATURES, (0.1, 0.05, 0.3, 1.0, 1.0, 4.0, 1.0, 1.0), strict=True)), CONDITIONS)

SMALL = SearchSpace((1, 2, 4), (32, 64, 96), (1, 2, 3), (64, 128, 256), (1000, 2000, 3000), head_widths=(32, 48, 64))


def points_of(space):
    for mesh in space.meshes():
        yield from (mesh.at(index) for index in range(int(np.prod(mesh.shape))))


@pytest.mark.parametrize(
    ("megabytes", "architecture", "fitness"),
    [
        (3, Architecture(12, 96, 8, 64, 1000), 2.192),
        (25, Architecture(12, 320, 8, 32, 2000), 10.425),
        (50, Architecture(12, 448, 8, 160, 1000), 18.531),
    ],
)
def test_finds_the_optima_of_the_paper(megabytes, architecture, fitness):
    result = exact_paper(megabytes)
    assert result.architecture == architecture
    assert result.fitness == pytest.approx(fitness, abs=0.0005)
    assert result.precision == "fp32"
    assert result.method == "exact"


def test_no_sampled_point_of_the_paper_space_beats_the_optimum():
    rng = np.random.default_rng(0)
    best = exact_paper(25).fitness
    for layers in PAPER_SPACE.layers:
        mesh = PAPER_SPACE.mesh(layers)
        for index in rng.integers(0, np.prod(mesh.shape), 100).tolist():
            assert paper_fitness(mesh.at(index), 25) <= best


@settings(deadline=None)
@given(megabytes=st.floats(0.1, 5))
def test_paper_search_matches_a_loop(megabytes):
    found = exact_search(PaperProblem(megabytes, space=SMALL))
    assert found.fitness == pytest.approx(max(paper_fitness(one, megabytes) for one in points_of(SMALL)), abs=1e-12)


@settings(deadline=None)
@given(
    budget=st.integers(100_000, 1_500_000),
    limit=st.none() | st.floats(0.5, 20),
    precisions=st.sampled_from([("int8",), ("fp32", "int4")]),
)
def test_result_is_the_best_within_the_limits(budget, limit, precisions):
    models = dict.fromkeys(precisions, MODEL)
    problem = SearchProblem(budget, SMALL, precisions, "gflops", max_ms=limit, latency=models)
    feasible = [
        flops(one, 400) / 1e9
        for one in points_of(SMALL)
        for precision in precisions
        if artifact_bytes(one, precision) <= budget and (limit is None or MODEL.predict(one, 400) <= limit)
    ]
    if not feasible:
        with pytest.raises(BudgetError):
            exact_search(problem)
        return
    found = exact_search(problem)
    assert found.bytes == artifact_bytes(found.architecture, found.precision) <= budget
    assert limit is None or found.latency_ms <= limit
    assert found.gflops == pytest.approx(max(feasible))


def test_ties_go_to_the_fewest_heads():
    found = exact_search(SearchProblem(10_000_000, SMALL, objective="gflops"))
    assert found.architecture == Architecture(4, 96, 2, 256, 1000)


def test_default_budget_is_nearly_used_up():
    result = exact_search(SearchProblem(3_000_000))
    assert 0.95 * 3_000_000 < result.bytes <= 3_000_000


def test_fewer_bits_buy_more_compute():
    def best(*precisions: str) -> SearchResult:
        return exact_search(SearchProblem(3_000_000, precisions=precisions, objective="gflops"))

    gflops = [best(name).gflops for name in ("fp32", "int8", "int4")]
    assert gflops == sorted(gflops)
    both = best("int8", "int4")
    assert (both.precision, both.gflops) == ("int4", gflops[-1])


def test_budget_below_the_smallest_artifact_names_it():
    smallest = min(artifact_bytes(one, "int8") for one in points_of(SMALL))
    with pytest.raises(BudgetError) as caught:
        exact_search(SearchProblem(smallest - 1, SMALL))
    text = str(caught.value)
    assert f"nothing fits {smallest - 1:,} bytes: the smallest possible artifact takes {smallest:,} bytes" in text
    assert "(1 layers x 32, 1 heads, intermediate 64, vocabulary 1000, int8)" in text
    assert "Raise the budget" in text
    assert exact_search(SearchProblem(smallest, SMALL)).bytes == smallest


def test_limit_below_the_fastest_student_names_it():
    fastest = min(MODEL.predict(one, 400) for one in points_of(SMALL))
    options = {"space": SMALL, "latency": {"int8": MODEL}}
    with pytest.raises(BudgetError) as caught:
        exact_search(SearchProblem(3_000_000, max_ms=0.9 * fastest, **options))
    text = str(caught.value)
    assert f"the fastest possible takes {fastest:.3g} ms (1 layers x 32, 1 heads" in text
    assert "nothing within 3,000,000 bytes runs in" in text
    assert exact_search(SearchProblem(3_000_000, max_ms=1.001 * fastest, **options)).latency_ms == fastest


def test_empty_space_is_named():
    with pytest.raises(BudgetError, match="the search space is empty"):
        exact_search(PaperProblem(3, space=SearchSpace((), (16,), (1,), (32,), (1000,))))


@pytest.mark.parametrize(
    "space",
    [
        SearchSpace((1,), (32,), (1,), (64,), ()),  # no vocabulary
        SearchSpace((1,), (32,), (3,), (64,), (1000,)),  # no heads that divide a hidden size
    ],
)
def test_space_without_architectures_is_empty(space):
    for problem in (PaperProblem(3, space=space), SearchProblem(3_000_000, space=space)):
        with pytest.raises(BudgetError, match="the search space is empty"):
            exact_search(problem)


def test_excluded_points_are_not_named_as_smallest_or_fastest():
    wide, space = Architecture(1, 32, 1, 256, 1000), SearchSpace((1,), (32, 128), (1,), (256,), (1000,), expansion=4)
    allowed = Architecture(1, 128, 1, 256, 1000)
    smallest = artifact_bytes(allowed, "int8")
    assert artifact_bytes(wide, "int8") < smallest
    with pytest.raises(BudgetError) as caught:
        exact_search(SearchProblem(smallest - 1, space))
    assert f"the smallest possible artifact takes {smallest:,} bytes ({allowed}, int8)" in str(caught.value)
    with pytest.raises(BudgetError) as caught:
        exact_search(SearchProblem(3_000_000, space, max_ms=1e-9, latency={"int8": MODEL}))
    assert f"the fastest possible takes {MODEL.predict(allowed, 400):.3g} ms ({allowed}, int8)" in str(caught.value)


def test_space_that_excludes_everything_is_empty():
    with pytest.raises(BudgetError, match=r"the search space is empty.*an intermediate size within its limit"):
        exact_search(SearchProblem(3_000_000, SearchSpace((1,), (32,), (1,), (256,), (1000,), expansion=4)))


def test_shortlists_differ_in_layers_or_vocabulary():
    problem = SearchProblem(3_000_000)
    shortlist = top(problem, 8)
    assert len(shortlist) == 8
    assert shortlist[0].architecture == exact_search(problem).architecture
    assert [r.fitness for r in shortlist] == sorted((r.fitness for r in shortlist), reverse=True)
    assert all(r.bytes <= 3_000_000 for r in shortlist)
    for index, one in enumerate(shortlist):
        for other in shortlist[:index]:
            layers = one.architecture.layers / other.architecture.layers
            vocabulary = one.architecture.vocabulary / other.architecture.vocabulary
            assert max(layers, 1 / layers, vocabulary, 1 / vocabulary) >= 1.5


def test_shortlist_member_is_the_best_of_its_family():
    problem = SearchProblem(600_000, SMALL, objective="gflops")
    for result in top(problem, 5):
        family = [
            flops(one, 400) / 1e9
            for one in points_of(SMALL)
            if one.layers == result.architecture.layers
            and one.vocabulary == result.architecture.vocabulary
            and artifact_bytes(one, "int8") <= 600_000
        ]
        assert result.gflops == pytest.approx(max(family))
