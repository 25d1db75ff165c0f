# SPDX-License-Identifier: GPL-3.0-or-later
"""What interfaces and bridges tell of a document's uplinks. Where its memory tells otherwise, they are right. Pure."""

from __future__ import annotations

from typing import Iterable

from ..model import Bridge, HostView, Link, NamespaceView, Topology
from ..uplink_record import aged
from .lost_uplinks import mark_of_uplink
from .owned import UPLINK, Change, Owned, copy, owner_of


def recall_uplinks(owned: Owned, view: HostView, wanted: Topology, now: int) -> Owned:
    """What is owned, with the uplinks that bear the document's mark; the same object if that adds nothing.

    ``now`` is in seconds since the boot: what was noted of an uplink may have ended since.
    """
    named = [(room, link) for room in view.views.values() for link in room.links.values() if link.altnames]
    uplinked = [bridge for bridge in wanted.bridges if bridge.uplink is not None]
    if not (named or uplinked or owned.carried):
        return owned
    found = copy(owned)
    for namespace, link in named:
        _recall_uplink(found, namespace, link)
    _recall_wanted(found, view, uplinked)
    for key, record in tuple(found.carried.items()):
        found.carried[key] = aged(record, now)
    return owned if found == owned else found


def _recall_uplink(found: Owned, namespace: NamespaceView, nic: Link) -> None:
    """What an interface says by its mark, and by whose port it is: either link may bear another name by now."""
    mark = mark_of_uplink(nic)
    if mark is None or mark.document != found.name:
        return
    known = found.settings.get((namespace.netns, nic.name, UPLINK))
    if known is None and _has_another(found, namespace, nic, mark.bridge):
        return
    holders = [link.name for link in namespace.links.values() if link.index == nic.master and link.alias == found.mark]
    if known is None or (holders and known.after not in holders):
        _attach(found, namespace, nic, (*holders, mark.bridge)[0])
        _forget_former_name(found, namespace, nic)


def _has_another(found: Owned, namespace: NamespaceView, nic: Link, bridge: str) -> bool:
    """Whether the bridge of the mark stands, and an interface that may as well be its uplink is plugged into it: the
    mark has come to another link then, or is as old as that one's being plugged out."""
    have = namespace.links.get(bridge)
    return (
        have is not None
        and have.alias == found.mark
        and nic.master != have.index
        and any(link.master == have.index and owner_of(link.alias) is None for link in namespace.links.values())
    )


def _forget_former_name(found: Owned, namespace: NamespaceView, nic: Link) -> None:
    bridge = found.settings[(namespace.netns, nic.name, UPLINK)].after
    for key, change in tuple(found.settings.items()):
        netns, name, field = key
        if (netns, field, change.after) == (namespace.netns, UPLINK, bridge) and name not in namespace.links:
            del found.settings[key]
            record = found.carried.pop((netns, name), None)
            if record is not None:
                found.carried.setdefault((netns, nic.name), record)


def _recall_wanted(found: Owned, view: HostView, bridges: Iterable[Bridge]) -> None:
    """On a kernel without marks: what the document says is so already, and was not made by plugging it in."""
    for bridge in bridges:
        namespace = view.views.get(bridge.netns)
        nic = namespace.links.get(bridge.uplink or "") if namespace is not None else None
        if namespace is None or nic is None or not _is_port(found, namespace, nic, bridge.name):
            continue
        if not any((bridge.netns, nic.name, field) in found.settings for field in (UPLINK, "bridge")):
            _attach(found, namespace, nic, bridge.name)


def _is_port(found: Owned, namespace: NamespaceView, nic: Link, bridge: str) -> bool:
    """Whether it is a port of a bridge that bears the document's mark."""
    have = namespace.links.get(bridge)
    return have is not None and have.alias == found.mark and nic.master == have.index


def _attach(found: Owned, namespace: NamespaceView, nic: Link, bridge: str) -> None:
    found.settings[(namespace.netns, nic.name, UPLINK)] = Change("none", bridge)
    found.settings.pop((namespace.netns, nic.name, "bridge"), None)
    if _is_port(found, namespace, nic, bridge):
        found.links.setdefault((namespace.netns, bridge), namespace.links[bridge].index)
