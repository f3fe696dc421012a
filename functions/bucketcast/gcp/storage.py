"""Cloud Storage behind the ports Bucket and Archive."""

import base64
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, Self, TypeVar

import google_crc32c
import requests.exceptions
from google.api_core import exceptions, retry
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Blob, Client
from google.cloud.storage.exceptions import InvalidResponse

from bucketcast.errors import (
    BucketcastError,
    NotFound,
    PreconditionFailed,
    Refused,
    TooManyWrites,
    Unavailable,
)
from bucketcast.objects import Generation, MadeObject, NewObject, ObjectFacts

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# Nothing that we read or write takes seconds: a connection that is silent for this long is dead.
CONNECT_TIMEOUT: Final = 3.0
READ_TIMEOUT: Final = 10.0
# Cloud Storage moves the bytes of what it makes of other objects: it answers within half a minute, if only with
# a token to go on with.
MAKING_TIMEOUT: Final = 60.0
# Between buckets of one location and storage class a copy is one call, however large. Otherwise bytes move, and
# whoever waits for a finalize does so for half an hour. The token with which a copy could go on afterwards is
# not kept: it would only serve a deployment that pays for the way of every recording, which ours is not.
COPYING_TIME: Final = timedelta(minutes=25)

_PASSING = (
    exceptions.ServerError,
    exceptions.RetryError,
    requests.exceptions.RequestException,
    ConnectionError,
    GoogleAuthError,
)


class CloudStorageBucket:
    """One bucket, through the official client. Safe to use from several threads."""

    def __init__(
        self, client: Client, name: str, *, patience: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Use *client* for the bucket *name*, trying again for *patience* seconds what fails in passing.

        0 leaves trying again to the caller. More than one write a second to a name is never tried again here.
        """
        self._monotonic = monotonic
        self._bucket = client.bucket(name)
        self._client = client
        self._retry = (
            retry.Retry(predicate=_passes, initial=0.05, maximum=1.0, timeout=patience) if patience else None
        )

    def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
        """See Bucket.write."""
        checksum = crc32c(new.content)
        blob = self._bucket.blob(new.name)
        blob.cache_control = new.cache_control
        blob.metadata = dict(new.metadata)
        blob.crc32c = checksum
        if new.custom_time is not None:
            blob.custom_time = new.custom_time
        _translated(
            lambda: blob.upload_from_string(
                new.content,
                content_type=new.content_type,
                if_generation_match=if_generation,
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                retry=self._retry,
            )
        )
        if blob.crc32c != checksum or blob.size != len(new.content):
            raise Unavailable(f"the bucket holds something else under {new.name} than was sent")
        return _facts(blob)

    def facts(self, name: str) -> ObjectFacts | None:
        """See Bucket.facts."""
        blob = _translated(
            lambda: self._bucket.get_blob(name, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), retry=self._retry)
        )
        return None if blob is None else _facts(blob)

    def read(self, name: str) -> bytes | None:
        """See Bucket.read."""
        return self._read(name)

    def read_start(self, name: str, length: int) -> bytes | None:
        """See Archive.read_start."""
        return self._read(name, end=length - 1)

    def names(self, prefix: str) -> list[str]:
        """See Bucket.names."""
        return _translated(
            lambda: [
                blob.name
                for blob in self._client.list_blobs(
                    self._bucket,
                    prefix=prefix,
                    fields="items(name),nextPageToken",
                    timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                    retry=self._retry,
                )
            ]
        )

    def folders(self, prefix: str) -> list[str]:
        """See Archive.folders."""

        def found() -> list[str]:
            pages = self._client.list_blobs(
                self._bucket,
                prefix=prefix,
                delimiter="/",
                fields="items(name),prefixes,nextPageToken",
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                retry=self._retry,
            )
            for _ in pages:  # objects that lie beside the folders
                pass
            return sorted(pages.prefixes)

        return _translated(found)

    def listed(self, prefix: str) -> Iterator[ObjectFacts]:
        """See Archive.listed."""
        found = self._client.list_blobs(
            self._bucket,
            prefix=prefix,
            fields="items(name,generation,size,crc32c,updated,metadata,customTime),nextPageToken",
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            retry=self._retry,
        )
        blobs = iter(found)
        while (blob := _translated(lambda: next(blobs, None))) is not None:
            yield _facts(blob)

    def compose(self, made: MadeObject, sources: Sequence[str], *, if_generation: Generation) -> ObjectFacts:
        """See Archive.compose."""
        blob = self._to_be_made(made)
        _of_what_is_there(
            lambda: blob.compose(
                [self._bucket.blob(source) for source in sources],
                if_generation_match=if_generation,
                timeout=(CONNECT_TIMEOUT, MAKING_TIMEOUT),
                retry=self._retry,
            )
        )
        return self._made(blob)

    def copy_from(self, source: Self, name: str, made: MadeObject, *, if_generation: Generation) -> ObjectFacts:
        """See Archive.copy_from; it is Refused where bytes have to move, and take longer than COPYING_TIME."""
        blob, began = self._to_be_made(made), self._monotonic()

        def rewritten(token: str | None) -> tuple[str | None, int, int]:
            answer: tuple[str | None, int, int] = _of_what_is_there(
                lambda: blob.rewrite(
                    source._bucket.blob(name),
                    token=token,
                    if_generation_match=if_generation,
                    timeout=(CONNECT_TIMEOUT, MAKING_TIMEOUT),
                    retry=self._retry,
                )
            )
            return answer

        token, copied, size = rewritten(None)
        if token is not None:
            buckets = {"source": source._bucket.name, "target": self._bucket.name}
            _log.warning(
                "a copy takes several calls: its buckets differ in location or storage class",
                extra={"object": made.name, "bytes": size, **buckets},
            )
        while token is not None:
            if self._monotonic() - began >= COPYING_TIME.total_seconds():
                raise Refused(
                    f"{copied} of {size} bytes of {made.name} were copied in {COPYING_TIME}: the buckets"
                    f" {source._bucket.name} and {self._bucket.name} differ in location or storage class"
                )
            token, copied, size = rewritten(token)
        return self._made(blob)

    def keep(self, name: str, custom_time: datetime) -> None:
        """See Archive.keep."""
        blob = self._bucket.blob(name)
        blob.custom_time = custom_time
        with suppress(NotFound):
            _of_what_is_there(lambda: blob.patch(timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), retry=self._retry))

    def delete(self, name: str, *, generation: Generation | None = None) -> None:
        """See Archive.delete."""
        with suppress(NotFound):
            _of_what_is_there(
                lambda: self._bucket.blob(name).delete(
                    if_generation_match=generation,
                    timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                    retry=self._retry,
                )
            )

    def _read(self, name: str, *, end: int | None = None) -> bytes | None:
        blob = self._bucket.blob(name)
        try:
            content = blob.download_as_bytes(
                end=end, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), retry=self._retry, single_shot_download=True
            )
        except exceptions.NotFound:
            return None
        except exceptions.RequestRangeNotSatisfiable:
            return b""  # there is no first byte
        except (exceptions.GoogleAPIError, *_PASSING) as error:
            raise _translate(error) from error
        return bytes(content)

    def _to_be_made(self, made: MadeObject) -> Blob:
        blob = self._bucket.blob(made.name)
        blob.content_type = made.content_type
        blob.cache_control = made.cache_control
        blob.content_disposition = made.content_disposition or None
        blob.metadata = dict(made.metadata)
        return blob

    def _made(self, blob: Blob) -> ObjectFacts:
        """What there is of *blob*, which was just made; a rewrite's answer leaves some of it out."""
        if blob.generation is not None and blob.crc32c is not None and blob.updated is not None:
            return _facts(blob)
        facts = self.facts(blob.name)
        if facts is None:
            raise Unavailable(f"{blob.name} was made and is gone")
        return facts


def crc32c(content: bytes) -> str:
    """The checksum of *content* as Cloud Storage writes it: base64 of four big-endian bytes."""
    return base64.b64encode(google_crc32c.Checksum(content).digest()).decode()


def _facts(blob: Blob) -> ObjectFacts:
    metadata: Mapping[str, str] = blob.metadata or {}
    return ObjectFacts(
        name=blob.name,
        generation=Generation(int(blob.generation)),
        size=int(blob.size),
        crc32c=blob.crc32c,
        updated=blob.updated,
        metadata=dict(metadata),
        custom_time=blob.custom_time,
    )


def _passes(error: Exception) -> bool:
    """Whether *error* may pass; uploads and downloads show the library's predicate a raw response."""
    if isinstance(error, InvalidResponse):
        return int(error.response.status_code) >= 500
    return isinstance(error, _PASSING)


def _of_what_is_there(call: Callable[[], Answer]) -> Answer:
    """Call what is about objects that were seen; without them it raises our NotFound."""
    try:
        return _translated(call, exceptions.NotFound)
    except exceptions.NotFound as error:
        raise NotFound("an object that was seen is gone") from error


def _translated(call: Callable[[], Answer], *untranslated: type[Exception]) -> Answer:
    try:
        return call()
    except untranslated:
        raise
    except (exceptions.GoogleAPIError, *_PASSING) as error:
        raise _translate(error) from error


def _translate(error: Exception) -> BucketcastError:
    match error:
        case exceptions.PreconditionFailed():
            return PreconditionFailed("the object is not at the generation that was expected")
        case exceptions.TooManyRequests():
            return TooManyWrites("Cloud Storage asks for fewer requests")
        case _:
            return Unavailable(f"Cloud Storage: {type(error).__name__}")
