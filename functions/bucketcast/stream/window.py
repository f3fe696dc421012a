"""The live window: which segments of a document each rendition lists."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from bucketcast.stream.configuration import StreamConfiguration
from bucketcast.stream.document import StreamDocument, WindowSegment
from bucketcast.stream.identifiers import RungName, SessionNumber
from bucketcast.stream.session_record import EncodedRung

# RFC 8216bis 6.2.2 asks for three target durations; players start three from the edge, so a window of six
# segments leaves a slow one as much again before it falls out.
MIN_WINDOW_SEGMENTS: Final = 6
MIN_WINDOW_TARGET_DURATIONS: Final = 3

SlotRungs = Mapping[SessionNumber, EncodedRung]
"""Which rung fills one slot in each session of a document."""


def target_duration(configuration: StreamConfiguration) -> int:
    """EXT-X-TARGETDURATION in seconds: the least integer that no legal segment rounds above.

    A segment ends at the first frame at or after a multiple of the segment duration, so it is longer by less
    than a frame (0.1 s at 10 fps): whole seconds stay, half seconds round up (RFC 8216bis 4.4.3.1).
    """
    return int(configuration.segment_duration.total_seconds() + 0.5)


def rung_for_slot(slot: RungName, rungs: tuple[EncodedRung, ...]) -> EncodedRung:
    """The rung that a session lists in *slot*: itself, else the nearest below, else the nearest above."""
    ordered = sorted(rungs, key=lambda rung: _short_side(rung.name))
    fitting = [rung for rung in ordered if _short_side(rung.name) <= _short_side(slot)]
    return fitting[-1] if fitting else ordered[0]


def _short_side(name: RungName) -> int:
    return int(name[:-1])


def slot_rungs(document: StreamDocument, slot: RungName) -> SlotRungs:
    """Which rung fills *slot* in each session of *document*."""
    return {session.session: rung_for_slot(slot, session.rungs) for session in document.sessions}


def listed_segments(document: StreamDocument, rungs: SlotRungs) -> tuple[WindowSegment, ...]:
    """The segments that the rendition of *rungs* lists: up to its own first pending one, the newest window."""
    return document.window[live_window_start(document, rungs) : _first_pending(document, rungs)]


def is_startable(document: StreamDocument) -> bool:
    """Whether every rendition lists enough for a player to start in it.

    RFC 8216bis, 6.3.3: a client "SHOULD NOT choose a segment that starts less than three Target Durations from
    the end of the Playlist file"; with less there is none to choose, and players start with an empty buffer.
    """
    return _every_rendition_lists(document, _least_duration(document.configuration))


def settled_start(document: StreamDocument, first: int) -> int | None:
    """The position in the window, not before *first*, from where every rendition lists a whole live window.

    None if there is none yet. What players read may move there from anything older, and to no other place: RFC
    8216bis, 6.2.2, wants three target durations in a playlist that something was removed from.
    """
    least = live_window_duration(document.configuration)
    for position in range(first, len(document.window)):
        if _every_rendition_lists(replace(document, window=document.window[position:]), least):
            return position
    return None


def _every_rendition_lists(document: StreamDocument, least: timedelta) -> bool:
    renditions = (
        listed_segments(document, slot_rungs(document, slot.name)) for slot in document.configuration.rungs
    )
    return all(sum((segment.duration for segment in listed), timedelta(0)) >= least for listed in renditions)


def live_window_duration(configuration: StreamConfiguration) -> timedelta:
    """What a rendition lists at least, once there is as much."""
    return max(MIN_WINDOW_SEGMENTS * configuration.segment_duration, _least_duration(configuration))


def _least_duration(configuration: StreamConfiguration) -> timedelta:
    return timedelta(seconds=MIN_WINDOW_TARGET_DURATIONS * target_duration(configuration))


def live_window_start(document: StreamDocument, rungs: SlotRungs) -> int:
    """The position in the window of the first segment that the rendition of *rungs* lists.

    It depends only on the last one listed: a segment stays while those behind it are shorter than the window.
    """
    end = _first_pending(document, rungs)
    least = live_window_duration(document.configuration)
    length = timedelta(0)
    for position in range(end - 1, -1, -1):
        length += document.window[position].duration
        if length >= least:
            return position
    return 0


def _first_pending(document: StreamDocument, rungs: SlotRungs) -> int:
    """The position of the first segment whose rung is undecided; the window's length if there is none."""
    for position, segment in enumerate(document.window):
        if rungs[segment.session].name not in segment.rungs:
            return position
    return len(document.window)
