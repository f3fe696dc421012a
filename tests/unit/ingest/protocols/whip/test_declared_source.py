from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.identifiers import BitsPerSecond
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.whip.declared_source import MIN_BITRATE, parse_declared_source

MOST = BitsPerSecond(8_000_000)
UNKNOWN = SourceMetadata(adaptive=True)


def metadata(query: str) -> SourceMetadata:
    return parse_declared_source(query, max_bitrate=MOST)[0]


def bitrate(query: str) -> int:
    return parse_declared_source(query, max_bitrate=MOST)[1]


def test_what_our_page_declares_is_read() -> None:
    said = "width=1280&height=720&frame_rate=29.97&bitrate=2500000"
    assert metadata(said) == SourceMetadata(
        frame_rate=Fraction(2997, 100), width=1280, height=720, adaptive=True
    )


def test_nothing_said_is_nothing_known() -> None:
    assert parse_declared_source("", max_bitrate=MOST) == (UNKNOWN, MOST)


@pytest.mark.parametrize(
    "query",
    [
        "width=1280",
        "width=1280&height=0",
        "width=-1&height=720",
        "width=1280&height=9999",
        "width=1e3&height=720",
        "width=&height=720",
        "frame_rate=0",
        "frame_rate=1000",
        "frame_rate=30/1",
        "frame_rate=nan",
        "key=secret",
        "%ff=%ff&&&;=",
        "a=1&" * 1000 + "frame_rate=30",
    ],
)
def test_what_makes_no_sense_is_as_if_it_were_not_said(query: str) -> None:
    assert metadata(query) == UNKNOWN


def test_a_publisher_may_use_a_quarter_more_than_its_video() -> None:
    assert bitrate("bitrate=2500000") == 3_125_000


@pytest.mark.parametrize(
    ("query", "most"),
    [
        ("bitrate=7000000", MOST),
        ("bitrate=999999999", MOST),
        ("bitrate=99999999999", MOST),
        ("bitrate=x", MOST),
        ("bitrate=1", MIN_BITRATE * 5 // 4),
    ],
)
def test_the_bitrate_is_bounded(query: str, most: int) -> None:
    assert bitrate(query) == most


@given(st.text())
def test_any_query_is_read(query: str) -> None:
    assert metadata(query).adaptive
    assert 0 < bitrate(query) <= MOST
