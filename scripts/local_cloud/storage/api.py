"""The JSON and media API of Cloud Storage over an object store, as far as our code uses it.

https://cloud.google.com/storage/docs/json_api. What is not offered is refused by name with 501, so that
code which relies on it fails here instead of in production.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from local_cloud.connections import cut_connection
from local_cloud.faults import Faults
from local_cloud.operations import OperationCounts
from local_cloud.storage.calls import Call, ClientDisconnected, not_offered
from local_cloud.storage.errors import (
    InvalidRequest,
    NotModified,
    PreconditionFailed,
    RangeNotSatisfiable,
    StorageError,
    Unsupported,
)
from local_cloud.storage.listing import MAX_RESULTS, ListingQuery
from local_cloud.storage.media import PRIVATE_CACHE_CONTROL, media_response, object_headers
from local_cloud.storage.objects import Attributes
from local_cloud.storage.operations import HARMLESS, Operation, find_operation
from local_cloud.storage.partial import select_fields
from local_cloud.storage.public import PublicReads
from local_cloud.storage.resources import (
    Json,
    bucket_resource,
    linked,
    object_resource,
    parse_attributes,
    parse_bucket_resource,
)
from local_cloud.storage.rewrites import Rewrite
from local_cloud.storage.store import ComposeSource, ObjectStore, Target
from local_cloud.storage.uploads import AnswerLost, ConnectionCut, Uploads, refuse


class StorageApi:
    """The ASGI application that answers for Cloud Storage.

    `/storage`, `/upload` and `/download` are its JSON API; every other path is a public read of
    `/BUCKET/OBJECT`.
    """

    def __init__(
        self, store: ObjectStore, faults: Faults, clock: Callable[[], datetime], operations: OperationCounts
    ) -> None:
        self._store = store
        self._operations = operations
        self._clock = clock
        self._faults = faults
        self._uploads = Uploads(store, faults)
        self._public = PublicReads(store, operations)
        self._handlers: Mapping[str, Callable[..., Awaitable[Response]]] = {
            "storage.buckets.list": self._list_buckets,
            "storage.buckets.insert": self._insert_bucket,
            "storage.buckets.get": self._get_bucket,
            "storage.objects.list": self._list,
            "storage.objects.get": self._get,
            "storage.objects.patch": self._patch,
            "storage.objects.delete": self._delete,
            "storage.objects.insert": self._uploads.insert,
            "storage.objects.insert (chunk)": self._uploads.resume,
            "storage.objects.compose": self._compose,
            "storage.objects.rewrite": self._rewrite,
            "storage.objects.copy": self._copy,
        }

    def close(self) -> None:
        """Forget the uploads that are not complete."""
        self._uploads.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._answer(scope, receive)
        except ClientDisconnected:
            return
        except ConnectionCut:
            await cut_connection(scope, receive)
            return
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        try:
            call = Call.from_scope(scope, receive)
            if call.path[0] not in ("storage", "upload", "download"):
                return self._public.answer(call)
            found = find_operation(call.method, call.path)
            if found is None:
                raise not_offered(call)
            operation, names = found
            call.require_only(operation.parameters | HARMLESS, operation.name)
            return await self._perform(operation, call, names)
        except StorageError as error:
            return error_response(error)

    async def _perform(self, operation: Operation, call: Call, names: Sequence[str]) -> Response:
        """Do *operation* and count it: Google charges for all that answers neither 4xx nor 5xx."""
        try:
            response = await self._handlers[operation.name](call, *names)
        except (NotModified, AnswerLost):
            self._count(operation, names)
            raise
        self._count(operation, names)
        return response

    def _count(self, operation: Operation, names: Sequence[str]) -> None:
        self._operations.count(operation.price_class, operation.name, next(iter(names), ""))

    async def _list_buckets(self, call: Call) -> Response:
        items = [bucket_resource(bucket) for bucket in self._store.buckets()]
        return _json(call, {"kind": "storage#buckets", "items": items})

    async def _insert_bucket(self, call: Call) -> Response:
        bucket = parse_bucket_resource(await call.json(), public=False, time_created=self._clock())
        return _json(call, bucket_resource(self._store.create_bucket(bucket)))

    async def _get_bucket(self, call: Call, bucket: str) -> Response:
        return _json(call, bucket_resource(self._store.bucket(bucket)))

    async def _list(self, call: Call, bucket: str) -> Response:
        query = call.query
        self._harm_read(bucket, query.get("prefix", ""))
        page = self._store.list(
            bucket,
            ListingQuery(
                prefix=query.get("prefix", ""),
                delimiter=query.get("delimiter", ""),
                start_offset=query.get("startOffset", ""),
                end_offset=query.get("endOffset", ""),
                after=_parse_page_token(query.get("pageToken", "")),
                max_results=call.integer("maxResults") or MAX_RESULTS,
            ),
        )
        answer: Json = {"kind": "storage#objects"}
        if page.items:
            answer["items"] = [linked(object_resource(item), base_url=call.base_url) for item in page.items]
        if page.prefixes:
            answer["prefixes"] = list(page.prefixes)
        if page.after is not None:
            answer["nextPageToken"] = base64.urlsafe_b64encode(page.after.encode()).decode()
        return _json(call, answer)

    def _harm_read(self, bucket: str, name: str) -> None:
        fate = self._faults.read_fate(bucket, name)
        refuse(fate)
        if fate.answer_lost:
            raise ConnectionCut

    async def _get(self, call: Call, bucket: str, name: str) -> Response:
        self._harm_read(bucket, name)
        if call.query.get("alt") == "media" or call.path[0] == "download":
            return self._get_media(call, bucket, name)
        stored = self._store.get(bucket, name, generation=call.integer("generation"))
        call.preconditions().require_for_reading(stored)
        return _json(call, linked(object_resource(stored), base_url=call.base_url))

    def _get_media(self, call: Call, bucket: str, name: str) -> Response:
        stored, content = self._store.open(
            bucket, name, generation=call.integer("generation"), preconditions=call.preconditions()
        )
        headers = object_headers(stored, etag=stored.etag, default_cache_control=PRIVATE_CACHE_CONTROL)
        return media_response(stored, content, headers, call.headers.get("range"))

    async def _patch(self, call: Call, bucket: str, name: str) -> Response:
        resource = await call.json()
        patched = self._store.patch(
            bucket,
            name,
            lambda attributes: parse_attributes(resource, base=attributes),
            generation=call.integer("generation"),
            preconditions=call.preconditions(),
        )
        return _json(call, linked(object_resource(patched), base_url=call.base_url))

    async def _delete(self, call: Call, bucket: str, name: str) -> Response:
        self._store.delete(
            bucket, name, generation=call.integer("generation"), preconditions=call.preconditions()
        )
        return Response(status_code=204)

    async def _compose(self, call: Call, bucket: str, name: str) -> Response:
        request = await call.json()
        for key in request.keys() - {"kind", "destination", "sourceObjects"}:
            raise Unsupported(f"The local cloud does not offer the field '{key}' of storage.objects.compose.")
        target = Target(
            bucket=bucket,
            name=name,
            attributes=parse_attributes(request.get("destination") or {}),
            preconditions=call.preconditions(),
        )
        try:
            sources = [_parse_source(source) for source in request.get("sourceObjects") or ()]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidRequest("Invalid value for field 'sourceObjects'.") from error
        stored = await asyncio.to_thread(self._store.compose, target, sources)
        return _json(call, linked(object_resource(stored), base_url=call.base_url))

    async def _rewrite(self, call: Call, bucket: str, name: str, to_bucket: str, to_name: str) -> Response:
        unfinished = self._rewritten(call, (bucket, name), (to_bucket, to_name))
        if unfinished is not None:
            await call.json()
            return _json(call, unfinished)
        resource = await self._copied(call, (bucket, name), (to_bucket, to_name))
        answer = {
            "kind": "storage#rewriteResponse",
            "done": True,
            "objectSize": resource["size"],
            "totalBytesRewritten": resource["size"],
            "resource": resource,
        }
        return _json(call, answer)

    def _rewritten(self, call: Call, source: tuple[str, str], target: tuple[str, str]) -> Json | None:
        """How far this call comes between two locations; None where it comes to the end."""
        locations = {self._store.bucket(bucket).location for bucket in (source[0], target[0])}
        stored = self._store.get(*source, generation=call.integer("sourceGeneration"))
        rewrite = Rewrite(source="/".join(source), generation=stored.generation, target="/".join(target))
        if token := call.query.get("rewriteToken"):
            rewrite = rewrite.resumed(token)
        after = rewrite.after_a_call(stored.size)
        if len(locations) == 1 or after.rewritten == stored.size:
            return None
        call.preconditions("Source").require(stored)
        call.preconditions().require(self._store.find(*target))
        return {
            "kind": "storage#rewriteResponse",
            "done": False,
            "objectSize": str(stored.size),
            "totalBytesRewritten": str(after.rewritten),
            "rewriteToken": after.token,
        }

    async def _copy(self, call: Call, bucket: str, name: str, to_bucket: str, to_name: str) -> Response:
        return _json(call, await self._copied(call, (bucket, name), (to_bucket, to_name)))

    async def _copied(self, call: Call, source: tuple[str, str], target: tuple[str, str]) -> Json:
        resource = await call.json()

        def changes(attributes: Attributes) -> Attributes:
            # A resource in the request replaces the source's attributes as a whole.
            return parse_attributes(resource) if resource else attributes

        copied = await asyncio.to_thread(
            self._store.rewrite,
            Target(bucket=target[0], name=target[1], preconditions=call.preconditions()),
            source_bucket=source[0],
            source_name=source[1],
            source_generation=call.integer("sourceGeneration"),
            source_preconditions=call.preconditions("Source"),
            changes=changes,
        )
        return linked(object_resource(copied), base_url=call.base_url)


def error_response(error: StorageError) -> Response:
    """*error* as the JSON API says it; 304 has no body."""
    if isinstance(error, NotModified):
        return Response(status_code=304)
    detail: Json = {"message": str(error), "domain": "global", "reason": error.reason}
    if isinstance(error, PreconditionFailed):
        detail |= {"locationType": "header", "location": "If-Match"}
    headers = {"content-range": f"bytes */{error.size}"} if isinstance(error, RangeNotSatisfiable) else None
    body = {"error": {"code": error.status, "message": str(error), "errors": [detail]}}
    return JSONResponse(body, status_code=error.status, headers=headers)


def _json(call: Call, answer: Json) -> Response:
    if fields := call.query.get("fields"):
        answer = select_fields(answer, fields)
    return JSONResponse(answer)


def _parse_page_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"Invalid page token: {token!r}") from None


def _parse_source(source: Json) -> ComposeSource:
    match_ = source.get("objectPreconditions", {}).get("ifGenerationMatch")
    generation = source.get("generation")
    return ComposeSource(
        name=str(source["name"]),
        generation=None if generation is None else int(generation),
        generation_match=None if match_ is None else int(match_),
    )
