"""Google's list prices for what a broadcast does, in dollars. Data; free tiers and discounts are left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from local_cloud.operations import PriceClass

REGION: Final = "us-central1"
LISTED: Final = "2026-11"  # when the lists were read; each price says of what date its evidence is


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """So many *dollars* for *units* of something; *evidence* says where that stands."""

    dollars: float
    units: float
    evidence: str

    def of(self, count: float) -> float:
        """The dollars for *count*."""
        return count * self.dollars / self.units


_STORAGE: Final = "cloud.google.com/storage/pricing-examples, Standard in a region, undated"
_FIRESTORE: Final = "cloud.google.com/firestore/pricing, Standard edition in us-central1, 2026-08"
_RUN: Final = "cloud.google.com/run/pricing, tier 1, billed by request, 2026-10-01"

PRICES: Final[Mapping[PriceClass, Price]] = {
    PriceClass.STORAGE_A: Price(dollars=0.005, units=1_000, evidence=_STORAGE),
    PriceClass.STORAGE_B: Price(dollars=0.0004, units=1_000, evidence=_STORAGE),
    PriceClass.DOCUMENT_READ: Price(dollars=0.03, units=100_000, evidence=_FIRESTORE),
    PriceClass.DOCUMENT_WRITE: Price(dollars=0.09, units=100_000, evidence=_FIRESTORE),
    PriceClass.DOCUMENT_DELETE: Price(dollars=0.01, units=100_000, evidence=_FIRESTORE),
    PriceClass.FUNCTION_CALL: Price(dollars=0.40, units=1_000_000, evidence=_RUN),
    # 1 vCPU at $0.000024 and 0.5 GiB at $0.0000025 a second and GiB: a function's size by default is no larger.
    PriceClass.FUNCTION_TIME: Price(dollars=0.000024 + 0.5 * 0.0000025, units=10, evidence=_RUN),
    PriceClass.PUBSUB_BYTE: Price(
        dollars=40.0, units=2**40, evidence="cloud.google.com/pubsub/pricing, undated"
    ),
    # Eventarc's events from Google's own services: "0 per million"; deletes.
    PriceClass.FREE: Price(dollars=0.0, units=1, evidence="cloud.google.com/eventarc/pricing, undated"),
}
STORED_GIGABYTE_DAY: Final = Price(
    dollars=0.020, units=30, evidence="cloud.google.com/storage/pricing, Standard in us-central1, undated"
)
CDN_LOOKUP: Final = Price(dollars=0.0075, units=10_000, evidence="cloud.google.com/cdn/pricing, undated")

# What the goal leaves out.
COMPUTE: Final = frozenset({PriceClass.FUNCTION_TIME})
