"""The one error of everything that reads media."""

from bucketcast.errors import InvalidRecord


class InvalidMedia(InvalidRecord):
    """A segment or a recording part that we stored ourselves cannot be read."""
