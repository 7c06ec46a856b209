"""Ranges of activations against numpy's over all values at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.formats.precision import ActivationRange
from lilliput.quantize import histogram, observe
from lilliput.quantize.histogram import Histogram
from lilliput.quantize.observe import OBSERVERS

SHAPES = {
    "normal": lambda r, n: r.normal(0.3, 1, n),
    "one side": lambda r, n: np.abs(r.normal(0, 2, n)),
    "other side": lambda r, n: -r.exponential(0.01, n),
    "few that are huge": lambda r, n: np.where(r.random(n) < 0.001, 300 * r.normal(size=n), r.normal(0, 0.1, n)),
    "heavy tails": lambda r, n: r.standard_t(2, n) * 1e-3,
    "mostly zero": lambda r, n: np.where(r.random(n) < 0.9, 0, r.normal(0, 5, n)),
}


def values(shape, count=20_000, seed=0):
    return SHAPES[shape](np.random.default_rng(seed), count).astype(np.float32)


def found(method, array, parts=1):
    observer = OBSERVERS[method]()
    for part in np.array_split(array, parts):
        observer.add(part)
    return observer.range()


def counted(array):
    seen = Histogram()
    seen.add(array)
    return seen


@pytest.mark.parametrize("shape", SHAPES)
def test_histogram_counts_match_numpy(shape):
    array = values(shape)
    seen = counted(array)
    edges = (seen.first + np.arange(len(seen.counts) + 1)) * seen.width
    expected, _ = np.histogram(array.astype(np.float64), edges)
    expected[-1] -= (array == edges[-1]).sum()  # numpy's last bin includes both edges
    np.testing.assert_array_equal(seen.counts, expected)
    assert histogram.BINS // 2 - 1 <= len(seen.counts) <= histogram.BINS
    assert (seen.low, seen.high) == (min(0, array.min()), max(0, array.max()))


numbers = st.builds(lambda digits, exponent: digits * 2.0**exponent, st.integers(-1000, 1000), st.integers(-40, 40))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(numbers, max_size=5), max_size=6), st.randoms())
def test_histogram_does_not_depend_on_order_or_parts(parts, random):
    flat = [value for part in parts for value in part]
    one = counted(np.array(flat, np.float32))
    random.shuffle(parts)
    other = Histogram()
    for part in parts:
        other.add(np.array(part, np.float32))
    np.testing.assert_array_equal(one.counts, other.counts)
    assert (one.first, one.exponent, one.low, one.high) == (other.first, other.exponent, other.low, other.high)
    assert one.total == len(flat)
    assert len(one.counts) <= histogram.BINS


@pytest.mark.parametrize("size", [3e38, 1e-30, 1e-40])
def test_values_of_any_magnitude(size):
    array = (values("normal", 100) / 5 * np.float32(size)).astype(np.float32)
    assert counted(array).total == 100
    for method in OBSERVERS:
        chosen = found(method, array)
        assert array.min() <= chosen.low < chosen.high <= array.max()


@pytest.mark.parametrize("shape", SHAPES)
def test_coarser_histogram_equals_one_with_wider_bins(shape):
    array = values(shape)
    coarse = counted(array).coarser(1000)
    assert 499 <= len(coarse.counts) <= 1000
    places = np.floor(array.astype(np.float64) / coarse.width).astype(int) - coarse.first
    np.testing.assert_array_equal(coarse.counts, np.bincount(places, minlength=len(coarse.counts)))


@pytest.mark.parametrize("method", OBSERVERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_range_of_parts_equals_range_of_the_whole(method, shape):
    array = values(shape, 5000)
    assert found(method, array, parts=7) == found(method, array[::-1]) == found(method, array.reshape(10, 5, -1))


@pytest.mark.parametrize("shape", SHAPES)
def test_minmax_matches_numpy(shape):
    array = values(shape)
    assert found("minmax", array) == ActivationRange(min(0, float(array.min())), max(0, float(array.max())))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("inside", [0.9, 0.9999])
def test_percentile_matches_numpy_within_a_bin(shape, inside):
    array = values(shape)
    seen = counted(array)
    expected = np.quantile(array, [(1 - inside) / 2, (1 + inside) / 2], method="inverted_cdf")
    chosen = observe.percentile(seen, inside)
    assert chosen.low == pytest.approx(min(0, expected[0]), abs=seen.width)
    assert chosen.high == pytest.approx(max(0, expected[1]), abs=seen.width)


def squared_error(array, chosen):
    codes = np.clip(np.rint(array.astype(np.float64) / chosen.scale) + chosen.zero_point, 0, 255)
    return np.square((codes - chosen.zero_point) * chosen.scale - array).sum()


@pytest.mark.parametrize("shape", SHAPES)
def test_mse_is_the_best_of_its_candidates(shape):
    array = values(shape)
    low, high = min(0, float(array.min())), max(0, float(array.max()))
    largest = max(-low, high) * 2.0 ** (-np.arange(65) / 8)
    tried = [ActivationRange(max(low, -size), min(high, size)) for size in largest]
    best = min(squared_error(array, one) for one in tried)
    assert squared_error(array, found("mse", array)) <= 1.02 * best


def test_mse_clips_where_clipping_reduces_the_error():
    array = np.append(values("normal", 200_000), np.float32(50))
    assert found("mse", array).high < 40
    assert squared_error(array, found("mse", array)) < 0.85 * squared_error(array, found("minmax", array))
    uniform = np.linspace(-1, 1, 10_001, dtype=np.float32)
    assert found("mse", uniform) == ActivationRange(-1.0, 1.0)


def divergence(array, edges, begin, end):
    """Bin by bin, level by level, as in Migacz's slides, on the bins that ``edges`` delimit."""
    counts, _ = np.histogram(array, edges)
    counts = counts.astype(float)
    reference = list(counts[begin:end])
    reference[0] += counts[:begin].sum()
    reference[-1] += counts[end:].sum()
    levels = [[] for _ in range(256)]
    for place in range(end - begin):
        levels[place * 256 // (end - begin)].append(place)
    candidate = [0.0] * (end - begin)
    for places in levels:
        filled = [place for place in places if reference[place] > 0]
        for place in filled:
            candidate[place] = sum(counts[begin + p] for p in places) / len(filled)
    total, mass, sum_ = sum(reference), sum(candidate), 0.0
    for p, q in zip(reference, candidate, strict=True):
        if p > 0 and q == 0:
            return np.inf
        sum_ += p / total * np.log(p / total / (q / mass)) if p > 0 else 0
    return sum_


@pytest.mark.parametrize("shape", SHAPES)
def test_entropy_minimizes_the_divergence(shape, monkeypatch):
    monkeypatch.setattr(observe, "ENTROPY_BINS", 600)
    array = values(shape).astype(np.float64)
    coarse = counted(array.astype(np.float32)).coarser(600)
    edges = (coarse.first + np.arange(len(coarse.counts) + 1)) * coarse.width
    first, last = coarse.first, coarse.first + len(coarse.counts)
    best, expected = np.inf, None
    for bins in range(max(-first, last), 0, -8):
        begin, end = max(first, -bins) - first, min(last, bins) - first
        if end - begin >= 256:
            value = divergence(array, edges, begin, end)
            if value < best - 1e-12:
                largest = bins * coarse.width
                best, expected = value, (max(coarse.low, -largest), min(coarse.high, largest))
    chosen = found("entropy", array.astype(np.float32))
    assert (chosen.low, chosen.high) == pytest.approx(expected)


@pytest.mark.parametrize("method", OBSERVERS)
def test_ranges_include_zero_and_lie_within_the_values(method):
    for shape in SHAPES:
        array = values(shape)
        chosen = found(method, array)
        assert min(0, array.min()) <= chosen.low <= 0 <= chosen.high <= max(0, array.max())
    assert found(method, np.zeros(0, np.float32)) == ActivationRange(0.0, 0.0)
    assert found(method, np.zeros(9, np.float32)) == ActivationRange(0.0, 0.0)
    one_value = found(method, np.full(9, 2.5, np.float32))
    assert one_value.low == 0
    assert one_value.high == pytest.approx(2.5, rel=0.01)


@pytest.mark.parametrize("method", OBSERVERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rejects_nan_and_infinity(method, value):
    observer = OBSERVERS[method]()
    with pytest.raises(ValueError, match="not finite"):
        observer.add(np.array([1, value, 2], np.float32))


def test_zeros_before_other_values():
    seen = Histogram()
    seen.add(np.zeros(3, np.float32))
    seen.add(values("other side"))
    assert len(seen.counts) >= histogram.BINS // 2
    assert seen.total == 20_003


def test_memory_is_bounded():
    seen = Histogram()
    for power in range(-30, 30):
        seen.add(values("normal", 1000, power + 30) * np.float32(2.0**power))
    assert seen.counts.nbytes <= 8 * histogram.BINS
    assert seen.total == 60_000
