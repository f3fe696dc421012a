"""Cloud Run functions that another part of the system calls, with an identity token."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import requests
import urllib3
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request as TokenRequest
from google.oauth2 import id_token
from requests.adapters import HTTPAdapter

from bucketcast.errors import Unavailable

CONNECT_TIMEOUT: Final = 3.0
# A publication may have to wait a second out for each of several objects, at the same time; ten such rounds
# are more than there ever are.
READ_TIMEOUT: Final = 15.0
# Answers are a few hundred bytes; whatever is longer is not from our functions.
MAX_ANSWER_BYTES: Final = 65_536
# Identity tokens hold for an hour; the library fetches from the metadata server, so keep one for half of it.
TOKEN_SECONDS: Final = 1800.0
UNAUTHORIZED: Final = 401  # RFC 9110, 15.5.2
CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a function answered."""

    status: int
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the function did what was asked."""
        return 200 <= self.status < 300


class CloudFunction:
    """One function's address. Safe to use from several threads."""

    def __init__(self, url: str, *, emulated: bool, clock: Callable[[], float]) -> None:
        """Call *url*; on the local cloud (*emulated*) nobody asks who calls. *clock* counts seconds."""
        self._url = url.rstrip("/")
        self._emulated = emulated
        self._clock = clock
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_maxsize=CONNECTIONS)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._token = ""
        self._token_from = float("-inf")
        self._lock = threading.Lock()

    def post(self, path: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post *body* to *path* under the function's address; raises Unavailable when nothing answers."""
        try:
            response = self._session.post(
                self._url + path,
                data=body,
                headers={**headers, **self._authorization()},
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                stream=True,
            )
            with response:
                content = response.raw.read(MAX_ANSWER_BYTES, decode_content=True)
        except (requests.RequestException, urllib3.exceptions.HTTPError, GoogleAuthError, OSError) as error:
            raise Unavailable(f"a function did not answer: {type(error).__name__}") from error
        if response.status_code == UNAUTHORIZED:
            self._token_from = float(
                "-inf"
            )  # it was over sooner than we thought: the next call fetches another
        return Answer(status=response.status_code, body=content)

    def _authorization(self) -> dict[str, str]:
        if self._emulated:
            return {}
        with self._lock:
            if self._clock() - self._token_from > TOKEN_SECONDS:
                self._token = id_token.fetch_id_token(TokenRequest(), self._url)
                self._token_from = self._clock()
            return {"Authorization": f"Bearer {self._token}"}
