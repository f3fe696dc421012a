"""The ingest's HTTP: health and metrics for whoever runs it; WHIP and its page for whoever publishes."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ingest.protocols.whip.endpoint import ENDPOINT, EndpointSettings
from ingest.protocols.whip.http import whip_routes
from ingest.protocols.whip.server import WhipServer
from ingest.studio import studio_routes


def web_application(registry: CollectorRegistry) -> Starlette:
    """Answer `/healthz` and `/metrics` (Prometheus text format, of *registry*)."""

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return Starlette(routes=[Route("/healthz", health), Route("/metrics", metrics)])


def whip_application(server: WhipServer, settings: EndpointSettings, *, viewer_url: str | None) -> Starlette:
    """Answer WHIP, and serve the broadcaster page, which links to *viewer_url*."""

    async def status(request: Request) -> Response:
        found = server.status(request.path_params["session_id"])
        if found is None:
            return Response(status_code=404)
        viewer = viewer_url.replace("{stream}", found.stream) if viewer_url else None
        body = {
            "state": found.state,
            "faults": found.faults,
            "viewer": viewer,
            "reason": found.reason,
            "detail": found.detail,
        }
        return JSONResponse(body, headers={"cache-control": "no-store"})

    return Starlette(
        routes=[
            Route(f"{ENDPOINT}/{{session_id}}/status", status),
            *whip_routes(server, settings),
            *studio_routes(
                viewer_url, session_origins=(settings.session_origin,) if settings.session_origin else ()
            ),
        ]
    )
