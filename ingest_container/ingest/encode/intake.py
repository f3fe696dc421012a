"""What of a feed reaches the encoder: one format throughout, no jumps, and sound where it is missing."""

from datetime import timedelta

from bucketcast.errors import BucketcastError
from bucketcast.stream.encoder_report import InputFault
from ingest.encode.container import SILENT_SOURCE
from ingest.encode.source import Opened, SourceFacts
from ingest.encode.still_picture import StillPicture
from ingest.feed import CodecConfiguration, EncodedFrame, FeedItem, Track
from ingest.feed.file_clock import LEAD, MAX_DURATION
from ingest.feed.silence import SILENT_CONFIGURATION, SilenceFiller, sound_of

# Timestamps that jump further are another session; up to here a hole is filled with the last picture.
MAX_JUMP = timedelta(seconds=10)


class SessionOver(BucketcastError):
    """The session cannot go on, but its feed can: finish the session, and open another.

    *fault* is the condition to report. The *successor* is the opening of the next session, without a hole after
    this one; where there is none, the next session starts at the next keyframe. The item that was to be written
    was not taken.
    """

    def __init__(self, reason: str, *, fault: InputFault, successor: Opened | None = None) -> None:
        super().__init__(reason)
        self.fault = fault
        self.successor = successor


class SourceChanged(SessionOver):
    """The source is no longer what its session was planned for."""


class Intake:
    """Admits the items of a feed whose source is *source*, and adds the silence and still pictures it lacks.

    *origin* is the session's time 0 on the sender's clock.
    """

    def __init__(self, source: SourceFacts, *, origin: timedelta) -> None:
        # What the file in which FFmpeg reads the feed has room for.
        self._earliest, self._latest = origin - LEAD, origin - LEAD + MAX_DURATION
        audio = source.audio or SILENT_SOURCE
        self._silence = SilenceFiller(
            sound_of(audio.codec, sample_rate=audio.sample_rate, channels=audio.channels),
            origin=origin,
            absent=source.audio is None,
        )
        self._still = StillPicture() if source.adaptive else None
        self._configurations: dict[Track, CodecConfiguration] = {}
        self._missing = [SILENT_CONFIGURATION] if source.audio is None else []
        self._last_decode_time: timedelta | None = None
        self._last_sound_time: timedelta | None = None

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
        self._check_jump(item)
        return self._sound(item) if item.track is Track.AUDIO else self._picture(item)

    def _configure(self, item: CodecConfiguration) -> list[FeedItem]:
        known = self._configurations.get(item.track)
        if known is not None and known != item:
            raise SourceChanged(f"the {item.track}'s format changed", fault=InputFault.CODEC_CHANGE)
        self._configurations[item.track] = item
        return [item] if known is None else []

    def _sound(self, item: EncodedFrame) -> list[FeedItem]:
        self._last_sound_time = item.decode_time
        sound = self._silence.join(item) if Track.AUDIO in self._configurations else []
        still = self._still.repeat(item.decode_time) if self._still else []
        if still:
            self._last_decode_time = still[-1].decode_time
        return [*sound, *still]

    def _picture(self, item: EncodedFrame) -> list[FeedItem]:
        self._last_decode_time = item.decode_time
        if self._still is not None:
            self._still.observe(item)
        return [item, *self._silence.fill(item.decode_time)]

    def _check_jump(self, item: EncodedFrame) -> None:
        """Raise SourceChanged where *item* is too far from the last picture, which is everybody's clock.

        And where it is not within the session: from long before its origin, or from weeks after.
        """
        times = (item.decode_time, item.presentation_time)
        if min(times) < self._earliest or max(times) > self._latest:
            raise SourceChanged("a frame's time is not within the session", fault=InputFault.TIMESTAMP_JUMP)
        last = self._last_decode_time
        if last is None or abs(item.decode_time - last) <= MAX_JUMP:
            return
        heard = self._last_sound_time
        if item.track is Track.AUDIO and heard is not None and abs(item.decode_time - heard) <= MAX_JUMP:
            raise SourceChanged("sound goes on without pictures", fault=InputFault.NO_VIDEO)
        raise SourceChanged("the timestamps jumped", fault=InputFault.TIMESTAMP_JUMP)
