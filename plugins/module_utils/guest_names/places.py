# SPDX-License-Identifier: GPL-3.0-or-later
"""Where guests' files are: asked of the Docker engine, found below /etc/netns, and remembered from earlier runs."""

from __future__ import annotations

import glob
import json
import os
from typing import Any, Iterable, Iterator, List, NamedTuple, Sequence, Tuple, Type
from urllib.parse import quote

from .. import files, records
from ..docker_api import DOCKER_SOCKET, Api, NotFound
from ..document.fields import ALL_DIGITS, NETNS_NAME
from ..errors import Conflict, HostwireError, InvalidValue, MissingOnHost
from ..records import Unusable, of_kind

HOSTS, RESOLVER = "hosts", "resolv.conf"
NETNS_FILES = "/etc/netns"
HOST_FILE = "/etc/hosts"


class Place(NamedTuple):
    """A file: of what kind, what a plan calls it, and whether it is mounted into a container.

    ``wanted``: it is a guest's that was asked for. ``served_by``: the servers that a container was started with.
    """

    path: str
    kind: str
    label: str
    mounted: bool = False
    wanted: bool = True
    served_by: Tuple[str, ...] = ()


def of_namespaces(names: Sequence[Any]) -> List[Place]:
    """The files that ip-netns(8) puts over those of /etc. Raises InvalidValue."""
    problems = []
    places = []
    for number, name in enumerate(names):
        if not isinstance(name, str) or not NETNS_NAME.fullmatch(name) or ALL_DIGITS.fullmatch(name):
            problems.append(f"namespaces[{number}]: \"{name}\" can't be a namespace's name")
        for kind in (HOSTS, RESOLVER):
            path = f"{NETNS_FILES}/{name}/{kind}"
            places.append(Place(path, kind, path))
    if problems:
        raise InvalidValue(problems)
    return places


def of_containers(names: Sequence[Any], docker_socket: str = DOCKER_SOCKET) -> List[Place]:
    """The files that the engine mounts into running containers. Raises MissingOnHost, Conflict, InvalidValue."""
    problems: List[str] = []
    places: List[Place] = []
    kind: Type[HostwireError] = InvalidValue
    for number, name in enumerate(names):
        if not isinstance(name, str) or not NETNS_NAME.fullmatch(name):  # Docker's names are of these characters too
            problems.append(f"containers[{number}]: \"{name}\" can't be a container's name")
            continue
        try:
            places += _of_container(name, docker_socket)
        except (Conflict, MissingOnHost) as error:
            problems += error.problems
            kind = type(error)
    if problems:
        raise kind(problems)
    return places


def _of_container(name: str, docker_socket: str) -> List[Place]:
    try:
        answer = Api(docker_socket).get(f"/containers/{quote(name, safe='')}/json")
    except NotFound as error:
        raise MissingOnHost(f"container {name}: there is no such container on this host") from error
    except MissingOnHost as error:
        raise MissingOnHost(f"container {name}: {error}") from error
    try:
        if not answer["State"]["Running"]:
            raise MissingOnHost(
                f"container {name}: it is {answer['State'].get('Status', 'not running')}; start it first"
            )
        dns = tuple(str(address) for address in answer["HostConfig"].get("Dns") or ())
        paths = {HOSTS: answer["HostsPath"], RESOLVER: answer["ResolvConfPath"]}
        mounts = {str(mount.get("Destination")): str(mount.get("Source")) for mount in answer.get("Mounts") or ()}
    except (KeyError, TypeError, AttributeError) as error:
        raise MissingOnHost(
            f"container {name}: what answers at {docker_socket} doesn't speak the Docker API"
        ) from error
    places = []
    for kind, path in paths.items():
        if f"/etc/{kind}" in mounts:
            raise Conflict(f"container {name}: its /etc/{kind} is {mounts[f'/etc/{kind}']}, mounted by whoever made it")
        if not path or not os.path.isfile(path):
            raise MissingOnHost(f"container {name}: the engine keeps no {kind} for it (it says {path!r})")
        places.append(Place(path, kind, f"container {name}: /etc/{kind}", mounted=True, served_by=dns))
    return places


def left_over(wanted: Iterable[Place], owner: str, state_dir: str) -> List[Place]:
    """Files in which an earlier run may have left something, for guests that are no longer asked for."""
    known = {place.path for place in wanted}
    found = [HOST_FILE]
    for kind in (HOSTS, RESOLVER):
        found += sorted(glob.glob(f"{NETNS_FILES}/*/{kind}"))
    places = [Place(path, os.path.basename(path), path, wanted=False) for path in found]
    for path, label in _remembered(owner, state_dir):
        kind = HOSTS if label.endswith(f"/{HOSTS}") else RESOLVER
        places.append(Place(path, kind, label, mounted=True, wanted=False))
    return [place for place in places if place.path not in known and os.path.isfile(place.path)]


def remember(places: Iterable[Place], owner: str, state_dir: str) -> None:
    """Note the containers' files, which can't be found again when the engine no longer knows them by name."""
    mounted = sorted({(place.path, place.label) for place in places if place.mounted})
    path = _memory(owner, state_dir)
    if mounted:
        if _remembered(owner, state_dir) != mounted:
            files.write(path, json.dumps({"version": 1, "files": mounted}), 0o600)
    elif os.path.exists(path):
        files.remove(path)


def _remembered(owner: str, state_dir: str) -> List[Tuple[str, str]]:
    path = _memory(owner, state_dir)
    try:
        record = records.load(path, "version", 1)
        return [] if record is None else records.shaped(path, lambda: list(_noted(record.found["files"])))
    except Unusable as error:
        if not error.mendable:
            raise
        raise Conflict(
            f"{error}: it said in which containers' files there may be names of {owner!r} that nobody asks for now; "
            "delete it, then run this again"
        ) from error


def _noted(entries: Any) -> Iterator[Tuple[str, str]]:
    for path, label in of_kind(entries, "files", list):
        if not of_kind(path, "a file", str).startswith("/") or "\0" in path:
            raise ValueError("a file has no whole path")
        yield path, of_kind(label, "a label", str)


def _memory(owner: str, state_dir: str) -> str:
    return os.path.join(state_dir, f"{owner}.names")
