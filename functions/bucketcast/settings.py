"""Settings: the environment, read once at the edge."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bucketcast.errors import InvalidSettings

# Shorter tokens can be guessed; scripts/run makes one of 32 hexadecimal digits.
MIN_ADMIN_TOKEN_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the functions need to know of where they run."""

    project: str
    media_bucket: str
    ingest_bucket: str
    admin_token: str = field(repr=False)
    emulated: bool  # on the local cloud there are no credentials


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read *environ*, or raise InvalidSettings naming the variable that is missing or unusable."""

    def required(name: str) -> str:
        if not (value := environ.get(name, "")):
            raise InvalidSettings(f"the environment variable {name} is not set")
        return value

    token = required("BUCKETCAST_ADMIN_TOKEN")
    if len(token) < MIN_ADMIN_TOKEN_LENGTH:
        raise InvalidSettings(f"BUCKETCAST_ADMIN_TOKEN is shorter than {MIN_ADMIN_TOKEN_LENGTH} characters")
    return Settings(
        project=required("GOOGLE_CLOUD_PROJECT"),
        media_bucket=required("BUCKETCAST_MEDIA_BUCKET"),
        ingest_bucket=required("BUCKETCAST_INGEST_BUCKET"),
        admin_token=token,
        emulated="STORAGE_EMULATOR_HOST" in environ,
    )
