"""Every reason has RTMP's own word, and none of them makes OBS ask for another key but a wrong key."""

from ingest.protocols.publishing import CloseReason, RefusalReason
from ingest.protocols.rtmp import statuses


def test_every_refusal_has_a_status_of_its_own() -> None:
    assert statuses.REFUSED.keys() == set(RefusalReason)
    assert len(set(statuses.REFUSED.values())) == len(RefusalReason)
    assert statuses.REFUSED[RefusalReason.KEY] == "NetStream.Publish.Denied"


def test_what_ends_from_this_side_is_unpublished_but_for_a_shutdown() -> None:
    codes = {reason: statuses.close_code(reason) for reason in CloseReason}
    assert codes.pop(CloseReason.SHUTTING_DOWN) == "NetConnection.Connect.AppShutdown"
    assert set(codes.values()) == {"NetStream.Unpublish.Success"}
