"""Compare: figures and ratios of synthetic turns against formulas, then real artifacts (checkpoints: tests/docs)."""

import json
import shutil
from dataclasses import replace
from statistics import median

import pytest

from lilliput import api
from lilliput.data.tables import Columns
from lilliput.errors import UserError
from lilliput.evaluate.carbon import intensity_of
from lilliput.evaluate.money import price_of
from lilliput.evaluate.paired import MOST_IDLE
from lilliput.verbs.compare import CompareSettings, compare, verb
from lilliput.verbs.compare.result import Comparison, Measured, Reference, Turn
from lilliput.verbs.compare.subjects import identified, task_of
from lilliput.verbs.quantize import quantize
from tests.conftest import write_pairs
from tests.verbs.evaluate.test_evaluate import Recorded
from tests.verbs.tiny_checkpoints import LLAMA, checkpoint

ROUNDS = 6
QUICK = CompareSettings(rounds=ROUNDS, tokens=24, new_tokens=4, threads=1)
CLASSIFYING = replace(QUICK, new_tokens=CompareSettings().new_tokens)
STEADY = Reference([0.1] * 6, [0.2] * 6, [10e9] * 6)


@pytest.fixture
def one_start(monkeypatch):
    """Start each model once: a torch process takes seconds to start."""
    monkeypatch.setattr(verb, "STARTS", 1)


@pytest.fixture(scope="module")
def generators(tmp_path_factory):
    """A folder with a checkpoint ``original`` and its artifact ``one``."""
    folder = tmp_path_factory.mktemp("generators")
    checkpoint(folder / "original", *LLAMA)
    quantize(folder / "original", folder / "one")
    return folder


def turns(prefill, decode, kind="estimated"):
    """Turns of the given seconds: 100 tokens read, 4 written; CPU time is twice that, energy 30 W."""

    def made(units, times, **more):
        return Turn(units, times, 2 * sum(times), 30 * sum(times), kind, "x; not measured, because of y", **more)

    return {
        "prefill": [made(100, [seconds], first_token=seconds + 0.001) for seconds in prefill],
        "decode": [made(4, [seconds] * 4) for seconds in decode],
    }


def model(name, speed, size, **more):
    prefill = [s / speed for s in (1.0, 1.1, 1.0, 0.9, 1.0, 1.05)]
    decode = [s / speed for s in (0.2, 0.21, 0.2, 0.19, 0.2, 0.2)]
    facts = {"bytes": {"total": size}, "runs_in": "test", "longest": None, "weight_bytes_per_token": size}
    memory = {"resident_mb": 90.0, "private_mb": 80.0, "idle_cores": 0.0}
    starts = [5 / speed, 4 / speed, 4.5 / speed]
    return replace(Measured(name, facts, starts, turns(prefill, decode), memory, size / 1e6), **more)


def comparison(*models, reference=STEADY, **more):
    settings = {"rounds": 6, "tokens": 100, "new_tokens": 4, "threads": 2, "starts": 3}
    given = {"kind": "generator", "price": price_of(2, 0.36), "intensity": intensity_of("FRA"), "machine": {}}
    return Comparison(
        **{**given, "models": models, "reference": reference, "settings": settings, **more},
        data=None,
        notes=(),
        command="",
    ).as_dict()


def test_ratios_and_costs_match_the_formulas():
    found = comparison(model("big", 1, 800_000_000), model("small", 4, 200_000_000))
    (ratios,) = found["ratios"]
    assert (ratios["name"], ratios["bytes"], ratios["peak_memory"]) == ("small", 4.0, 4.0)
    for ratio in (*ratios["prefill"].values(), *ratios["decode"].values()):
        assert (ratio["value"], ratio["low"], ratio["high"], ratio["n"]) == pytest.approx((4.0, 4.0, 4.0, 6))
    start = {"value": pytest.approx(4.0), "low": None, "high": None, "n": 3, "reason": None}
    assert ratios["cold_start"] == start  # too few for an interval
    big = found["models"][0]
    decode, seconds = big["phases"]["decode"], 0.2
    assert decode["seconds_per_unit"]["value"] == median(decode["rounds"]) == seconds
    assert len(decode["rounds"]) == 6
    assert decode["units_per_second"]["value"] == pytest.approx(1 / seconds)
    assert decode["units_per_second"]["low"] <= 1 / seconds <= decode["units_per_second"]["high"]
    assert decode["cpu_seconds_per_unit"]["value"] == pytest.approx(2 * seconds)
    # Estimates are 12 W per busy core, whatever a turn's own figure; 44 g per kWh; 0.36 dollars per hour.
    joules = 12 * 2 * seconds
    assert decode["energy"]["joules_per_unit"]["value"] == pytest.approx(joules)
    assert decode["energy"]["method"].endswith("not measured, because of y")
    assert decode["grams_co2e_per_unit"]["value"] == pytest.approx(joules / 3.6e6 * 44)
    assert decode["usd_per_million_units"]["value"] == pytest.approx(seconds * 1e6 / 3600 * 0.36)
    assert decode["latency_ms"]["n"] == 24
    assert big["phases"]["prefill"]["seconds_per_unit"]["value"] == pytest.approx(0.01)
    assert big["time_to_first_token_ms"]["value"] == pytest.approx(1001)
    assert big["cold_start_ms"]["value"] == 4500
    assert big["of_bandwidth"]["value"] == pytest.approx(800e6 / 0.2 / 10e9)


def test_measured_energy_is_kept_and_never_compared_with_an_estimate():
    counted = turns([1.0] * 6, [0.2] * 6, "measured")
    big, small = model("big", 1, 8, turns=counted), model("small", 1, 8)
    found = comparison(big, replace(small, turns=counted))
    assert found["models"][0]["phases"]["decode"]["energy"]["kind"] == "measured"
    assert found["models"][0]["phases"]["decode"]["energy"]["joules_per_unit"]["value"] == pytest.approx(6.0)
    assert found["ratios"][0]["decode"]["energy"]["value"] == pytest.approx(1.0)
    (ratios,) = comparison(big, small)["ratios"]
    assert ratios["decode"]["energy"]["reason"] == "measured and estimated energy cannot be compared"


def test_noisy_machines_and_busy_models_give_no_ratios():
    shaken = replace(STEADY, read=[1.0, 1.4, 1.0, 1.4, 1.0, 1.5])
    found = comparison(model("big", 1, 8), model("small", 4, 2), reference=shaken)
    assert found["noise"]["too_noisy"] is True
    assert found["noise"]["reason"] == f"reference varied by {100 * found['noise']['spread']['read']:.0f} %"
    (ratios,) = found["ratios"]
    refused = [ratios["cold_start"], ratios["time_to_first_token"], *ratios["prefill"].values()]
    for ratio in [*refused, *ratios["decode"].values()]:
        assert ratio["value"] is None
        assert ratio["reason"] == f"too noisy: {found['noise']['reason']}"
    assert all(one["of_bandwidth"]["value"] is None for one in found["models"])
    assert ratios["bytes"] == 4.0  # counted, not timed
    restless = model("big", 1, 8, memory={"resident_mb": 1.0, "private_mb": 1.0, "idle_cores": 0.5})
    (ratios,) = comparison(restless, model("small", 4, 2))["ratios"]
    assert ratios["decode"]["speed"]["reason"] == "too noisy: big kept 0.50 cores busy while it was not its turn"


def test_compares_artifacts_of_generators(generators, monkeypatch):
    monkeypatch.setattr(verb, "STARTS", 2)
    progress = Recorded()
    settings = replace(QUICK, tokens=4096)
    found = compare([generators / "one", generators / "one"], settings=settings, progress=progress).as_dict()
    result = json.loads(json.dumps(found, allow_nan=False))
    assert set(result) == {
        *("kind", "original", "models", "ratios", "noise", "settings", "price", "intensity", "data", "notes"),
        *("machine", "command"),
    }
    assert [one["name"] for one in result["models"]] == ["one", "one (2)"]
    assert [one["name"] for one in result["ratios"]] == ["one (2)"]
    longest = LLAMA[1]["max_position_embeddings"]
    assert result["settings"]["tokens"] == longest - 4
    assert (
        result["notes"] == progress.notes == [f"one takes {longest} tokens at most: all are measured at {longest - 4}"]
    )
    assert progress.loops == {"cold starts": [4, 4], "rounds": [14, 14]}
    for one in result["models"]:
        folder = generators / one["name"].partition(" ")[0]
        assert one["bytes"]["total"] == sum(file.stat().st_size for file in folder.iterdir())
        assert one["runs_in"] == "OpenVINO"
        assert 20 < one["private_mb"] < one["resident_mb"] < 1.01 * one["peak_memory_mb"] < 1000
        assert 0 <= one["idle_cores"] < MOST_IDLE
        assert len(one["cold_start_ms"]["starts"]) == 2
        assert 100 < one["cold_start_ms"]["value"] == median(one["cold_start_ms"]["starts"])
        prefill, decode = one["phases"]["prefill"], one["phases"]["decode"]
        assert (prefill["units"], decode["units"]) == (ROUNDS * (longest - 4), ROUNDS * 4)
        assert (prefill["latency_ms"]["n"], decode["latency_ms"]["n"]) == (ROUNDS, ROUNDS * 4)
        assert one["time_to_first_token_ms"]["value"] > prefill["latency_ms"]["p50"] * 0.99
        share = one["of_bandwidth"]
        assert share["reason"] if share["value"] is None else 0 < share["value"] < 2
        assert one["weight_bytes_per_token"] < one["bytes"]["weights"]
    assert result["ratios"][0]["bytes"] == 1.0
    assert "/" not in "".join(one["name"] for one in result["models"])


def test_compares_artifacts_of_classifiers(workshop, small, one_start):
    data = workshop / "valid.jsonl"
    found = compare([small, small], data=data, settings=replace(CLASSIFYING, tokens=400)).as_dict()
    assert found["settings"]["task"] == "vulnerability"
    assert found["settings"]["tokens"] == 64  # the longest input that it takes
    assert [source.rpartition("/")[2] for source in found["data"]["sources"]] == ["valid.jsonl"]
    for one in found["models"]:
        assert list(one["phases"]) == ["fixed", "natural"]
        for phase in one["phases"].values():
            assert phase["units"] == phase["latency_ms"]["n"] == ROUNDS * verb.CALLS
            low, high = phase["seconds_per_unit"]["low"], phase["seconds_per_unit"]["high"]
            assert 0 < low <= phase["seconds_per_unit"]["value"] <= high
            assert phase["cpu_seconds_per_unit"]["value"] > 0
        assert "of_bandwidth" not in one
    assert set(found["ratios"][0]) == {"name", "bytes", "peak_memory", "cold_start", "fixed", "natural"}


def test_rejects_what_cannot_be_compared(generators, small, tmp_path):
    def refused(words, models, **options):
        with pytest.raises(UserError, match=words):
            api.compare(models, **{"settings": CLASSIFYING, **options})

    refused("small is a classifier, one is a generator: their costs cannot be compared", [small, generators / "one"])
    refused("nothing to compare with", [small])
    refused("is a server", [small, "http://localhost:8080/v1"])
    refused("no such file or folder", [small, tmp_path / "none"])
    refused("--price-per-hour: -1 is not a price", [small, small], price_per_hour=-1.0)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{")
    refused("damaged", [small, damaged])


@pytest.mark.parametrize(
    ("kind", "option", "given"),
    [
        ("generator", "--task", {"task": "clone"}),
        ("generator", "--data", {"data": ["x.jsonl"]}),
        ("generator", "--tokenizer", {"tokenizer": "x.json"}),
        ("generator", "--code-column", {"columns": Columns(code="x")}),
        ("generator", "--second-column", {"columns": Columns(second="x")}),
        ("classifier", "--new-tokens", {"settings": QUICK}),
        ("classifier", "--precision", {"settings": replace(CLASSIFYING, precision="bf16")}),
    ],
)
def test_rejects_options_of_the_other_kind(kind, option, given, generators, small):
    one = small if kind == "classifier" else generators / "one"
    with pytest.raises(UserError, match=f"and these are {kind}s") as caught:
        compare([one, one], **given)
    assert caught.value.where == option


@pytest.mark.parametrize(
    ("option", "given", "words"),
    [
        ("--tokenizer", {"tokenizer": "x.json"}, "goes with checkpoints, and these are artifacts"),
        ("--code-column", {"columns": Columns(code="x")}, "goes with --data"),
        ("--second-column", {"columns": Columns(second="x")}, "goes with --data"),
    ],
)
def test_rejects_options_without_effect(option, given, words, small):
    with pytest.raises(UserError, match=words) as caught:
        compare([small, small], **given)
    assert caught.value.where == option


def test_rejects_data_that_join_another_number_of_functions(small, tmp_path):
    pairs = write_pairs(tmp_path, 20, 0)
    with pytest.raises(UserError) as refusal:
        compare([small, small], data=pairs, settings=CLASSIFYING)
    assert refusal.value.remedy


def test_model_that_cannot_be_opened_is_named(generators, tmp_path, one_start):
    made = shutil.copytree(generators / "one", tmp_path / "lamed")
    (made / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"lamed.tokenizer.json: has 2 bytes where the manifest says"):
        compare([generators / "one", made], settings=QUICK)


@pytest.mark.parametrize(
    ("option", "value"),
    [("rounds", 5), ("rounds", True), ("tokens", 2), ("new_tokens", 0), ("threads", 0), ("tokens", 1.5)],
)
def test_rejects_invalid_settings(option, value):
    with pytest.raises(UserError, match=f"--{option.replace('_', '-')}: must be .* or more"):
        CompareSettings(**{option: value})


def test_kinds_and_tasks_are_detected_without_loading(generators, small, workshop, tmp_path):
    classes = tmp_path / "classes"
    classes.mkdir()
    (classes / "config.json").write_text(json.dumps({"architectures": ["RobertaForSequenceClassification"]}))
    kinds = [one.kind for one in identified([small, workshop / "teacher", classes])]
    assert kinds == ["classifier"] * 3
    assert [one.kind for one in identified([generators / "one", generators / "original"])] == ["generator"] * 2
    assert task_of(identified([classes, small]), None) == "vulnerability"
    assert task_of(identified([small, small]), "clone") == "clone"
    with pytest.raises(UserError, match="--task: must be given"):
        task_of(identified([classes, classes]), None)
    other = tmp_path / "teacher"
    other.mkdir()
    (other / "lilliput-teacher.json").write_text(json.dumps({"task": "clone"}))
    with pytest.raises(UserError, match="different tasks: small has 'vulnerability', teacher has 'clone'"):
        task_of(identified([small, other]), None)


def test_rejects_more_new_tokens_than_leave_room_for_a_prompt(generators, one_start):
    with pytest.raises(UserError, match=r"--new-tokens: .* leave no room: one takes"):
        compare([generators / "one", generators / "one"], settings=replace(QUICK, new_tokens=10_000))


def test_rejects_more_threads_than_processors(small):
    with pytest.raises(UserError, match="--threads: 1,000 is more than this"):
        compare([small, small], settings=CompareSettings(threads=1000))


def test_result_never_overwrites_an_input(tmp_path):
    (tmp_path / "data.jsonl").write_text("{}")
    with pytest.raises(UserError, match=r"--out: .*data\.jsonl is a file that this command reads"):
        compare(["one", "two"], data=[tmp_path / "data.jsonl"], out=tmp_path / "data.jsonl")
