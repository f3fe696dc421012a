"""Cuts, media objects, timelines and playlists are joined by rung and index."""

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from benchmark.delivery import RungIndex, cut_times, deliveries, sent_to_listed
from benchmark.sent_frames import SentFrames
from bucketcast.hls import MediaPlaylist, MediaSegment, render
from bucketcast.records import encode_record
from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.timeline import Timeline, TimelineSegment, UploadedSegment
from tools.auditor import ObjectGeneration

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DURATION = timedelta(seconds=2)
RUNG = RungName("360p")
FACT = UploadedSegment(size=1, crc32c="AAAAAA==")


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def written(name: str, seconds: float, content: bytes | None = None, **metadata: str) -> ObjectGeneration:
    return ObjectGeneration(
        bucket="any",
        name=name,
        generation=1,
        created=after(seconds),
        size=1,
        content=content,
        metadata=metadata,
    )


def segment(index: int, seconds: float) -> ObjectGeneration:
    return written(f"bench/360p/segment_00000001_{index:010}.ts", seconds, index=str(index))


def timeline(seconds: float, *indexes: int) -> ObjectGeneration:
    said = Timeline(
        stream=StreamId("bench"),
        session=SessionNumber(1),
        encoder=EncoderId("e" * 32),
        ended=False,
        media_at=NOON,
        segments=tuple(
            TimelineSegment(
                index=SegmentIndex(index), start=index * DURATION, duration=DURATION, rungs={RUNG: FACT}
            )
            for index in indexes
        ),
    )
    return written("timelines/bench/00000001/e.json", seconds, encode_record(said))


def playlist(seconds: float, *indexes: int) -> ObjectGeneration:
    listed = MediaPlaylist(
        target_duration=2,
        media_sequence=indexes[0],
        segments=tuple(
            MediaSegment(
                uri=f"segment_00000001_{index:010}.ts",
                duration=DURATION,
                program_date_time=NOON + index * DURATION,
            )
            for index in indexes
        ),
    )
    return written("bench/360p/playlist.m3u8", seconds, render(listed).encode())


def test_cuts_are_read_from_the_ingest_s_log() -> None:
    record = {"message": "segment cut", "time": after(2.5).isoformat(), "rung": "360p", "index": 1}
    log = ["FFmpeg said this", json.dumps({"message": "session begins"}), json.dumps(record)]
    assert cut_times(log) == {RungIndex(RUNG, SegmentIndex(1)): after(2.5).timestamp()}


def test_a_segment_is_announced_and_listed_by_the_first_generation_that_names_it() -> None:
    cuts = {RungIndex(RUNG, SegmentIndex(index)): after(2 * index + 2).timestamp() for index in range(3)}
    found = deliveries(
        cuts,
        media=[segment(0, 2.1), segment(1, 4.1), segment(2, 6.1), playlist(2.5, 0), playlist(4.5, 0, 1)],
        ingest=[timeline(2.2, 0), timeline(4.2, 0, 1), timeline(6.2, 0, 1, 2), written("seals/x", 1)],
    )
    assert [one.segment.index for one in found] == [0, 1]  # the third never came through
    for one in found:
        stages = (one.created - one.cut, one.announced - one.created, one.listed - one.announced)
        assert stages == pytest.approx((0.1, 0.1, 0.3), abs=1e-3)


def test_listing_is_counted_from_the_segment_s_last_frame() -> None:
    cuts = {RungIndex(RUNG, SegmentIndex(index)): after(2 * index + 2).timestamp() for index in range(2)}
    found = deliveries(
        cuts,
        media=[segment(0, 2.1), segment(1, 4.1), playlist(2.5, 0), playlist(4.5, 0, 1)],
        ingest=[timeline(2.2, 0), timeline(4.2, 0, 1)],
    )
    grid = SegmentGrid(frame_rate=Fraction(10), segment_duration=DURATION)
    # Sending stopped in the second segment.
    sent = SentFrames(times=[after(number / 10).timestamp() for number in range(30)], clip_frames=100)
    assert sent_to_listed(found, sent, grid) == pytest.approx([2.5 - 1.9], abs=1e-3)
