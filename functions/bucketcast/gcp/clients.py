"""The official clients, as one process shares them.

They follow STORAGE_EMULATOR_HOST and FIRESTORE_EMULATOR_HOST themselves; *emulated* only says that there are no
credentials to be had.
"""

from typing import Any, Final

from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.storage import Client as StorageClient
from requests.adapters import HTTPAdapter

# As many as one process uses at the same time: the uploads of two streams' rungs, or a publisher's playlists.
CONNECTIONS: Final = 32


def storage_client(project: str, *, emulated: bool) -> StorageClient:
    """Make a Cloud Storage client for *project*."""
    client = StorageClient(project=project, **_credentials(emulated=emulated))
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS)
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, adapter)  # noqa: SLF001 - the client has no other way to size its pool
    return client


def firestore_client(project: str, *, emulated: bool) -> firestore.Client:
    """Make a Firestore client for *project*'s default database."""
    return firestore.Client(project=project, **_credentials(emulated=emulated))


def _credentials(*, emulated: bool) -> dict[str, Any]:
    return {"credentials": AnonymousCredentials()} if emulated else {}
