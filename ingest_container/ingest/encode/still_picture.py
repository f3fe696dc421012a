"""The last picture of an adaptive source, shown for as long as its sound goes on without another one.

A camera that is muted sends nothing, and FFmpeg, which shows a picture until it sees the next, would make no
segment meanwhile. An encoded picture cannot be repeated by itself, since it says what has changed; so its whole
group is, in no time: a decoder that goes through it again ends where it was, and the pictures that follow find
what they refer to.
"""

from dataclasses import replace
from datetime import timedelta

from ingest.feed import EncodedFrame

# Pictures may come this much after the sound before they count as missing: five times the interval of the
# slowest sender, and less than what viewers' latency could take.
PATIENCE = timedelta(seconds=1)
# A repeated picture stays this much behind the sound, so that one which returns comes after it.
DISTANCE = timedelta(milliseconds=300)
# Ten seconds of 60 pictures, and of 6 Mb/s: more than senders let pass between keyframes that they are asked
# for on the segment grid. To decode more again and again costs too much, so a longer group is not repeated.
MAX_GROUP_PICTURES = 600
MAX_GROUP_BYTES = 8 * 2**20
# Between the pictures of a repeated group: all but the last are gone before anybody could see them.
_INSTANT = timedelta(microseconds=100)


class StillPicture:
    """Keeps the group of pictures that a feed is in, to repeat it."""

    def __init__(self) -> None:
        self._group: list[EncodedFrame] = []
        self._bytes = 0
        self._shown: timedelta | None = None

    def observe(self, picture: EncodedFrame) -> None:
        """Take note of *picture*, the next one in the feed."""
        if picture.keyframe:
            self._forget()
        self._shown = max(self._shown or picture.presentation_time, picture.presentation_time)
        if not picture.keyframe and not self._group:
            return
        self._group.append(picture)
        self._bytes += len(picture.data)
        if len(self._group) > MAX_GROUP_PICTURES or self._bytes > MAX_GROUP_BYTES:
            self._forget()

    def repeat(self, heard: timedelta) -> list[EncodedFrame]:
        """Return what shows the last picture again, if none came for long when sound has come to *heard*."""
        if self._shown is None or not self._group or heard - self._shown <= PATIENCE:
            return []
        self._shown = heard - DISTANCE
        # Pictures may be out of order, and stay so.
        ranks = {time: rank for rank, time in enumerate(sorted(_times(self._group), reverse=True))}
        return [
            replace(
                picture,
                decode_time=self._shown - (len(self._group) - 1 - number) * _INSTANT,
                presentation_time=self._shown - ranks[picture.presentation_time] * _INSTANT,
            )
            for number, picture in enumerate(self._group)
        ]

    def _forget(self) -> None:
        self._group.clear()
        self._bytes = 0


def _times(group: list[EncodedFrame]) -> set[timedelta]:
    return {picture.presentation_time for picture in group}
