"""RTMP's own words for what ends a publisher.

After ``NetStream.Publish.Denied`` OBS asks for another key instead of trying again.
"""

from typing import Final

from ingest.protocols.publishing import CloseReason, RefusalReason

REFUSED: Final = {
    RefusalReason.KEY: "NetStream.Publish.Denied",
    RefusalReason.ON_AIR: "NetStream.Publish.BadName",
    RefusalReason.SOURCE: "NetStream.Publish.Rejected",
    RefusalReason.UNAVAILABLE: "NetStream.Publish.Failed",
}
_UNPUBLISHED: Final = "NetStream.Unpublish.Success"
_CLOSED: Final = {CloseReason.SHUTTING_DOWN: "NetConnection.Connect.AppShutdown"}


def close_code(reason: CloseReason) -> str:
    """The status of a connection that this side ends for *reason*."""
    return _CLOSED.get(reason, _UNPUBLISHED)
