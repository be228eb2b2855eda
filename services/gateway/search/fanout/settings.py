"""Settings of the fan-out: OMMA_GATEWAY__FANOUT__…"""

from pydantic import Field

from omma.settings import Section


class FanoutSettings(Section):
    """When another replica is asked, and when one is not asked for a while."""

    max_in_flight: int = Field(256, ge=1, le=100_000, description="Calls under way at one replica.")

    hedge_share: float = Field(0.05, ge=0, le=1, description="Calls added at most, of the calls made; 0: none.")
    hedge_burst: int = Field(10, ge=0, le=10_000, description="Hedges that may come at once, saved up.")
    hedge_quantile: float = Field(0.95, gt=0, lt=1, description="Of the shard's answers, after which one is hedged.")
    hedge_min_seconds: float = Field(0.005, gt=0, le=60, description="No hedge earlier.")
    hedge_first_seconds: float = Field(0.1, gt=0, le=60, description="While too few answers are known.")

    eject_failures: int = Field(3, ge=1, le=1_000, description="In a row.")
    eject_failed_share: float = Field(0.5, gt=0, le=1, description="Of the last 32 calls.")
    eject_slower: float = Field(4.0, gt=1, le=1_000, description="Times the mean of the fastest sibling.")
    eject_slower_seconds: float = Field(0.02, ge=0, le=60, description="And at least this much.")
    eject_seconds: float = Field(1.0, gt=0, le=600, description="The first time; doubled each time in a row.")
    eject_max_seconds: float = Field(10.0, gt=0, le=3_600)
    probe_seconds: float = Field(1.0, gt=0, le=60, description="To answer within before it is asked again.")

    stale_records: int = Field(64, ge=0, le=1_000_000_000, description="That a sibling had and a replica has not …")
    stale_seconds: float = Field(5.0, gt=0, le=3_600, description="… this long afterwards: it is passed over.")
