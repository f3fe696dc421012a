"""A video track's packets, in order, as the pictures of a feed."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from bucketcast.codecs.picture_size import PictureSize
from ingest.feed.frames import CodecConfiguration, FeedItem, Track, VideoCodec
from ingest.protocols.whip.media.assembly import PacketGroup, PacketGrouper
from ingest.protocols.whip.media.clock import ClockMapper
from ingest.protocols.whip.media.groups import GroupGate, KeyframeRequests
from ingest.protocols.whip.media.h264 import H264Depacketizer, has_b_slices
from ingest.protocols.whip.media.picture import Keyframe, LostBeginning, Picture
from ingest.protocols.whip.media.reordering import Numbered
from ingest.protocols.whip.media.rtp import InvalidRtp
from ingest.protocols.whip.media.timing import FramePlacer, TrackFrame
from ingest.protocols.whip.media.vp8 import Vp8Depacketizer

# Who sends no pictures, five a second at least, has no keyframe either.
_SILENCE: Final = 0.5


class VideoFrames:
    """Makes feed items of *codec*'s packets, and knows when to ask for a keyframe."""

    def __init__(
        self,
        codec: VideoCodec,
        clock: ClockMapper,
        *,
        keyframe_interval: timedelta,
        parameter_sets: Sequence[bytes] = (),
    ) -> None:
        """Begin with *parameter_sets* of H.264, until others come."""
        self.placer = FramePlacer(Track.VIDEO, clock)
        self.dropped = 0
        self.malformed = 0
        self.b_frames = 0
        self._parameter_sets = tuple(parameter_sets)
        self._codec = codec
        self._requests = KeyframeRequests(keyframe_interval.total_seconds())
        self._shape: PictureSize | None = None
        self._came_at = -math.inf
        self.restart()

    @property
    def keyframe_interval(self) -> timedelta | None:
        """How far the last two keyframes came apart."""
        seconds = self._requests.keyframe_interval
        return None if seconds is None else timedelta(seconds=seconds)

    def restart(self) -> None:
        """Begin with another source, of which a keyframe has to come first."""
        self.placer.restart()
        self._depacketizer = self._fresh_depacketizer()
        self._grouper = PacketGrouper()
        self._gate = GroupGate()

    def _fresh_depacketizer(self) -> H264Depacketizer | Vp8Depacketizer:
        if self._codec is VideoCodec.VP8:
            return Vp8Depacketizer()
        return H264Depacketizer(self._parameter_sets)

    def take(self, numbered: Numbered) -> list[FeedItem]:
        """Take the next packet, and return what it makes complete."""
        groups = self._grouper.add(numbered)
        if not groups:
            return []
        self._came_at = groups[-1].arrived
        return [item for group in groups for item in self._admitted(group)]

    def asks_for_keyframe(self, now: float) -> bool:
        """Whether a PLI is to be sent now; to say so counts as sending it."""
        if now - self._came_at > _SILENCE:
            return False
        return self._requests.is_due(now, lacks_keyframe=self._gate.lacks_keyframe)

    def _admitted(self, group: PacketGroup) -> list[FeedItem]:
        if group.follows_hole or not group.is_whole:
            self._gate.damage(group.arrived)
        picture = self._read(group)
        if picture is None:
            return []
        keyframe = picture.keyframe
        if not self._gate.admits(keyframe=keyframe is not None, at=group.arrived):
            self.dropped += 1
            return []
        configuration = None
        if keyframe is not None:
            self._requests.observe_keyframe(group.arrived)
            configuration = self._configuration(keyframe)
        gone_back = self.placer.backward_timestamps
        items = self.placer.place(
            TrackFrame(group.timestamp, group.arrived, keyframe is not None, picture.data, configuration)
        )
        is_b_frame = self._codec is VideoCodec.H264 and has_b_slices(picture.data)
        self.b_frames += is_b_frame or self.placer.backward_timestamps > gone_back
        return items

    def _read(self, group: PacketGroup) -> Picture | None:
        """Return the picture of *group*, or None of one that holds none, or not the whole of it."""
        if not group.is_whole:
            self._depacketizer.lose()
            self.dropped += 1
            return None
        try:
            return self._depacketizer.read(group)
        except LostBeginning:
            pass
        except InvalidRtp:
            # What begins in the middle, because its beginning was lost, is not its sender's fault.
            self.malformed += not group.follows_hole
            self._depacketizer.lose()
        self.dropped += 1
        self._gate.damage(group.arrived)
        return None

    def _configuration(self, keyframe: Keyframe) -> CodecConfiguration | None:
        """Return what a decoder needs anew: only another shape begins another part of the session."""
        if self._shape is not None and keyframe.size.has_shape_of(self._shape):
            return None
        self._shape = keyframe.size
        return CodecConfiguration(codec=self._codec, data=keyframe.configuration)
