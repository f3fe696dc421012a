"""The three ways to upload an object: media, multipart, and resumable in chunks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from local_cloud.faults import UNHARMED, CallFate, Faults, Refusal, UploadFate
from local_cloud.storage.calls import Call
from local_cloud.storage.contents import Draft
from local_cloud.storage.errors import (
    InvalidRequest,
    NotFound,
    RateLimitExceeded,
    TooLarge,
    Unavailable,
    Unsupported,
)
from local_cloud.storage.multipart import content_end, parse_boundary, parse_head
from local_cloud.storage.objects import Attributes, StoredObject, require_object_name
from local_cloud.storage.resources import Json, linked, object_resource, parse_attributes
from local_cloud.storage.store import ExpectedChecksums, ObjectStore, Target

MAX_OBJECT_BYTES: Final = 16 * 1024**3  # six hours at 5 Mb/s; against a writer that never ends
MAX_MULTIPART_BYTES: Final = 64 * 1024**2  # held in memory as a whole; clients go resumable far below
MAX_RESUMABLE_UPLOADS: Final = 1_000  # the oldest is given up, as Cloud Storage does after a week
CHUNK_BYTES: Final = 256 * 1024  # chunks but the last are multiples of this, what is over is not kept
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19}|\*)", re.ASCII)


class ConnectionCut(Exception):
    """A fault that was asked for: the connection is to be closed without an answer."""


class AnswerLost(ConnectionCut):
    """The same, after all was done that was to be done."""


@dataclass(slots=True)
class ResumableUpload:
    """An upload that arrives in chunks; *stored* once it is complete."""

    target: Target
    expected: ExpectedChecksums
    draft: Draft
    stored: StoredObject | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRange:
    """A chunk's Content-Range: its first byte, None for a status query; and the *total* once it is known."""

    start: int | None
    total: int | None


class Uploads:
    """Uploads into *store*, with the fates that *faults* draws for them.

    Resumable uploads live as long as the process: afterwards their address answers 404 and the client
    starts anew.
    """

    def __init__(self, store: ObjectStore, faults: Faults) -> None:
        self._store = store
        self._faults = faults
        self._resumable: dict[str, ResumableUpload] = {}

    def close(self) -> None:
        for upload in self._resumable.values():
            upload.draft.close()
        self._resumable.clear()

    async def insert(self, call: Call, bucket: str) -> Response:
        """`POST /upload/...`: upload an object, or start a resumable upload."""
        match call.query.get("uploadType"):
            case "media":
                return await self._media(call, bucket)
            case "multipart":
                return await self._multipart(call, bucket)
            case "resumable":
                return await self._start(call, bucket)
            case other:
                raise InvalidRequest(f"Invalid upload type: {other!r}")

    async def _media(self, call: Call, bucket: str) -> Response:
        attributes = Attributes(content_type=call.headers.get("content-type"))
        target = _target(call, bucket, call.query.get("name"), attributes)
        fate = self._faults.upload_fate(bucket, target.name)
        with closing(self._store.draft()) as draft:
            async for piece in _paced(call.body(), fate):
                _append(draft, piece)
            refuse(fate)
            return _answer(call, self._store.insert(target, draft, _expected({}, call)), fate)

    async def _multipart(self, call: Call, bucket: str) -> Response:
        boundary = parse_boundary(call.headers.get("content-type", ""))
        received = bytearray()
        body = call.body()
        while (head := parse_head(received, boundary)) is None:
            if not (piece := await anext(body, b"")):
                raise InvalidRequest("The multipart upload ends before its content.")
            received += piece
        attributes = parse_attributes({"contentType": head.content_type} | head.metadata)
        target = _target(call, bucket, head.metadata.get("name"), attributes)
        fate = self._faults.upload_fate(bucket, target.name)
        async for piece in _paced(body, fate, begun_with=len(received)):
            received += piece
            if len(received) > MAX_MULTIPART_BYTES:
                raise TooLarge(f"A multipart upload must not be longer than {MAX_MULTIPART_BYTES} bytes.")
        with closing(self._store.draft()) as draft, memoryview(received) as whole:
            refuse(fate)
            draft.append(bytes(whole[head.offset : content_end(received, boundary, head)]))
            return _answer(call, self._store.insert(target, draft, _expected(head.metadata, call)), fate)

    async def _start(self, call: Call, bucket: str) -> Response:
        metadata = await call.json()
        content_type = call.headers.get("x-upload-content-type")
        target = _target(
            call, bucket, metadata.get("name"), parse_attributes({"contentType": content_type} | metadata)
        )
        refuse(self._faults.upload_fate(bucket, target.name))
        self._store.bucket(bucket)
        target.preconditions.require(self._store.find(bucket, target.name))
        while len(self._resumable) >= MAX_RESUMABLE_UPLOADS:
            self._resumable.pop(next(iter(self._resumable))).draft.close()
        upload_id = uuid4().hex
        self._resumable[upload_id] = ResumableUpload(target, _expected(metadata, call), self._store.draft())
        location = f"{call.base_url}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={upload_id}"
        return Response(headers={"location": location, "x-guploader-uploadid": upload_id})

    async def resume(self, call: Call, bucket: str) -> Response:
        """`PUT` to a resumable upload's address: a chunk, the last chunk, or the question how much has come."""
        upload = self._resumable.get(call.query.get("upload_id", ""))
        if upload is None or upload.target.bucket != bucket:
            raise NotFound("The upload does not exist or was given up; start a new one.")
        async with upload.turn:
            return await self._chunk(call, upload)

    async def _chunk(self, call: Call, upload: ResumableUpload) -> Response:
        chunk = _parse_content_range(call)
        if upload.stored is not None:
            async for _ in call.body():
                pass
            return _answer(call, upload.stored, UNHARMED)
        fate = self._faults.upload_fate(upload.target.bucket, upload.target.name)
        refuse(fate)
        if chunk.start is not None:
            await self._receive_chunk(call, upload.draft, chunk, fate)
        if chunk.total is None or upload.draft.size < chunk.total:
            return _incomplete(upload.draft.size)
        expected = _expected({}, call, base=upload.expected)
        upload.stored = self._store.insert(upload.target, upload.draft, expected)
        upload.draft.close()
        return _answer(call, upload.stored, fate)

    async def _receive_chunk(self, call: Call, draft: Draft, chunk: ContentRange, fate: UploadFate) -> None:
        assert chunk.start is not None
        if chunk.start > draft.size:
            raise InvalidRequest(
                f"Invalid request. According to the Content-Range header, the upload offset is {chunk.start}"
                f" byte(s), which exceeds already uploaded size of {draft.size} byte(s)."
            )
        already_here = draft.size - chunk.start
        pending = bytearray()
        async for piece in _paced(call.body(), fate):
            pending += piece[already_here:]
            already_here = max(0, already_here - len(piece))
            if (whole := len(pending) // CHUNK_BYTES * CHUNK_BYTES) > 0:
                _append(draft, bytes(pending[:whole]))
                del pending[:whole]
        if chunk.total is not None and draft.size + len(pending) == chunk.total:
            _append(draft, bytes(pending))
        elif chunk.total is not None and draft.size + len(pending) > chunk.total:
            raise InvalidRequest("The chunk is longer than its Content-Range says.")


def _target(call: Call, bucket: str, name: object, attributes: Attributes) -> Target:
    name = call.query.get("name", name)
    if not isinstance(name, str):
        raise InvalidRequest("Required parameter: name")
    return Target(
        bucket=bucket,
        name=require_object_name(name),
        attributes=attributes,
        preconditions=call.preconditions(),
    )


def _expected(metadata: Json, call: Call, *, base: ExpectedChecksums | None = None) -> ExpectedChecksums:
    """What the metadata, or else the `x-goog-hash` header, says of the content."""
    said = {"crc32c": metadata.get("crc32c"), "md5": metadata.get("md5Hash")}
    if base is not None:
        said = {"crc32c": base.crc32c, "md5": base.md5}
    for part in call.headers.get("x-goog-hash", "").split(","):
        algorithm, _, value = part.strip().partition("=")
        if algorithm in said:
            said[algorithm] = value
    return ExpectedChecksums(crc32c=said["crc32c"], md5=said["md5"])


def _parse_content_range(call: Call) -> ContentRange:
    header = call.headers.get("content-range")
    if header is None:
        length = call.headers.get("content-length", "")
        if not length.isdigit():
            raise Unsupported("The local cloud needs a Content-Range or Content-Length of resumable uploads.")
        return ContentRange(start=0, total=int(length))
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None:
        raise InvalidRequest(f"Failed to parse Content-Range header: {header!r}")
    start, _, total = match.groups()
    return ContentRange(start=None if start is None else int(start), total=None if total == "*" else int(total))


async def _paced(body: AsyncIterator[bytes], fate: UploadFate, *, begun_with: int = 0) -> AsyncIterator[bytes]:
    """*body* as slowly as *fate* wants it; raises ConnectionCut where it wants that."""
    received = begun_with
    async for piece in body:
        if fate.bytes_per_second is not None:
            await asyncio.sleep(len(piece) / fate.bytes_per_second)
        received += len(piece)
        if fate.cut_after_bytes is not None and received > fate.cut_after_bytes:
            raise ConnectionCut
        yield piece
    if fate.cut_after_bytes is not None:
        raise ConnectionCut


def _append(draft: Draft, piece: bytes) -> None:
    if draft.size + len(piece) > MAX_OBJECT_BYTES:
        raise TooLarge(f"An object must not be longer than {MAX_OBJECT_BYTES} bytes.")
    draft.append(piece)


def refuse(fate: UploadFate | CallFate) -> None:
    """Raise the refusal that was drawn, if one was."""
    match fate.refusal:
        case None:
            return
        case Refusal.TOO_MANY_REQUESTS:
            raise RateLimitExceeded("The rate of requests is too high: a fault that was asked for.")
        case _:
            raise Unavailable("Backend Error: a fault that was asked for.")


def _incomplete(size: int) -> Response:
    headers = {"range": f"bytes=0-{size - 1}"} if size else {}
    return Response(status_code=308, headers=headers | {"x-http-status-code-override": "308"})


def _answer(call: Call, stored: StoredObject, fate: UploadFate) -> Response:
    if fate.answer_lost:
        raise AnswerLost
    return JSONResponse(linked(object_resource(stored), base_url=call.base_url))
