"""The viewer page as objects of the media bucket, as a deployment uploads it."""

import json
import mimetypes
from pathlib import Path
from typing import Final

from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from bucketcast.gcp.storage import crc32c

# The page's own files keep their names from release to release, so that they are asked for again.
CACHE_CONTROL: Final = "public, max-age=60, must-revalidate"


def upload_player(bucket: str, *, endpoint: str, project: str, root: Path) -> None:
    """Upload functions/player/ from *root*, and hls.js beside it where scripts/get_hls_js has put it.

    Raises GoogleAPIError.
    """
    client = Client(
        project=project, credentials=AnonymousCredentials(), client_options={"api_endpoint": endpoint}
    )
    folder = root / "functions/player"
    version = json.loads((folder / "hls.json").read_text())["version"]
    library = root / ".cache/hls.js" / version / "hls.min.js"
    files = [*sorted(folder.iterdir()), *([library] if library.is_file() else [])]
    for file in files:
        name, content = f"player/{file.name}", file.read_bytes()
        there = client.bucket(bucket).get_blob(name)
        if there is not None and there.crc32c == crc32c(content):
            continue
        blob = client.bucket(bucket).blob(name)
        blob.cache_control = CACHE_CONTROL
        blob.upload_from_string(content, content_type=mimetypes.guess_type(file.name)[0])
