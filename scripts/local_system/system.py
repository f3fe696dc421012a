"""The system as processes: started in order, waited for, ended together."""

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import requests
from google.api_core.exceptions import GoogleAPIError

from local_system.player import upload_player

ROOT: Final = Path(__file__).resolve().parent.parent.parent
HOST: Final = "127.0.0.1"
PROJECT: Final = "demo"
MEDIA_BUCKET: Final = "media"
INGEST_BUCKET: Final = "ingest"
RECORDING_BUCKET: Final = "recording"
LOCATION: Final = "local"

VOD_JOB: Final = "vod"
# One task: there are two cores, and a broadcast may be under way. An hour of 1080p takes several.
VOD_JOB_OPTIONS: Final = {
    "command": [sys.executable, "-m", "ingest.vod"],
    "env": {
        "BUCKETCAST_MEDIA_BUCKET": MEDIA_BUCKET,
        "BUCKETCAST_INGEST_BUCKET": INGEST_BUCKET,
        "BUCKETCAST_RECORDING_BUCKET": RECORDING_BUCKET,
    },
    "timeout": "86400s",
}

# Imports of Google's libraries take a few seconds on a busy machine of two cores.
START_SECONDS: Final = 60.0
# An ingest that ends flushes its encoders and uploads; the local cloud writes its state.
STOP_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.05
# Storage events "are typically delivered within seconds": a median, and what one in a hundred takes. The direct
# wake-up is what viewers' latency rests on, here as there.
EVENT_DELAY: Final = "events.delay=0.5,2"
# The cloud's scheduler knows minutes; here a broadcast should end close to when its window does.
REAP_SECONDS: Final = 5


class NotStarted(Exception):
    """The system could not be started; the text says why in one line."""


class RequestRefused(Exception):
    """The API does not do what it was asked; the text has its own words, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where everything listens on loopback."""

    web: int
    rtmp: int
    whip: int
    metrics: int
    firestore: int
    workflows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedStream:
    """A stream and the key that was shown once."""

    id: str
    stream_key: str = field(repr=False)


def free_ports() -> Ports:
    """Ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.create_server((HOST, 0)))) for _ in range(6)]
        web, rtmp, whip, metrics, firestore, workflows = (taken.getsockname()[1] for taken in sockets)
    return Ports(web=web, rtmp=rtmp, whip=whip, metrics=metrics, firestore=firestore, workflows=workflows)


def check_ports(ports: Ports) -> None:
    """Raise NotStarted naming the first port that is in use."""
    for option, port in (
        ("--port", ports.web),
        ("--rtmp-port", ports.rtmp),
        ("--whip-port", ports.whip),
        ("--metrics-port", ports.metrics),
        ("--firestore-port", ports.firestore),
        ("--workflows-port", ports.workflows),
    ):
        try:
            socket.create_server((HOST, port)).close()
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
            raise NotStarted(f"port {port} {why}: choose another one with {option}") from None


def _detail(response: requests.Response) -> str:
    """What a problem (RFC 9457) says for people, else the status line's own words."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.reason


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())


class System:
    """Local cloud with functions, and the ingest, from `start` to `stop`."""

    def __init__(
        self,
        *,
        ports: Ports,
        admin_token: str,
        logs: Path,
        data: Path | None = None,
        ffmpeg: Path | None = None,
        cloud_options: tuple[str, ...] = (),
        direct_wake: bool = True,
        reap_seconds: int = REAP_SECONDS,
        fast_forward: float = 1.0,
    ) -> None:
        """Listen on *ports*; write each process's log to the folder *logs*; keep state in *data* if given.

        Without *direct_wake* the ingest calls a function that is not there: storage events alone publish. What
        workflows sleep is *fast_forward* times shorter.
        """
        self.ports = ports
        self.admin_token = admin_token
        self.url = f"http://{HOST}:{ports.web}"
        self.rtmp_url = f"rtmp://{HOST}:{ports.rtmp}/live"
        self.whip_url = f"http://{HOST}:{ports.whip}/whip"
        self.studio_url = f"http://{HOST}:{ports.whip}/studio"
        self.metrics_url = f"http://{HOST}:{ports.metrics}"
        self.media_url = f"{self.url}/{MEDIA_BUCKET}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logs = logs
        self._data = data
        self._ffmpeg = ffmpeg
        self._cloud_options = cloud_options
        self._publish_function = "publish" if direct_wake else "nobody"
        self._reap_seconds = reap_seconds
        self._fast_forward = fast_forward

    def __enter__(self) -> Self:
        """Start; raises NotStarted."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Start every process and return when all of it answers; raises NotStarted."""
        check_ports(self.ports)
        self.spawn("cloud", [sys.executable, "-m", "local_cloud", *self._cloud_arguments()])
        self.spawn("ingest", [sys.executable, "-m", "ingest"])
        self.wait_for(f"{self.url}/healthz", "the local cloud and the ingest")
        try:
            upload_player(MEDIA_BUCKET, endpoint=self.url, project=PROJECT, root=ROOT)
        except (GoogleAPIError, requests.RequestException) as error:
            raise NotStarted(f"the viewer page cannot be uploaded: {_in_a_line(error)}") from error

    def stop(self) -> None:
        """End every process, the last one started first."""
        for process in reversed(self.processes.values()):
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def spawn(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        """Start *command* as the process *name*, out of reach of the terminal's Ctrl-C: `stop` ends it."""
        self._logs.mkdir(parents=True, exist_ok=True)
        # A sender's own messages may hold the address, and with it the stream key: for the owner's eyes only.
        descriptor = os.open(self._logs / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                cwd=ROOT,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def ended_process(self) -> str | None:
        """The name of a process that ended by itself, if one did."""
        return next((name for name, process in self.processes.items() if process.poll() is not None), None)

    def wait_for(
        self,
        url: str,
        what: str,
        *,
        seconds: float = START_SECONDS,
        until: Callable[[bytes], bool] = lambda _content: True,
    ) -> bytes:
        """Return what *url* answers once it is 200 and *until* holds; raises NotStarted after *seconds*."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(requests.RequestException):
                response = requests.get(url, timeout=seconds)
                if response.ok and until(response.content):
                    return response.content
            if (name := self.ended_process()) is not None:
                raise NotStarted(f"{name} ended: {self.last_line(name)}")
            if time.monotonic() > deadline:
                raise NotStarted(f"{what} did not answer within {seconds:.0f} s")
            time.sleep(POLL_SECONDS)

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the API as the owner and return its JSON.

        Raises RequestRefused for what it does not do, NotStarted where it does not answer.
        """
        try:
            response = requests.request(
                method,
                f"{self.url}/v1/{path}",
                json=body,
                headers={"Authorization": f"Bearer {self.admin_token}"},
                timeout=START_SECONDS,
            )
        except requests.RequestException as error:
            raise NotStarted(f"the API does not answer: {_in_a_line(error)}") from error
        if not response.ok:
            raise RequestRefused(
                f"{method} /v1/{path}: the API answered {response.status_code}: {_detail(response)}"
            )
        return response.json()

    def create_stream(self, stream: str, **configuration: Any) -> CreatedStream:
        """Make a stream as the API does."""
        return CreatedStream(**self.api("POST", "streams", {"id": stream, **configuration}))

    def viewer_page(self, stream: str) -> str:
        """The address of the viewer page."""
        return f"{self.media_url}/player/index.html?stream={stream}"

    def _cloud_arguments(self) -> list[str]:
        arguments = [
            *("--port", str(self.ports.web)),
            *("--firestore-port", str(self.ports.firestore)),
            *("--project", PROJECT),
            *("--functions", str(ROOT / "functions/main.py")),
            *("--function", "publish:cloudevent"),
            *("--function", "sessions:http"),
            *("--function", "api:http"),
            *("--function", "reap:http"),
            *("--function", "recordings:http"),
            *("--workflows", str(ROOT / "workflows")),
            *("--workflows-port", str(self.ports.workflows)),
            *("--workflow-variable", f"BUCKETCAST_RECORDINGS_URL={self.url}/functions/recordings"),
            *("--workflow-variable", f"BUCKETCAST_VOD_JOB={VOD_JOB}"),
            *("--job", f"{VOD_JOB}={json.dumps(VOD_JOB_OPTIONS)}"),
            *("--fast-forward", str(self._fast_forward)),
            *("--timer", f"reap={self._reap_seconds}"),
            *("--health-check", f"{self.metrics_url}/healthz"),
            *("--fault", EVENT_DELAY),
        ]
        if self._data is not None:
            arguments += ["--data", str(self._data)]
        return [*arguments, *self._cloud_options]

    def _environment(self) -> dict[str, str]:
        functions = f"{self.url}/functions"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(
                str(ROOT / part) for part in ("functions", "ingest_container", "scripts")
            ),
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "STORAGE_EMULATOR_HOST": self.url,
            "FIRESTORE_EMULATOR_HOST": f"{HOST}:{self.ports.firestore}",
            "WORKFLOWS_EMULATOR_HOST": f"{HOST}:{self.ports.workflows}",
            "BUCKETCAST_MEDIA_BUCKET": MEDIA_BUCKET,
            "BUCKETCAST_INGEST_BUCKET": INGEST_BUCKET,
            "BUCKETCAST_RECORDING_BUCKET": RECORDING_BUCKET,
            "BUCKETCAST_LOCATION": LOCATION,
            "BUCKETCAST_ADMIN_TOKEN": self.admin_token,
            "BUCKETCAST_PUBLISH_URL": f"{functions}/{self._publish_function}",
            "BUCKETCAST_SESSIONS_URL": f"{functions}/sessions",
            "BUCKETCAST_HOST": HOST,
            "BUCKETCAST_RTMP_PORT": str(self.ports.rtmp),
            "BUCKETCAST_WHIP_PORT": str(self.ports.whip),
            "BUCKETCAST_WHIP_UDP_PORT": "0",  # any: an answer says which
            "BUCKETCAST_VIEWER_URL": self.viewer_page("{stream}"),
            "PORT": str(self.ports.metrics),
        }
        if self._ffmpeg is not None:
            environment["BUCKETCAST_FFMPEG"] = str(self._ffmpeg)
        return environment

    def log(self, name: str) -> str:
        """What the process *name* has logged."""
        return (self._logs / f"{name}.log").read_text(errors="replace")

    def last_line(self, name: str) -> str:
        """The last line that the process *name* has logged."""
        lines = self.log(name).strip().splitlines()
        return lines[-1] if lines else "it said nothing"
