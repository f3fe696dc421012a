"""The tree of errors; `retryable` is decided once, by the class.

BucketcastError
├── InvalidInput          (permanent: the sender must change something)
│   ├── InvalidName · InvalidConfiguration · InvalidRequest · InvalidEvent · InvalidSettings
│   └── PlaylistSyntaxError
├── InvalidRecord         (permanent: what we stored ourselves cannot be read)
├── NotFound              (permanent)
├── Refused               (permanent: the request is understood and may not be done now)
├── IllegalTransition     (permanent)
├── PreconditionFailed    (retryable: somebody wrote first; read again)
├── TooManyWrites         (retryable: more than one write a second to one object name)
└── Unavailable           (retryable: the service behind a port did not answer)
"""

from typing import ClassVar


class BucketcastError(Exception):
    """The root: every error that this package raises on purpose."""

    retryable: ClassVar[bool] = False


class InvalidInput(BucketcastError):
    """What came in cannot be used; the text says why and is meant for its sender."""


class InvalidName(InvalidInput):
    """A stream id, rung name or object name is not of its form."""


class InvalidConfiguration(InvalidInput):
    """A stream's configuration asks for what cannot be done."""


class InvalidRequest(InvalidInput):
    """A request's body cannot be read."""


class InvalidRecord(BucketcastError):
    """A stored record (stream, session, seal, timeline, document) cannot be read."""


class InvalidEvent(InvalidInput):
    """A CloudEvent is not one that we handle."""


class InvalidSettings(InvalidInput):
    """The environment lacks a setting, or holds an unusable one."""


class PlaylistSyntaxError(InvalidInput):
    """A playlist's text breaks RFC 8216bis."""

    def __init__(self, reason: str, *, line: int) -> None:
        """Say *reason*, and the *line* (from 1) where it was found."""
        super().__init__(f"line {line}: {reason}")
        self.reason = reason
        self.line = line


class NotFound(BucketcastError):
    """What was asked for does not exist."""


class Refused(BucketcastError):
    """The request is understood and may not be done now; the text is meant for its sender."""


class IllegalTransition(BucketcastError):
    """An event that a stream's state does not admit; nothing was changed."""


class PreconditionFailed(BucketcastError):
    """Another writer was first: read again, decide again."""

    retryable = True


class TooManyWrites(BucketcastError):
    """More than one write a second to one object name (Cloud Storage's limit); wait the second out."""

    retryable = True


class Unavailable(BucketcastError):
    """The service behind a port did not answer, or answered that it cannot now."""

    retryable = True
