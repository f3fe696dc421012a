"""`scripts/rebuild`: bring back streams' documents and playlists from what the buckets hold.

Asks the API, with the admin token from the environment variable BUCKETCAST_ADMIN_TOKEN. Streams are rebuilt one
after the other; what cannot be rebuilt is said, and the next one follows.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import requests

from bucketcast.errors import InvalidSettings
from bucketcast.settings import parse_admin_token

LOCAL_API: Final = "http://127.0.0.1:8080/v1/streams"  # as scripts/run prints it
# A rebuild reads some hundred objects; a function that starts cold takes seconds before.
ANSWER_SECONDS: Final = 60.0


class NotRebuilt(Exception):
    """The API does not do it, or does not answer; the text says so in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The streams at *url*, for who has the *token*."""

    url: str
    token: str = field(repr=False)

    def streams(self) -> list[str]:
        """The ids of all streams that were ever made; raises NotRebuilt."""
        return [stream["id"] for stream in self._call("GET", "")["streams"]]

    def rebuild(self, stream: str) -> dict[str, Any]:
        """Rebuild *stream* and return what it is now; raises NotRebuilt."""
        view: dict[str, Any] = self._call("POST", f"/{quote(stream, safe='')}/rebuild")
        return view

    def _call(self, method: str, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            response = requests.request(method, self.url + path, headers=headers, timeout=ANSWER_SECONDS)
        except requests.RequestException as error:
            # The reason without the library's own names around it, which fill three lines.
            raise NotRebuilt(f"{self.url} does not answer ({type(error).__name__})") from error
        try:
            answer = response.json()
            detail = str(answer.get("detail", response.reason))
        except (ValueError, AttributeError):
            raise NotRebuilt(f"{self.url} is not the API: it answered {response.status_code}") from None
        if not response.ok:
            raise NotRebuilt(f"{response.status_code}: {detail}")
        return answer


def summary(view: dict[str, Any]) -> str:
    """Return one line on a stream as the API shows it: its state, and the last number of each rendition."""
    ends = ", ".join(
        f"{rung['name']} to {rung['last_media_sequence']}"
        for rung in view["rungs"]
        if rung["last_media_sequence"] is not None
    )
    return (
        f"{view['id']}: {view['state']}, broadcast {view['broadcast']}, session {view['session']}, "
        f"{ends or 'nothing listed'}"
    )


def main(arguments: Sequence[str]) -> int:
    """Rebuild what the command line asks for; return 1 if something could not be, 2 if it makes no sense."""
    parser = argparse.ArgumentParser(prog="scripts/rebuild", description=__doc__)
    parser.add_argument("stream", nargs="*", help="which streams; all that were ever made if none is given")
    parser.add_argument("--api", default=LOCAL_API, metavar="URL", help="the streams (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        api = Api(url=options.api.rstrip("/"), token=_token())
        streams = options.stream or api.streams()
    except InvalidSettings as error:
        print(f"rebuild: {error}", file=sys.stderr)
        return 2
    except NotRebuilt as error:
        print(f"rebuild: {error}", file=sys.stderr)
        return 1
    return max([_rebuild(api, stream) for stream in streams], default=0)


def _token() -> str:
    if not (text := os.environ.get("BUCKETCAST_ADMIN_TOKEN")):
        raise InvalidSettings("BUCKETCAST_ADMIN_TOKEN is not set: scripts/run prints the token")
    return parse_admin_token(text)


def _rebuild(api: Api, stream: str) -> int:
    try:
        print(summary(api.rebuild(stream)), flush=True)
    except NotRebuilt as error:
        print(f"rebuild: {stream}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
