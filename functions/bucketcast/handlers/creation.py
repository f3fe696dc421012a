"""Creation: objects that are there once and stay as they are."""

import logging

from bucketcast.errors import PreconditionFailed
from bucketcast.objects import ABSENT, NewObject
from bucketcast.ports import Bucket

_log = logging.getLogger(__name__)


def create_once(bucket: Bucket, new: NewObject) -> bool:
    """Create *new* and say that it was; False where its name is taken: whoever was first has decided."""
    try:
        bucket.write(new, if_generation=ABSENT)
    except PreconditionFailed:
        _log.info("object was there already", extra={"object": new.name})
        return False
    return True
