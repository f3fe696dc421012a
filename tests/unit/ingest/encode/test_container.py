from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest

from ingest.encode.container import Container, container_of, feed_writer
from ingest.encode.source import AudioSource, SourceFacts, VideoSource
from ingest.feed import AudioCodec, VideoCodec
from ingest.feed.flv import FlvWriter
from ingest.feed.matroska import MatroskaWriter

AAC = AudioSource(sample_rate=44_100, channels=2)
OPUS = AudioSource(sample_rate=48_000, channels=2, codec=AudioCodec.OPUS)


def source(codec: VideoCodec, audio: AudioSource | None) -> SourceFacts:
    video = VideoSource(width=640, height=360, codec=codec)
    return SourceFacts(video=video, audio=audio, frame_rate=Fraction(30))


@pytest.mark.parametrize(
    ("codec", "audio", "container", "writer"),
    [
        (VideoCodec.H264, AAC, Container.FLV, FlvWriter),
        (VideoCodec.H264, None, Container.FLV, FlvWriter),
        (VideoCodec.H264, OPUS, Container.MATROSKA, MatroskaWriter),
        (VideoCodec.VP8, OPUS, Container.MATROSKA, MatroskaWriter),
        (VideoCodec.VP8, AAC, Container.MATROSKA, MatroskaWriter),
        (VideoCodec.VP8, None, Container.MATROSKA, MatroskaWriter),
    ],
)
def test_flv_carries_h264_with_aac_and_matroska_all_else(
    codec: VideoCodec, audio: AudioSource | None, container: Container, writer: type
) -> None:
    """Silence, where there is no sound, is AAC. Adaptive sources have no decode times, and FLV needs them."""
    facts = source(codec, audio)
    assert container_of(facts) is container
    assert type(feed_writer(facts, origin=timedelta(0))) is writer
    assert container_of(replace(facts, adaptive=True)) is Container.MATROSKA


def test_a_file_s_name_says_its_format() -> None:
    assert [container.file_name for container in Container] == ["session.flv", "session.mkv"]
