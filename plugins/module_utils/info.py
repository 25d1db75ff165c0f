# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole truth about a host, as plain values. Reads only."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Optional, Sequence, Tuple

from . import firewall, privilege
from . import netns as namespaces
from .apply import job_records
from .apply.disk import Store
from .errors import HostwireError, MissingOnHost
from .model import Address, KernelRoute, Link, NamespaceView
from .netns import Process
from .observe import Question, observe
from .plan.owned import owner_of
from .rtnetlink.channel import Channel
from .rtnetlink.constants import IFA_F_DADFAILED, IFA_F_TENTATIVE, RT_TABLE_MAIN
from .rtnetlink.neighbours import Neighbour, read_neighbours
from .rtnetlink.routes import TYPES
from .running import running
from .state_directory import STATE_DIRECTORY

_TYPE_NAMES = {number: name for name, number in TYPES.items()}
# NUD_* of linux/neighbour.h
_STATES = {
    0x01: "incomplete",
    0x02: "reachable",
    0x04: "stale",
    0x08: "delay",
    0x10: "probe",
    0x20: "failed",
    0x40: "noarp",
    0x80: "permanent",
}
# RTPROT_* of linux/rtnetlink.h, and ours
_PROTOCOLS = {2: "kernel", 3: "boot", 4: "static", 9: "ra", 16: "dhcp", 72: "hostwire"}


def info(state_dir: str = STATE_DIRECTORY) -> Dict[str, Any]:
    """Host and namespaces: links, addresses, routes (main table), neighbours, ports, forwarding, NAT and processes.

    Of a namespace that somebody removes meanwhile nothing is told. Raises MissingOnHost without the privilege to enter
    those that there are, KernelRefused where something can't be read.
    """
    with running():
        return _told(state_dir)


def _told(state_dir: str) -> Dict[str, Any]:
    store = Store(state_dir)
    names = namespaces.names()
    if names:
        privilege.demand(namespaces=True)
    views = observe({netns: Question((RT_TABLE_MAIN,)) for netns in (None, *names)}).views
    processes = namespaces.processes()
    documents = {name: store.load(name).document for name in store.names()}
    return {
        "host": _namespace(views[None]),
        "namespaces": dict(_named_namespaces(views, processes)),
        "documents": documents,
        "problems": [*store.doubts(), *store.broken_off(documents), *_jobs_broken_off(state_dir)],
    }


def _jobs_broken_off(state_dir: str) -> Iterator[str]:
    """A sentence for each run of a task without a document that has left a journal."""
    for name in job_records.names(state_dir):
        path = job_records.place(state_dir, name)
        try:
            found = job_records.read(state_dir, name)
        except HostwireError as error:
            yield f"{error}: what a run that hasn't come to its end had begun isn't known"
            continue
        if found is not None:
            yield (
                f"a run of {found.get('title', name)} hasn't come to its end ({path}): what it left half-done stays "
                "until that is run again"
            )


def _named_namespaces(
    views: Mapping[Optional[str], NamespaceView], processes: Mapping[int, Sequence[Process]]
) -> Iterator[Tuple[str, Dict[str, Any]]]:
    for netns, view in views.items():
        if netns is None:
            continue
        try:
            told = _namespace(view)
        except MissingOnHost:
            if netns in namespaces.inodes():
                raise
            continue
        yield netns, {**told, "processes": [_process(process) for process in processes.get(view.inode, ())]}


def _namespace(view: NamespaceView) -> Dict[str, Any]:
    names = {link.index: link.name for link in view.links.values()}
    with namespaces.inside(view.netns), Channel() as channel:
        neighbours = read_neighbours(channel)
    return {
        "links": [_link(link, names, view.addresses.get(link.index, ())) for link in view.links.values()],
        "routes": [_route(route, names) for route in view.routes],
        "neighbours": [_neighbour(entry, names) for entry in neighbours if not entry.state & 0x40],
        "bridge_ports": {
            link.name: sorted(port.name for port in view.links.values() if port.master == link.index)
            for link in view.links.values()
            if link.kind == "bridge"
        },
        "forwarding": {"ipv4": view.forwarding_ipv4, "ipv6": view.forwarding_ipv6},
        "nat": _nat(view.netns),
    }


def _link(link: Link, names: Dict[int, str], addresses: tuple[Address, ...]) -> Dict[str, Any]:
    return {
        "name": link.name,
        "index": link.index,
        "kind": link.kind,
        "up": link.up,
        "carrier": link.running,
        "mtu": link.mtu,
        "mac": link.mac,
        "bridge": names.get(link.master or 0),
        "isolated": link.isolated,
        "altnames": list(link.altnames),
        "owner": owner_of(link.alias),
        "addresses": [address.address for address in addresses],
        "tentative": [address.address for address in addresses if address.flags & IFA_F_TENTATIVE],
        "duplicate": [address.address for address in addresses if address.flags & IFA_F_DADFAILED],
    }


def _route(route: KernelRoute, names: Dict[int, str]) -> Dict[str, Any]:
    return {
        "to": route.to,
        "via": route.via,
        "dev": names.get(route.dev or 0),
        "metric": route.metric,
        "table": route.table,
        "type": _TYPE_NAMES.get(route.type, str(route.type)),
        "protocol": _PROTOCOLS.get(route.protocol, str(route.protocol)),
        "nexthops": [{"via": via, "dev": names.get(dev or 0), "weight": weight} for via, dev, weight in route.nexthops],
    }


def _neighbour(entry: Neighbour, names: Dict[int, str]) -> Dict[str, Any]:
    return {
        "address": entry.address,
        "mac": entry.mac,
        "dev": names.get(entry.index),
        "state": _STATES.get(entry.state, str(entry.state)),
    }


def _process(process: Process) -> Dict[str, Any]:
    return {"pid": process.pid, "pid_inside": process.pid_inside, "command": process.command}


def _nat(netns: Optional[str]) -> Dict[str, Any]:
    """Masquerades and published ports, or why they can't be told."""
    if not firewall.installed():  # nothing that iptables could have made
        return {"backend": None, "masquerade": [], "published_ports": []}
    try:
        return firewall.describe(firewall.observe(netns))
    except HostwireError as error:
        return {"problem": str(error)}
