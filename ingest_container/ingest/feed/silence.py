"""Silence where a feed has no sound: a source without a microphone, or one that stops sending it.

Every segment has sound, because players expect the tracks that a session began with; and FFmpeg, which
interleaves, would hold back pictures for sound that never comes.

Silence meets sound as exactly as its codec allows: FFmpeg counts samples, and corrects them by their times only
where both are apart by more than UNCORRECTED.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from bucketcast.codecs import opus
from bucketcast.codecs.aac import FRAME_SAMPLES, silent_frame
from ingest.feed.frames import AudioCodec, CodecConfiguration, EncodedFrame, Track

# ISO/IEC 14496-3, 1.6.2.1: AAC-LC (2), 48 kHz (index 3), stereo (2).
SILENT_CONFIGURATION = CodecConfiguration(codec=AudioCodec.AAC, data=bytes((0x11, 0x90)))
SILENT_SAMPLE_RATE, SILENT_CHANNELS = 48_000, 2
# Sound may come this much after the pictures before it counts as missing: more than any encoder's or
# network's unevenness, and less than what viewers' latency could take.
PATIENCE = timedelta(seconds=1)
# The first sound has longer: WebRTC's is held back for a second until its place is known, and may begin a
# second after the pictures.
FIRST_PATIENCE = timedelta(milliseconds=2200)
# Silence that has begun stays this much behind the pictures, so that sound which returns finds its place free:
# it, too, comes a little after them.
DISTANCE = timedelta(milliseconds=300)

# The encoder's min_comp (see encode.ffmpeg), with a margin for rounding. What is heard first, too, is cut or
# preceded by silence only where it is off by more.
UNCORRECTED = timedelta(milliseconds=25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What a filler knows of a feed's sound: frames of *silence*, longest first, and how long frames sound.

    *begins_silent* tells that a decoder may begin with silence. AAC's learns its format from the first frames.
    """

    silence: tuple[bytes, ...]
    duration: Callable[[bytes], timedelta]
    begins_silent: bool


def sound_of(codec: AudioCodec, *, sample_rate: int, channels: int) -> Sound:
    """Return what there is to know of sound in *codec*, whose decoder has *sample_rate* and *channels*."""
    if codec is AudioCodec.OPUS:
        silence = tuple(opus.silent_packet(channels, milliseconds) for milliseconds in (20, 10, 5, 2.5))
        return Sound(silence=silence, duration=opus.packet_duration, begins_silent=True)
    duration = timedelta(seconds=FRAME_SAMPLES) / sample_rate
    return Sound(silence=(silent_frame(channels),), duration=lambda _: duration, begins_silent=False)


class _Last(Enum):
    """What is heard last."""

    NOTHING = "nothing"
    SOUND = "sound"
    SILENCE = "silence"


class SilenceFiller:
    """Says which silent frames to put into a feed that has *sound*, for the session that begins at *origin*.

    *absent* tells that the source has no sound at all, so that there is none to wait for.
    """

    def __init__(self, sound: Sound, *, origin: timedelta, absent: bool) -> None:
        self._sound = sound
        self._durations = [sound.duration(frame) for frame in sound.silence]
        self._origin = origin
        self._absent = absent
        self._patience = timedelta(0) if absent else FIRST_PATIENCE
        self._last = _Last.NOTHING
        self._heard_until: timedelta | None = None

    def join(self, frame: EncodedFrame) -> list[EncodedFrame]:
        """Return the audio *frame* with the silence before it; nothing where silence has taken its place."""
        start = frame.decode_time
        if self._last is not _Last.NOTHING and start < self._free_from():
            return []
        silence = self._before(start)
        self._heard_until = start + self._sound.duration(frame.data)
        self._last = _Last.SOUND
        self._patience = timedelta(0) if self._absent else PATIENCE
        return [*silence, frame]

    def fill(self, until: timedelta) -> Iterator[EncodedFrame]:
        """Yield the silence that is missing where the pictures have come to *until*."""
        if self._heard_until is None:
            self._heard_until = until
        if until - self._heard_until <= self._patience:
            return
        if not self._absent:
            self._patience = DISTANCE
            until -= DISTANCE
        self._last = _Last.SILENCE
        while self._heard_until <= until:
            yield self._append(0)

    def _free_from(self) -> timedelta:
        """From when on sound has a place."""
        assert self._heard_until is not None
        # Sound that follows sound may be off by what senders round.
        overlap = self._durations[-1] / 2 if self._last is _Last.SILENCE else self._durations[0]
        return self._heard_until - overlap

    def _before(self, start: timedelta) -> list[EncodedFrame]:
        """The silence that belongs before sound that begins at *start*."""
        if self._last is _Last.NOTHING:
            return self._beginning(start)
        return list(self._seam(start)) if self._last is _Last.SILENCE else []

    def _beginning(self, start: timedelta) -> list[EncodedFrame]:
        """Silence that ends at *start* and begins before the session by what FFmpeg corrects, exactly then."""
        if not self._sound.begins_silent or abs(start - self._origin) > UNCORRECTED:
            return []
        duration = self._durations[0]
        frames = (start - self._origin + UNCORRECTED) // duration + 1
        return [self._silent(0, start - number * duration) for number in range(frames, 0, -1)]

    def _seam(self, start: timedelta) -> Iterator[EncodedFrame]:
        """Silence from what is heard last to *start*, to half of the shortest frame."""
        assert self._heard_until is not None
        until = start + self._durations[-1] / 2
        for size, duration in enumerate(self._durations):
            while self._heard_until + duration <= until:
                yield self._append(size)

    def _append(self, size: int) -> EncodedFrame:
        assert self._heard_until is not None
        frame = self._silent(size, self._heard_until)
        # Rounded to microseconds each time: a part in fifty thousand, which the encoder's clock corrects.
        self._heard_until += self._durations[size]
        return frame

    def _silent(self, size: int, time: timedelta) -> EncodedFrame:
        return EncodedFrame(
            track=Track.AUDIO,
            decode_time=time,
            presentation_time=time,
            keyframe=True,
            data=self._sound.silence[size],
        )
