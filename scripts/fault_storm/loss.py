"""Loss: what viewers read is gone, and so is every document; and it all comes back."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing

from google.cloud import firestore
from google.cloud.storage import Bucket

from bucketcast.gcp.clients import firestore_client, storage_client
from bucketcast.gcp.firestore import LEASES, STREAMS
from fault_storm.cloud import MEDIA, PROJECT
from fault_storm.verdict import Finding, Promise
from tools.auditor import ObjectGeneration


def last_playlists(media: Iterable[ObjectGeneration]) -> Mapping[str, bytes]:
    """What every playlist held last."""
    return {written.name: written.content or b"" for written in media if written.name.endswith(".m3u8")}


def lose_and_rebuild(playlists: Mapping[str, bytes], *, wake: Callable[[], None]) -> list[Finding]:
    """Delete *playlists* and every Firestore document, *wake* the reaper, and say what is not as it was."""
    with closing(storage_client(PROJECT, emulated=True)) as client:
        bucket = client.bucket(MEDIA)
        for name in playlists:
            bucket.delete_blob(name)
        with closing(firestore_client(PROJECT, emulated=True)) as database:
            for collection in (STREAMS, LEASES):
                _delete_all(database.collection(collection))
        wake()
        return list(_differences(bucket, playlists))


def _differences(bucket: Bucket, playlists: Mapping[str, bytes]) -> Iterator[Finding]:
    for name, before in sorted(playlists.items()):
        blob = bucket.get_blob(name)
        now = None if blob is None else blob.download_as_bytes()
        if now != before:
            text = "it does not come back" if now is None else f"was:\n{before.decode()}\nis:\n{now.decode()}"
            yield Finding(rule=Promise.REBUILT.name, meaning=str(Promise.REBUILT), where=name, text=text)


def _delete_all(collection: firestore.CollectionReference) -> None:
    for snapshot in collection.stream():
        snapshot.reference.delete()
