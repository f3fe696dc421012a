"""What the server refuses, as the status codes of google.rpc.Code.

FirestoreError
├── InvalidArgument      the request itself is wrong
├── NotFound             a document that must exist does not
├── AlreadyExists        a document that must not exist does
├── FailedPrecondition   an update time differs, or the query cannot be served
├── Aborted              a transaction read what has since changed: run it again
├── Unavailable          a fault that was asked for: try again
├── DeadlineExceeded     a fault that was asked for: nobody says what was done
├── ResourceExhausted    a bound of this server is reached
└── Unimplemented        Firestore can, the local cloud cannot
"""

from enum import IntEnum
from typing import ClassVar


class Code(IntEnum):
    """The members of google.rpc.Code that are used here."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    UNAVAILABLE = 14


class FirestoreError(Exception):
    """A call is refused; the text is for the caller."""

    code: ClassVar[Code]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidArgument(FirestoreError):
    """The request is wrong whatever the documents hold."""

    code = Code.INVALID_ARGUMENT


class NotFound(FirestoreError):
    """A document that must exist does not."""

    code = Code.NOT_FOUND


class AlreadyExists(FirestoreError):
    """A document that must not exist does."""

    code = Code.ALREADY_EXISTS


class FailedPrecondition(FirestoreError):
    """The documents are not in the state that the call demands."""

    code = Code.FAILED_PRECONDITION


class Aborted(FirestoreError):
    """A transaction's reads are stale; the client runs it again."""

    code = Code.ABORTED


class Unavailable(FirestoreError):
    """The service does not answer now; the client tries again."""

    code = Code.UNAVAILABLE


class DeadlineExceeded(FirestoreError):
    """The call took too long."""

    code = Code.DEADLINE_EXCEEDED


class ResourceExhausted(FirestoreError):
    """A bound of this server is reached."""

    code = Code.RESOURCE_EXHAUSTED


class Unimplemented(FirestoreError):
    """Firestore offers this, the local cloud does not: refused instead of half done."""

    code = Code.UNIMPLEMENTED
