"""A restart goes on where the process stopped, also when it was killed in the middle of a commit."""

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore

import local_cloud
from local_cloud.firestore import FirestoreServer
from local_cloud.firestore.documents import Document, DocumentName
from local_cloud.firestore.persistence import FolderInUseError, SqlitePersistence
from local_cloud.firestore.values import GeoPoint, Reference

TIME = datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
NAME = DocumentName("projects/p/databases/d/documents/c/a")

# Enough acknowledged commits that the kill falls among many, and still a fraction of a second.
COMMITS_BEFORE_THE_KILL = 50
_SERVE = """
import sys, threading
from pathlib import Path
from typing import Any
from local_cloud.firestore import FirestoreServer
server = FirestoreServer(Path(sys.argv[1]))
print(server.start("127.0.0.1", 0), flush=True)
threading.Event().wait()
"""


def test_what_was_saved_is_loaded_exactly(tmp_path: Path) -> None:
    document = Document(
        name=NAME,
        fields={
            "all": (None, True, -1, 0.5, "é", b"\0", TIME, Reference(NAME), GeoPoint(0, 0), {}, {"a": ()}),
            "a.b`": {"deep": {}},
        },
        create_time=TIME,
        update_time=LATER,
    )
    first = SqlitePersistence(tmp_path / "new" / "folder")
    assert first.load() == ([], None)
    first.save({NAME: document, DocumentName(f"{NAME}2"): document}, LATER)
    first.save({DocumentName(f"{NAME}2"): None}, LATER)
    first.close()
    second = SqlitePersistence(tmp_path / "new" / "folder")
    assert second.load() == ([document], LATER)
    second.close()


def test_a_folder_is_used_by_one_process_at_a_time(tmp_path: Path) -> None:
    holder = SqlitePersistence(tmp_path)
    with pytest.raises(FolderInUseError, match="cannot be opened"):
        SqlitePersistence(tmp_path)
    holder.close()
    SqlitePersistence(tmp_path).close()


def test_a_restart_keeps_documents_and_their_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[Any] = []
    for number in range(3):
        server = FirestoreServer(tmp_path)
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{server.start('127.0.0.1', 0)}")
        client = firestore.Client(project="p")
        snapshot = client.document("c/a").get()
        assert (snapshot.to_dict() or {}).get("n") == (number - 1 if number else None)
        assert not times or snapshot.update_time == times[-1]
        times.append(client.document("c/a").set({"n": number}).update_time)
        client.close()
        server.stop()
    assert times == sorted(set(times))


def test_no_acknowledged_commit_is_lost_or_torn_by_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = str(Path(local_cloud.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": scripts},
    )
    with process:
        assert process.stdout is not None
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{process.stdout.readline().strip()}")
        client = firestore.Client(project="p")
        last = None
        for number in range(COMMITS_BEFORE_THE_KILL):
            batch = client.batch()
            batch.set(client.document("c/one"), {"n": number})
            batch.set(client.document("c/two"), {"n": number})
            batch.create(client.document(f"c/{number}"), {})
            last = batch.commit()[0].update_time
        process.send_signal(signal.SIGKILL)
        client.close()

    server = FirestoreServer(tmp_path)
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{server.start('127.0.0.1', 0)}")
    client = firestore.Client(project="p")
    one, two = client.document("c/one").get(), client.document("c/two").get()
    assert one.to_dict() == two.to_dict() == {"n": COMMITS_BEFORE_THE_KILL - 1}
    assert one.update_time == two.update_time == last
    ((count,),) = client.collection("c").count().get()
    assert count.value == COMMITS_BEFORE_THE_KILL + 2
    assert client.document("c/one").set({"n": -1}).update_time > last
    client.close()
    server.stop()
