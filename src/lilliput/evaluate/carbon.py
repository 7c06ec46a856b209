"""Greenhouse gas emissions of measured or estimated energy: joules x the carbon intensity of the grid.

Intensities are yearly averages over a country's generation, in grams of CO2-equivalent per kWh over the plants' life
cycle. The true figure varies by the hour and the supplier: pass your own :class:`Intensity` where you know it. Ember
revises past years with each edition, so a later edition may have another figure for the same year.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lilliput.errors import UserError

JOULES_PER_KWH = 3.6e6

_MOST_GRAMS = 1e5  # far beyond the dirtiest plant: the value must be in another unit


@dataclass(frozen=True)
class Intensity:
    """The carbon intensity of a grid's electricity.

    Attributes:
        grams_per_kwh: grams of CO2-equivalent per kWh generated.
        region: country or area, in words.
        year: of the average; ``None`` where the figure is the user's own.
        source: publisher of the figure.
    """

    grams_per_kwh: float
    region: str
    year: int | None
    source: str


_EMBER_2025 = "Ember, Global Electricity Review 2025 and its yearly electricity data (CC BY 4.0)"


def _ember(grams_per_kwh: float, region: str) -> Intensity:
    return Intensity(grams_per_kwh, region, 2024, _EMBER_2025)


DEFAULT = _ember(473, "world")
"""The world average of 2024, from the 2025 review."""

INTENSITIES: Mapping[str, Intensity] = MappingProxyType(
    {
        "WORLD": DEFAULT,
        "EU": _ember(213, "European Union"),
        "AUS": _ember(552, "Australia"),
        "BRA": _ember(103, "Brazil"),
        "CAN": _ember(175, "Canada"),
        "CHE": _ember(37, "Switzerland"),
        "CHN": _ember(560, "China"),
        "DEU": _ember(344, "Germany"),
        "ESP": _ember(146, "Spain"),
        "FRA": _ember(44, "France"),
        "GBR": _ember(211, "United Kingdom"),
        "IND": _ember(708, "India"),
        "ITA": _ember(288, "Italy"),
        "JPN": _ember(482, "Japan"),
        "KOR": _ember(414, "South Korea"),
        "NLD": _ember(253, "Netherlands"),
        "POL": _ember(615, "Poland"),
        "SGP": _ember(499, "Singapore"),
        "SWE": _ember(36, "Sweden"),
        "USA": _ember(384, "United States"),
        "ZAF": _ember(709, "South Africa"),
    }
)
"""ISO 3166-1 alpha-3 code (or ``WORLD``, ``EU``) -> intensity."""


def intensity_of(code: str) -> Intensity:
    """The intensity listed under ``code`` (upper or lower case).

    Raises:
        UserError: it is not listed.
    """
    try:
        return INTENSITIES[code.upper()]
    except KeyError:
        raise UserError(
            f"there is no carbon intensity for the region '{code}'.",
            where="--carbon-intensity",
            remedy=f"Use one of {', '.join(INTENSITIES)}, or give the grams a kWh of your own supply.",
        ) from None


def parse_intensity(text: str | None, where: str = "--carbon-intensity") -> Intensity:
    """``350`` -> that many grams per kWh; ``DEU`` -> the intensity listed; ``None`` -> the world average.

    Raises:
        UserError: the number is out of range, or the region is not listed.
    """
    if text is None:
        return DEFAULT
    try:
        given = float(text)
    except ValueError:
        return intensity_of(text)
    if not 0 <= given < _MOST_GRAMS:
        raise UserError(f"{given:g} is not grams a kWh.", where=where, remedy="Give a number such as 350.")
    return Intensity(given, "given on the command line", None, "the user")


def grams(joules: float, intensity: Intensity = DEFAULT) -> float:
    """Grams of CO2-equivalent of ``joules`` of electricity."""
    return joules / JOULES_PER_KWH * intensity.grams_per_kwh
