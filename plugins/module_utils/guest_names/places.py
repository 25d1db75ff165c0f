# SPDX-License-Identifier: GPL-3.0-or-later
"""Where guests' files are: asked of the Docker engine, found below /etc/netns, and remembered from earlier runs."""

from __future__ import annotations

import fnmatch
import glob
import json
import os
from types import MappingProxyType
from typing import Any, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type
from urllib.parse import quote

from .. import records, state_directory
from ..apply.file_edits import NETNS_FILES
from ..docker_api import DOCKER_SOCKET, Api, NotFound
from ..document.fields import ALL_DIGITS, NETNS_NAME
from ..errors import Conflict, HostwireError, InvalidValue, MissingOnHost
from ..records import Unusable, of_kind

HOSTS, RESOLVER = "hosts", "resolv.conf"
HOST_FILE = "/etc/hosts"
_NONE: Mapping[str, Optional[bytes]] = MappingProxyType({})


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


def left_over(
    wanted: Iterable[Place], owner: str, state_dir: str, contents: Mapping[str, Optional[bytes]] = _NONE
) -> List[Place]:
    """Files in which an earlier run may have left something, for guests that are no longer asked for.

    ``contents`` are those of files that will be put back, None for one that goes. Raises Conflict.
    """
    known = {place.path for place in wanted}
    found = [HOST_FILE]
    for kind in (HOSTS, RESOLVER):
        pattern = f"{NETNS_FILES}/*/{kind}"
        found += sorted({*glob.glob(pattern), *fnmatch.filter(contents, pattern)})
    places = [Place(path, os.path.basename(path), path, wanted=False) for path in found]
    for path, label in _remembered(owner, state_dir, contents):
        kind = HOSTS if label.endswith(f"/{HOSTS}") else RESOLVER
        places.append(Place(path, kind, label, mounted=True, wanted=False))
    return [place for place in places if place.path not in known and _is_file(place.path, contents)]


def _is_file(path: str, contents: Mapping[str, Optional[bytes]]) -> bool:
    return contents[path] is not None if path in contents else os.path.isfile(path)


def noted(places: Iterable[Place]) -> Optional[bytes]:
    """What is remembered of the containers' files, which the engine may no longer know by name; None for nothing."""
    mounted = sorted({(place.path, place.label) for place in places if place.mounted})
    return json.dumps({"version": 1, "files": mounted}).encode() if mounted else None


def _remembered(owner: str, state_dir: str, contents: Mapping[str, Optional[bytes]]) -> List[Tuple[str, str]]:
    path = memory_of(owner, state_dir)
    try:
        content = contents[path] if path in contents else memory(path)
        text = None if content is None else content.decode("utf-8", "surrogateescape")
        record = records.parsed(path, text, "version", 1)
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


def memory(path: str) -> Optional[bytes]:
    """What such a file holds. Raises as state_directory.read does."""
    text = state_directory.read(path)
    return None if text is None else text.encode("utf-8", "surrogateescape")


def memory_of(owner: str, state_dir: str) -> str:
    """The file in which an owner's containers' files are remembered."""
    return os.path.join(state_dir, f"{owner}.names")
