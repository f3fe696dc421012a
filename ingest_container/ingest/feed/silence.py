"""Silence where a feed has no sound: a source without a microphone, or one that stops sending it.

Every segment has sound, because players expect the tracks that a session began with; and FFmpeg, which
interleaves, would hold back pictures for sound that never comes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from ingest.feed import opus
from ingest.feed.frames import AudioCodec, CodecConfiguration, EncodedFrame, Track

# ISO/IEC 14496-3, 1.6.2.1: AAC-LC (2), 48 kHz (index 3), stereo (2).
SILENT_CONFIGURATION = CodecConfiguration(codec=AudioCodec.AAC, data=bytes((0x11, 0x90)))
SILENT_SAMPLE_RATE, SILENT_CHANNELS = 48_000, 2
# Sound may come this much after the pictures before it counts as missing: more than any encoder's or
# network's unevenness, and less than what viewers' latency could take.
PATIENCE = timedelta(seconds=1)
# Silence that has begun stays this much behind the pictures, so that sound which returns finds its place free:
# it, too, comes a little after them.
DISTANCE = timedelta(milliseconds=300)

_SAMPLES_PER_FRAME = 1024
# ISO/IEC 14496-3, table 4.4 and 4.5.1.2: the elements of a raw data block.
_SINGLE, _PAIR, _LOW_FREQUENCY, _END = 0, 1, 3, 7
_ELEMENTS_BY_CHANNELS = {
    1: (_SINGLE,),
    2: (_PAIR,),
    3: (_SINGLE, _PAIR),
    4: (_SINGLE, _PAIR, _SINGLE),
    5: (_SINGLE, _PAIR, _PAIR),
    6: (_SINGLE, _PAIR, _PAIR, _LOW_FREQUENCY),
}
# 4.4.2.7: global_gain (8), then ics_info: reserved bit, a long window (2), its shape, no scale factor band
# (6), no prediction; without bands there is nothing else but three flags: no pulse, no noise shaping, no gain
# control.
_SILENT_CHANNEL_BITS = 8 + 11 + 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What a filler knows of a feed's sound: a frame of *silence* in its format, and how long frames sound."""

    silence: bytes
    duration: Callable[[bytes], timedelta]


def sound_of(codec: AudioCodec, *, sample_rate: int, channels: int) -> Sound:
    """Return what there is to know of sound in *codec*, whose decoder has *sample_rate* and *channels*."""
    if codec is AudioCodec.OPUS:
        return Sound(silence=opus.silent_packet(channels), duration=opus.packet_duration)
    duration = timedelta(seconds=_SAMPLES_PER_FRAME) / sample_rate
    return Sound(silence=silent_frame(channels), duration=lambda _: duration)


class SilenceFiller:
    """Says which silent frames to put into a feed that has *sound*.

    *absent* tells that the source has no sound at all, so that there is none to wait for.
    """

    def __init__(self, sound: Sound, *, absent: bool) -> None:
        self._sound = sound
        self._frame_duration = sound.duration(sound.silence)
        self._absent = absent
        self._patience = timedelta(0) if absent else PATIENCE
        self._heard_until: timedelta | None = None

    def admits(self, frame: EncodedFrame) -> bool:
        """Whether the audio *frame* is to be used: not where silence has already taken its place."""
        start = frame.decode_time
        if self._heard_until is not None and start < self._heard_until - self._frame_duration:
            return False
        self._heard_until = start + self._sound.duration(frame.data)
        self._patience = timedelta(0) if self._absent else PATIENCE
        return True

    def fill(self, until: timedelta) -> Iterator[EncodedFrame]:
        """Yield the silence that is missing where the pictures have come to *until*."""
        if self._heard_until is None:
            self._heard_until = until
        if until - self._heard_until <= self._patience:
            return
        if not self._absent:
            self._patience = DISTANCE
            until -= DISTANCE
        while (time := self._heard_until) <= until:
            # Rounded to microseconds each time: a part in fifty thousand, which the encoder's clock corrects.
            self._heard_until = time + self._frame_duration
            yield EncodedFrame(
                track=Track.AUDIO,
                decode_time=time,
                presentation_time=time,
                keyframe=True,
                data=self._sound.silence,
            )


def silent_frame(channels: int) -> bytes:
    """Return one AAC frame of silence for *channels* channels in their usual arrangement."""
    value = size = 0
    elements = _ELEMENTS_BY_CHANNELS[channels]
    for position, element in enumerate(elements):
        tag = elements[:position].count(element)
        # id_syn_ele (3), element_instance_tag (4), and for a pair common_window (1), which is 0.
        value = (value << 7) | (element << 4) | tag
        size += 7
        bits = 1 + 2 * _SILENT_CHANNEL_BITS if element == _PAIR else _SILENT_CHANNEL_BITS
        value <<= bits
        size += bits
    value, size = (value << 3) | _END, size + 3
    padding = -size % 8
    return (value << padding).to_bytes((size + padding) // 8)
