"""FFmpeg runs that take some bytes and give some bytes back: pictures and measurements."""

import asyncio
import contextlib
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from bucketcast.errors import BucketcastError

# The most that is reported of what FFmpeg said.
_MAX_WORDS: Final = 500


class FfmpegFailed(BucketcastError):
    """FFmpeg ended with an error, or did not end; the text says what it said last."""

    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What FFmpeg wrote to its standard *output*, and what it *said* on standard error."""

    output: bytes
    said: str


async def run(ffmpeg: Path, arguments: Sequence[str], content: bytes, *, patience: timedelta) -> Answer:
    """Run *ffmpeg* with *content* as its standard input.

    Raises FfmpegFailed where it fails or takes longer than *patience*; it never outlives the call.
    """
    process = await asyncio.create_subprocess_exec(
        ffmpeg, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, process_group=0
    )
    try:
        async with asyncio.timeout(patience.total_seconds()):
            output, said = await process.communicate(content)
    except TimeoutError:
        raise FfmpegFailed(f"FFmpeg took longer than {patience}") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    words = said.decode(errors="replace")
    if process.returncode:
        raise FfmpegFailed(f"FFmpeg ended with status {process.returncode}: {words[-_MAX_WORDS:]}")
    return Answer(output=output, said=words)
