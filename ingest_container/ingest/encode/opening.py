"""The opening of a session: from a feed's first items to what the source is, and what is encoded first."""

import heapq
from collections import deque
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from math import prod

from bucketcast.codecs.picture_size import PictureSize
from bucketcast.stream.configuration import StreamConfiguration
from ingest.encode.ladder import display_size, plan_encoding
from ingest.encode.pass_through import NotCopyable, check_format, observed_delay, observed_for
from ingest.encode.source import (
    MAX_SOURCE_PIXELS,
    MIN_SOURCE_SIDE,
    Opened,
    SourceFacts,
    UnusableSource,
    VideoSource,
    decide_adaptive_rate,
    decide_frame_rate,
    measure_rate,
    parse_audio,
    parse_video,
)
from ingest.feed import CodecConfiguration, EncodedFrame, FeedItem, Track
from ingest.feed.source_metadata import SourceMetadata

# Pictures that the frame rate is measured on, and that a sound track's header is waited for. OBS, FFmpeg and
# GStreamer send both headers before the first picture.
_MEASURED_SPAN = timedelta(milliseconds=500)
_AUDIO_PATIENCE = timedelta(seconds=1)
# Of the sound that comes before the first keyframe, this much may be of a time after it: WebRTC's pictures are
# held back for a second, and for a picture's interval or two, until their place is known. Less the measured
# span, it is below what a still picture waits for.
_EARLY_SOUND = timedelta(milliseconds=1400)
# And this much of a time before it: the frame that is heard when it is shown may have begun then. FFmpeg cuts
# it.
_RUN_IN = timedelta(milliseconds=120)
# OBS's and every hardware encoder's longest keyframe interval is below this.
_KEYFRAME_PATIENCE = timedelta(seconds=30)
# Sound that has come so far without any picture: the source has none.
_VIDEO_PATIENCE = timedelta(seconds=10)
# People turn a camera on when all is ready, or share the screen after a word. Sound without pictures is not
# kept, so waiting costs nothing but the stream's place: as long as that of one who was disconnected.
_ADAPTIVE_PATIENCE = timedelta(seconds=60)
# A second of 4K at its highest bitrate, with as much sound as there can be.
MAX_OPENING_BYTES = 16 * 2**20
# A second of 240 pictures and 96 kHz sound has below 400; the bound is against a flood of empty frames.
MAX_OPENING_ITEMS = 4096
# Where a source would be observed for longer than these bounds allow, it is encoded.
_MAX_OBSERVED_BYTES, _MAX_OBSERVED_ITEMS = MAX_OPENING_BYTES // 2, MAX_OPENING_ITEMS // 2

_NOTHING_DECLARED = SourceMetadata()


class Opening:
    """Collects a feed's first items until it is decided what the source is.

    *metadata* is what the sender declares beside the feed. With *pass_through*, the configuration of a stream
    whose top rung is to be copied, a source of the right format is observed for some segments first.
    """

    def __init__(
        self,
        metadata: SourceMetadata = _NOTHING_DECLARED,
        *,
        pass_through: StreamConfiguration | None = None,
    ) -> None:
        self._metadata = metadata
        self._pass_through = pass_through
        self._video: CodecConfiguration | None = None
        self._audio: CodecConfiguration | None = None
        self._first_time: timedelta | None = None
        self._origin: timedelta | None = None
        self._frames: list[EncodedFrame] = []
        self._bytes = 0
        self._early: deque[EncodedFrame] = deque()
        self._early_bytes = 0
        self._latest = timedelta.min

    def add(self, item: FeedItem) -> Opened | None:
        """Take *item*; return the opening once it is decided. Raises UnusableSource, saying what to change."""
        if isinstance(item, CodecConfiguration):
            self._configure(item)
            return None
        self._keep(item)
        if self._origin is None:
            self._check_patience(item)
            return None
        span = self._latest - self._origin
        if span < _MEASURED_SPAN or (self._audio is None and span < _AUDIO_PATIENCE):
            return None
        if span < self._observed_span():
            return None
        return self.conclude()

    def conclude(self) -> Opened | None:
        """Return the opening with what has come so far: also for a feed that has ended; None if too little."""
        if self._origin is None:
            return None
        configurations = [item for item in (self._video, self._audio) if item is not None]
        items: tuple[FeedItem, ...] = (*configurations, *self._kept(self._origin))
        opened = Opened(source=self._source(), origin=self._origin, items=items)
        if self._pass_through is None:
            return opened
        plan = plan_encoding(self._pass_through, opened.source)
        try:
            return replace(opened, source_delay=observed_delay(plan, origin=opened.origin, items=items))
        except NotCopyable as error:
            return replace(opened, not_copied=str(error))

    def _observed_span(self) -> timedelta:
        """How long the source is to be observed, as far as is known now."""
        if self._pass_through is None or self._is_full():
            return timedelta(0)
        plan = plan_encoding(self._pass_through, self._source())
        try:
            check_format(plan)
        except NotCopyable:
            return timedelta(0)
        return observed_for(plan)

    def _is_full(self) -> bool:
        return self._bytes > _MAX_OBSERVED_BYTES or len(self._frames) > _MAX_OBSERVED_ITEMS

    def _source(self) -> SourceFacts:
        assert self._video is not None
        video = parse_video(self._video)
        audio = parse_audio(self._audio) if self._audio else None
        return SourceFacts(
            video=video,
            audio=audio,
            frame_rate=self._frame_rate(video),
            adaptive=self._metadata.adaptive,
            full_size=self._full_size(video) if self._metadata.adaptive else None,
        )

    def _full_size(self, video: VideoSource) -> tuple[int, int] | None:
        """What an adaptive source declares as its size, as far as its first picture bears it out."""
        width, height = self._metadata.width, self._metadata.height
        if width is None or height is None:
            return None
        if min(width, height) < MIN_SOURCE_SIDE or width * height > MAX_SOURCE_PIXELS:
            return None
        declared, first = PictureSize(width, height), PictureSize(*map(round, display_size(video)))
        return max(declared, first, key=prod) if declared.has_shape_of(first) else None

    def _configure(self, item: CodecConfiguration) -> None:
        if item.track is Track.VIDEO:
            parse_video(item)
            if self._video not in (None, item) and self._origin is not None:
                self._change_picture()
            self._video = item
        else:
            parse_audio(item)
            if self._audio not in (None, item) and self._frames:
                raise UnusableSource("the sound's format changed within the first second")
            if self._audio != item:
                self._early.clear()
                self._early_bytes = 0
            self._audio = item

    def _change_picture(self) -> None:
        """Begin again with another picture: a phone that is turned is no reason to turn its sender away."""
        if not self._metadata.adaptive:
            raise UnusableSource("the picture's format changed within the first second")
        self._origin, self._latest, self._bytes = None, timedelta.min, 0
        self._frames.clear()

    def _keep(self, item: EncodedFrame) -> None:
        if self._first_time is None:
            self._first_time = item.decode_time
        if self._origin is None and item.track is Track.VIDEO and item.keyframe and self._video is not None:
            self._origin = item.presentation_time
        if self._origin is None:
            # Nothing can be decoded before a keyframe, and sound without pictures is not kept.
            if item.track is Track.AUDIO and self._audio is not None:
                self._keep_early(item)
            return
        if item.track is Track.VIDEO:
            self._latest = max(self._latest, item.presentation_time)
        self._frames.append(item)
        self._bytes += len(item.data)
        if self._bytes > MAX_OPENING_BYTES or len(self._frames) > MAX_OPENING_ITEMS:
            raise UnusableSource("the first second holds more than any picture and sound that can be encoded")

    def _keep_early(self, sound: EncodedFrame) -> None:
        """Keep *sound* for now: it may be heard after a keyframe that comes later."""
        self._early.append(sound)
        self._early_bytes += len(sound.data)
        while self._early and (
            self._early[0].decode_time < sound.decode_time - _EARLY_SOUND
            or self._early_bytes > _MAX_OBSERVED_BYTES
            or len(self._early) > _MAX_OBSERVED_ITEMS
        ):
            self._early_bytes -= len(self._early.popleft().data)

    def _kept(self, origin: timedelta) -> list[EncodedFrame]:
        """The frames from the keyframe on, and between them the sound that came before it and belongs after."""
        first, *others = self._frames
        early = [sound for sound in self._early if sound.decode_time > origin - _RUN_IN]
        return [first, *heapq.merge(early, others, key=lambda frame: frame.decode_time)]

    def _check_patience(self, item: EncodedFrame) -> None:
        assert self._first_time is not None
        waited = item.decode_time - self._first_time
        if self._metadata.adaptive:
            if waited > _ADAPTIVE_PATIENCE:
                raise UnusableSource("no picture came: turn the camera on, or share the screen")
            return
        if self._video is None and waited > _VIDEO_PATIENCE:
            raise UnusableSource("no picture came: add a video source and choose H.264")
        if waited > _KEYFRAME_PATIENCE:
            raise UnusableSource("no keyframe came: set the keyframe interval to 2 s")

    def _frame_rate(self, video: VideoSource) -> Fraction:
        # Decode times have no holes where B-frames are still to come.
        times = [frame.decode_time for frame in self._frames if frame.track is Track.VIDEO]
        measured = measure_rate(times)
        stated = self._metadata.frame_rate
        if self._metadata.adaptive:
            return decide_adaptive_rate(stated=stated, in_stream=video.declared_rate, measured=measured)
        return decide_frame_rate(declared=(video.declared_rate, stated), measured=measured)
