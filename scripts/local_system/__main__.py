"""`scripts/run`: start everything, say where it is, run until Ctrl-C."""

import argparse
import contextlib
import os
import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from bucketcast.errors import InvalidSettings
from bucketcast.settings import parse_admin_token
from bucketcast.stream.identifiers import SessionNumber
from bucketcast.stream.object_names import media_playlist_name, multivariant_playlist_name
from ingest.encode.ffmpeg import find_ffmpeg
from local_system.sample import FULL, SMALL, SampleSize, lists_session, sample_arguments
from local_system.system import CreatedStream, NotStarted, Ports, RequestRefused, System

# From the first frame to the first playlist: three segments, FFmpeg's start and the uploads.
ON_AIR_SECONDS: Final = 60.0
WATCH_SECONDS: Final = 0.5
SAMPLE: Final = "sample"
HIGHEST_PORT: Final = 65_535
# With --fast-forward a minute of a workflow's waiting is two seconds, and the sample's reconnect window five.
FAST_FORWARD: Final = 30.0
FAST_RECONNECT_SECONDS: Final = 5
# SIGHUP comes when the terminal is closed.
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run what the command line asks for.

    Returns the exit code: 1 when the system cannot start or a part of it ended, 2 when what it was given was
    refused.
    """
    options = _options()
    for number in ENDING_SIGNALS:
        signal.signal(number, _end)
    with contextlib.ExitStack() as stack:
        try:
            _run(options, stack)
        except (InvalidSettings, RequestRefused) as error:
            print(f"run: {error}", file=sys.stderr)
            return 2
        except (NotStarted, OSError) as error:
            print(f"run: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("run: ending", file=sys.stderr)
    return 0


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """End the processes in order, once: who presses Ctrl-C again must not leave some of them behind."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/run", description=__doc__)
    add = parser.add_argument
    add("--no-sample", action="store_true", help="send nothing: wait for your own OBS")
    full_hd = f"the sample in 1080p with four rungs, as the stream {FULL.stream}: wants four cores"
    add("--full-hd", action="store_true", help=full_hd)
    add("--data", type=Path, metavar="DIR", help="keep buckets, documents and keys in DIR between runs")
    add("--port", type=_port, default=8080, help="web: viewer page, API, buckets (default: %(default)s)")
    add("--rtmp-port", type=_port, default=1935, help="RTMP (default: %(default)s)")
    add("--whip-port", type=_port, default=8889, help="WHIP and the studio (default: %(default)s)")
    add("--metrics-port", type=_port, default=9090, help="the ingest's metrics (default: %(default)s)")
    add("--firestore-port", type=_port, default=8086, help="Firestore's gRPC (default: %(default)s)")
    add("--workflows-port", type=_port, default=8087, help="Workflows' gRPC (default: %(default)s)")
    add("--fast-forward", action="store_true", help="let workflows wait for seconds instead of minutes")
    add("--ffmpeg", type=Path, metavar="FILE", help="an FFmpeg to use instead of the packaged one")
    add("--fault", action="append", default=[], metavar="KEY=VALUE", help="a fault of the local cloud")
    return parser.parse_args()


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to {HIGHEST_PORT}")
    return int(text)


def _run(options: argparse.Namespace, stack: contextlib.ExitStack) -> None:
    given_token = _given_token()
    data = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bucketcast-")))
    folder = data.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    size = FULL if options.full_hd else SMALL
    system = System(
        ports=Ports(
            web=options.port,
            rtmp=options.rtmp_port,
            whip=options.whip_port,
            metrics=options.metrics_port,
            firestore=options.firestore_port,
            workflows=options.workflows_port,
        ),
        admin_token=given_token or _kept(folder / "admin-token", secrets.token_hex(16)),
        logs=folder / "logs",
        data=folder / "cloud",  # on disk in any case: an hour of the small sample takes 2.5 GB
        ffmpeg=options.ffmpeg,
        fast_forward=FAST_FORWARD if options.fast_forward else 1.0,
        cloud_options=tuple(f"--fault={fault}" for fault in options.fault),
    )
    stack.enter_context(system)
    stream = _stream(system, folder, size, fast=options.fast_forward)
    if not options.no_sample:
        address = f"{system.rtmp_url}/{stream.stream_key}"
        _broadcast_sample(system, size, sample_arguments(find_ffmpeg(options.ffmpeg), size, address))
    _print_table(system, stream, folder)
    while (name := system.ended_process()) in {None, SAMPLE}:
        time.sleep(WATCH_SECONDS)  # the sample may end: a broadcast can be ended over the API
    raise NotStarted(f"{name} ended by itself: {system.last_line(name)}")


def _given_token() -> str | None:
    text = os.environ.get("BUCKETCAST_ADMIN_TOKEN")
    return parse_admin_token(text) if text else None


def _stream(system: System, folder: Path, size: SampleSize, *, fast: bool) -> CreatedStream:
    """The stream for *size*: made at the first run; its key, which is shown once, is kept beside the data."""
    known = [stream["id"] for stream in system.api("GET", "streams")["streams"]]
    kept = folder / f"{size.stream}.key"
    if size.stream in known:
        if not kept.is_file():
            raise NotStarted(f"the key of the stream '{size.stream}' is not in {kept}: choose another --data")
        return CreatedStream(id=size.stream, stream_key=kept.read_text())
    rungs = [{"name": name, "video_kbps": kbps} for name, kbps in size.rungs]
    window = {"reconnect_window_seconds": FAST_RECONNECT_SECONDS} if fast else {}
    created = system.create_stream(size.stream, rungs=rungs, **window)
    kept.unlink(missing_ok=True)
    _kept(kept, created.stream_key)
    return created


def _broadcast_sample(system: System, size: SampleSize, command: list[str]) -> None:
    """Start the sample; return when viewers of every rendition get it, and not what an earlier run left."""
    before = system.api("GET", f"streams/{size.stream}")["session"]
    system.spawn(SAMPLE, command)
    for slot, _ in size.rungs:
        system.wait_for(
            f"{system.media_url}/{media_playlist_name(size.stream, slot)}",
            "the sample broadcast",
            seconds=ON_AIR_SECONDS,
            until=lambda playlist: lists_session(playlist, SessionNumber(before + 1)),
        )
    system.wait_for(f"{system.media_url}/{multivariant_playlist_name(size.stream)}", "the sample broadcast")


def _kept(file: Path, fresh: str) -> str:
    """The secret in *file*, readable by its owner only; *fresh* is put there if there is none."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(fresh)
    return file.read_text()


def _print_table(system: System, stream: CreatedStream, folder: Path) -> None:
    rows = (
        ("Viewer page", system.viewer_page(stream.id)),
        ("RTMP server", system.rtmp_url),
        ("WHIP server", system.whip_url),
        ("Stream key", stream.stream_key),
        ("Studio", f"{system.studio_url}#key={stream.stream_key}"),
        ("API", f"{system.url}/v1/streams"),
        ("Admin token", system.admin_token),
        ("Bucket", f"{system.media_url}/{stream.id}/master.m3u8"),
        ("Metrics", f"{system.metrics_url}/metrics"),
        ("Logs", str(folder / "logs")),
    )
    for name, value in rows:
        print(f"{name:<12}  {value}")
    print("ready", flush=True)


if __name__ == "__main__":
    sys.exit(main())
