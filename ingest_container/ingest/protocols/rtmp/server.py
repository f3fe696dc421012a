"""The asyncio shell around all connections: listens, counts, and ends them."""

import asyncio
import logging
import socket
from types import TracebackType
from typing import Final, Self

from ingest.protocols.publishing import CloseReason, PublishHandler
from ingest.protocols.rtmp.limits import RtmpLimits
from ingest.protocols.rtmp.publisher import Publisher

logger = logging.getLogger(__name__)

DEFAULT_LIMITS: Final = RtmpLimits()

_ACCEPT_RETRY_SECONDS: Final = 0.5
"""When the process is out of file descriptors: some are given back soon, or nothing helps."""


class RtmpServer:
    """Takes publishers in and hands what they send to the sessions that *handler* opens for them.

    Each connection is one task, which holds no buffer while its peer is silent; *limits* bound all of it.
    """

    def __init__(self, handler: PublishHandler, limits: RtmpLimits = DEFAULT_LIMITS) -> None:
        self._handler = handler
        self._limits = limits
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._publishers: dict[asyncio.Task[None], Publisher] = {}

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that the server listens on."""
        if self._listener is None:
            raise RuntimeError("the RTMP server is not started")
        host, port, *_ = self._listener.getsockname()
        return host, port

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._publishers)

    async def start(self, host: str, port: int) -> None:
        """Listen on *host*, an IP address, and *port*, 0 for any that is free.

        Raises:
            OSError: the address cannot be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=self._limits.backlog)
        self._listener.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(self._listener), name="rtmp-accept")

    async def close(self) -> None:
        """Stop listening, end all connections, and return when every session is closed."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        if self._listener is not None:
            self._listener.close()
        for publisher in self._publishers.values():
            publisher.close(CloseReason.SHUTTING_DOWN, "The server is shutting down. Connect again.")
        if self._publishers:
            _, late = await asyncio.wait(self._publishers, timeout=self._limits.shutdown_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connected, address = await loop.sock_accept(listener)
            except OSError:
                logger.exception("RTMP connection could not be accepted")
                await asyncio.sleep(_ACCEPT_RETRY_SECONDS)
            else:
                self._admit(connected, str(address[0]))

    def _admit(self, connected: socket.socket, peer_address: str) -> None:
        if not self._has_room_for(peer_address):
            # Nothing in RTMP can be said before the handshake, which would cost what is to be saved.
            connected.close()
            logger.warning("RTMP connection turned away", extra={"peer_address": peer_address})
            return
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        publisher = Publisher(connected, peer_address, self._handler, self._limits)
        task = asyncio.create_task(publisher.run(), name="rtmp-publisher")
        self._publishers[task] = publisher
        task.add_done_callback(self._publishers.pop)

    def _has_room_for(self, peer_address: str) -> bool:
        unpublished = sum(
            publisher.peer_address == peer_address and not publisher.published
            for publisher in self._publishers.values()
        )
        return (
            len(self._publishers) < self._limits.connections
            and unpublished < self._limits.unpublished_connections_per_address
        )
