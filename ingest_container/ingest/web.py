"""The ingest's own HTTP: health and metrics, for whoever runs it."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


def web_application(registry: CollectorRegistry) -> Starlette:
    """Answer `/healthz` and `/metrics` (Prometheus text format, of *registry*)."""

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return Starlette(routes=[Route("/healthz", health), Route("/metrics", metrics)])
