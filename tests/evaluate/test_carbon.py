"""Joules to grams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.evaluate.carbon import DEFAULT, INTENSITIES, Intensity, grams, intensity_of, parse_intensity


def test_one_kilowatt_hour_gives_the_intensity():
    assert grams(3.6e6) == DEFAULT.grams_per_kwh == 473
    assert grams(3.6e6, intensity_of("fra")) == 44


@given(st.floats(0, 1e12), st.floats(0, 1000))
def test_grams_are_proportional_to_both(joules, per_kwh):
    expected = joules * per_kwh / 1000 / 3600
    assert grams(joules, Intensity(per_kwh, "here", 2025, "meter")) == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_every_listed_intensity_names_its_source():
    for code, intensity in INTENSITIES.items():
        assert 0 < intensity.grams_per_kwh < 1000, code
        assert intensity.region
        assert intensity.year == 2024
        assert "Ember" in intensity.source


def test_unknown_region_lists_the_known_ones():
    with pytest.raises(UserError, match=r"no carbon intensity for the region 'Atlantis'.*WORLD, EU"):
        intensity_of("Atlantis")


def test_parses_intensities_as_people_write_them():
    assert parse_intensity(None) is DEFAULT
    assert parse_intensity("deu") is INTENSITIES["DEU"]
    given = parse_intensity("12.5")
    assert (given.grams_per_kwh, given.year, given.source) == (12.5, None, "the user")


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e5"])
def test_rejects_invalid_intensities(text):
    with pytest.raises(UserError, match=r"--carbon-intensity: .* is not grams a kWh"):
        parse_intensity(text)
