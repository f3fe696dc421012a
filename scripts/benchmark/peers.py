"""Beside the product: what others take for the same ladder, from the same sender, in HLS files.

Both run the command line of the ingest's own encoder; only what it reads and what it writes is another.
"""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from grp import getgrgid
from itertools import pairwise
from pathlib import Path
from pwd import getpwuid
from typing import Final

import av
import numpy as np

from benchmark.figures import Figure, Outcome, Skipped, distribution
from benchmark.processes import cpu_seconds, descendants
from benchmark.sent_frames import SentFrames
from benchmark.setting import Setting
from bucketcast.stream.identifiers import SegmentIndex
from ingest.encode.ffmpeg import ffmpeg_arguments
from local_system.system import HOST, free_ports
from tools.frame_strip import read_strip

NAME: Final = "bench"
# How often playlists are looked at: what it adds to a time is counted out again by the file's own.
POLL_SECONDS: Final = 0.01
STOP_SECONDS: Final = 10.0
# nginx sends sound at once and pictures from the next keyframe on.
ANALYZED: Final = timedelta(seconds=5)
NGINX_MODULE: Final = "ngx_rtmp_module.so"  # Debian's package libnginx-mod-rtmp


def measure_ffmpeg(setting: Setting) -> list[Outcome]:
    """Measure one FFmpeg that listens for RTMP and writes HLS to a folder."""
    folder = setting.folder / "ffmpeg"
    folder.mkdir()
    port = free_ports().rtmp
    seconds = setting.plan.segment_duration.total_seconds()
    arguments = encoder_arguments(
        _ingest_arguments(setting),
        source=("-listen", "1", "-i", f"rtmp://{HOST}:{port}/live/{NAME}"),
        outputs=[
            f"f=hls:hls_time={seconds:g}:hls_list_size=10:hls_segment_filename={folder}/{rung.name}-%d.ts"
            for rung in setting.plan.rungs
        ],
        addresses=[f"{folder}/{rung.name}.m3u8" for rung in setting.plan.rungs],
    )
    with _running([str(setting.ffmpeg), *arguments], folder) as process:
        return _measure("plain FFmpeg", setting, process, port=port, folder=folder)


def measure_nginx(setting: Setting) -> list[Outcome]:
    """Measure nginx-rtmp that has the ladder made by exec_push, and writes HLS to a folder."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")  # sbin is not a user's
    module = Path(nginx).resolve().parent.parent / "lib/nginx/modules" / NGINX_MODULE if nginx else None
    if nginx is None or module is None or not module.exists():
        return [Skipped(name="nginx-rtmp", reason="nginx with libnginx-mod-rtmp is not installed")]
    folder = setting.folder / "nginx"
    folder.mkdir()
    ports = free_ports()
    address = f"rtmp://{HOST}:{ports.rtmp}"
    arguments = encoder_arguments(
        _ingest_arguments(setting),
        source=("-i", f"{address}/live/{NAME}"),
        outputs=["f=flv:flvflags=no_duration_filesize" for _ in setting.plan.rungs],
        addresses=[f"{address}/hls/{rung.name}" for rung in setting.plan.rungs],
        # FLV keeps the codecs' headers apart from the frames, which the tee muxer does not tell the encoders.
        extra=("-flags:v", "+global_header", "-flags:a", "+global_header"),
    )
    script = folder / "encode"
    encode = shlex.join((str(setting.ffmpeg), *arguments))
    script.write_text(f"#!/bin/sh\nexec {encode} >/dev/null 2>{folder}/encoder.log\n")
    script.chmod(0o755)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        nginx_configuration(
            module=module,
            folder=folder,
            port=ports.rtmp,
            encoder=script,
            segment_duration=setting.plan.segment_duration,
            # Started as root, its workers would be somebody who may not write here.
            user=f"{getpwuid(os.geteuid()).pw_name} {getgrgid(os.getegid()).gr_name}",
        )
    )
    command = [nginx, "-c", str(configuration), "-p", str(folder), "-e", str(folder / "error.log")]
    with _running(command, folder) as process:
        return _measure("nginx-rtmp", setting, process, port=ports.rtmp, folder=folder)


def encoder_arguments(
    arguments: Sequence[str],
    *,
    source: Sequence[str],
    outputs: Sequence[str],
    addresses: Sequence[str],
    extra: Sequence[str] = (),
) -> list[str]:
    """The ingest's encoder with another *source*, and with *outputs* (tee options) to *addresses*; pure.

    What comes in has its own clock, so nothing is taken off its times.
    """
    changed = list(arguments)
    lead = changed.index("-itsoffset")
    del changed[lead : lead + 2]
    changed[changed.index("-analyzeduration") + 1] = str(ANALYZED // timedelta(microseconds=1))
    pipe = changed.index("pipe:0")
    changed[pipe - 1 : pipe + 1] = source
    tee = changed.index("tee") - 1
    slaves = (
        rf"[{options}:select=\'v:{number},a\']{address}"
        for number, (options, address) in enumerate(zip(outputs, addresses, strict=True))
    )
    return [*changed[:tee], *extra, "-f", "tee", "|".join(slaves)]


def nginx_configuration(
    *, module: Path, folder: Path, port: int, encoder: Path, segment_duration: timedelta, user: str
) -> str:
    """nginx.conf: RTMP in on *port*, *encoder* for each broadcast, what it pushes as HLS in *folder*; pure."""
    milliseconds = segment_duration // timedelta(milliseconds=1)
    return f"""\
load_module {module};
user {user};
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 64; }}
rtmp {{
  access_log off;
  server {{
    listen {HOST}:{port};
    chunk_size 4096;
    application live {{
      live on;
      exec_push {encoder};
    }}
    application hls {{
      live on;
      hls on;
      hls_path {folder};
      hls_fragment {milliseconds}ms;
      hls_playlist_length {10 * milliseconds}ms;
      hls_cleanup off;
    }}
  }}
}}
"""


def listed_segments(playlist: str) -> list[str]:
    """The addresses of the segments in *playlist*; pure."""
    return [line for line in playlist.splitlines() if line and not line.startswith("#")]


def sent_to_listed(listed: Mapping[str, float], numbers: Mapping[str, int], sent: SentFrames) -> list[float]:
    """Seconds from the last frame of each of the segments *listed*, in their order, to its listing; pure.

    *numbers* are what the strips of the segments' first frames say: a segment ends where the next begins.
    """
    found = []
    for name, following in pairwise(listed):
        if name not in numbers or following not in numbers:
            continue
        first = sent.number_before(numbers[name], listed[name])
        if first is None:
            continue
        end = first + (numbers[following] - numbers[name]) % sent.clip_frames
        if (last := sent.last_of(first, end)) is not None:
            found.append(listed[name] - last)
    return found


def _measure(
    name: str, setting: Setting, process: subprocess.Popen[bytes], *, port: int, folder: Path
) -> list[Outcome]:
    rungs = [rung.name for rung in setting.plan.rungs]
    listings: dict[str, dict[str, float]] = {rung: {} for rung in rungs}

    def look() -> None:
        for rung in rungs:
            _look(folder / f"{rung}.m3u8", listings[rung])

    with setting.sender(port, NAME, folder) as sender:
        _poll(look, setting.warm_up)
        before, began = _cpu(process.pid), time.time()
        _poll(look, setting.beside)
        ended = time.time()
        spent = {program: cpu - before.get(program, 0.0) for program, cpu in _cpu(process.pid).items()}
        sent = sender.stop().sent
    times = [
        value
        for listed in listings.values()
        for value in sent_to_listed(
            {name: at for name, at in listed.items() if began <= at < ended},
            _first_numbers(folder, listed),
            sent,
        )
    ]
    seconds = ended - began
    method = f"/proc/PID/stat of it and its children over {seconds:.0f} s of the same sender's broadcast"
    return [
        *(
            Figure(
                name=f"CPU per stream-second: {name} ({program})",
                value=cpu / seconds,
                unit="CPU",
                method=method,
            )
            for program, cpu in spent.items()
        ),
        *distribution(
            f"last frame sent to listed: {name}",
            times,
            unit="s",
            method="the strip of each segment's first frame says which frames it holds; listed is the change "
            "time of the first playlist file that names it, every segment of every rung",
        ),
    ]


def _ingest_arguments(setting: Setting) -> tuple[str, ...]:
    rungs = range(len(setting.plan.rungs))
    return ffmpeg_arguments(setting.plan, start=SegmentIndex(0), outputs=rungs, progress=1)


@contextmanager
def _running(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _poll(look: Callable[[], None], length: timedelta) -> None:
    end = time.monotonic() + length.total_seconds()
    while time.monotonic() < end:
        look()
        time.sleep(POLL_SECONDS)


def _look(playlist: Path, listed: dict[str, float]) -> None:
    try:
        changed, text = playlist.stat().st_ctime, playlist.read_text()
    except FileNotFoundError:
        return
    for name in listed_segments(text):
        listed.setdefault(name, changed)


def _cpu(pid: int) -> dict[str, float]:
    """CPU seconds by program, of process *pid* and all that descend from it."""
    spent: dict[str, float] = {}
    for process in (pid, *descendants(pid)):
        # Packaged programs carry platform and version in their names, cut off by the kernel.
        program = Path(f"/proc/{process}/comm").read_text().strip().partition("-")[0]
        spent[program] = spent.get(program, 0.0) + cpu_seconds(process)
    return spent


def _first_numbers(folder: Path, names: Iterable[str]) -> dict[str, int]:
    numbers = {}
    for name in names:
        file = folder / Path(name).name
        if file.exists() and (number := _first_number(file)) is not None:
            numbers[name] = number
    return numbers


def _first_number(file: Path) -> int | None:
    """What the strip of *file*'s first frame says."""
    with av.open(str(file)) as container:
        frame = next(container.decode(video=0))
        return read_strip(frame.to_ndarray(format="gray").astype(np.uint8))
