"""One stream and all that the ingest needs around it, in memory: functions answer as the real handlers do."""

import json
import os
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from bucketcast.errors import BucketcastError, NotFound, Refused
from bucketcast.gcp.functions import Answer
from bucketcast.handlers.claim import Claims
from bucketcast.handlers.streams import Streams
from bucketcast.handlers.watch import Watchdog
from bucketcast.records import decode_record, encode_record
from bucketcast.stream.claim import ClaimRequest, Renewal
from bucketcast.stream.configuration import RecordingMode
from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import EncoderId, RungName, StreamId
from bucketcast.stream.stream_request import RungRequest, StreamRequest
from bucketcast.stream.timeline import Timeline
from fakes import FakeClock, FakeFunction, FakeStreamDocuments, FaultyBucket, InlineExecutor
from ingest.broadcasters import Broadcaster, Broadcasters
from ingest.control import Control
from ingest.feed.source_metadata import SourceMetadata
from ingest.metrics import Metrics
from ingest.protocols.publishing import CloseReason, PublishRequest, StreamKey
from ingest.session import Surroundings

STREAM: Final = StreamId("demo")
RUNG: Final = RungName("180p")


class WallClock(FakeClock):
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class RecordingConnection:
    """A broadcaster's connection, which notes how it is closed."""

    def __init__(self) -> None:
        self.closed: list[CloseReason] = []
        self.input_faults: tuple[InputFault, ...] = ()

    def faults(self) -> tuple[InputFault, ...]:
        return self.input_faults

    def close(self, reason: CloseReason, description: str) -> None:
        assert description
        self.closed.append(reason)


class IngestWorld:
    """The stream `demo` with a rung of 180p, its buckets and its functions.

    *control* runs the calls of functions. While *interfere* returns an answer for a path, or raises, that is
    what the function does.
    """

    def __init__(
        self,
        ffmpeg: Path,
        *,
        clock: FakeClock | None = None,
        control: Executor | None = None,
        recording: RecordingMode = RecordingMode.ON,
    ) -> None:
        self.clock = clock or WallClock()
        self.media = FaultyBucket(self.clock)
        self.ingest = FaultyBucket(self.clock)
        self.recording = FaultyBucket(self.clock)
        self.documents = FakeStreamDocuments()
        self.claims = Claims(ingest=self.ingest, documents=self.documents, clock=self.clock)
        self.streams = Streams(
            ingest=self.ingest,
            documents=self.documents,
            watchdog=Watchdog(media=self.media, clock=self.clock, executor=InlineExecutor()),
            clock=self.clock,
            random_bytes=os.urandom,
        )
        request = StreamRequest(
            id=STREAM,
            rungs=(RungRequest(name=RUNG, video_kbps=300),),
            segment_seconds=1.0,
            recording=recording,
        )
        self.stream_key = self.streams.create(request).stream_key
        self.interfere: Callable[[str], Answer | None] = lambda _: None
        self.functions = FakeFunction(self._answer)
        self.registry = CollectorRegistry()
        numbers = count(1)
        self.surroundings = Surroundings(
            media=self.media,
            ingest=self.ingest,
            recording=self.recording,
            control=Control(
                publish=self.functions,
                sessions=self.functions,
                ingest_bucket="ingest",
                wakes=control or InlineExecutor(),
                leases=control or InlineExecutor(),
            ),
            executor=InlineExecutor(),
            recorders=InlineExecutor(),
            timelines=InlineExecutor(),
            strangers=InlineExecutor(),
            metrics=Metrics(self.registry),
            ffmpeg=ffmpeg,
            now=self.clock.now,
            new_encoder_id=lambda: EncoderId(f"e{next(numbers)}"),
        )
        self.broadcasters = Broadcasters(self.surroundings)

    async def authorize(self, key: str | None = None) -> tuple[Broadcaster, RecordingConnection]:
        """Let a broadcaster in with *key*, or with the right one."""
        connection = RecordingConnection()
        request = PublishRequest(
            stream_key=StreamKey(self.stream_key if key is None else key),
            peer_address="192.0.2.1",
            connection=connection,
        )
        broadcaster = await self.broadcasters.authorize(request)
        await broadcaster.metadata(SourceMetadata(frame_rate=Fraction(25)))
        return broadcaster, connection

    def count(self, name: str, **labels: str) -> float:
        """A metric's value."""
        return self.registry.get_sample_value(f"bucketcast_{name}", labels) or 0

    @property
    def sessions(self) -> int:
        """How many sessions were claimed."""
        return self.streams.view(STREAM).session

    @property
    def timelines(self) -> list[Timeline]:
        """The timeline of each session, as it is now."""
        contents = self.ingest.contents("timelines/").values()
        return sorted((decode_record(Timeline, c) for c in contents), key=lambda timeline: timeline.session)

    def calls(self, path: str) -> list[bytes]:
        """The bodies with which *path* was called."""
        return [body for called, body in self.functions.calls if called == path]

    def _answer(self, path: str, body: bytes) -> Answer:
        if (answer := self.interfere(path)) is not None:
            return answer
        try:
            match path:
                case "/claim":
                    return Answer(
                        status=200, body=encode_record(self.claims.claim(decode_record(ClaimRequest, body)))
                    )
                case "/renew":
                    return Answer(
                        status=200, body=encode_record(self.claims.renew(decode_record(Renewal, body)))
                    )
                case _:
                    return Answer(status=204, body=b"")
        except (Refused, NotFound) as error:
            return problem(409 if isinstance(error, Refused) else 404, error)


def problem(status: int, error: BucketcastError | str = "no") -> Answer:
    """An answer that says what is wrong."""
    return Answer(status=status, body=json.dumps({"detail": str(error)}).encode())
