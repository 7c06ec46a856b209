"""Cost of a piece of work on a rented machine: its time x a price.

The price covers only the threads that the work keeps busy, as if somebody else rented the rest of the machine, and
assumes that the machine is never idle: a lower bound of what a service pays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lilliput.errors import UserError

SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Price:
    """The price of a machine.

    Attributes:
        usd_per_hour: US dollars per hour for all threads used.
        threads: number of threads used.
        year: of the price list; ``None`` where the figure is the user's own or its year is unknown.
        source: who asks that price, and for what.
    """

    usd_per_hour: float
    threads: int
    year: int | None
    source: str

    def usd(self, seconds: float) -> float:
        """The cost of ``seconds``."""
        return seconds * self.usd_per_hour / SECONDS_PER_HOUR


USD_PER_THREAD_HOUR = 0.0425
ASSUMED_SOURCE = (
    "an assumption, to be replaced by --price-per-hour: 0.34 USD an hour for 8 threads, as an example in Amazon's EC2 "
    "Auto Scaling user guide has for a c5.2xlarge on demand in Northern Virginia (no current price, it says)"
)
"""Listed there under "price per unit hour". Prices change, and differ by region and seller, and this one has no year:
it is an assumption, and called one wherever it is shown."""


def price_of(threads: int, usd_per_hour: float | None = None) -> Price:
    """The assumed price of ``threads`` threads, or the user's own price of a machine that has them.

    Raises:
        UserError: the price is negative or not finite.
    """
    if usd_per_hour is None:
        return Price(USD_PER_THREAD_HOUR * threads, threads, None, ASSUMED_SOURCE)
    if not (math.isfinite(usd_per_hour) and usd_per_hour >= 0):
        raise UserError(
            f"{usd_per_hour:g} is not a price.",
            where="--price-per-hour",
            remedy="Give US dollars an hour, such as 0.34.",
        )
    return Price(usd_per_hour, threads, None, "the user")
