"""The JSON forms of buckets and objects, as the JSON API and the events write them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from local_cloud.storage.errors import InvalidRequest, Unsupported
from local_cloud.storage.objects import (
    DEFAULT_LOCATION,
    Attributes,
    Bucket,
    Checksums,
    CorsRule,
    StoredObject,
)

MAX_METADATA_BYTES: Final = 8 * 1024  # Cloud Storage's limit for all custom metadata of one object
_ATTRIBUTES: Final = {
    "contentType": "content_type",
    "cacheControl": "cache_control",
    "contentDisposition": "content_disposition",
    "contentLanguage": "content_language",
    "customTime": "custom_time",
}
# What the service says of an object. Clients send it back with what they change; it is not theirs to set.
_OUTPUT_ONLY: Final = frozenset(
    {
        "kind",
        "id",
        "bucket",
        "name",
        "generation",
        "metageneration",
        "size",
        "crc32c",
        "md5Hash",
        "etag",
        "componentCount",
        "timeCreated",
        "updated",
        "timeStorageClassUpdated",
        "timeFinalized",
        "selfLink",
        "mediaLink",
    }
)

Json = dict[str, Any]


def object_resource(stored: StoredObject) -> Json:
    """The `storage#object` resource of *stored*; whoever serves it adds the links."""
    resource: Json = {
        "kind": "storage#object",
        "id": f"{stored.bucket}/{stored.name}/{stored.generation}",
        "bucket": stored.bucket,
        "name": stored.name,
        "generation": str(stored.generation),
        "metageneration": str(stored.metageneration),
        "size": str(stored.size),
        "crc32c": stored.checksums.crc32c,
        "etag": stored.etag,
        "storageClass": "STANDARD",
        "timeCreated": format_time(stored.time_created),
        "updated": format_time(stored.updated),
        "timeStorageClassUpdated": format_time(stored.time_created),
        "timeFinalized": format_time(stored.time_created),
    }
    if stored.checksums.md5 is not None:
        resource["md5Hash"] = stored.checksums.md5
    if stored.component_count is not None:
        resource["componentCount"] = stored.component_count
    for key, attribute in _ATTRIBUTES.items():
        if (value := getattr(stored.attributes, attribute)) is not None:
            resource[key] = value
    if stored.attributes.metadata:
        resource["metadata"] = dict(stored.attributes.metadata)
    return resource


def linked(resource: Json, *, base_url: str) -> Json:
    """*resource* of an object with the links that clients of the service at *base_url* follow."""
    path = f"storage/v1/b/{resource['bucket']}/o/{quote(resource['name'], safe='')}"
    return resource | {
        "selfLink": f"{base_url}/{path}",
        "mediaLink": f"{base_url}/download/{path}?generation={resource['generation']}&alt=media",
    }


def parse_object_resource(resource: Json) -> StoredObject:
    """The object that `object_resource` wrote."""
    return StoredObject(
        bucket=resource["bucket"],
        name=resource["name"],
        generation=int(resource["generation"]),
        metageneration=int(resource["metageneration"]),
        size=int(resource["size"]),
        checksums=Checksums(crc32c=resource["crc32c"], md5=resource.get("md5Hash")),
        attributes=Attributes(
            metadata=resource.get("metadata", {}),
            **{attribute: resource.get(key) for key, attribute in _ATTRIBUTES.items()},
        ),
        component_count=resource.get("componentCount"),
        time_created=datetime.fromisoformat(resource["timeCreated"]),
        updated=datetime.fromisoformat(resource["updated"]),
    )


def parse_attributes(resource: Json, *, base: Attributes | None = None) -> Attributes:
    """The attributes that a writer's *resource* asks for, changing those of *base* as a JSON merge patch does.

    Raises InvalidRequest for values of the wrong type and Unsupported for fields that are not offered.
    """
    base = base or Attributes()
    values: dict[str, Any] = {
        attribute: _parse_text(key, resource[key]) if key in resource else getattr(base, attribute)
        for key, attribute in _ATTRIBUTES.items()
    }
    if values["custom_time"] is not None:
        _require_later_time(values["custom_time"], base.custom_time)
    metadata = _parse_metadata(resource, base.metadata)
    for key in resource.keys() - _ATTRIBUTES.keys() - _OUTPUT_ONLY - {"metadata"}:
        if key == "storageClass" and resource[key] in ("STANDARD", None):
            continue
        raise Unsupported(f"The local cloud does not offer the object field '{key}'.")
    return Attributes(metadata=metadata, **values)


def bucket_resource(bucket: Bucket) -> Json:
    """The `storage#bucket` resource of *bucket*."""
    resource: Json = {
        "kind": "storage#bucket",
        "id": bucket.name,
        "name": bucket.name,
        "location": bucket.location,
        "storageClass": "STANDARD",
        "metageneration": "1",
        "timeCreated": format_time(bucket.time_created),
        "updated": format_time(bucket.time_created),
    }
    if bucket.cors:
        resource["cors"] = [
            {
                "origin": list(rule.origins),
                "method": list(rule.methods),
                "responseHeader": list(rule.response_headers),
                "maxAgeSeconds": rule.max_age // timedelta(seconds=1),
            }
            for rule in bucket.cors
        ]
    return resource


def parse_bucket_resource(resource: Json, *, public: bool, time_created: datetime) -> Bucket:
    """The bucket that *resource* asks for; raises InvalidRequest, or Unsupported for other fields."""
    for key in resource.keys() - {"name", "cors", "location", "kind", "storageClass"}:
        raise Unsupported(f"The local cloud does not offer the bucket field '{key}'.")
    name = resource.get("name")
    if not isinstance(name, str):
        raise InvalidRequest("Required parameter: name")
    try:
        cors = tuple(_parse_cors_rule(rule) for rule in resource.get("cors") or ())
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidRequest("Invalid value for field 'cors'.") from error
    location = (_parse_text("location", resource.get("location")) or DEFAULT_LOCATION).upper()
    return Bucket(name=name, public=public, location=location, cors=cors, time_created=time_created)


def format_time(time: datetime) -> str:
    """*time*, in UTC, as RFC 3339 with the microseconds that Python keeps."""
    return time.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _parse_cors_rule(rule: Json) -> CorsRule:
    return CorsRule(
        origins=tuple(map(str, rule.get("origin", ()))),
        methods=tuple(map(str, rule.get("method", ()))),
        response_headers=tuple(map(str, rule.get("responseHeader", ()))),
        max_age=timedelta(seconds=int(rule.get("maxAgeSeconds", 3600))),
    )


def _parse_text(key: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"Invalid value for field '{key}': a string is needed.")
    return value or None


def _require_later_time(text: str, known: str | None) -> None:
    """Raise InvalidRequest unless *text* is a time, and not before *known*: it never goes back."""
    try:
        time = datetime.fromisoformat(text)
        goes_back = known is not None and time < datetime.fromisoformat(known)
    except (ValueError, TypeError):
        raise InvalidRequest("Invalid value for field 'customTime': an RFC 3339 time is needed.") from None
    if goes_back:
        raise InvalidRequest("Custom time cannot be set to an earlier time.")


def _parse_metadata(resource: Json, base: Mapping[str, str]) -> dict[str, str]:
    changes = resource.get("metadata", {})
    if changes is None:
        return {}
    if not isinstance(changes, dict) or not all(
        value is None or isinstance(value, str) for value in changes.values()
    ):
        raise InvalidRequest("Invalid value for field 'metadata': an object of strings is needed.")
    merged: dict[str, str | None] = {**base, **changes}
    metadata = {key: value for key, value in merged.items() if value is not None}
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"The custom metadata is longer than {MAX_METADATA_BYTES} bytes.")
    return metadata
