"""The table of contents: one entry point per trigger. What each does stands in bucketcast/handlers/."""

import functions_framework
from cloudevents.http import CloudEvent
from flask import Request, Response

from bucketcast import http_api
from bucketcast.bootstrap import handlers
from bucketcast.events import parse_object_finalized
from bucketcast.handlers.delivery import acknowledging_permanent_errors
from bucketcast.handlers.wake import wake


@functions_framework.cloud_event
def publish(event: CloudEvent) -> None:
    """An object is complete in the ingest bucket, or an encoder says so: bring the playlists up to date.

    What may pass is raised, so that Eventarc delivers the event again; what cannot is logged and done with.
    """
    with acknowledging_permanent_errors():
        woken = parse_object_finalized(event.get_attributes(), event.get_data())
        document = wake(woken, handlers().publisher)
        if document is not None and not document.is_live:
            handlers().owner.recordings.see(document)


@functions_framework.http
def sessions(request: Request) -> Response:
    """An encoder claims its stream's next session, or renews its lease. For the ingest's identity only."""
    return http_api.sessions(request, handlers().claims)


@functions_framework.http
def api(request: Request) -> Response:
    """The owner makes, looks at and deletes streams, ends broadcasts, rebuilds. For the admin token only."""
    return http_api.streams(request, handlers().owner)


@functions_framework.http
def reap(_request: Request) -> Response:
    """The scheduler's minute: end what must end, and make its recording. For the scheduler's identity only."""
    handlers().owner.recordings.reap(handlers().reaper.reap())
    return Response(status=204)


@functions_framework.http
def recordings(request: Request) -> Response:
    """A step of the workflow that carries a recording, or cleans up. For the workflows' identity only."""
    return http_api.workflow_step(request, handlers().workflow_steps)
