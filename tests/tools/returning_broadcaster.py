"""A broadcaster who comes back: whenever it is cut off it connects anew and goes on where the clock is."""

import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from local_system.system import CreatedStream, System

# An encoder's own pause before it tries again.
_PAUSE: Final = 0.2
# Less than this of the clip is not worth a connection.
_LEAST: Final = 1.0
_END_SECONDS: Final = 20.0


class ReturningBroadcaster:
    """Sends a clip in real time over RTMP, in a thread of its own, while the context lasts."""

    def __init__(
        self, ffmpeg: Path, clip: Path, duration: timedelta, system: System, stream: CreatedStream
    ) -> None:
        """Send *clip*, which has *duration*, to *stream* of *system*."""
        self._command = [str(ffmpeg), "-nostdin", "-v", "error", "-re"]
        self._media = ["-i", str(clip), "-c", "copy", "-f", "flv", f"{system.rtmp_url}/{stream.stream_key}"]
        self._seconds = duration.total_seconds()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._sender: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Begin to send."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send no more."""
        self.leave()

    def leave(self) -> None:
        """End as a broadcaster does, with what is sent so far."""
        self._stopped.set()
        if self._sender is not None:
            self._sender.terminate()
        self._thread.join(_END_SECONDS)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stopped.is_set() and (place := time.monotonic() - began) < self._seconds - _LEAST:
            # Copied media begin at the keyframe before the place.
            seek = ["-ss", f"{place:.3f}"] if place > _LEAST else []
            self._sender = subprocess.Popen(
                [*self._command, *seek, *self._media], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            self._sender.wait()
            self._stopped.wait(_PAUSE)
