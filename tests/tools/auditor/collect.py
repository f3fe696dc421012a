"""Reads the local cloud's journal, and the segments that it speaks of."""

import base64
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

import requests

from tools.auditor.journal import MediaFacts, ObjectGeneration
from tools.auditor.probe import probe

# The journal of hours is one answer, written while it is read; a line of it comes within this.
_ANSWER_SECONDS = 60
_WRITES = frozenset({"insert", "compose", "rewrite"})


def collect(url: str, bucket: str, *, stream: str | None = None) -> list[ObjectGeneration]:
    """Return every generation that the local cloud at *url* wrote to *bucket*, of one *stream* or of all."""
    parameters = {"bucket": bucket, "prefix": "" if stream is None else f"{stream}/"}
    with requests.get(
        f"{url}/_local/journal", params=parameters, stream=True, timeout=_ANSWER_SECONDS
    ) as answer:
        answer.raise_for_status()
        return read_journal(answer.iter_lines())


def read_journal(lines: Iterable[bytes | str]) -> list[ObjectGeneration]:
    """Return the generations that the journal's JSON *lines* tell of."""
    generations: dict[tuple[str, int], ObjectGeneration] = {}
    for line in lines:
        if not line:
            continue
        entry: dict[str, Any] = json.loads(line)
        resource = entry["object"]
        key = (resource["name"], int(resource["generation"]))
        if entry["operation"] in _WRITES:
            generations[key] = _generation(resource, entry["content"])
        elif entry["operation"] == "delete" and key in generations:
            generations[key] = replace(generations[key], deleted=datetime.fromisoformat(entry["time"]))
    return list(generations.values())


def _generation(resource: dict[str, Any], content: str | None) -> ObjectGeneration:
    return ObjectGeneration(
        bucket=resource["bucket"],
        name=resource["name"],
        generation=int(resource["generation"]),
        created=datetime.fromisoformat(resource["timeCreated"]),
        size=int(resource["size"]),
        content=None if content is None else base64.b64decode(content),
        content_type=resource.get("contentType", ""),
        cache_control=resource.get("cacheControl", ""),
        metadata=resource.get("metadata", {}),
    )


def probe_segments(url: str, journal: Iterable[ObjectGeneration]) -> Mapping[str, MediaFacts]:
    """Fetch every segment of *journal* that is still there from the local cloud at *url*, and look into it.

    Gaps are none: what lies there is for players that do not know EXT-X-GAP.
    """
    names = [
        f"{written.bucket}/{written.name}"
        for written in journal
        if written.name.endswith(".ts") and written.size and written.deleted is None
        if written.metadata.get("gap") != "true"
    ]

    def facts(name: str) -> MediaFacts:
        answer = requests.get(f"{url}/{quote(name)}", timeout=_ANSWER_SECONDS)
        answer.raise_for_status()
        return probe(answer.content)

    with ThreadPoolExecutor(max_workers=2) as pool:
        return {
            name.partition("/")[2]: found for name, found in zip(names, pool.map(facts, names), strict=True)
        }
