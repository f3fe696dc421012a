"""The file format in which FFmpeg reads a feed: it follows from the source."""

from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from ingest.encode.source import AudioSource, SourceFacts
from ingest.feed import AudioCodec, FeedItem, VideoCodec
from ingest.feed.flv import FlvWriter
from ingest.feed.matroska import MatroskaWriter
from ingest.feed.silence import SILENT_CHANNELS, SILENT_SAMPLE_RATE

SILENT_SOURCE = AudioSource(sample_rate=SILENT_SAMPLE_RATE, channels=SILENT_CHANNELS)


class Container(StrEnum):
    """The file formats of feeds, by FFmpeg's names for their demuxers."""

    FLV = "flv"
    MATROSKA = "matroska"

    @property
    def file_name(self) -> str:
        """What a session's feed would be called in a file."""
        return "session.flv" if self is Container.FLV else "session.mkv"


class FeedWriter(Protocol):
    """Writes one feed as one file, whose times are the session's with file_clock.LEAD added."""

    def header(self) -> bytes:
        """The file's header; the codec configurations come next."""

    def write(self, item: FeedItem) -> bytes:
        """Return what *item* adds to the file; raises UnwritableFrame."""


def container_of(source: SourceFacts) -> Container:
    """Return FLV where it has the codecs, else Matroska.

    FLV carries decode times, which a copied rung needs. An adaptive source, whose protocol has none, is no case
    for it.
    """
    audio = source.audio or SILENT_SOURCE
    is_flv = source.video.codec is VideoCodec.H264 and audio.codec is AudioCodec.AAC and not source.adaptive
    return Container.FLV if is_flv else Container.MATROSKA


def feed_writer(source: SourceFacts, *, origin: timedelta) -> FeedWriter:
    """Return a writer of the feed of *source*, whose session begins at *origin*."""
    if container_of(source) is Container.FLV:
        return FlvWriter(origin)
    audio = source.audio or SILENT_SOURCE
    return MatroskaWriter(
        origin,
        width=source.video.width,
        height=source.video.height,
        frame_rate=source.frame_rate,
        sample_rate=audio.sample_rate,
        channels=audio.channels,
    )
