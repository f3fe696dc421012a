"""The sessions of all publishers: opened by an offer, found by their address, ended by either side."""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from ingest.protocols.publishing import (
    CloseReason,
    PublishHandler,
    PublishRefused,
    PublishRequest,
    PublishSession,
    RefusalReason,
)
from ingest.protocols.whip.endpoint import Opened, OpenSession, SessionFacts
from ingest.protocols.whip.ice_lite import FRAGMENT_CHARACTERS, PASSWORD_CHARACTERS, Credentials
from ingest.protocols.whip.limits import WhipLimits
from ingest.protocols.whip.media import MediaReceiver
from ingest.protocols.whip.negotiation import LocalTransport, answer
from ingest.protocols.whip.sdp import Setup
from ingest.protocols.whip.session import WhipSession
from ingest.protocols.whip.session_status import SessionStatus
from ingest.protocols.whip.udp import Discarded, UdpEndpoint

_log = logging.getLogger(__name__)

DEFAULT_LIMITS: Final = WhipLimits()
# What OBS is told to use, and the segment duration unless a stream says otherwise: a keyframe that lies near
# every segment's start is what a replacement encoder begins with.
KEYFRAME_INTERVAL: Final = timedelta(seconds=2)
# RFC 9725, 4.2: the session's address is all that is needed to end it, so nobody may guess it.
_ID_BYTES: Final = 24
# A page asks within seconds why its session has ended, and clients DELETE one whose connection they closed;
# some hundred bytes each are little.
REMEMBERED_SESSIONS: Final = 256
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"  # RFC 8839, 5.4: ice-char


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    session: WhipSession
    serving: asyncio.Task[None]
    facts: SessionFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    status: SessionStatus
    facts: SessionFacts


class WhipServer:
    """Takes publishers in and hands what they send to the sessions that *handler* opens for them.

    *addresses* are announced to publishers: those that are bound, unless others lead to them (NAT).
    """

    def __init__(self, handler: PublishHandler, limits: WhipLimits = DEFAULT_LIMITS) -> None:
        self._handler = handler
        self._limits = limits
        self._endpoint = UdpEndpoint()
        self._announced: tuple[str, ...] = ()
        self._sessions: dict[str, _Open] = {}
        self._opening = 0
        self._is_closing = False
        self._ended: OrderedDict[str, _Ended] = OrderedDict()

    @property
    def sessions(self) -> tuple[WhipSession, ...]:
        """Those that are open."""
        return tuple(each.session for each in self._sessions.values())

    @property
    def discarded(self) -> Mapping[Discarded, int]:
        """How many datagrams reached no session, by what was wrong with them."""
        return self._endpoint.discarded

    @property
    def udp_port(self) -> int:
        """The port that media comes to."""
        return self._endpoint.port

    async def start(self, hosts: Sequence[str], port: int, *, announced: Sequence[str] = ()) -> None:
        """Receive media on *hosts*, IP addresses, and UDP *port*, 0 for any that is free.

        Publishers are told the *announced* addresses instead of those that are bound, where others lead there.

        Raises:
            OSError: none of the addresses can be had, or the port cannot.
        """
        await self._endpoint.start(hosts, port)
        self._announced = tuple(announced) or self._endpoint.hosts

    async def open(self, wanted: OpenSession, *, peer_address: str) -> Opened:
        """Let a publisher in; raises PublishRefused."""
        self._refuse_if_closing()
        if len(self._sessions) + self._opening >= self._limits.sessions:
            raise PublishRefused(RefusalReason.UNAVAILABLE, "Too many publish here. Try again in a moment.")
        session = WhipSession(
            session_id=secrets.token_urlsafe(_ID_BYTES),
            credentials=Credentials(
                fragment=_random(FRAGMENT_CHARACTERS), password=_random(PASSWORD_CHARACTERS)
            ),
            endpoint=self._endpoint,
            peer_address=peer_address,
            is_dtls_server=wanted.negotiated.setup is Setup.PASSIVE,
            limits=self._limits,
        )
        request = PublishRequest(stream_key=wanted.stream_key, peer_address=peer_address, connection=session)
        publishing = await self._authorize(request)
        await publishing.metadata(wanted.metadata)
        media = MediaReceiver(
            wanted.negotiated.tracks,
            ssrc=secrets.randbits(32),
            keyframe_interval=KEYFRAME_INTERVAL,
            max_bitrate=wanted.max_bitrate,
        )
        serving = asyncio.create_task(
            session.serve(publishing, media, wanted.negotiated.fingerprints), name="whip-session"
        )
        facts = SessionFacts(stream_key=wanted.stream_key, fragment=wanted.negotiated.fragment)
        self._sessions[session.session_id] = _Open(session=session, serving=serving, facts=facts)
        serving.add_done_callback(lambda _: self._forget(session))
        _log.info(
            "WHIP publish accepted",
            extra={
                "session_id": session.session_id,
                "peer_address": peer_address,
                "stream": publishing.stream,
                "codecs": [track.codec.value for track in wanted.negotiated.tracks],
            },
        )
        local = LocalTransport(
            fragment=session.peer.credentials.fragment,
            password=session.peer.credentials.password,
            fingerprint=session.fingerprint,
            candidates=tuple((address, self._endpoint.port) for address in self._announced),
        )
        return Opened(session_id=session.session_id, answer=answer(wanted.offer, wanted.negotiated, local))

    async def _authorize(self, request: PublishRequest) -> PublishSession:
        self._opening += 1
        try:
            async with asyncio.timeout(self._limits.authorize_seconds):
                publishing = await self._handler.authorize(request)
        except TimeoutError:
            text = "The stream key could not be checked in time. Try again in a moment."
            raise PublishRefused(RefusalReason.UNAVAILABLE, text) from None
        finally:
            self._opening -= 1
        try:
            self._refuse_if_closing()
        except PublishRefused:
            await publishing.close(CloseReason.SHUTTING_DOWN)
            raise
        return publishing

    def _refuse_if_closing(self) -> None:
        if self._is_closing:
            text = "The server is shutting down. Try again in a moment."
            raise PublishRefused(RefusalReason.UNAVAILABLE, text)

    def facts(self, session_id: str) -> SessionFacts | None:
        """What requests for session *session_id*, also an ended one, are judged by; None of an unknown one."""
        found = self._sessions.get(session_id) or self._ended.get(session_id)
        return found.facts if found else None

    def status(self, session_id: str) -> SessionStatus | None:
        """What the publisher of session *session_id* may know, also of why it ended; None of an unknown one."""
        found = self._sessions.get(session_id)
        if found is not None:
            return found.session.status
        ended = self._ended.get(session_id)
        return ended.status if ended else None

    def end(self, session_id: str) -> bool:
        """End session *session_id* because its publisher wants to; say whether there is one."""
        found = self._sessions.get(session_id)
        if found is not None:
            found.session.close(CloseReason.UNPUBLISHED, "The publisher ended it.")
        return found is not None

    def _forget(self, session: WhipSession) -> None:
        known = self._sessions.pop(session.session_id)
        if (status := session.status) is not None:
            facts = replace(known.facts, has_ended=True)
            self._ended[session.session_id] = _Ended(status=status, facts=facts)
        while len(self._ended) > REMEMBERED_SESSIONS:
            self._ended.popitem(last=False)

    async def close(self) -> None:
        """Let nobody in any more, end all sessions, and return when every one is closed."""
        self._is_closing = True
        serving = [each.serving for each in self._sessions.values()]
        for session in self.sessions:
            session.close(CloseReason.SHUTTING_DOWN, "The server is shutting down.")
        if serving:
            _, late = await asyncio.wait(serving, timeout=self._limits.shutdown_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._endpoint.close()


def _random(characters: int, choose: Callable[[str], str] = secrets.choice) -> str:
    return "".join(choose(_ALPHABET) for _ in range(characters))
