"""What Cloud Storage refuses, and with which status and reason.

StorageError
├── InvalidRequest        400 invalid
├── ChecksumMismatch      400 invalid
├── Forbidden             401 or 403
├── NotFound              404 notFound
├── BucketExists          409 conflict
├── PreconditionFailed    412 conditionNotMet
├── NotModified           304
├── TooLarge              413 uploadTooLarge
├── RangeNotSatisfiable   416 requestedRangeNotSatisfiable
├── RateLimitExceeded     429 rateLimitExceeded
├── Unsupported           501 notImplemented
└── Unavailable           503 backendError
"""

from typing import ClassVar


class StorageError(Exception):
    """A request that Cloud Storage answers with *status* and *reason*; the text is for its sender."""

    status: ClassVar[int] = 500
    reason: ClassVar[str] = "internalError"


class InvalidRequest(StorageError):
    status = 400
    reason = "invalid"


class ChecksumMismatch(InvalidRequest):
    """The content is not what its sender's crc32c or MD5 says; nothing was stored."""


class ParseError(InvalidRequest):
    """What should be a JSON object is not."""

    reason = "parseError"


class NotFound(StorageError):
    status = 404
    reason = "notFound"


class BucketExists(StorageError):
    status = 409
    reason = "conflict"


class PreconditionFailed(StorageError):
    status = 412
    reason = "conditionNotMet"

    def __init__(self) -> None:
        super().__init__("At least one of the pre-conditions you specified did not hold.")


class NotModified(StorageError):
    status = 304
    reason = "notModified"


class TooLarge(StorageError):
    status = 413
    reason = "uploadTooLarge"


class RangeNotSatisfiable(StorageError):
    """No byte of the object lies in the range asked for; *size* is the object's."""

    status = 416
    reason = "requestedRangeNotSatisfiable"

    def __init__(self, size: int) -> None:
        super().__init__("The requested range cannot be satisfied.")
        self.size = size


class RateLimitExceeded(StorageError):
    status = 429
    reason = "rateLimitExceeded"


class Unsupported(StorageError):
    """The local cloud does not offer this; the text names what was asked for."""

    status = 501
    reason = "notImplemented"


class Unavailable(StorageError):
    status = 503
    reason = "backendError"
