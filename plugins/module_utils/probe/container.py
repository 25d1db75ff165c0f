# SPDX-License-Identifier: GPL-3.0-or-later
"""The network namespace of a running container, by the Docker Engine's API."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator, NamedTuple
from urllib.parse import quote

from ..docker_api import DOCKER_SOCKET, Api, NotFound
from ..errors import Conflict, MissingOnHost


class Running(NamedTuple):
    """One life of a container: ``pid`` is its first process as the host counts, ``started`` when that life began."""

    pid: int
    started: str


def running(name: str, docker_socket: str = DOCKER_SOCKET) -> Running:
    """The present life of container ``name``. Raises MissingOnHost without an engine, a container or life in it."""
    try:
        answer = Api(docker_socket).get(f"/containers/{quote(name, safe='')}/json")
    except NotFound as error:
        raise MissingOnHost(f"container {name}: there is no such container on this host") from error
    except MissingOnHost as error:
        raise MissingOnHost(f"container {name}: {error}") from error
    try:
        state = answer["State"]
        if state["Running"]:
            return Running(int(state["Pid"]), str(state["StartedAt"]))
        status = state.get("Status", "not running")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MissingOnHost(
            f"container {name}: what answers at {docker_socket} doesn't speak the Docker API"
        ) from error
    raise MissingOnHost(f"container {name}: it is {status}; start it first")


@contextmanager
def namespace_of(name: str, docker_socket: str = DOCKER_SOCKET) -> Iterator[str]:
    """A path by which the network namespace of container ``name`` can be entered while the context lasts.

    The path is an open file of ours, and the engine still calls that process the container's after it was opened: so a
    PID that died and went to somebody else in between can't lead astray (hazard 15). Raises Conflict if that happened.
    """
    before = running(name, docker_socket)
    try:
        descriptor = os.open(f"/proc/{before.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Conflict(f"container {name}: it stopped while it was looked at; try again") from error
    except PermissionError as error:
        raise MissingOnHost(f"container {name}: entering its network namespace needs root (CAP_SYS_PTRACE)") from error
    try:
        if running(name, docker_socket) != before:
            raise Conflict(f"container {name}: it was restarted while it was looked at; try again")
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
