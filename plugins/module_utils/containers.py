# SPDX-License-Identifier: GPL-3.0-or-later
"""The network namespaces of running containers, by the Docker Engine's API."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple
from urllib.parse import quote

from . import netns
from .docker_api import DOCKER_SOCKET, Api, NotFound
from .errors import Conflict, HostwireError, MissingOnHost
from .model import CONTAINER, Guests, Life


class NotRunning(MissingOnHost):
    """There is no such container, or no life in it."""


class Running(NamedTuple):
    """One life of a container: ``pid`` is its first process as the host counts, ``started`` when that life began."""

    pid: int
    started: str


def running(name: str, docker_socket: str = DOCKER_SOCKET) -> Running:
    """The present life of container ``name``; NotRunning if there is none, MissingOnHost without an engine."""
    try:
        answer = Api(docker_socket).get(f"/containers/{quote(name, safe='')}/json")
    except NotFound as error:
        raise NotRunning(f"container {name}: there is no such container on this host") from error
    except MissingOnHost as error:
        raise MissingOnHost(f"container {name}: {error}") from error
    try:
        state = answer["State"]
        if state["Running"] and int(state["Pid"]):  # one that is just restarting has no process
            return Running(int(state["Pid"]), str(state["StartedAt"]))
        status = state.get("Status", "not running")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MissingOnHost(
            f"container {name}: what answers at {docker_socket} doesn't speak the Docker API"
        ) from error
    raise NotRunning(f"container {name}: it is {status}; start it first")


class Opened(NamedTuple):
    """An open file of a container's network namespace, and whose life it is."""

    descriptor: int
    life: Life


@contextmanager
def namespace_of(name: str, docker_socket: str = DOCKER_SOCKET) -> Iterator[Opened]:
    """The network namespace of container ``name``, open while the context lasts.

    The engine still calls that process the container's after its namespace was opened: so a PID that died and went to
    somebody else in between can't lead astray (hazard 15). Raises Conflict if that happened.
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
        yield Opened(descriptor, Life(before.pid, before.started, os.fstat(descriptor).st_ino))
    finally:
        os.close(descriptor)


@contextmanager
def opened(wanted: Sequence[str], remembered: Sequence[str], docker_socket: str = DOCKER_SOCKET) -> Iterator[Guests]:
    """Within the context ``container:NAME`` stands for a namespace, as the name of a named one does.

    ``wanted`` are to have cables; in ``remembered`` there may be some, and one of these that doesn't run is no problem.
    """
    guests = Guests({}, set(), {})
    descriptors: Dict[str, int] = {}
    by_inode: Dict[int, str] = {}
    host = netns.inode_of(None)
    with ExitStack() as stack:
        for key in dict.fromkeys((*wanted, *remembered)):
            try:
                there = stack.enter_context(namespace_of(key[len(CONTAINER) :], docker_socket))
            except HostwireError as error:
                if isinstance(error, NotRunning):
                    guests.ended.add(key)
                if key in wanted:
                    guests.problems[key] = str(error)
                if not isinstance(error, (NotRunning, Conflict)):
                    break  # what is wrong with the engine, or with our rights, is so for all of them
                continue
            other = by_inode.setdefault(there.life.inode, key)
            problem = _on_the_host(key) if there.life.inode == host else _shared(key, other) if other != key else None
            if problem is None:
                guests.lives[key] = there.life
                descriptors[key] = there.descriptor
                continue
            guests.ended.add(key)
            if key in wanted:
                guests.problems[key] = problem
        with netns.lent(descriptors):
            yield guests


def _on_the_host(key: str) -> str:
    return (
        f"container {key[len(CONTAINER) :]}: it has the host's own network (--network host), where no cable leads; "
        "leave it out, or run it with another network"
    )


def _shared(key: str, other: str) -> str:
    return (
        f"container {key[len(CONTAINER) :]}: it shares the network namespace of container {other[len(CONTAINER) :]}; "
        "say that one's name for this cable, too"
    )


def restarted(lives: Sequence[Tuple[str, Life]], docker_socket: str = DOCKER_SOCKET) -> List[str]:
    """Which of these lives have ended since, a line each."""
    found = []
    for key, life in lives:
        try:
            now = running(key[len(CONTAINER) :], docker_socket)
        except HostwireError as error:
            found.append(str(error))
            continue
        if now != life[:2]:
            found.append(f"container {key[len(CONTAINER) :]}: it was restarted meanwhile; run this again")
    return found
