# SPDX-License-Identifier: GPL-3.0-or-later
"""The network namespace of a running container, by the Docker Engine's API."""

from __future__ import annotations

import http.client
import json
import os
import socket
from contextlib import contextmanager
from typing import Any, Iterator, NamedTuple
from urllib.parse import quote

from ..errors import Conflict, MissingOnHost

DOCKER_SOCKET = "/var/run/docker.sock"
DOCKER_TIMEOUT = 10.0  # seconds for one request; a healthy engine answers in milliseconds


class Running(NamedTuple):
    """One life of a container: ``pid`` is its first process as the host counts, ``started`` when that life began."""

    pid: int
    started: str


class _DockerConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=DOCKER_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DOCKER_TIMEOUT)
        self.sock.connect(self._path)


def running(name: str, docker_socket: str = DOCKER_SOCKET) -> Running:
    """The present life of container ``name``. Raises MissingOnHost without an engine, a container or life in it."""
    connection = _DockerConnection(docker_socket)
    try:
        connection.request("GET", f"/containers/{quote(name, safe='')}/json")
        response = connection.getresponse()
        status, body = response.status, response.read()
        if status == 404:
            raise MissingOnHost(f"container {name}: there is no such container on this host")
        answer: Any = json.loads(body)
        if status != 200:
            raise MissingOnHost(f"container {name}: the Docker engine says {answer.get('message', status)}")
        state = answer["State"]
        if not state["Running"]:
            raise MissingOnHost(f"container {name}: it is {state.get('Status', 'not running')}; start it first")
        return Running(int(state["Pid"]), str(state["StartedAt"]))
    except OSError as error:
        raise MissingOnHost(
            f"container {name}: no Docker engine answers at {docker_socket}: {error.strerror or error}"
        ) from error
    except (http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MissingOnHost(
            f"container {name}: what answers at {docker_socket} doesn't speak the Docker API"
        ) from error
    finally:
        connection.close()


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
