# SPDX-License-Identifier: GPL-3.0-or-later
"""What isn't ours and hangs on what is: it is named, and what it hangs on stays until its owner has seen to it.

Ports of others in a bridge of ours, links built on one of ours, routes through one, addresses on one, and routes in a
namespace of ours. (Links of others in such a namespace: see removal.)
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple, Union

from .. import model
from ..document.containers import cables
from ..document.routes import DEFAULTS
from ..rtnetlink import constants as nl
from ..visible import visible
from .actions import AddressAdd, AddressDelete
from .owned import UPLINK, owner_of
from .sheet import Sheet, by_device, devices, is_our_route, kind_words, place

_SHOWN = 5  # of each kind; the rest is counted
_LOOPBACK = ("127.0.0.1/8", "::1/128")
_BY_ITSELF = (nl.RTPROT_KERNEL, nl.RTPROT_RA, nl.RTPROT_REDIRECT)  # the kernel made these routes, and makes them again


class _Room:
    """What hangs on each link of a namespace, by the link's index."""

    def __init__(self, view: model.NamespaceView) -> None:
        self.ports: Dict[int, List[model.Link]] = {}
        self.above: Dict[int, List[model.Link]] = {}  # VLANs, macvlans and the like
        self.beyond = by_device(view.beyond)
        for link in view.links.values():
            if link.master is not None:
                self.ports.setdefault(link.master, []).append(link)
            if link.peer_index is not None and link.peer_netnsid is None and link.kind != "veth":
                self.above.setdefault(link.peer_index, []).append(link)


class Hangers:
    """Finds what others have on the links and in the namespaces that a plan takes away.

    ``previous`` is the last run's document, ``remembered`` whether that is all that was done since; ``wanted`` what is
    to be there: a port that it moves to another bridge isn't cut off.
    """

    def __init__(self, sheet: Sheet, previous: model.Topology, remembered: bool, wanted: model.Topology) -> None:
        self._sheet = sheet
        self._moved = {(one.netns, one.name) for one in wanted.interfaces if one.bridge is not None}
        self._given: Dict[model.LinkKey, Set[str]] = {}
        self._rooms: Dict[Optional[str], _Room] = {}
        ends = [end for veth in cables(previous) for end in veth]
        # What was moved to a bridge goes back, and what somebody gets by lease is got anew.
        # So is it with a guest whose end the document gives no address.
        alone = [end for end in ends if end.leased or (end.netns is not None and not end.addresses)]
        self._sees_to_itself = {(end.netns, end.name) for end in alone} | sheet.leaving
        if remembered:
            self._remember(previous, ends)

    def _remember(self, document: model.Topology, ends: List[model.End]) -> None:
        """Note which addresses are the document's."""
        values: List[Union[model.Bridge, model.End, model.Interface]] = [*document.bridges, *ends, *document.interfaces]
        for value in values:
            self._given.setdefault((value.netns, value.name), set()).update(value.addresses)
        for namespace in document.namespaces:
            self._given.setdefault((namespace.name, "lo"), set())

    def conflicts(self) -> Iterator[str]:
        """A line for each thing of ours that can't go, and for each way in which others need it."""
        gone: Dict[Optional[str], List[str]] = {}
        for netns, name in sorted(self._sheet.gone, key=lambda key: (key[0] or "", key[1])):
            gone.setdefault(netns, []).append(name)
        for netns, names in gone.items():
            view = self._sheet.view.views[netns]
            for name in names:
                if name in view.links:
                    yield from self._of_link(view, view.links[name])
        for netns in sorted(self._sheet.gone_namespaces):
            yield from self._of_namespace(self._sheet.view.views[netns])
        yield from self._lost_routes()
        yield from self._lost_sources()

    def _lost_routes(self) -> Iterator[str]:
        """Of links that stay and go down, or lose their last IPv4 address: these take routes along (hazard 26)."""
        losing = dict.fromkeys(self._sheet.falling, "be taken down")
        losing.update({key: "lose its last IPv4 address" for key in self._bare() if key not in losing})
        for (netns, name), words in losing.items():
            link = self._sheet.link(netns, name)
            if link is None or not self._sheet.is_ours(netns, link) or (netns, name) in self._sees_to_itself:
                continue
            routes = self._through(self._sheet.view.views[netns], link)
            if words != "be taken down":
                routes = [route for route in routes if ":" not in route.to]
            if routes:
                what = f"{kind_words(link.kind)} {name} ({place(netns)})"
                told = _listed(map(_words, routes))
                yield f"{what} can't {words}: routes that aren't ours lead through it: {told}; delete them first"

    def _bare(self) -> List[model.LinkKey]:
        """The links that are left without an IPv4 address."""
        left: Dict[model.LinkKey, Set[str]] = {}
        actions = [step.action for step in self._sheet.steps]
        if not any(isinstance(action, AddressDelete) for action in actions):
            return []
        for action in actions:
            if isinstance(action, (AddressAdd, AddressDelete)) and ":" not in action.address:
                key = (action.netns, action.link)
                if key not in left:
                    left[key] = self._ipv4(*key)
                (left[key].add if isinstance(action, AddressAdd) else left[key].discard)(action.address)
        return [key for key, addresses in left.items() if not addresses]

    def _lost_sources(self) -> Iterator[str]:
        """Of routes that lead elsewhere, with a source that goes: IPv4 ones go along, IPv6 ones lose it."""
        for netns, leaving in self._leaving().items():
            view = self._sheet.view.views[netns]
            gone = {view.links[name].index for where, name in self._sheet.gone if where == netns and name in view.links}
            told: Dict[str, List[model.KernelRoute]] = {}
            for route in (*view.routes, *view.beyond):
                if route.prefsrc in leaving and not devices(route) & gone and self._is_foreign(netns, route):
                    told.setdefault(route.prefsrc or "", []).append(route)
            for source, routes in told.items():
                yield (
                    f"address {source} of {leaving[source]} ({place(netns)}) can't be removed: it is the source of "
                    f"routes that aren't ours: {_listed(map(_words, routes))}; delete them first"
                )

    def _leaving(self) -> Dict[Optional[str], Dict[str, str]]:
        """The addresses that a namespace which stays has no longer, and where they were."""
        gone = {(netns, name): None for netns, name in self._sheet.gone if netns not in self._sheet.gone_namespaces}
        taken = {(key, ip) for key in gone for ip in self._held(*key)}
        given: Set[Tuple[Optional[str], str]] = set()
        for step in self._sheet.steps:
            action = step.action
            if isinstance(action, AddressDelete):
                taken.add(((action.netns, action.link), _ip(action.address)))
            elif isinstance(action, AddressAdd):
                given.add((action.netns, _ip(action.address)))
        found: Dict[Optional[str], Dict[str, str]] = {}
        for key, ip in sorted(taken, key=repr):
            # Another link has it before it goes: of IPv4 ones where the link stays, of IPv6 ones where that goes.
            kept = (key[0], ip) in given and (":" in ip) == (key in gone)
            if key not in self._sees_to_itself and not kept:
                found.setdefault(key[0], {})[ip] = key[1]
        return found

    def _held(self, netns: Optional[str], name: str) -> List[str]:
        view = self._sheet.view.views[netns]
        there = view.addresses.get(view.links[name].index, ()) if name in view.links else ()
        return [_ip(entry.address) for entry in there if entry.scope != nl.RT_SCOPE_LINK]

    def _ipv4(self, netns: Optional[str], name: str) -> Set[str]:
        link = self._sheet.link(netns, name)
        there = self._sheet.view.views[netns].addresses.get(link.index, ()) if link is not None else ()
        return {entry.address for entry in there if ":" not in entry.address}

    def _through(self, view: model.NamespaceView, link: model.Link) -> List[model.KernelRoute]:
        """The routes of others that lead through a link."""
        every = (*self._sheet.through(view.netns, link), *self._room(view).beyond.get(link.index, ()))
        return [route for route in every if self._is_foreign(view.netns, route)]

    def _of_link(self, view: model.NamespaceView, link: model.Link) -> Iterator[str]:
        """A line for each kind of thing that hangs on a link which is to go."""
        for thing, hangers, deed in self._hanging(view, link):
            what = f"{kind_words(link.kind)} {link.name} ({place(view.netns)}) can't be removed"
            yield f"{what}: {thing}: {_listed(hangers)}; {deed}"

    def _hanging(self, view: model.NamespaceView, link: model.Link) -> Iterator[Tuple[str, List[str], str]]:
        """What hangs on the link, and what is to be done with it."""
        netns = view.netns
        room = self._room(view)
        ports = [self._called(port) for port in room.ports.get(link.index, ()) if self._is_stranger_port(netns, port)]
        if ports:
            yield "ports that aren't ours are plugged into it", ports, "unplug them first"
        above = [self._called(one) for one in room.above.get(link.index, ()) if not self._goes_along(netns, one)]
        if above:
            yield "links that aren't ours are built on it", above, "delete them first"
        if (netns, link.name) in self._sees_to_itself or (netns or "").startswith(model.CONTAINER):
            return  # what a container has on a cable of ours is its own
        routes = self._through(view, link)
        if routes:
            yield "routes that aren't ours lead through it", [*map(_words, routes)], "delete them first"
        addresses = self._addresses(netns, link, view.addresses.get(link.index, ()))
        if addresses:
            yield "addresses that aren't ours are on it", addresses, "take them from it first"

    def _of_namespace(self, view: model.NamespaceView) -> Iterator[str]:
        what = f"namespace {view.netns} can't be removed"
        ways = {link.index for link in view.links.values() if link.name != "lo"}
        every = (*view.routes, *view.beyond)
        routes = [one for one in every if not devices(one) & ways and self._is_foreign(view.netns, one)]
        if routes:
            yield f"{what}: routes that aren't ours are in it: {_listed(map(_words, routes))}; delete them first"
        lo = view.links.get("lo")
        addresses = self._addresses(view.netns, lo, view.addresses.get(lo.index, ())) if lo is not None else []
        if addresses:
            yield f"{what}: addresses that aren't ours are on its lo: {_listed(addresses)}; take them from it first"

    def _room(self, view: model.NamespaceView) -> _Room:
        if view.netns not in self._rooms:
            self._rooms[view.netns] = _Room(view)
        return self._rooms[view.netns]

    def _is_stranger_port(self, netns: Optional[str], port: model.Link) -> bool:
        """Whether it is somebody else's who plugged it in, and is cut off."""
        key = (netns, port.name)
        if self._goes_along(netns, port) or key in self._moved:
            return False
        return not any((*key, field) in self._sheet.owned.settings for field in ("bridge", UPLINK))

    def _goes_along(self, netns: Optional[str], link: model.Link) -> bool:
        return (netns, link.name) in self._sheet.gone or self._sheet.is_ours(netns, link)

    def _is_foreign(self, netns: Optional[str], route: model.KernelRoute) -> bool:
        if is_our_route(route):
            mine = (netns, route.to, route.table, route.metric) in self._sheet.owned.routes
            return not mine and (netns is None or not self._sheet.is_our_namespace(netns))
        return route.protocol not in _BY_ITSELF

    def _addresses(self, netns: Optional[str], link: model.Link, there: Iterable[model.Address]) -> List[str]:
        """Those that stay until somebody takes them away. Where it isn't known what we gave, none."""
        given = self._given.get((netns, link.name))
        if given is None or not self._sheet.certain:
            return []
        return [
            entry.address
            for entry in there
            if entry.flags & nl.IFA_F_PERMANENT
            and entry.scope != nl.RT_SCOPE_LINK
            and entry.address not in given
            and (netns, link.name, entry.address) not in self._sheet.owned.addresses
            and not (link.name == "lo" and entry.address in _LOOPBACK)
        ]

    def _called(self, link: model.Link) -> str:
        owner = owner_of(link.alias)
        name = visible(link.name)
        return name if owner is None else f"{name} (of the document {owner!r})"


def _ip(address: str) -> str:
    return address.partition("/")[0]


def _words(route: model.KernelRoute) -> str:
    to = "default" if route.to in DEFAULTS else route.to
    table = f" (table {route.table})" if route.table != model.TABLE_MAIN else ""
    return f"{to} via {route.via}{table}" if route.via else to + table


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
