"""Reads a socket for one task, with no more system calls than reading takes."""

import asyncio
import socket
from typing import Final

_PATIENCE_SECONDS: Final = 0.1
"""For bytes to become as many as are waited for. A publisher's last words are few, and want an answer."""


class DeadlinePassed(Exception):
    """Nothing came before the deadline."""


class SocketReader:
    """Reads at most one piece ahead of the task that takes it, so that a task that waits stops the sender.

    The loop watches the socket all the while; `loop.sock_recv` begins and ends that with every piece, which
    doubles what a stream costs. A transport would end reading when writing fails; here both are apart.
    """

    def __init__(self, connected: socket.socket, *, piece_bytes: int) -> None:
        """Read *connected*, which does not block, in pieces of at most *piece_bytes*."""
        self._loop = asyncio.get_running_loop()
        self._socket = connected
        self._piece_bytes = piece_bytes
        self._piece: bytes | None = None
        self._error: OSError | None = None
        self._watching = False
        self._waiter: asyncio.Future[None] | None = None
        self._at_least = 1
        self._is_quiet = False
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def has_more(self) -> bool:
        """Whether something has come that was not read yet."""
        if self._piece is not None:
            return True
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def wait_for(self, count: int) -> None:
        """From now on let whoever reads sleep until *count* bytes have come, or the peer has ended.

        Fewer wait for others, but not longer than twice _PATIENCE_SECONDS.
        """
        if count != self._at_least:
            self._at_least = count
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

    async def read(self, deadline: float) -> bytes:
        """Return what came next, before *deadline* on the loop's clock; b"" when the peer has ended.

        Raises:
            DeadlinePassed: nothing came.
            OSError: the connection is broken.
        """
        # Also with a piece at hand: a peer that always sends something must not outlive its deadline.
        if self._loop.time() >= deadline:
            raise DeadlinePassed
        if self._piece is None and self._error is None:
            await self._wait(deadline)
        piece, self._piece = self._piece, None
        if self._error is not None:
            raise self._error
        return piece or b""

    def close(self) -> None:
        """Stop watching; to be called before the socket is closed."""
        self._stop_watching()
        if self._timer is not None:
            self._timer.cancel()

    async def _wait(self, deadline: float) -> None:
        if not self._watching:
            self._watching = True
            self._loop.add_reader(self._socket, self._on_readable)
        self._deadline = deadline
        self._set_timer()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _stop_watching(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._socket)

    def _set_timer(self) -> None:
        """See to it that the timer goes off in time. It may go off too early: to put it off each time costs."""
        due = self._deadline
        if self._at_least > 1:
            due = min(due, self._loop.time() + _PATIENCE_SECONDS)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._on_timer)

    def _on_readable(self) -> None:
        if self._piece is not None:
            # The task has not taken the last one: the kernel's buffer fills up, and the peer waits.
            self._stop_watching()
            return
        self._is_quiet = False
        try:
            self._piece = self._socket.recv(self._piece_bytes)
        except BlockingIOError:
            return
        except OSError as error:
            self._error = error
        if not self._piece:
            self._stop_watching()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _on_timer(self) -> None:
        self._timer = None
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if self._is_quiet:
            # Nothing woke us since the last time: what has come is less than was waited for.
            self._on_readable()
        self._is_quiet = self._at_least > 1
        if waiter.done():
            return
        if self._loop.time() < self._deadline:
            self._set_timer()
        else:
            waiter.set_exception(DeadlinePassed())
