"""Whether sound and picture are together: chimes at full seconds, found again beside the frames they belong to.

Each chime's pitch says which of PITCHES seconds in turn it is, so that sound which is late by a whole second is
not taken for sound which is on time. Between chimes is silence. The frames carry their numbers (`frame_strip`);
that of a second's first frame and the second's chime begin at the same moment.

What is measured is what viewers perceive: the time at which a decoder hands out a chime's first sample, with
all delays of codecs in it, and the presentation time of the frame.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt

from tools.frame_strip import StampedFrame, read_frame_numbers

Samples = npt.NDArray[np.float32]

PITCHES: Final = 8
# Hertz. Whole periods fit into WINDOW_SECONDS, and each chime begins with a zero.
_LOWEST, _STEP = 1000, 250
_CHIME_SECONDS: Final = 0.05
# The shortest time that holds whole periods of every pitch: the power within it does not ripple.
_WINDOW_SECONDS: Final = 1 / _STEP
# Where the pitch is looked at: behind what codecs make of the beginning, and before the end.
_PITCH_FROM, _PITCH_UNTIL = 0.01, 0.04
# Nothing of a chime comes as long after its beginning, and no chime as soon after another's.
_APART_SECONDS: Final = 0.5
# More than the rounding of timestamps: something is missing.
_HOLE_SECONDS: Final = Fraction(1, 1000)

SOURCE: Final = f"0.4*sin(2*PI*({_LOWEST}+{_STEP}*mod(floor(t),{PITCHES}))*t)*lt(mod(t,1),{_CHIME_SECONDS})"
"""The chimes as an expression for FFmpeg's source aevalsrc."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Decoded sound without holes: its *samples*, *rate* a second, the first of which is heard at *begins*."""

    samples: Samples = field(repr=False)
    rate: int
    begins: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Chime:
    """A chime that begins to be heard at *time*; *pitch* is its second, modulo PITCHES."""

    pitch: int
    time: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """How much later than its frame the chime of *second* is; negative where it is earlier."""

    second: int
    sound_is_late_by: timedelta


def read_offsets(media: bytes, *, frame_rate: Fraction) -> list[Offset]:
    """Decode *media*, a file whose source had *frame_rate*, and return the offset of every chime in it.

    Raises ValueError for sound with a hole or without chimes, and for a chime whose frame is not there.
    """
    return offsets(read_frame_numbers(media), find_chimes(read_sound(media)), frame_rate=frame_rate)


def read_sound(media: bytes) -> Sound:
    """Decode the sound of *media*, one channel of it; raises ValueError for sound with a hole."""
    pieces: list[Samples] = []
    begins, rate, samples = Fraction(0), 0, 0
    with av.open(io.BytesIO(media), mode="r") as container:
        for frame in container.decode(audio=0):
            if frame.pts is None or frame.time_base is None:
                raise ValueError("a piece of sound has no time")
            time = frame.pts * Fraction(frame.time_base)
            if not pieces:
                begins, rate = time, frame.sample_rate
            elif abs(time - begins - Fraction(samples, rate)) > _HOLE_SECONDS:
                raise ValueError(f"the sound has a hole, or goes back, at {float(time):.3f} s")
            pieces.append(_first_channel(frame))
            samples += frame.samples
    if not pieces:
        raise ValueError("there is no sound")
    return Sound(samples=np.concatenate(pieces), rate=rate, begins=begins)


def _first_channel(frame: Any) -> Samples:
    decoded: npt.NDArray[Any] = frame.to_ndarray()
    channel = decoded[0] if frame.format.is_planar else decoded[0, :: len(frame.layout.channels)]
    if channel.dtype == np.int16:
        return channel.astype(np.float32) / np.float32(2**15)
    if channel.dtype != np.float32:
        raise ValueError(f"samples are {channel.dtype}, neither float32 nor int16")
    return channel.astype(np.float32, copy=False)


def find_chimes(sound: Sound) -> list[Chime]:
    """Return the chimes of *sound*, in order; raises ValueError where there is none, or one of no known pitch.

    A chime begins where the power around it has risen to half of the loudest: within half a millisecond of its
    first sample.
    """
    window = round(_WINDOW_SECONDS * sound.rate)
    power = np.convolve(sound.samples**2, np.full(window, 1 / window, np.float32), mode="same")
    # Of chimes that are there the power is 0.08; below a thousandth of it nobody hears anything.
    if not power.size or power.max() < 8e-5:
        raise ValueError("there is no chime")
    loud = power > power.max() / 2
    chimes: list[Chime] = []
    free = 0
    for rise in map(int, np.flatnonzero(loud[1:] & ~loud[:-1]) + 1):
        if rise < free or rise + _PITCH_UNTIL * sound.rate > sound.samples.size:
            continue
        free = rise + round(_APART_SECONDS * sound.rate)
        pitch = _pitch(sound, rise)
        chimes.append(Chime(pitch=pitch, time=sound.begins + Fraction(rise, sound.rate)))
    return chimes


def _pitch(sound: Sound, rise: int) -> int:
    piece = sound.samples[rise + round(_PITCH_FROM * sound.rate) : rise + round(_PITCH_UNTIL * sound.rate)]
    # Padded to a second: one line of the spectrum a hertz.
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(piece.size), n=sound.rate))
    steps = (int(spectrum.argmax()) - _LOWEST) / _STEP
    pitch = round(steps)
    if abs(steps - pitch) > 0.25 or not 0 <= pitch < PITCHES:
        raise ValueError(f"a sound of {int(spectrum.argmax())} Hz is no chime")
    return pitch


def offsets(frames: Sequence[StampedFrame], chimes: Iterable[Chime], *, frame_rate: Fraction) -> list[Offset]:
    """Return how far each of *chimes* is from the frame that it belongs to, the nearest of its pitch.

    *frame_rate* is the source's, a whole number, which the frames' numbers count by. Raises ValueError where
    that frame is missing.
    """
    times: dict[int, Fraction] = {}
    for frame in frames:
        if frame.number is not None and frame.number % frame_rate == 0:
            times.setdefault(int(frame.number / frame_rate), frame.time)
    found: list[Offset] = []
    for chime in chimes:
        of_pitch = [second for second in times if second % PITCHES == chime.pitch]
        if not of_pitch:
            raise ValueError(f"no frame belongs to a chime at {float(chime.time):.3f} s")
        second = min(of_pitch, key=lambda second: abs(times[second] - chime.time))
        late = timedelta(microseconds=round((chime.time - times[second]) * 1_000_000))
        found.append(Offset(second=second, sound_is_late_by=late))
    return found
