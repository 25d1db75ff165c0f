# SPDX-License-Identifier: GPL-3.0-or-later
"""What the other documents of a host say that concerns the run of one: their published ports, and where ours lead."""

from __future__ import annotations

from typing import Any, Collection, Dict, Iterable, Iterator, List, Set, Tuple

from . import document as documents
from . import sysctl
from .apply.disk import Memory, Records
from .model import PublishedPort, Topology
from .plan.around import Elsewhere
from .plan.filters import firewall_wants, implied_settings, localnet_settings
from .plan.hairpins import lead_elsewhere
from .plan.hands import LOCALNET, NEEDED, RP_FILTER, Need, Word, needs_of, words_of
from .plan.owned import SysctlKey

NOTHING = Elsewhere((), {}, Topology(), False, Topology())
_NEEDS = ("interfaces", "routes", "masquerade", "published_ports")
_PLUGGED = ("bridges", "veths", "taps", "containers")
_GUESTS = ("veths", "containers", "routes")


def elsewhere(stored: Topology, previous: Topology, records: Records) -> Elsewhere:
    """Seen from a document that becomes ``stored`` and was ``previous``.

    Of each other document only the published ports are read; its switches and cables only where a port may lead there.
    """
    ours = (*stored.published_ports, *previous.published_ports)
    words = words_of(stored)
    concerned = (*_PLUGGED, "interfaces")
    forwards = stored.forwarding.ipv4 or stored.forwarding.ipv6
    if not (ours or words or forwards or any(getattr(stored, section) for section in concerned)):
        return NOTHING
    others = [(name, records.load(name)) for name in records.names() if name != stored.name]
    published = [(name, port) for name, memory in others for port in _published(memory)]
    ports = tuple(port for _name, port in published)
    bridged = bool(ours or ports) and sysctl.read(sysctl.BRIDGE_NF) is not None
    plugged = Topology()
    if bridged and lead_elsewhere(stored, ours, ports):
        plugged = _united([_read(memory, _PLUGGED) for _name, memory in others], _PLUGGED)
    guests = Topology()
    if lead_elsewhere(stored, (port for port in stored.published_ports if port.netns is None), ()):
        guests = _united([_read(memory, _GUESTS) for _name, memory in others], _GUESTS)
    said = {key: word for name, memory in others for key, word in _said(name, memory)}
    disputed = {key for key in words if key[1].endswith(NEEDED)}
    needed = {key: need for name, memory in others for key, need in _needed(name, memory, disputed)}
    return Elsewhere(ports, _settings(stored, published), plugged, bridged, guests, said, needed)


def _said(name: str, memory: Memory) -> Iterator[Tuple[SysctlKey, Word]]:
    document = memory.document or {}
    if document.get("sysctls") or any(entry.get("sysctls") for entry in document.get("namespaces", ())):
        for key, value in words_of(_read(memory, ("sysctls", "namespaces"))).items():
            yield key, Word(value, name)


def _needed(name: str, memory: Memory, disputed: Set[SysctlKey]) -> Iterator[Tuple[SysctlKey, Need]]:
    """What of these another document needs; what its rules need may also be known from what it has done."""
    if not disputed or memory.document is None:
        return
    topology = documents.read(memory.document, rules=False).topology
    known = {key for key, change in memory.owned.sysctls.items() if key[1].endswith((LOCALNET, RP_FILTER))}
    implied = {*implied_settings(firewall_wants(topology)), *(known - words_of(topology).keys())}
    for key, need in needs_of(topology, implied, name).items():
        if key in disputed:
            yield key, need


def _published(memory: Memory) -> Iterator[PublishedPort]:
    """The ports whose rules are in place. After a reboot they aren't, nor is what protects the host from them."""
    for port in _read(memory, ("published_ports",)).published_ports:
        if port.netns in memory.owned.firewall:
            yield port


def _read(memory: Memory, sections: Tuple[str, ...]) -> Topology:
    part = {name: memory.document[name] for name in sections if name in memory.document} if memory.document else {}
    return documents.read(part, rules=False).topology if part else Topology()


def _united(topologies: List[Topology], names: Iterable[str]) -> Topology:
    sections: Dict[str, Any] = {name: tuple(one for it in topologies for one in getattr(it, name)) for name in names}
    return Topology()._replace(**sections)


def needed_elsewhere(going: Collection[str], name: str, records: Records) -> List[str]:
    """A line for each document beside ``name`` that has something in a namespace which is to go.

    But for links: those are there, and the plan sees them.
    """
    found: List[str] = []
    for other in records.names() if going else ():
        document = records.load(other).document if other != name else None
        for section in _NEEDS if document is not None else ():
            entries = (document or {}).get(section, ())
            rooms = {entry.get("netns"): f"{section}[{i}]" for i, entry in reversed(list(enumerate(entries)))}
            for netns in sorted(rooms.keys() & set(going)):
                found.append(
                    f"namespace {netns} can't be removed: the document {other!r} needs it, in {rooms[netns]}; "
                    "take that out first"
                )
    return found


def _settings(stored: Topology, published: List[Tuple[str, PublishedPort]]) -> Dict[SysctlKey, str]:
    """What our switches need for the ports of others, each with the document that it is for."""
    own = localnet_settings(stored, stored.published_ports)
    found: Dict[SysctlKey, str] = {}
    for name in dict.fromkeys(name for name, _port in published):
        for key in localnet_settings(stored, [port for other, port in published if other == name]):
            if key not in own:
                found.setdefault(key, name)
    return found
