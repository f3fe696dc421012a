"""`python -m local_cloud.workflows check FILE...`: say what the platform, or the local cloud, would refuse."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from local_cloud.workflows.errors import InvalidWorkflow
from local_cloud.workflows.loading import load_file
from local_cloud.workflows.schema import PACKAGE, public_schema, schema_errors
from local_cloud.workflows.source import plain, read_source


def problems(path: Path) -> Iterator[str]:
    """What is wrong with the workflow file *path*, each with its place."""
    try:
        load_file(path)
        content = plain(read_source(path.read_bytes()))
    except InvalidWorkflow as error:
        yield str(error)
        return
    schema = public_schema()
    if schema is not None:
        yield from (f"{path}: public schema: {error}" for error in schema_errors(schema, content))


def main(arguments: Sequence[str]) -> int:
    """Check what the command line names and return the exit code."""
    parser = argparse.ArgumentParser(prog="local_cloud.workflows", description=__doc__)
    check = parser.add_subparsers(required=True).add_parser("check", help="check workflow files")
    check.add_argument("files", type=Path, nargs="+", metavar="FILE")
    found = [problem for path in parser.parse_args(arguments).files for problem in problems(path)]
    for problem in found:
        print(problem)
    if public_schema() is None:
        print(f"not checked against the public schema: {PACKAGE} is not installed", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
