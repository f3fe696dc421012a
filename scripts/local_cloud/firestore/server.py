"""The gRPC shell: the official client libraries find Firestore here through FIRESTORE_EMULATOR_HOST."""

import logging
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from operator import methodcaller
from pathlib import Path
from threading import BoundedSemaphore, Thread
from typing import Any, Final

import grpc
from google.cloud.firestore_v1 import types

from local_cloud.faults import ANSWERED, CallFate, Refusal
from local_cloud.firestore.errors import (
    Aborted,
    DeadlineExceeded,
    FirestoreError,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from local_cloud.firestore.listen import Listener
from local_cloud.firestore.persistence import SqlitePersistence
from local_cloud.firestore.service import FirestoreService
from local_cloud.firestore.store import Store
from local_cloud.grpc_server import start_grpc_server
from local_cloud.operations import OperationCounts

_SERVICE: Final = "/google.firestore.v1.Firestore/"

# A Listen stream keeps a thread; the rest answer calls, of which each takes about a millisecond.
MAX_LISTENERS: Final = 32
CALL_THREADS: Final = 16
# Above the 10 MiB of a request, so that a larger one is told its real fault: the client runs a call that gRPC
# itself refuses for its size (RESOURCE_EXHAUSTED) again and again for a minute.
MAX_MESSAGE_BYTES: Final = 32 << 20
# How long calls under way may take to end when the server stops; all of ours end at once.
STOP_SECONDS: Final = 2.0
# Firestore's ids are opaque bytes; 16 random ones never meet.
_TRANSACTION_ID_BYTES: Final = 16

_log = logging.getLogger(__name__)


FateOfCall = Callable[[str], CallFate]
"""What happens to a call, by its method's name."""


def unharmed(_: str) -> CallFate:
    """Let every call do what it should."""
    return ANSWERED


class FirestoreServer:
    """Firestore on one port, its documents in the folder *path*, or in memory when it is None.

    Every call meets the *fate* that is drawn for it, and what Firestore would bill is noted in *operations*.
    Raises FolderInUseError when another process uses the folder.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        operations: OperationCounts | None = None,
        fate: FateOfCall = unharmed,
    ) -> None:
        self._persistence = None if path is None else SqlitePersistence(path)
        self._store = Store(
            now=lambda: datetime.now(UTC),
            new_id=lambda: secrets.token_bytes(_TRANSACTION_ID_BYTES),
            persistence=self._persistence,
            operations=operations,
        )
        self._handlers = _Handlers(self._store, fate)
        self._server: Any = None

    def start(self, host: str, port: int) -> int:
        """Serve on *host* and return the port bound: *port*, or one picked when it is 0.

        Raises OSError when the address cannot be had.
        """
        self._server, bound = start_grpc_server(
            "Firestore",
            host,
            port,
            (self._handlers,),
            threads=MAX_LISTENERS + CALL_THREADS,
            max_message_bytes=MAX_MESSAGE_BYTES,
        )
        _log.info("Firestore listens", extra={"host": host, "port": bound})
        return bound

    def stop(self) -> None:
        """End every call and let go of the port and the folder, for good."""
        server, self._server = self._server, None
        stopped = None if server is None else server.stop(grace=STOP_SECONDS)
        # Listen streams only end when they are told to.
        self._store.close()
        if stopped is not None:
            stopped.wait()
        if self._persistence is not None:
            self._persistence.close()


class _Handlers:
    """What gRPC asks for the handler of each method (grpc.GenericRpcHandler)."""

    def __init__(self, store: Store, fate: FateOfCall) -> None:
        self._store = store
        self._listeners = BoundedSemaphore(MAX_LISTENERS)
        service = FirestoreService(store)
        serialize = methodcaller("SerializeToString")
        self._methods = {
            _SERVICE + name: grpc.unary_unary_rpc_method_handler(
                _unary(call, partial(fate, name)), request.FromString, serialize
            )
            for name, (request, call) in service.unary.items()
        }
        self._methods |= {
            _SERVICE + name: grpc.unary_stream_rpc_method_handler(
                _streaming(call, partial(fate, name)), request.FromString, serialize
            )
            for name, (request, call) in service.streaming.items()
        }
        self._methods[_SERVICE + "Listen"] = grpc.stream_stream_rpc_method_handler(
            self._listen, types.ListenRequest.pb().FromString, serialize
        )

    def service(self, details: Any) -> Any:
        """Return the handler for a call; any that is not offered is refused by its name."""
        return self._methods.get(details.method) or _refusal(details.method)

    def _listen(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        if not self._listeners.acquire(blocking=False):
            _abort(context, ResourceExhausted(f"{MAX_LISTENERS} Listen streams are open"))
        listener = Listener(self._store)
        # When the client is already gone, gRPC takes no callback.
        if not context.add_callback(listener.end):
            listener.end()
        Thread(target=_feed, args=(requests, listener), name="firestore-listen", daemon=True).start()
        try:
            yield from listener.responses()
        except FirestoreError as error:
            _abort(context, error)
        finally:
            self._listeners.release()


def _feed(requests: Iterator[Any], listener: Listener) -> None:
    try:
        for request in requests:
            listener.receive(request)
    except grpc.RpcError:
        # gRPC's way to tell that the stream was cancelled.
        _log.debug("a Listen stream was cancelled")
    finally:
        listener.end()


def _abort(context: Any, error: FirestoreError) -> None:
    context.abort(grpc.StatusCode[error.code.name], error.message)


def _unary(call: Callable[[Any], Any], draw: Callable[[], CallFate]) -> Callable[[Any, Any], Any]:
    def handle(request: Any, context: Any) -> Any:
        fate = draw()
        try:
            _refuse(fate)
            answer = call(request)
            _lose_answer(fate)
        except FirestoreError as error:
            _abort(context, error)
        else:
            return answer

    return handle


def _streaming(
    call: Callable[[Any], Iterator[Any]], draw: Callable[[], CallFate]
) -> Callable[[Any, Any], Iterator[Any]]:
    def handle(request: Any, context: Any) -> Iterator[Any]:
        fate = draw()
        try:
            _refuse(fate)
            _lose_answer(fate)
            yield from call(request)
        except FirestoreError as error:
            _abort(context, error)

    return handle


def _refuse(fate: CallFate) -> None:
    text = "a fault that was asked for"
    match fate.refusal:
        case None:
            return
        case Refusal.ABORTED:
            raise Aborted(text)
        case Refusal.DEADLINE_EXCEEDED:
            raise DeadlineExceeded(text)
        case _:
            raise Unavailable(text)


def _lose_answer(fate: CallFate) -> None:
    if fate.answer_lost:
        raise Unavailable("the answer is lost: a fault that was asked for")


def _refusal(method: str) -> Any:
    def handle(_: bytes, context: Any) -> None:
        _log.error("A call is not offered", extra={"method": method})
        _abort(context, Unimplemented(f"the local cloud does not offer {method}"))

    # Requests that stream are refused at their first message.
    return grpc.unary_unary_rpc_method_handler(handle)
