"""Calibration and fake quantization in torch against the numpy arithmetic that the graph uses."""

import numpy as np
import torch

from lilliput.formats.precision import PRECISIONS, ActivationRange, dequantize_rows, quantize_rows
from lilliput.quantize.hooks import FakeQuantizer, RangeObserver


def test_observed_ranges_are_the_extremes_and_include_zero():
    observer = RangeObserver()
    observer("a", torch.tensor([1.0, 2.0]))
    observer("a", torch.tensor([3.0, 0.5]))
    assert observer.ranges()["a"] == ActivationRange(0.0, 3.0)


def test_clipping_excludes_the_tail():
    observer = RangeObserver(clip=0.01)
    observer("a", torch.linspace(-1, 1, 10_001))
    found = observer.ranges()["a"]
    assert -0.99 < found.low < -0.97
    assert 0.97 < found.high < 0.99


def test_rounded_weights_match_the_graph():
    weight = torch.randn(5, 130, generator=torch.Generator().manual_seed(0))
    for name in ("int8", "int4"):
        precision = PRECISIONS[name]
        expected = dequantize_rows(*quantize_rows(weight.numpy(), precision), precision)
        found = FakeQuantizer(precision, {}).weight("layers.0.up", weight)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_gradients_use_the_straight_through_estimator():
    weight = torch.randn(4, 8, requires_grad=True)
    FakeQuantizer(PRECISIONS["int8"], {}).weight("layers.0.up", weight).sum().backward()
    assert torch.equal(weight.grad, torch.ones_like(weight))


def test_activations_are_rounded_within_their_range_only():
    rounding = FakeQuantizer(PRECISIONS["int8"], {"a": ActivationRange(-1.0, 1.0)})
    value = torch.tensor([-3.0, -0.5, 0.0, 0.3, 3.0])
    found = rounding.activation("a", value)
    assert found[2] == 0
    assert torch.allclose(found[[1, 3]], value[[1, 3]], atol=1 / 255)
    assert torch.allclose(found[[0, 4]], torch.tensor([-1.0, 1.0]), atol=2 / 255)
    assert torch.equal(rounding.activation("b", value), value)
