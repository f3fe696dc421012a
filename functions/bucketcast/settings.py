"""Settings: the environment, read once at the edge."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bucketcast.errors import InvalidSettings

# Shorter tokens can be guessed.
MIN_ADMIN_TOKEN_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the functions need to know of where they run."""

    project: str
    media_bucket: str
    ingest_bucket: str
    recording_bucket: str
    workflows: str  # their parent: projects/PROJECT/locations/LOCATION
    workflows_emulator: str  # host:port of the local cloud's, or empty
    admin_token: str = field(repr=False)
    emulated: bool  # on the local cloud there are no credentials


def parse_admin_token(text: str) -> str:
    """Return *text* as an admin token, or raise InvalidSettings, whose words never repeat the text."""
    if len(text) < MIN_ADMIN_TOKEN_LENGTH:
        raise InvalidSettings(f"BUCKETCAST_ADMIN_TOKEN is shorter than {MIN_ADMIN_TOKEN_LENGTH} characters")
    # What a header cannot carry, or carries without its ends, no request could ever match: such as the line
    # feed that an editor puts at the end of a secret.
    if not (text.isascii() and text.isprintable() and text == text.strip()):
        raise InvalidSettings("BUCKETCAST_ADMIN_TOKEN is not printable ASCII without spaces around it")
    return text


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read *environ*, or raise InvalidSettings naming the variable that is missing or unusable."""

    def required(name: str) -> str:
        if not (value := environ.get(name, "")):
            raise InvalidSettings(f"the environment variable {name} is not set")
        return value

    project = required("GOOGLE_CLOUD_PROJECT")
    return Settings(
        project=project,
        media_bucket=required("BUCKETCAST_MEDIA_BUCKET"),
        ingest_bucket=required("BUCKETCAST_INGEST_BUCKET"),
        recording_bucket=required("BUCKETCAST_RECORDING_BUCKET"),
        workflows=f"projects/{project}/locations/{required('BUCKETCAST_LOCATION')}",
        workflows_emulator=environ.get("WORKFLOWS_EMULATOR_HOST", ""),
        admin_token=parse_admin_token(required("BUCKETCAST_ADMIN_TOKEN")),
        emulated="STORAGE_EMULATOR_HOST" in environ,
    )
