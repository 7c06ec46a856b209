"""Time to dollars."""

import math

import pytest

from lilliput.errors import UserError
from lilliput.evaluate.money import USD_PER_THREAD_HOUR, price_of


def test_one_hour_costs_the_hourly_price():
    assert price_of(1).usd(3600) == pytest.approx(USD_PER_THREAD_HOUR, rel=1e-12)
    assert price_of(8).usd(3600) == pytest.approx(0.34, rel=1e-12)  # the machine of the example
    assert price_of(4, 0.5).usd(1800) == pytest.approx(0.25, rel=1e-12)


def test_price_names_its_source():
    assert (price_of(2).year, price_of(2).threads) == (None, 2)
    assert price_of(2).source.startswith("an assumption, to be replaced by --price-per-hour")
    assert "c5.2xlarge" in price_of(2).source
    assert (price_of(2, 0.1).year, price_of(2, 0.1).source) == (None, "the user")


@pytest.mark.parametrize("price", [-0.01, math.nan, math.inf])
def test_rejects_invalid_prices(price):
    with pytest.raises(UserError, match=r"--price-per-hour: .* is not a price"):
        price_of(1, price)
