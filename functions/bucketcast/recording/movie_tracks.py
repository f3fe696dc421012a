"""A movie's two tracks as they grow, segment by segment.

Times are ticks of 90 kHz from the movie's beginning: those of a segment, and its session's shift added.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from bucketcast.recording.audio_format import ENCODED_SOUND, AudioFormat
from bucketcast.recording.boxes import Column, big_endian, box, counted, full_box
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.parameter_sets import VideoFormat
from bucketcast.recording.part_head import PlacedSamples
from bucketcast.recording.sample_tables import Chunks, Runs
from bucketcast.recording.samples import SYNC_SAMPLE, TICKS_PER_SECOND, SampleTable, table, ticks
from bucketcast.recording.tracks import Track

# The tables take some four megabytes of memory an hour: a week takes less than a gigabyte. Nothing that is made
# one file is that long: this is for times that are wrong.
MAX_DURATION: Final = timedelta(days=7)
# ISO/IEC 14496-12, 8.6.1.2: a sample's duration has 32 bits, which is 13 hours.
_MAX_SAMPLE_TICKS: Final = 2**32 - 1
# Pictures are reordered by a few; and two offsets together keep to the 31 bits that every player reads.
MAX_COMPOSITION_TICKS: Final = 60 * TICKS_PER_SECOND
# A picture that stays as much longer than the one before it stands still to everybody. What is missing is a
# segment at least, of a second or more.
MIN_PAUSE: Final = timedelta(milliseconds=250)

# How far a frame of a source's sound may be from its time, where senders tell times unevenly: some encoders in
# pairs, some when their threads come to it. Less than people notice; none is lost to it.
MAX_UNEVENNESS: Final = timedelta(milliseconds=50)
# One chunk of silent frames has so many at most, which is more than a second of every format. The largest, of
# 5.1, has 19 bytes: together they take less room than a network's packet.
SILENT_FRAMES: Final = 64
SILENCE_BYTES: Final = SILENT_FRAMES * 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """From *at* on, in the movie, the picture stands still for *duration*, because pictures are missing."""

    at: timedelta
    duration: timedelta


class PictureTrack:
    """The pictures; their times are those of decoding, and *end* is when the last one has been shown."""

    def __init__(self) -> None:
        """Begin without a picture."""
        self.frames = self.end = 0
        self.pauses: list[Pause] = []
        self.chunks = Chunks()
        self._last = 0  # the last picture's time
        self._durations = Runs()
        self._keyframes = table()
        # By session: how long before it is shown its first picture is decoded, and all pictures' offsets.
        self._offsets: list[tuple[int, Runs]] = []

    def begin_session(self, delay: int) -> None:
        """Let pictures follow of which the first is shown *delay* after it is decoded."""
        self._offsets.append((delay, Runs()))

    def add(self, placed: PlacedSamples, *, shift: int, part_begin: int) -> None:
        """Add the samples *placed* in the part that lies at *part_begin* in the media; raises InvalidMedia."""
        samples, time = placed.table, placed.table.decode_time + shift
        if max(samples.composition_offsets) > MAX_COMPOSITION_TICKS:
            raise InvalidMedia("a picture is shown long after it is decoded")
        if self.frames:
            self._lengthen(time)
        self._offsets[-1][1].extend(samples.composition_offsets)
        if len(samples) > 1:
            self._durations.extend(samples.durations[:-1])
        self._keyframes.extend(self.frames + 1 + place for place in _places(SYNC_SAMPLE, samples.flags))
        self.chunks.add(part_begin + placed.position, samples.sizes)
        self.frames += len(samples)
        self.end = time + sum(samples.durations)
        self._last = self.end - samples.durations[-1]
        check_duration(self.end)

    def _lengthen(self, time: int) -> None:
        """Let the last picture stay until *time*."""
        distance = time - self._last
        if not 0 < distance <= _MAX_SAMPLE_TICKS:
            raise InvalidMedia("a segment's pictures do not follow those of the one before")
        usual = min(self._durations.last, distance)
        if distance - usual >= ticks(MIN_PAUSE):
            self.pauses.append(
                Pause(at=duration_of(self._last + usual), duration=duration_of(distance - usual))
            )
        self._durations.add(distance)

    def finish(self, video_format: VideoFormat) -> Track:
        """Return the track, but for where its chunks lie.

        Offsets are made those of a movie in which every session's pictures are decoded as early as those of the
        session that needs it most, and the movie begins when the first picture is shown (8.6.6).
        """
        self._durations.add(self.end - self._last)
        delay = max(delay for delay, _ in self._offsets)
        for own, offsets in self._offsets:
            offsets.raise_by(delay - own)
        edit = (self.end.to_bytes(8), delay.to_bytes(8), 0x1_0000.to_bytes(4))
        return Track(
            kind=video_format,
            timescale=TICKS_PER_SECOND,
            duration=self.end,
            edited_duration=self.end,
            tables=(
                Runs.box(b"stts", [self._durations]),
                Runs.box(b"ctts", [offsets for _, offsets in self._offsets]),
                full_box(b"stss", counted(self._keyframes), big_endian(self._keyframes)),
                *self.chunks.boxes(),
            ),
            edits=[box(b"edts", full_box(b"elst", (1).to_bytes(4), *edit, version=1))],
        )


class SoundTrack:
    """The sound: a frame on each place of its grid, from the movie's beginning on; the media begin silently."""

    def __init__(self) -> None:
        """Begin without a frame, in the format that encoders write."""
        self.format = ENCODED_SOUND
        self.chunks = Chunks()
        self._shift: int | None = None  # that of the session at hand
        self._slack = 0  # how many places a frame of it may be from its own

    @property
    def frames(self) -> int:
        """How many frames there are, silent ones too."""
        return len(self.chunks.sizes)

    @property
    def end(self) -> int:
        """The first time whose frame does not meet a place that is taken."""
        return max(0, (2 * self.frames - 1) * self._frame_units // (2 * self.format.sample_rate))

    @property
    def silence(self) -> bytes:
        """What the media begin with: SILENCE_BYTES, whatever the format."""
        return (self.format.silence * SILENT_FRAMES).ljust(SILENCE_BYTES, b"\x00")

    @property
    def _frame_units(self) -> int:
        """How long a frame is in ticks, times the sample rate: most rates have no whole ticks."""
        return self.format.frame_samples * TICKS_PER_SECOND

    def begin(self, audio_format: AudioFormat) -> None:
        """Have *audio_format* from the first frame on; raises ValueError where there are others already."""
        if self.frames and audio_format != self.format:
            raise ValueError("pieces have sound of different formats")
        self.format = audio_format

    def add(self, placed: PlacedSamples, *, shift: int, part_begin: int) -> None:
        """Add the frames *placed* in the part at *part_begin*, if they find a place; raises InvalidMedia."""
        samples, time = placed.table, placed.table.decode_time + shift
        check_duration(time + sum(samples.durations))
        if shift != self._shift:
            self._shift, self._slack = shift, 0
        position, first = part_begin + placed.position, 0
        for place, count in self._runs(samples, time):
            self._be_silent(place)
            end, first_free = first + count, first + min(count, self.frames - place)
            position += sum(samples.sizes[first:first_free])
            if first_free < end:
                self.chunks.add(position, samples.sizes[first_free:end])
                position += sum(samples.sizes[first_free:end])
            first = end

    def _runs(self, samples: SampleTable, time: int) -> Iterator[tuple[int, int]]:
        """Frames of *samples*, from *time* on, whose places follow each other: the first place, how many."""
        # Encoders' frames lie on the grid; when the next segment's begin, they say themselves.
        frame_ticks, rest = divmod(self._frame_units, self.format.sample_rate)
        is_even = not rest and samples.durations[:-1].count(frame_ticks) == len(samples) - 1
        if not is_even:
            self._slack = max(1, ticks(MAX_UNEVENNESS) * self.format.sample_rate // self._frame_units)
        # What is heard first goes to its place; what follows, to the next one, if that is near enough.
        begin, count = self._place(time, following=self.frames or None), 1
        if is_even:
            yield begin, len(samples)
            return
        for duration in samples.durations[:-1]:
            time += duration
            if (place := self._place(time, following=begin + count)) == begin + count:
                count += 1
            else:
                yield begin, count
                begin, count = place, 1
        yield begin, count

    def _place(self, time: int, *, following: int | None) -> int:
        """The place *following* what was heard last, if that is near enough, or else the one next to *time*."""
        own = (2 * time * self.format.sample_rate + self._frame_units) // (2 * self._frame_units)
        return following if following is not None and abs(own - following) <= self._slack else own

    def _be_silent(self, until: int) -> None:
        size = len(self.format.silence)
        while (missing := until - self.frames) > 0:
            self.chunks.add(0, table([size]) * min(missing, SILENT_FRAMES))

    def finish(self) -> Track:
        """Return the track, but for where its chunks lie."""
        durations = Runs()
        durations.add(self.format.frame_samples, self.frames)
        return Track(
            kind=self.format,
            timescale=self.format.sample_rate,
            duration=self.frames * self.format.frame_samples,
            edited_duration=self.frames * self._frame_units // self.format.sample_rate,
            tables=(Runs.box(b"stts", [durations]), *self.chunks.boxes()),
        )


def check_duration(time: int) -> None:
    """Raise InvalidMedia if *time* is later than a movie may last."""
    if time > ticks(MAX_DURATION):
        raise InvalidMedia("a movie is longer than any recording")


def duration_of(time: int) -> timedelta:
    """Return *time* to the nearest microsecond."""
    return timedelta(seconds=time) / TICKS_PER_SECOND


def _places(value: int, column: Column) -> Iterator[int]:
    """Where in *column* there is *value*."""
    place = -1
    for _ in range(column.count(value)):
        place = column.index(value, place + 1)
        yield place
