"""Control: what the ingest asks of the functions."""

import asyncio
import logging
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

import msgspec

from bucketcast.errors import NotFound, Refused, Unavailable
from bucketcast.events import object_finalized_request
from bucketcast.gcp.functions import Answer, CloudFunction
from bucketcast.objects import ObjectFacts
from bucketcast.records import JSON, decode_record, encode_record
from bucketcast.stream.claim import ClaimRequest, Renewal, Renewed
from bucketcast.stream.session_record import SessionRecord

_log = logging.getLogger(__name__)

Decoded = TypeVar("Decoded", bound=msgspec.Struct)


class _Problem(msgspec.Struct, frozen=True):
    """What of RFC 9457's problem details is for people."""

    detail: str = "the function gave no reason"


class Control:
    """The functions, as one ingest calls them."""

    def __init__(
        self,
        *,
        publish: CloudFunction,
        sessions: CloudFunction,
        ingest_bucket: str,
        wakes: Executor,
        leases: Executor,
    ) -> None:
        """Call *publish* in threads of *wakes*, *sessions* in those of *leases*; events name *ingest_bucket*.

        A publisher may take its time. A lease may not: no wake-up must ever stand before its renewal.
        """
        self._publish = publish
        self._sessions = sessions
        self._ingest_bucket = ingest_bucket
        self._wakes = wakes
        self._leases = leases

    async def wake(self, facts: ObjectFacts) -> None:
        """Have the stream of the timeline of *facts* published; return when its playlists are replaced.

        Raises Unavailable when that could not be done.
        """
        event = object_finalized_request(self._ingest_bucket, facts)
        call = partial(self._publish.post, "", headers=event.headers, body=event.body)
        answer = await asyncio.get_running_loop().run_in_executor(self._wakes, call)
        if not answer.ok:
            raise Unavailable(f"the publisher answered {answer.status}")

    async def claim(self, request: ClaimRequest) -> SessionRecord:
        """Claim the next session; raises Refused, NotFound or Unavailable with words for the broadcaster."""
        return await self._ask("/claim", request, SessionRecord)

    async def renew(self, renewal: Renewal) -> Renewed:
        """Renew the lease; raises NotFound or Unavailable."""
        return await self._ask("/renew", renewal, Renewed)

    async def _ask(self, path: str, request: msgspec.Struct, answered: type[Decoded]) -> Decoded:
        call = partial(self._sessions.post, path, headers={"content-type": JSON}, body=encode_record(request))
        answer = await asyncio.get_running_loop().run_in_executor(self._leases, call)
        if answer.ok:
            return decode_record(answered, answer.body)
        raise _error(answer)


def _error(answer: Answer) -> Exception:
    try:
        detail = msgspec.json.decode(answer.body, type=_Problem).detail
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = _Problem().detail
    match answer.status:
        case 404:
            return NotFound(detail)
        case 409 | 400:
            return Refused(detail)
        case _:
            return Unavailable(f"the function answered {answer.status}")
