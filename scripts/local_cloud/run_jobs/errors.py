"""Errors as Google's APIs word them (google.rpc.Status)."""

from __future__ import annotations

from http import HTTPStatus


class RunError(Exception):
    """A request is refused; *status* is the name of the google.rpc.Code."""

    def __init__(self, http_status: HTTPStatus, status: str, message: str) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.status = status


def invalid_argument(message: str) -> RunError:
    """What the request says cannot be done."""
    return RunError(HTTPStatus.BAD_REQUEST, "INVALID_ARGUMENT", message)


def missing(kind: str, name: str, *, project: str, location: str) -> RunError:
    """There is no *name* of that *kind*, such as JOB."""
    place = f"in region '{location}' in project '{project}'"
    return RunError(
        HTTPStatus.NOT_FOUND, "NOT_FOUND", f"Resource '{name}' of kind '{kind}' {place} does not exist."
    )


def not_offered(what: str) -> RunError:
    """Google offers *what*, and the local cloud does not."""
    return RunError(
        HTTPStatus.NOT_IMPLEMENTED, "UNIMPLEMENTED", f"the local cloud's Cloud Run jobs do not offer {what}"
    )
