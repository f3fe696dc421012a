"""WHIP servers with nothing behind them, each in a process of its own.

`python -m benchmark.whip_servers WAY PORT FOLDER` serves `/whip` until SIGTERM. Three ways: our receiver, whose
feed is dropped; aiortc's receiver as it is, which decodes, and whose pictures nobody takes; and its
MediaRecorder, which encodes them again into an MPEG-TS file in FOLDER, as its own examples do.
"""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

import aioice.ice
import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole, MediaRecorder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import parse_stream_id
from ingest.feed import FeedItem
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.publishing import CloseReason, PublishRequest
from ingest.protocols.whip.endpoint import SDP, EndpointSettings
from ingest.protocols.whip.http import whip_routes
from ingest.protocols.whip.server import WhipServer
from local_system.system import HOST, free_ports

# Imports of aiortc take some seconds on a busy machine.
START_SECONDS: Final = 30.0
# A recorder encodes what its encoder holds back, and writes the file's end.
STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
# FFmpeg's publisher answers no consent checks (RFC 7675) and would be let go after half a minute.
_UNANSWERED_CHECKS: Final = 10**9


class Way(StrEnum):
    """What is done with what comes."""

    RECEIVED = "received"
    DECODED = "decoded"
    RECORDED = "recorded"


class _Dropping:
    """A session that takes everything and keeps nothing."""

    stream = parse_stream_id("bench")

    def faults(self) -> tuple[InputFault, ...]:
        return ()

    async def receive(self, item: FeedItem) -> None:
        pass

    async def metadata(self, metadata: SourceMetadata) -> None:
        pass

    async def close(self, reason: CloseReason) -> None:
        pass


class _AllComers:
    async def authorize(self, request: PublishRequest) -> _Dropping:  # noqa: ARG002  # PublishHandler's
        return _Dropping()


def receiver() -> Starlette:
    """Our receiver behind its endpoint; `/state` says how many sessions and tasks there are."""
    server = WhipServer(_AllComers())

    @asynccontextmanager
    async def lifespan(_application: Starlette) -> AsyncIterator[None]:
        await server.start((HOST,), 0)
        yield
        await server.close()

    async def state(_request: Request) -> Response:
        return JSONResponse({"sessions": len(server.sessions), "tasks": len(asyncio.all_tasks())})

    # Whoever tries it out has many addresses, or it would be told to come back later.
    settings = EndpointSettings(trusted_proxies=1)
    return Starlette(routes=[*whip_routes(server, settings), Route("/state", state)], lifespan=lifespan)


def aiortc_server(way: Way, folder: Path) -> Starlette:
    """What aiortc does for one publisher, used as in its examples."""
    aioice.ice.CONSENT_FAILURES = _UNANSWERED_CHECKS
    peers: list[RTCPeerConnection] = []
    sinks: list[MediaBlackhole | MediaRecorder] = []

    def take(track: MediaStreamTrack) -> None:
        # A recorder for each: where sound comes first, it has the encoder of pictures opened before their size
        # is known, and they are lost.
        file = str(recorded(folder, track.kind))
        sink = MediaRecorder(file, format="mpegts") if way is Way.RECORDED else MediaBlackhole()
        sink.addTrack(track)
        sinks.append(sink)

    async def offered(request: Request) -> Response:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peers.append(peer)
        peer.on("track", take)
        offer = (await request.body()).decode()
        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        for sink in sinks:
            await sink.start()
        return Response(peer.localDescription.sdp, 201, {"location": "/whip/1"}, media_type=SDP)

    @asynccontextmanager
    async def lifespan(_application: Starlette) -> AsyncIterator[None]:
        yield
        for sink in sinks:
            await sink.stop()
        for peer in peers:
            await peer.close()

    return Starlette(routes=[Route("/whip", offered, methods=["POST"])], lifespan=lifespan)


def recorded(folder: Path, kind: str) -> Path:
    """Where in *folder* a track of *kind* is recorded."""
    return folder / f"{kind}.ts"


class WhipServerProcess:
    """A server that answers, its *address* and its process."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        """*process* listens on *port*."""
        self.pid = process.pid
        self.origin = f"http://{HOST}:{port}"
        self.address = f"{self.origin}/whip"


@contextmanager
def serving(way: Way, folder: Path) -> Iterator[WhipServerProcess]:
    """Start a server, and end it with the context; raises subprocess.CalledProcessError where it cannot."""
    port = free_ports().whip
    command = [sys.executable, "-m", "benchmark.whip_servers", way, str(port), str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_for(process, port)
        yield WhipServerProcess(process, port)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    finally:
        process.kill()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), closing(socket.create_connection((HOST, port))):
            return
        time.sleep(_POLL_SECONDS)
    raise subprocess.CalledProcessError(process.poll() or 0, process.args)


def main(arguments: Sequence[str]) -> None:
    """Serve as the command line says."""
    way, port, folder = Way(arguments[0]), int(arguments[1]), Path(arguments[2])
    application = receiver() if way is Way.RECEIVED else aiortc_server(way, folder)
    uvicorn.run(application, host=HOST, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(sys.argv[1:])
