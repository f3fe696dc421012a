"""Watch: compare what viewers read of the streams with what their documents say."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime

from bucketcast.handlers.reap import is_settled
from bucketcast.objects import ObjectFacts
from bucketcast.ports import Bucket, Clock
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import RungName
from bucketcast.stream.object_names import media_playlist_name
from bucketcast.stream.publication import has_begun
from bucketcast.stream.published_objects import revision_of
from bucketcast.stream.watchdog import PlaylistFacts, StreamHealth, health


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchdog:
    """What watching needs of the world."""

    media: Bucket
    clock: Clock
    executor: Executor  # the playlists of all streams are looked at at the same time

    def watch(self, documents: Sequence[StreamDocument]) -> list[StreamHealth]:
        """Return the health of each stream of *documents*; raises Unavailable where the bucket is.

        What nobody publishes any more costs no read.
        """
        now = self.clock.now()
        names = [_playlist_names(document, now) for document in documents]
        flat = [name for by_slot in names for name in by_slot.values()]
        facts = dict(zip(flat, self.executor.map(self.media.facts, flat), strict=True))
        return [
            health(document, _playlists(document, by_slot, facts), now=now) if by_slot else StreamHealth()
            for document, by_slot in zip(documents, names, strict=True)
        ]


def _playlist_names(document: StreamDocument, now: datetime) -> dict[RungName, str]:
    """The playlists of *document* by slot, if it is to be watched at *now*."""
    if not has_begun(document) or is_settled(document, now):
        return {}
    slots = document.configuration.rungs
    return {slot.name: media_playlist_name(document.stream, slot.name) for slot in slots}


def _playlists(
    document: StreamDocument, names: dict[RungName, str], facts: dict[str, ObjectFacts | None]
) -> dict[RungName, PlaylistFacts]:
    return {
        slot: PlaylistFacts(replaced=there.updated, is_newest=_is_newest(document, there))
        for slot, name in names.items()
        if (there := facts[name])
    }


def _is_newest(document: StreamDocument, there: ObjectFacts) -> bool:
    wanted = document.objects.get(there.name)
    return wanted is not None and revision_of(there) == wanted.revision
