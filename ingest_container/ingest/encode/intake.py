"""What of a feed reaches the encoder: one format throughout, no jumps, and sound where it is missing."""

from dataclasses import dataclass
from datetime import timedelta

from bucketcast.errors import BucketcastError
from bucketcast.stream.encoder_report import InputFault
from ingest.encode.source import AudioSource, SourceFacts
from ingest.feed import CodecConfiguration, EncodedFrame, FeedItem, Track
from ingest.feed.silence import SILENT_CHANNELS, SILENT_CONFIGURATION, SILENT_SAMPLE_RATE, SilenceFiller

# Timestamps that jump further are another session; up to here a hole is filled with the last picture.
MAX_JUMP = timedelta(seconds=10)
_SILENT_SOURCE = AudioSource(sample_rate=SILENT_SAMPLE_RATE, channels=SILENT_CHANNELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """Where the next session goes on: at *begin* on the sender's clock, decoding from the first of *items*."""

    begin: timedelta
    items: tuple[FeedItem, ...]


class SourceChanged(BucketcastError):
    """The source is no longer what its session was planned for: finish it, and open another.

    *fault* is the condition to report. Without a *resumption* the next session starts at the next keyframe.
    """

    def __init__(self, reason: str, *, fault: InputFault, resumption: Resumption | None = None) -> None:
        super().__init__(reason)
        self.fault = fault
        self.resumption = resumption


class Intake:
    """Admits the items of a feed whose source is *source*, and adds the silence that it lacks."""

    def __init__(self, source: SourceFacts) -> None:
        audio = source.audio or _SILENT_SOURCE
        self._silence = SilenceFiller(
            sample_rate=audio.sample_rate, channels=audio.channels, absent=source.audio is None
        )
        self._configurations: dict[Track, CodecConfiguration] = {}
        self._missing = [SILENT_CONFIGURATION] if source.audio is None else []
        self._last_decode_time: timedelta | None = None

    def take(self, item: FeedItem) -> list[FeedItem]:
        """Return what is encoded for *item*, which may be nothing; raises SourceChanged.

        The first configuration of each track is the session's; senders repeat it freely. Any other would have
        FFmpeg set up its filters anew in the middle of a segment.
        """
        if self._missing:
            silent = self._configure(self._missing.pop())
            return [*silent, *self.take(item)]
        if isinstance(item, CodecConfiguration):
            return self._configure(item)
        if item.track is Track.AUDIO:
            self._check_jump(item)
            known = Track.AUDIO in self._configurations
            return [item] if known and self._silence.admits(item) else []
        return self._picture(item)

    def _configure(self, item: CodecConfiguration) -> list[FeedItem]:
        known = self._configurations.get(item.track)
        if known is not None and known != item:
            raise SourceChanged(f"the {item.track}'s format changed", fault=InputFault.CODEC_CHANGE)
        self._configurations[item.track] = item
        return [item] if known is None else []

    def _picture(self, item: EncodedFrame) -> list[FeedItem]:
        self._check_jump(item)
        self._last_decode_time = item.decode_time
        return [item, *self._silence.fill(item.decode_time)]

    def _check_jump(self, item: EncodedFrame) -> None:
        """Raise SourceChanged where *item* is too far from the last picture, which is everybody's clock."""
        last = self._last_decode_time
        if last is not None and abs(item.decode_time - last) > MAX_JUMP:
            raise SourceChanged("the timestamps jumped", fault=InputFault.TIMESTAMP_JUMP)
