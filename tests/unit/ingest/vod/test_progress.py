import msgspec

from bucketcast.objects import NewObject
from fakes import EPOCH, FakeClock, Fate, FaultyBucket
from ingest.vod.progress import BucketProgress
from unit.ingest.vod.vod_plans import NAMES


class Watched:
    """A task's progress in a bucket, and the time that its clock says."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bucket = FaultyBucket(self.clock)
        self.progress = self.new()

    def new(self) -> BucketProgress:
        return BucketProgress(
            self.bucket,
            NAMES,
            task=1,
            tasks=2,
            monotonic=self.monotonic,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def monotonic(self) -> float:
        return (self.clock.now() - EPOCH).total_seconds()

    @property
    def told(self) -> list[tuple[int, int]]:
        known = [msgspec.json.decode(new.content) for _, new in self.bucket.log]
        return [(each["done"], each["total"]) for each in known]


async def test_progress_is_told_every_few_seconds_and_in_the_end() -> None:
    watched = Watched()
    for done in range(1, 11):
        watched.clock.advance(2)
        await watched.progress.report(done, 10)
    assert watched.told == [(1, 10), (4, 10), (7, 10), (10, 10)]
    assert {new.name for _, new in watched.bucket.log} == {NAMES.progress(1)}


async def test_the_last_report_waits_until_it_may_be_written() -> None:
    """Cloud Storage takes one write a second to a name."""
    watched = Watched()
    for done in range(1, 4):
        await watched.progress.report(done, 3)
    assert watched.told == [(1, 3), (3, 3)]


async def test_the_next_attempt_tells_in_the_same_object() -> None:
    watched = Watched()
    await watched.progress.report(1, 3)
    watched.clock.advance(60)
    await watched.new().report(2, 3)
    assert watched.told == [(1, 3), (2, 3)]


async def test_what_cannot_be_told_is_told_later() -> None:
    watched = Watched()
    fates = [Fate.UNAVAILABLE, Fate.DONE, Fate.ANSWER_LOST, Fate.DONE]

    def fate(_: NewObject) -> Fate:
        return fates.pop(0)

    watched.bucket.fate = fate
    for done in range(1, 5):
        await watched.progress.report(done, 10)
        watched.clock.advance(6)
    assert watched.told == [(2, 10), (3, 10), (4, 10)]
