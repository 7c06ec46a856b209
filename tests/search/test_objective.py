import json

import pytest

from lilliput.errors import UserError
from lilliput.search.cost import artifact_bytes, flops, paper_fitness, paper_flops, paper_parameters, parameters
from lilliput.search.latency import FEATURES, Conditions, LatencyModel
from lilliput.search.objective import OBJECTIVES, PaperProblem, SearchProblem
from lilliput.search.space import Architecture, Architectures

CONDITIONS = Conditions("a processor", 1, "int8", "2025-01-01", {})
MODEL = LatencyModel(dict.fromkeys(FEATURES, 1.0), CONDITIONS)
ONE = Architecture(2, 64, 2, 128, 1000)


def test_results_serialize_to_the_documented_fields():
    result = SearchProblem(3_000_000, objective="gflops", latency={"int8": MODEL}).result(ONE, "int8", 0.5, "exact")
    document = json.loads(json.dumps(result.as_dict()))
    assert list(document) == [
        "architecture",
        "precision",
        "bytes",
        "gflops",
        "fitness",
        "latency_ms",
        "seconds",
        "method",
    ]
    assert document["architecture"] == {
        "layers": 2,
        "hidden": 64,
        "heads": 2,
        "intermediate": 128,
        "vocabulary": 1000,
    }
    assert document["bytes"] == artifact_bytes(ONE, "int8")
    assert document["gflops"] == document["fitness"] == pytest.approx(flops(ONE, 400) / 1e9)
    assert document["latency_ms"] == pytest.approx(MODEL.predict(ONE, 400))
    assert (document["seconds"], document["method"]) == (0.5, "exact")


def test_latency_is_unknown_without_a_model():
    assert SearchProblem(3_000_000).result(ONE, "int8", 0.5, "exact").latency_ms is None


def test_paper_results_count_as_in_the_paper():
    result = PaperProblem(3).result(ONE, "fp32", 0.5, "genetic")
    assert result.bytes == 4 * paper_parameters(ONE)
    assert result.gflops == pytest.approx(paper_flops(ONE) / 1e9)
    assert result.fitness == paper_fitness(ONE, 3)
    assert result.latency_ms is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gflops", flops(ONE, 400) / 1e9),
        ("parameters", parameters(ONE)),
        ("fitness", paper_flops(ONE) / 1e9 - abs(artifact_bytes(ONE, "int8") - 3_000_000) / 1e6),
    ],
)
def test_objectives_match_their_formulas(name, expected):
    problem = SearchProblem(3_000_000, objective=name)
    assert OBJECTIVES[name](Architectures.of([ONE]), problem, "int8").item() == pytest.approx(expected)
    assert problem.result(ONE, "int8", 0.0, "exact").fitness == pytest.approx(expected)


def test_excess_is_relative_to_each_limit_and_zero_within_it():
    size, milliseconds = artifact_bytes(ONE, "int8"), MODEL.predict(ONE, 400)
    many = Architectures.of([ONE])

    def excess(budget, limit):
        problem = SearchProblem(budget, max_ms=limit, latency={"int8": MODEL})
        return problem.evaluate(many, "int8").excess.item()

    assert excess(size, milliseconds) == 0
    assert excess(2 * size, 2 * milliseconds) == 0
    assert excess(size - 1, milliseconds) > 0
    assert excess(size, milliseconds / 1.5) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"objective": "speed"},
            "objective: there is no objective 'speed'. Choose one of: gflops, parameters, fitness.",
        ),
        ({"precisions": ("int8", "int3")}, "there is no precision 'int3'. Choose one of: fp32, int8, int4."),
        ({"tokens": 513}, "tokens: 513 is not between 1 and the student's 512 positions."),
        ({"max_ms": 5.0}, "max_ms: a limit of 5 ms needs a latency model for int8. Calibrate one"),
    ],
)
def test_invalid_options_are_named(options, message):
    with pytest.raises(UserError) as caught:
        SearchProblem(3_000_000, **options)
    assert message in str(caught.value)
