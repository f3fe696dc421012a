"""Rewrites: how far one call copies an object, and the token with which the next call goes on.

https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite: between buckets of one location and storage
class a rewrite is done at once; otherwise the bytes move, in as many calls as that takes.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from typing import Final

from local_cloud.storage.errors import InvalidRequest

# Cloud Storage goes on for half a minute before it answers with a token; here small objects must show one.
REWRITTEN_AT_ONCE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """One copy of one generation: *rewritten* bytes of it are there."""

    source: str
    generation: int
    target: str
    rewritten: int = 0

    @property
    def token(self) -> str:
        """What the caller goes on with."""
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()

    def resumed(self, token: str) -> Rewrite:
        """This rewrite as far as *token* says that it is; raises InvalidRequest for another one's."""
        try:
            known = Rewrite(**json.loads(base64.urlsafe_b64decode(token)))
        except (ValueError, TypeError):
            known = None
        if known is None or (known.source, known.generation, known.target) != (
            self.source,
            self.generation,
            self.target,
        ):
            raise InvalidRequest("Invalid value for 'rewriteToken'.")
        return known

    def after_a_call(self, size: int) -> Rewrite:
        """This rewrite of *size* bytes between two locations, one call later."""
        rewritten = min(size, self.rewritten + REWRITTEN_AT_ONCE)
        return Rewrite(source=self.source, generation=self.generation, target=self.target, rewritten=rewritten)
