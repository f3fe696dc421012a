"""What viewers read: `/BUCKET/OBJECT` in public buckets, with CORS, as the XML API answers."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from xml.sax.saxutils import escape

from starlette.responses import Response

from local_cloud.operations import OperationCounts, PriceClass
from local_cloud.storage.calls import Call, not_offered
from local_cloud.storage.errors import NotFound, RangeNotSatisfiable
from local_cloud.storage.media import DEFAULT_PUBLIC_CACHE_CONTROL, media_response, object_headers
from local_cloud.storage.objects import Bucket, CorsRule
from local_cloud.storage.store import ObjectStore


class PublicReads:
    """Anonymous reads from *store*: nobody who reads here has credentials, so private buckets answer 403."""

    def __init__(self, store: ObjectStore, operations: OperationCounts) -> None:
        self._store = store
        self._operations = operations

    def answer(self, call: Call) -> Response:
        """The answer to a read of `/BUCKET/OBJECT` or to its preflight; raises Unsupported for all else."""
        if call.method not in ("GET", "HEAD", "OPTIONS") or len(call.path) < 2:
            raise not_offered(call)
        bucket_name, name = call.path[0], "/".join(call.path[1:])
        try:
            bucket = self._store.bucket(bucket_name)
        except NotFound as error:
            return _xml_error(404, "NoSuchBucket", str(error))
        rule = _matching_rule(bucket, call)
        if call.method == "OPTIONS":
            return Response(headers=_preflight_headers(rule, call.headers["origin"]) if rule else None)
        response = self._read(call, bucket, name)
        if response.status_code < HTTPStatus.BAD_REQUEST:
            self._operations.count(PriceClass.STORAGE_B, f"{call.method} Object", bucket.name)
        if rule is not None:
            response.headers.update(_cors_headers(rule, call.headers["origin"]))
        return response

    def _read(self, call: Call, bucket: Bucket, name: str) -> Response:
        if not bucket.public:
            return _xml_error(
                403,
                "AccessDenied",
                "Anonymous caller does not have storage.objects.get access to the Google Cloud Storage object."
                " Permission 'storage.objects.get' denied on resource (or it may not exist).",
            )
        try:
            stored, content = self._store.open(bucket.name, name)
        except NotFound:
            return _xml_error(404, "NoSuchKey", "The specified key does not exist.")
        etag = stored.content_etag
        headers = object_headers(stored, etag=etag, default_cache_control=DEFAULT_PUBLIC_CACHE_CONTROL)
        if _is_cached(call.headers.get("if-none-match"), etag):
            content.close()
            return Response(
                status_code=304,
                headers={key: headers[key] for key in ("etag", "cache-control", "x-goog-generation")},
            )
        range_header = call.headers.get("range")
        if call.headers.get("if-range", etag) != etag:
            range_header = None
        try:
            return media_response(stored, content, headers, range_header, body=call.method == "GET")
        except RangeNotSatisfiable as error:
            response = _xml_error(416, "InvalidRange", str(error))
            response.headers["content-range"] = f"bytes */{error.size}"
            return response


def _is_cached(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in tags or "*" in tags


def _matching_rule(bucket: Bucket, call: Call) -> CorsRule | None:
    origin = call.headers.get("origin")
    if origin is None:
        return None
    method = call.headers.get("access-control-request-method", call.method)
    for rule in bucket.cors:
        if ("*" in rule.origins or origin in rule.origins) and ("*" in rule.methods or method in rule.methods):
            return rule
    return None


def _cors_headers(rule: CorsRule, origin: str) -> dict[str, str]:
    headers = {"access-control-allow-origin": "*"}
    if "*" not in rule.origins:
        headers = {"access-control-allow-origin": origin, "vary": "Origin"}
    if rule.response_headers:
        headers["access-control-expose-headers"] = ", ".join(rule.response_headers)
    return headers


def _preflight_headers(rule: CorsRule, origin: str) -> dict[str, str]:
    headers = _cors_headers(rule, origin)
    headers.pop("access-control-expose-headers", None)
    headers["access-control-allow-methods"] = ", ".join(rule.methods)
    headers["access-control-max-age"] = str(rule.max_age // timedelta(seconds=1))
    if rule.response_headers:
        headers["access-control-allow-headers"] = ", ".join(rule.response_headers)
    return headers


def _xml_error(status: int, code: str, message: str) -> Response:
    body = (
        f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code>"
        f"<Message>{escape(message)}</Message></Error>"
    )
    headers = {"cache-control": "private, max-age=0"}
    return Response(body, status_code=status, headers=headers, media_type="application/xml; charset=UTF-8")
