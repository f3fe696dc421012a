"""The broadcaster page at /studio: a browser's camera, microphone or screen, sent with WHIP."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import bucketcast

PATH: Final = "/studio"
_FOLDER: Final = Path(__file__).parent
# What both pages have in common lies with the viewer page, which is uploaded from beside the package.
_SHARED: Final = tuple(
    Path(bucketcast.__file__).parents[1] / "player" / name for name in ("icon.svg", "page.css")
)
_PAGE: Final = "index.html"
# What may be asked for, named here because a machine's own list may know other types; Python is not among it.
_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Files keep their names from release to release: each is asked for again, and mostly not sent again.
_CACHE_CONTROL: Final = "no-cache"
# What a page that holds a camera and a key has no business with is closed, in every frame of it.
_PERMISSIONS: Final = ", ".join(
    (
        *(
            f"{feature}=(self)"
            for feature in ("camera", "microphone", "display-capture", "screen-wake-lock", "clipboard-write")
        ),
        *(f"{feature}=()" for feature in ("geolocation", "payment", "usb", "serial", "hid", "midi")),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    content: bytes
    media_type: str
    entity_tag: str


def studio_routes(viewer_url: str | None, *, session_origins: Sequence[str] = ()) -> list[Route]:
    """The routes of the page, its files and its configuration.

    *viewer_url* is the address of the viewer page, in which {stream} stands for the stream; without it, the
    page links to none. *session_origins* are the origins that WHIP sessions are at, as sources of a Content
    Security Policy (https://*.example.com), where they are not the page's own.
    """
    files = {path.name: _read(path) for path in (*_FOLDER.iterdir(), *_SHARED) if path.suffix in _MEDIA_TYPES}
    index = files.pop(_PAGE)  # its addresses are relative to PATH
    headers = _headers(session_origins)

    async def page(request: Request) -> Response:
        return _response(request, index, headers)

    async def file(request: Request) -> Response:
        if (found := files.get(request.path_params["file"])) is None:
            return Response(status_code=404, headers=headers)
        return _response(request, found, headers)

    async def configuration(_request: Request) -> Response:
        return JSONResponse({"viewer": viewer_url}, headers=headers)

    return [
        Route(PATH, page),
        Route(f"{PATH}/configuration.json", configuration),
        Route(f"{PATH}/{{file}}", file),
    ]


def _read(path: Path) -> _File:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return _File(content=content, media_type=_MEDIA_TYPES[path.suffix], entity_tag=f'"{digest[:32]}"')


def _headers(session_origins: Sequence[str]) -> dict[str, str]:
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": " ".join(("'self'", *session_origins)),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    return {
        "cache-control": _CACHE_CONTROL,
        "content-security-policy": "; ".join(f"{name} {sources}" for name, sources in rules.items()),
        "permissions-policy": _PERMISSIONS,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin",
    }


def _response(request: Request, file: _File, headers: dict[str, str]) -> Response:
    """*file*, or that the browser has it (RFC 9110, 13.1.2)."""
    tagged = {**headers, "etag": file.entity_tag}
    known = request.headers.get("if-none-match", "").split(",")
    if {file.entity_tag, f"W/{file.entity_tag}", "*"} & {tag.strip() for tag in known}:
        return Response(status_code=304, headers=tagged)
    return Response(file.content, media_type=file.media_type, headers=tagged)
