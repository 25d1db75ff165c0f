# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for the objects that documents name, and tells them with the values that they have."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple, Union

from .. import model
from ..document import identity
from ..document.containers import cable, cables
from ..document.identity import RouteKey, link_key, route_key
from ..document.links import same_mtu
from ..rtnetlink.constants import IFA_F_PERMANENT, RT_SCOPE_LINK, RTN_UNICAST
from ..rtnetlink.routes import TYPES
from .links import VETH_MTU
from .owned import Owned
from .removal import marked_links
from .settings import current, is_switch
from .sheet import Sheet, is_our_route
from .touched import Touched

_TYPES = {number: word for word, number in TYPES.items()}


class _Named(NamedTuple):
    """The same object as the last document and as this one names it, or one of them; in this order.

    ``wanted``: whether this one does.
    """

    several: Tuple[Any, ...]
    wanted: bool = False

    def first(self) -> Any:
        """As it was named when it was made."""
        return self.several[0]

    def stays(self) -> bool:
        """Whether this document names it as the last one did, if that one did."""
        return self.wanted and all(value == self.several[0] for value in self.several[1:])

    def says(self, field: str) -> bool:
        """Whether a field is spoken of at all."""
        return any(getattr(value, field) is not None for value in self.several)

    def together(self, field: str) -> Tuple[str, ...]:
        """All that a list of texts has in either."""
        return tuple(dict.fromkeys(text for value in self.several for text in getattr(value, field)))


class Finder:
    """Looks for objects on a host, by the names that two documents have for them.

    ``touched``: what a plan for the whole document touches, so that all else is as it says; None if it is for a part.
    A link that is on paper only may have no MAC address yet: then none is told.
    """

    def __init__(
        self,
        view: model.HostView,
        owned: Owned,
        previous: model.Topology,
        stored: model.Topology,
        touched: Optional[Touched],
    ) -> None:
        self._touched = touched
        self._sheet = Sheet(view, owned, "")
        self._view = view
        self._owned = owned
        self._documents = (previous, stored)
        self._unnamed = self._marked() if touched is not None else []

    def _marked(self) -> List[Tuple[model.LinkKey, model.Link]]:
        """Links of ours that neither document names."""
        known = {link_key(value) for one in self._documents for value in (*one.bridges, *one.taps)}
        known |= {link_key(end) for one in self._documents for veth in cables(one) for end in veth}
        marked = sorted(marked_links(self._sheet, known), key=lambda key: (key[0] or "", key[1]))
        return [(key, self._view.views[key[0]].links[key[1]]) for key in marked]

    def _named(self, section: str, more: Iterable[Any] = ()) -> Iterator[_Named]:
        """Each object once."""
        first, second = (getattr(one, section) for one in self._documents)
        index = identity.namesakes(section, second if first else ())
        said: Set[int] = set()
        for value in first:
            same = index.of(value)
            said.update(map(id, same))
            yield _Named((value, *same), bool(same))
        for value in second:
            if id(value) not in said:
                yield _Named((value,), True)
        for value in more:
            yield _Named((value,))

    def namespaces(self) -> Iterator[model.Namespace]:
        """Those that were made, with what their files say."""
        more = [model.Namespace(name) for name in self._owned.namespaces]
        done = set()
        for named in self._named("namespaces", more):
            name = named.first().name
            if name in done or not self._sheet.is_our_namespace(name):
                continue
            done.add(name)
            if self._touched is not None and name not in self._touched.rooms and named.stays():
                yield named.first()
                continue
            yield model.Namespace(
                name,
                self.forwarding(name, [value.forwarding for value in named.several]),
                self.sysctls(name, [value.sysctls for value in named.several]),
                tuple(value for key, value in self._lines(name, "resolv.conf") if key == "nameserver"),
                tuple(
                    sorted((host, address) for address, host in self._lines(name, "hosts") if host != "localhost"),
                ),
            )

    def _lines(self, name: str, file: str) -> Iterator[Tuple[str, str]]:
        """The words of a file of ours, which has two in each line."""
        path = f"/etc/netns/{name}/{file}"
        text = self._view.files.get(path) if path in self._owned.files else None
        for line in (text or "").splitlines():
            words = line.split()
            if len(words) == 2 and not line.startswith("#"):
                yield words[0], words[1]

    def forwarding(self, netns: Optional[str], said: List[model.Forwarding]) -> model.Forwarding:
        """The switches of which a document says something."""
        view = self._view.views.get(netns)
        if view is None:
            return model.Forwarding()
        return model.Forwarding(
            view.forwarding_ipv4 if any(value.ipv4 is not None for value in said) else None,
            bool(view.forwarding_ipv6) if any(value.ipv6 is not None for value in said) else None,
        )

    def sysctls(self, netns: Optional[str], said: List[Tuple[Tuple[str, str], ...]]) -> Tuple[Tuple[str, str], ...]:
        """The settings of which a document says something."""
        view = self._view.views.get(netns)
        paths = dict.fromkeys(path for settings in said for path, _value in settings if not is_switch(path))
        values = [(path, current(view, path)) for path in paths]
        return tuple((path, value) for path, value in values if value is not None)

    def bridges(self, labels: Mapping[str, bool]) -> Iterator[model.Bridge]:
        """Switches; ``labels``: which of the host's rules stand."""
        more = [model.Bridge(name, netns) for (netns, name), link in self._unnamed if link.kind == "bridge"]
        for named in self._named("bridges", more):
            bridge = named.first()
            link = self._ours(bridge.netns, bridge.name, "bridge")
            if link is not None:
                uplink = next((v.uplink for v in named.several if self._is_uplink(v, link)), None)
                carried = any(value.uplink is not None for value in named.several)
                said = named.together("addresses")
                found = self._addresses(bridge.netns, link, said)
                yield model.Bridge(
                    bridge.name,
                    bridge.netns,
                    # Of one that does an uplink's work only those that a document names: others are the uplink's.
                    tuple(address for address in found if not carried or address in said),
                    (link.mac or None) if named.says("mac") else None,
                    link.mtu if named.says("mtu") else None,
                    link.up,
                    bool(link.stp),
                    bool(link.vlan_filtering),
                    self._guests(bridge, labels),
                    uplink,
                )

    def _is_uplink(self, bridge: model.Bridge, link: model.Link) -> bool:
        nic = self._sheet.link(bridge.netns, bridge.uplink) if bridge.uplink is not None else None
        return nic is not None and nic.master == link.index

    def _guests(self, bridge: model.Bridge, labels: Mapping[str, bool]) -> Optional[model.GuestPolicy]:
        """What is said of the guests on a switch, as far as its rules stand and its ports are isolated."""
        policy, name = bridge.guests, bridge.name
        if policy is None:
            return None

        def closed(words: str) -> bool:
            return labels.get(words, True)

        used = f"let guests on {name} use {' and '.join(policy.services)} of the host"
        apart = closed(f"keep guests on {name} from each other") and not any(
            link.isolated is False for link in self._ports(bridge)
        )
        return model.GuestPolicy(
            policy.to_host or not closed(f"keep guests on {name} from the host"),
            policy.from_host or not closed(f"keep the host from guests on {name}"),
            policy.among or not apart,
            policy.outside or not closed(f"keep guests on {name} from other networks"),
            policy.services if labels.get(used) else (),
            policy.from_others and bool(labels.get(f"let guests of other networks call those on {name}")),
        )

    def _ports(self, bridge: model.Bridge) -> Iterator[model.Link]:
        """The ports that the last document, or this one, plugs into a switch, as far as they are there."""
        (document, *_same) = (one for one in self._documents if bridge in one.bridges)
        ports: List[Union[model.End, model.Tap]] = [end for veth in cables(document) for end in veth]
        for port in (*ports, *document.taps):
            link = self._sheet.link(*link_key(port)) if (port.netns, port.bridge) == link_key(bridge) else None
            if link is not None:
                yield link

    def veths(self) -> Iterator[model.Veth]:
        """Cables, between whatever ends."""
        more: Dict[model.LinkKey, model.Veth] = {}
        for (netns, name), link in self._unnamed:
            peer = self._view.peers.get((netns, name)) if link.kind == "veth" else None
            if peer is not None and peer not in more:
                more[netns, name] = model.Veth(model.End(name, netns), model.End(peer[1], peer[0]))
        done = set()
        for named in self._named("veths", more.values()):
            if named.stays() and self._is_untouched(named.first()):
                done.add(frozenset(map(link_key, named.first())))
                yield named.first()
                continue
            for veth in named.several:
                same = [value for value in named.several if {*map(link_key, value)} == {*map(link_key, veth)}]
                there = self._veth(veth, same)
                if there is not None and frozenset(map(link_key, there)) not in done:
                    done.add(frozenset(map(link_key, there)))
                    yield there

    def _is_untouched(self, veth: model.Veth) -> bool:
        return self._touched is not None and not any(self._touched.has_link(*link_key(end)) for end in veth)

    def _veth(self, veth: model.Veth, same: List[model.Veth]) -> Optional[model.Veth]:
        ends: List[model.End] = []
        for end, whole in zip(veth, same_mtu(veth)):
            link = self._ours(end.netns, end.name, "veth")
            if link is not None:
                said = _Named(tuple(one for value in same for one in value if link_key(one) == link_key(end)))
                ends.append(self._end(end, link, said, whole.mtu or VETH_MTU))
        if len(ends) == 2 and self._view.peers.get(link_key(veth.a)) == link_key(veth.b):
            return model.Veth(ends[0], ends[1])
        return None

    def _end(self, end: model.End, link: model.Link, named: _Named, usual_mtu: int) -> model.End:
        said = named.together("addresses")
        addresses = self._addresses(end.netns, link, said)
        return end._replace(
            bridge=self._master(end.netns, link),
            addresses=tuple(address for address in addresses if not end.leased or address in said),
            mac=(link.mac or None) if named.says("mac") else None,
            mtu=link.mtu if named.says("mtu") or link.mtu != usual_mtu else None,
            up=link.up,
        )

    def containers(self) -> Iterator[model.Container]:
        """Cables into containers."""
        for named in self._named("containers"):
            container = named.first()
            there = self._veth(cable(container), [cable(value) for value in named.several])
            if there is not None:
                host, guest = there
                yield container._replace(
                    bridge=host.bridge, addresses=guest.addresses, mac=guest.mac, mtu=guest.mtu, leased=guest.leased
                )

    def taps(self) -> Iterator[model.Tap]:
        """Sockets for virtual machines."""
        more = [model.Tap(name, netns) for (netns, name), link in self._unnamed if link.kind == "tun"]
        for named in self._named("taps", more):
            tap = named.first()
            link = self._ours(tap.netns, tap.name, "tun")
            if link is not None:
                owners = [v.owner for v in named.several if v.owner and self._view.users.get(v.owner) == link.owner]
                yield tap._replace(
                    bridge=self._master(tap.netns, link),
                    mac=(link.mac or None) if named.says("mac") else None,
                    mtu=link.mtu if named.says("mtu") or link.mtu != 1500 else None,
                    up=link.up,
                    owner=None if link.owner is None else owners[0] if owners else str(link.owner),
                )

    def interfaces(self) -> Iterator[model.Interface]:
        """What a document says of interfaces that aren't ours."""
        for named in self._named("interfaces"):
            netns, name = link_key(named.first())
            link = self._sheet.link(netns, name)
            if link is not None:
                said = named.together("addresses")
                yield model.Interface(
                    name,
                    netns,
                    tuple(address for address in self._addresses(netns, link, said) if address in said),
                    link.mtu if named.says("mtu") else None,
                    link.up if named.says("up") else None,
                    self._master(netns, link) if named.says("bridge") else None,
                )

    def routes(self) -> Iterator[model.Route]:
        """Routes of ours, wherever they lead."""
        named: Dict[RouteKey, List[model.Route]] = {key: [] for key in self._owned.routes}
        for document in self._documents:
            for route in document.routes:
                named.setdefault(route_key(route), []).append(route)
        there: Dict[RouteKey, model.KernelRoute] = {}
        for netns, view in self._view.views.items():
            for one in view.routes:
                if is_our_route(one):
                    there.setdefault((netns, one.to, one.table, one.metric), one)
        for key, said in named.items():
            if key in there:
                yield self._route(key, there[key], said)

    def _route(self, key: RouteKey, there: model.KernelRoute, said: List[model.Route]) -> model.Route:
        """As the kernel has it; the links of gateways only where a document says them."""
        netns, to, table, metric = key
        names = self._sheet.names(netns)
        dev = names.get(there.dev or 0) if there.type == RTN_UNICAST else None
        if there.via is not None and not any(route.dev for route in said):
            dev = None
        devs = any(hop.dev for route in said for hop in route.nexthops)
        hops = tuple(
            model.Nexthop(via, names.get(index or 0) if devs or via is None else None, weight)
            for via, index, weight in there.nexthops
        )
        plain = route_key(model.Route(netns, to))[3] == metric
        return model.Route(
            netns, to, there.via, dev, None if plain else metric, table, _TYPES.get(there.type, ""), hops
        )

    def _ours(self, netns: Optional[str], name: str, kind: str) -> Optional[model.Link]:
        link = self._sheet.link(netns, name)
        return link if link is not None and link.kind == kind and self._sheet.is_ours(netns, link) else None

    def _master(self, netns: Optional[str], link: model.Link) -> Optional[str]:
        return self._sheet.names(netns).get(link.master or 0)

    def _addresses(self, netns: Optional[str], link: model.Link, said: Tuple[str, ...]) -> Tuple[str, ...]:
        """Those that a document says, in its order, and what else is there for good."""
        entries = self._view.views[netns].addresses.get(link.index, ())
        there = {entry.address for entry in entries}
        kept = [e.address for e in entries if e.scope != RT_SCOPE_LINK and e.flags & IFA_F_PERMANENT]
        return tuple(dict.fromkeys((*(address for address in said if address in there), *kept)))
