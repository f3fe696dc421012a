"""The ingest's HTTP: health and metrics for whoever runs it; WHIP and its page for whoever publishes."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ingest.protocols.whip.endpoint import EndpointSettings
from ingest.protocols.whip.http import WhipSessions, whip_routes
from ingest.studio import studio_routes


def web_application(registry: CollectorRegistry) -> Starlette:
    """Answer `/healthz` and `/metrics` (Prometheus text format, of *registry*)."""

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return Starlette(routes=[Route("/healthz", health), Route("/metrics", metrics)])


def whip_application(
    sessions: WhipSessions, settings: EndpointSettings, *, viewer_url: str | None
) -> Starlette:
    """Answer WHIP for *sessions*, and serve the broadcaster page, which links to *viewer_url*."""
    studio = studio_routes(viewer_url, session_origins=settings.studio_origins)
    return Starlette(routes=[*whip_routes(sessions, settings), *studio])
