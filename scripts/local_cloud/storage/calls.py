"""One HTTP request to Cloud Storage, taken apart: path, parameters, conditions, body."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from local_cloud.storage.errors import InvalidRequest, TooLarge, Unsupported
from local_cloud.storage.multipart import parse_json_object
from local_cloud.storage.objects import Preconditions
from local_cloud.storage.resources import Json

MAX_JSON_BYTES: Final = 1024 * 1024  # a compose request names 32 sources of up to 1 KiB each
_CUSTOMER_KEYS: Final = "x-goog-encryption-"


class ClientDisconnected(Exception):
    """The client closed the connection before its request was complete."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request: *path* as decoded segments, *query* with each parameter once."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Headers
    receive: Receive

    @classmethod
    def from_scope(cls, scope: Scope, receive: Receive) -> Call:
        """Take *scope* apart; raises InvalidRequest for addresses that are not UTF-8."""
        try:
            return cls(
                method=scope["method"],
                # The raw path: an encoded slash belongs to an object's name, a plain one does not.
                path=tuple(
                    unquote(segment, errors="strict") for segment in scope["raw_path"].decode().split("/")[1:]
                ),
                query=dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True, errors="strict")),
                headers=Headers(scope=scope),
                receive=receive,
            )
        except UnicodeDecodeError:
            raise InvalidRequest("The address is not valid UTF-8.") from None

    @property
    def base_url(self) -> str:
        """The address that the client used for this service."""
        return f"http://{self.headers.get('host', 'localhost')}"

    def require_only(self, parameters: frozenset[str], operation: str) -> None:
        """Raise Unsupported for a query parameter or condition that *operation* would have to ignore."""
        for parameter in self.query.keys() - parameters:
            raise Unsupported(f"The local cloud does not offer the parameter '{parameter}' of {operation}.")
        for header in self.headers:
            if header in ("if-match", "if-none-match") or header.startswith(_CUSTOMER_KEYS):
                raise Unsupported(f"The local cloud does not offer the header '{header}' of {operation}.")

    def integer(self, parameter: str) -> int | None:
        """The value of an int64 *parameter*, None when it is absent; raises InvalidRequest."""
        text = self.query.get(parameter)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()):
            raise InvalidRequest(f"Invalid value for '{parameter}': {text!r}")
        return int(text)

    def preconditions(self, infix: str = "") -> Preconditions:
        """The conditions of the query; *infix* "Source" reads those on a copy's source."""
        return Preconditions(
            generation_match=self.integer(f"if{infix}GenerationMatch"),
            generation_not_match=self.integer(f"if{infix}GenerationNotMatch"),
            metageneration_match=self.integer(f"if{infix}MetagenerationMatch"),
            metageneration_not_match=self.integer(f"if{infix}MetagenerationNotMatch"),
        )

    async def body(self) -> AsyncIterator[bytes]:
        """The request's body as it arrives; raises ClientDisconnected."""
        more = True
        while more:
            message: Message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            more = message.get("more_body", False)
            if piece := message.get("body", b""):
                yield piece

    async def json(self) -> Json:
        """The body as a JSON object; raises InvalidRequest, TooLarge, ClientDisconnected."""
        received = bytearray()
        async for piece in self.body():
            received += piece
            if len(received) > MAX_JSON_BYTES:
                raise TooLarge(f"The request is longer than {MAX_JSON_BYTES} bytes.")
        return parse_json_object(bytes(received))


def not_offered(call: Call) -> Unsupported:
    """The refusal of *call* as a whole."""
    return Unsupported(f"The local cloud does not offer {call.method} /{'/'.join(call.path)}.")
