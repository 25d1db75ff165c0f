# SPDX-License-Identifier: GPL-3.0-or-later
"""What identifies an object of a document: the one table that all go by.

Rules about what is there twice, fragments that join their document or are cut out of it, the planner's keys, the
modules and their pages.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..model import Container, Masquerade, PublishedPort, Route, Topology, Veth
from .published import ANY
from .routes import DEFAULT_METRIC, EITHER_DEFAULT, TABLE_ANY

LinkKey = Tuple[Optional[str], str]  # namespace, link
RouteKey = Tuple[Optional[str], str, int, int]  # namespace, to, table, metric
Key = Tuple[Any, ...]
_LINKS = ("bridges", "veths", "taps")


class Identity(NamedTuple):
    """What tells the objects of one of a document's lists apart.

    ``fields``: their names, as people write them. ``keys``: by what an object is known; a cable by either end.
    ``same``: whether of two that share a key the new one, said first, is what became of the old one. ``meant``: whether
    an entry of a document with state absent means an object; a field that it leaves out fits all.
    """

    fields: Tuple[str, ...]
    keys: Callable[[Any], Tuple[Key, ...]]
    same: Callable[[Any, Any], bool]
    meant: Callable[[Any, Any], bool]


def link_key(value: Any) -> LinkKey:
    """What tells an interface apart, whatever its kind."""
    return value.netns, value.name


def route_key(route: Route) -> RouteKey:
    """What tells a route apart; the kernel has one of each."""
    metric = route.metric if route.metric is not None else DEFAULT_METRIC[_family(route.to)]
    return route.netns, route.to, route.table, metric


def masquerade_key(entry: Masquerade) -> Key:
    """What tells a translation apart."""
    return entry.netns, entry.source


def of(section: str, value: Any) -> Key:
    """The key of an object of this section; of a cable that of its first end."""
    return IDENTITY[section].keys(value)[0]


def namesakes(section: str, entries: Iterable[Any]) -> Namesakes:
    """An index of these objects by what identifies them."""
    return Namesakes(IDENTITY[section], entries)


class Namesakes:
    """Finds what of many objects is the same one as another."""

    def __init__(self, identity: Identity, entries: Iterable[Any]) -> None:
        self._identity = identity
        self._by_key: Dict[Key, List[Any]] = {}
        for entry in entries:
            for key in identity.keys(entry):
                self._by_key.setdefault(key, []).append(entry)

    def of(self, new: Any) -> List[Any]:
        """Those whose place ``new`` takes. By its first name, if that is known: a second one belongs to another."""
        for key in self._identity.keys(new):
            found = [old for old in self._by_key.get(key, ()) if self._identity.same(new, old)]
            if found:
                return found
        return []


def merged(section: str, whole: Sequence[Any], part: Sequence[Any]) -> Tuple[Any, ...]:
    """``whole`` with the objects of ``part`` added or put in the place of what they are now."""
    if not part:
        return tuple(whole)
    index = namesakes(section, whole)
    stands: Dict[int, Any] = {id(old): old for old in whole}
    places: Dict[int, List[Any]] = {}
    last: List[Any] = []
    for new in part:
        old = [one for one in index.of(new) if id(one) in stands]
        for one in old:
            del stands[id(one)]
        (places.setdefault(id(old[0]), []) if old else last).append(new)
    kept = [one for old in whole for one in ([old] if id(old) in stands else places.get(id(old), []))]
    return (*kept, *last)


def meant(section: str, whole: Iterable[Any], part: Sequence[Any]) -> List[Any]:
    """Those objects of ``whole`` that the entries ``part`` of a document with state absent mean."""
    matches = IDENTITY[section].meant
    return [entry for entry in whole if any(matches(wanted, entry) for wanted in part)] if part else []


def routes_meant(keys: Iterable[RouteKey], part: Sequence[Route]) -> List[Route]:
    """The same for routes of which no more is known than what identifies them."""
    return meant("routes", [Route(netns, to, None, None, metric, table) for netns, to, table, metric in keys], part)


def concerned(section: str, whole: Iterable[Any], wanted: Any, present: bool) -> List[Any]:
    """Those objects of ``whole`` that a task about ``wanted`` is about."""
    return namesakes(section, whole).of(wanted) if present else meant(section, whole, [wanted])


def of_other_kinds(section: str, whole: Topology) -> Set[Key]:
    """What tells the document's links of other kinds than this one apart: no entry of this kind means them."""
    if section not in _LINKS:
        return set()
    entries = ((other, entry) for other in _LINKS if other != section for entry in getattr(whole, other))
    return {key for other, entry in entries for key in IDENTITY[other].keys(entry)}


def standing_on(rooms: Set[str], entry: Any) -> bool:
    """Whether an object can't be without one of these namespaces."""
    places = (entry.a.netns, entry.b.netns) if isinstance(entry, Veth) else (getattr(entry, "netns", None),)
    return not rooms.isdisjoint(places)


def sections(topology: Topology) -> Dict[str, Tuple[Any, ...]]:
    """Every list of a document whose objects have an identity."""
    return {section: getattr(topology, section) for section in IDENTITY}


def _family(text: str) -> int:
    return 6 if ":" in text else 4


def _ends(veth: Veth) -> Tuple[Key, ...]:
    """By its peer, too; one that is left out identifies nothing."""
    return tuple(link_key(end) for end in veth if end.name)


def _port_family(port: PublishedPort) -> Optional[int]:
    """The family of the local addresses that it is published on; None if that isn't said."""
    told = port.to_address if port.address in (ANY, "") else port.address
    return _family(told) if told else None


def _port_key(port: PublishedPort) -> Key:
    """A range goes by its first port. Its address isn't part of it: ``any`` is each of them."""
    return port.netns, port.protocol, port.port, _port_family(port)


def _same_port(new: PublishedPort, old: PublishedPort) -> bool:
    return new.address == old.address or ANY in (new.address, old.address)


def _port_meant(wanted: PublishedPort, port: PublishedPort) -> bool:
    return (
        (wanted.netns, wanted.port) == (port.netns, port.port)
        and wanted.protocol in ("", port.protocol)
        and wanted.address in ("", port.address)
        and _port_family(wanted) in (None, _port_family(port))
    )


def _route_meant(wanted: Route, route: Route) -> bool:
    netns, to, table, metric = route_key(route)
    return (
        wanted.netns == netns
        and (wanted.to == to or (wanted.to == EITHER_DEFAULT and to.endswith("/0")))
        and wanted.table in (TABLE_ANY, table)
        and wanted.metric in (None, metric)
    )


def _plain(fields: Tuple[str, ...], key: Callable[[Any], Key]) -> Identity:
    """Of a kind that is told by one key, which a task always says as a whole."""
    return Identity(fields, lambda value: (key(value),), lambda _new, _old: True, lambda a, b: key(a) == key(b))


def _container_key(value: Container) -> Key:
    return value.container, value.name


IDENTITY: Dict[str, Identity] = {
    "namespaces": _plain(("name",), lambda value: (value.name,)),
    "bridges": _plain(("netns", "name"), link_key),
    "veths": Identity(
        ("netns", "name"), _ends, lambda _new, _old: True, lambda wanted, veth: link_key(wanted.a) in _ends(veth)
    ),
    "interfaces": _plain(("netns", "name"), link_key),
    "taps": _plain(("netns", "name"), link_key),
    "containers": _plain(("container", "name"), _container_key),
    "routes": Identity(
        ("netns", "to", "table", "metric"), lambda route: (route_key(route),), lambda _new, _old: True, _route_meant
    ),
    "masquerade": _plain(("netns", "source"), masquerade_key),
    "published_ports": Identity(
        ("netns", "protocol", "port", "address"), lambda port: (_port_key(port),), _same_port, _port_meant
    ),
}
