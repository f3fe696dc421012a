"""A gRPC server on one port of its own."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc


def start_grpc_server(
    name: str, host: str, port: int, handlers: Sequence[Any], *, threads: int, max_message_bytes: int
) -> tuple[Any, int]:
    """Serve *handlers* as *name* on *host*, and return the server and the port bound: one picked when it is 0.

    Raises OSError when the address cannot be had.
    """
    server = grpc.server(
        ThreadPoolExecutor(threads, thread_name_prefix=name.lower()),
        handlers=tuple(handlers),
        options=(
            # Two servers on one port would each get some of the calls.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", max_message_bytes),
        ),
    )
    try:
        bound = int(server.add_insecure_port(f"{host}:{port}"))
    except RuntimeError as error:
        text = f"{name} cannot listen on {host}:{port}: is the port in use, or the host not this one?"
        raise OSError(errno.EADDRINUSE, text) from error
    server.start()
    return server, bound
