"""Passing the source through as the top rung: whether that is possible, and whether it still is.

A copied rung is cut at the source's own keyframes. So there must be one at exactly the first frame of every
segment, and no picture on the wrong side of it; and since nothing holds the sender to the rung's buffer model,
its bits are counted.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

from bucketcast.stream.bandwidth import buffer_size, max_rate
from bucketcast.stream.identifiers import SegmentIndex
from ingest.encode.container import Container, container_of
from ingest.encode.intake import MAX_JUMP
from ingest.encode.ladder import EncodingPlan
from ingest.feed import CodecConfiguration, EncodedFrame, FeedItem, Track

# How many times a keyframe must have begun a segment before it is believed that they all will.
OBSERVED_SEGMENTS = 2

# What may come since a segment began, for it is kept: half of what the opening of a session that follows may
# hold. Items are counted because they may be empty: 6 s of 60 pictures, and 16 s of sound at 96 kHz, are 1860.
MAX_GROUP_BYTES = 8 * 2**20
MAX_GROUP_ITEMS = 2048

# Baseline, Main and High, which every player decodes.
_PROFILES = frozenset({66, 77, 100})
# Hardware decoders end here.
_HIGHEST_LEVEL = 52
# ITU-T H.264, table 7-1: nal_unit_type.
_IDR_PICTURE, _SEQUENCE_PARAMETER_SET = 5, 7
# ISO/IEC 14496-15, 5.3.3.1: lengthSizeMinusOne is 3 in what broadcasters send.
_LENGTH_BYTES = 4


class NotCopyable(Exception):
    """The top rung cannot be the source itself; the text says why."""


def observed_for(plan: EncodingPlan) -> timedelta:
    """How long a source is observed before its top rung is copied."""
    return plan.grid.start(SegmentIndex(OBSERVED_SEGMENTS))


def check_format(plan: EncodingPlan) -> None:
    """Raise NotCopyable unless the source's format is what *plan* would make its top rung."""
    source, top = plan.source.video, plan.rungs[0]
    reasons = (
        (plan.source.adaptive, "its pictures change their size"),
        # A copy needs decode times, which Matroska does not have; players need AVC.
        (container_of(plan.source) is not Container.FLV, "it is not H.264 with AAC"),
        ((source.width, source.height) != (top.width, top.height), "no rung has the size of its picture"),
        (source.sample_aspect_ratio != 1, "its pixels are not square"),
        (source.chroma_format != 1 or source.bit_depth != 8, "its samples are not 4:2:0 of 8 bits"),
        (not source.progressive, "it may be interlaced"),
        (
            source.profile not in _PROFILES or source.level > _HIGHEST_LEVEL,
            "not every player decodes its profile and level",
        ),
        # Senders count frames between keyframes, so these would drift away from the grid.
        (plan.grid.frames_per_segment.denominator != 1, "a segment is no whole number of frames"),
    )
    for found, reason in reasons:
        if found:
            raise NotCopyable(reason)


def observed_delay(plan: EncodingPlan, *, origin: timedelta, items: Iterable[FeedItem]) -> int:
    """By how many frames pictures are decoded before they are shown, in a source that can be copied.

    *items* begin with the configurations and the keyframe at *origin*. Raises NotCopyable, also where they do
    not reach over OBSERVED_SEGMENTS.
    """
    check_format(plan)
    watch = CopyWatch(plan, origin=origin)
    for item in items:
        watch.admit(item)
    if watch.index < OBSERVED_SEGMENTS:
        raise NotCopyable("too little of it was seen")
    return watch.delay


class CopyWatch:
    """Watches a feed that is copied, item by item before it is encoded; its clock begins at *origin*."""

    def __init__(self, plan: EncodingPlan, *, origin: timedelta) -> None:
        rung = plan.rungs[0]
        self._grid = plan.grid
        self._origin = origin
        self._shift = plan.delay - (plan.source_delay or 0)
        # What the rung's encoder would be held to, so that the declared BANDWIDTH holds for a copy as well.
        self._max_rate, self._buffer_size = max_rate(rung.video_bitrate), buffer_size(rung.video_bitrate)
        self._configuration = b""
        self._bits = 0
        self._last_decoded: int | None = None
        self._last_shown = -1
        self._group: list[FeedItem] = []
        self._group_bytes = 0
        self._picture_at: timedelta | None = None
        self.index = SegmentIndex(-1)
        """The segment that the feed has reached."""
        self.delay = 0
        """By how many frames keyframes are decoded before they are shown."""

    @property
    def end(self) -> timedelta:
        """Where the pictures that were admitted end, on the sender's clock."""
        return self._origin + self._grid.time_of_frame(self._last_shown + 1)

    @property
    def group(self) -> tuple[FeedItem, ...]:
        """What was admitted since the last segment began; a decoder can start with it."""
        return tuple(self._group)

    def admit(self, item: FeedItem) -> None:
        """Take *item*; raises NotCopyable, and takes nothing, where a copy would not be a rung like the others.

        That is for pictures that do not come one to a frame or not at all, a segment that does not begin with a
        keyframe at its first frame, and more bits than the rung's own encoder would be let make of it.
        """
        if isinstance(item, CodecConfiguration):
            if item.track is Track.VIDEO:
                self._configuration = item.data
            return
        if item.track is Track.VIDEO:
            self._picture(item)
        else:
            self._sound(item)
        self._group.append(item)
        self._group_bytes += len(item.data)

    def retimed(self, item: EncodedFrame) -> EncodedFrame:
        """The picture *item*, which was admitted, with the times of the encoded rungs' frames.

        The feed goes on in whole milliseconds. Decode times are never later than exact, so that the same frames
        of sound come before a keyframe in every rung.
        """
        shown, decoded = self._frame(item.presentation_time), self._frame(item.decode_time) - self._shift
        return replace(
            item,
            presentation_time=self._origin + self._grid.time_of_frame(shown),
            decode_time=self._origin + timedelta(milliseconds=decoded * 1000 // self._grid.frame_rate),
        )

    def _sound(self, item: EncodedFrame) -> None:
        self._check_group(item)
        if self._picture_at is None:  # none yet: the first sound takes its place
            self._picture_at = item.decode_time
        if item.decode_time - self._picture_at > MAX_JUMP:
            raise NotCopyable("its pictures do not come")

    def _picture(self, item: EncodedFrame) -> None:
        shown, decoded = self._frame(item.presentation_time), self._frame(item.decode_time)
        if self._last_decoded is not None and decoded <= self._last_decoded:
            raise NotCopyable("its pictures do not come one to a frame")
        index = self._grid.index_of_frame(shown)
        begins = index != self.index
        if begins:
            self._check_beginning(item, shown, decoded)
        bits = 8 * len(item.data) + (8 * len(self._configuration) if item.keyframe else 0)
        total = bits if begins else self._bits + bits
        last = max(shown, self._last_shown)
        elapsed = (last + 1 - self._grid.first_frame(index)) / self._grid.frame_rate
        if total > self._max_rate * elapsed + self._buffer_size:
            raise NotCopyable("its bit rate is above the rung's")
        if begins:
            self.index, self.delay = index, shown - decoded
            self._group.clear()
            self._group_bytes = 0
        else:
            self._check_group(item)
        self._picture_at = item.decode_time
        self._bits, self._last_decoded, self._last_shown = total, decoded, last

    def _check_group(self, item: EncodedFrame) -> None:
        """Raise NotCopyable where more would be kept with *item* than may be."""
        if self._group_bytes + len(item.data) > MAX_GROUP_BYTES or len(self._group) >= MAX_GROUP_ITEMS:
            raise NotCopyable("a segment of it holds more than can be kept")

    def _check_beginning(self, item: EncodedFrame, shown: int, decoded: int) -> None:
        """Raise NotCopyable unless *item* begins the segment that follows, as the one before began."""
        starts = self._last_decoded is None
        following = self._grid.index_of_frame(shown) if starts else SegmentIndex(self.index + 1)
        if shown != self._grid.first_frame(following) or not _starts_decoding(item):
            raise NotCopyable("its keyframes do not lie where segments begin")
        if not starts and shown - decoded != self.delay:
            raise NotCopyable("the order of its pictures changes")
        sets = [unit for unit in _units(item.data) if unit[0] & 0x1F == _SEQUENCE_PARAMETER_SET]
        if any(unit not in self._configuration for unit in sets):
            raise NotCopyable("its format changes within the stream")

    def _frame(self, time: timedelta) -> int:
        return self._grid.frame_at(Fraction((time - self._origin) // timedelta(microseconds=1), 1_000_000))


def _starts_decoding(item: EncodedFrame) -> bool:
    """Whether a decoder can start with *item*, and nothing after it refers to what is before (IDR)."""
    return item.keyframe and any(unit[0] & 0x1F == _IDR_PICTURE for unit in _units(item.data))


def _units(data: bytes) -> Iterable[bytes]:
    """The NAL units of a frame, as far as their lengths can be believed."""
    offset = 0
    while offset + _LENGTH_BYTES < len(data):
        size = int.from_bytes(data[offset : offset + _LENGTH_BYTES])
        if size:
            yield data[offset + _LENGTH_BYTES : offset + _LENGTH_BYTES + size]
        offset += _LENGTH_BYTES + size
