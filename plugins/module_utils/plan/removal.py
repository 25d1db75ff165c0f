# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document owns and no longer names: it goes, and nothing else does."""

from __future__ import annotations

from typing import Any, Container, Dict, Iterable, List, Mapping, Optional

from ..firewall import Tables, written_again
from ..model import Link, LinkKey, NamespaceView
from ..netns import Process
from ..rtnetlink.constants import RTN_BLACKHOLE, RTN_PROHIBIT, RTN_UNREACHABLE, RTPROT_KERNEL
from . import actions as act
from .owned import UPLINK, SettingKey
from .redirects import ACCEPT_REDIRECTS
from .settings import current
from .sheet import LINK, TAKE_NAMESPACES, Sheet, kind_words, place

# Links that the kernel itself puts into each new namespace where their modules are loaded
# (net.core.fb_tunnels_only_for_init_net).
_FALLBACK_KINDS = frozenset(
    ("ipip", "sit", "gre", "gretap", "erspan", "ip6tnl", "ip6gre", "vti", "vti6", "ip_vti", "ip6_vti")
)


def take_links(sheet: Sheet, unwanted: Iterable[LinkKey]) -> None:
    """Delete links of ours."""
    for netns, name in unwanted:
        have = sheet.link(netns, name)
        if have is not None and sheet.has_lost_mark(netns, have):
            sheet.conflicts.append(
                f"{kind_words(have.kind)} {name} ({place(netns)}) has lost its mark and may be somebody else's by now: "
                f"if it is to go, give it the mark (ip link set {name} alias {sheet.owned.mark}), if not, another name"
            )
        if have is None or not sheet.is_ours(netns, have):
            sheet.after.links.pop((netns, name), None)
            continue
        peer = sheet.peer_of(netns, have) if have.kind == "veth" else None
        what = f"{place(netns)}/{name} = {place(peer[0])}/{peer[1].name}" if peer else f"{place(netns)}/{name}"
        sheet.take_link(netns, have, sheet.line(f"{kind_words(have.kind)} {what}: remove"))


def marked_links(sheet: Sheet, wanted: Container[LinkKey]) -> List[LinkKey]:
    """Links that carry our mark and that the document doesn't name, whether or not our memory has them."""
    mark = sheet.owned.mark
    return [
        (netns, link.name)
        for netns, namespace in sheet.view.views.items()
        for link in namespace.links.values()
        if link.alias == mark and link.name != "lo" and (netns, link.name) not in wanted
    ]


def take_namespaces(
    sheet: Sheet,
    unwanted: Iterable[str],
    processes: Dict[int, List[Process]],
    tables: Mapping[Optional[str], Tables],
) -> None:
    """Delete namespaces of ours, unless somebody lives in one (hazard 18) or has put something of his own there."""
    for name in unwanted:
        namespace = sheet.namespace(name)
        if namespace is None or not sheet.is_our_namespace(name):
            sheet.after.namespaces.pop(name, None)
            continue
        living = processes.get(namespace.inode, [])
        if living:
            who = ", ".join(f"{process.pid} ({process.command[:60]})" for process in living[:5])
            sheet.conflicts.append(f"namespace {name} can't be removed: processes live in it: {who}; stop them first")
            continue
        strangers = [link.name for link in namespace.links.values() if _is_stranger(sheet, name, link)]
        if strangers:
            sheet.conflicts.append(
                f"namespace {name} can't be removed: it holds links that aren't ours ({', '.join(strangers)}); "
                "move or delete them first"
            )
            continue
        # Said and done one by one, so that it can be undone one by one.
        ours = [link.name for link in namespace.links.values() if link.name != "lo" and sheet.is_ours(name, link)]
        take_links(sheet, [(name, link) for link in ours if (name, link) not in sheet.gone])
        line = sheet.line(f"namespace {name}: remove")
        sheet.do(TAKE_NAMESPACES, line, act.NetnsDelete(name), *_remake(sheet, name, namespace, tables.get(name)))
        sheet.gone_namespaces.add(name)
        sheet.after.namespaces.pop(name, None)
        for part in sheet.after.keyed:
            for key in [key for key in part if key[0] == name]:
                part.pop(key)


def _is_stranger(sheet: Sheet, netns: str, link: Link) -> bool:
    return (
        link.name != "lo"
        and link.kind not in _FALLBACK_KINDS
        and (netns, link.name) not in sheet.gone
        and not sheet.is_ours(netns, link)
    )


def _remake(sheet: Sheet, name: str, namespace: NamespaceView, tables: Optional[Tables]) -> List[act.Action]:
    """A namespace as it was, but for its links, which their own inverses make.

    What protects stands before it forwards.
    """
    actions: List[act.Action] = [act.NetnsAdd(name)]
    lo = namespace.links.get("lo")
    if lo is not None:
        actions.append(act.LinkChange(name, "lo", up=lo.up, alias=lo.alias or None))
        for address in namespace.addresses.get(lo.index, ()):
            if address.address not in ("127.0.0.1/8", "::1/128"):
                actions.append(act.AddressAdd(name, "lo", address.address))
    if tables is not None:
        actions += [act.TableSet(name, *again) for again in written_again(tables)]
    for path in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", *namespace.sysctls):
        value = current(namespace, path)
        if value not in (None, "0") or (value == "0" and path == ACCEPT_REDIRECTS):  # the others begin with 0
            actions.append(act.SysctlSet(name, path, str(value)))
    return actions + [
        sheet.remake_route(name, route)
        for route in namespace.routes
        if route.type in (RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT) and route.protocol != RTPROT_KERNEL
    ]


def take_interface_settings(sheet: Sheet, unwanted: Iterable[SettingKey]) -> None:
    """Put properties of other people's interfaces back to what they were, unless somebody has changed them since."""
    for netns, name, field in unwanted:
        if field == UPLINK:
            continue
        change = sheet.after.settings.pop((netns, name, field), None)
        have = sheet.link(netns, name)
        if change is None or have is None:
            continue
        now = _setting(sheet, netns, have, field)
        if not change.explains(now):
            continue
        line = sheet.line(f"{place(netns)}: {name}: {field} {now} -> {change.before}")
        blank = act.LinkChange(netns, name)
        back = blank._replace(**{field: _value(field, change.before)})
        sheet.do(LINK, line, back, blank._replace(**{field: _value(field, now)}))


def _setting(sheet: Sheet, netns: Optional[str], link: Link, field: str) -> str:
    if field == "up":
        return "yes" if link.up else "no"
    if field == "mtu":
        return str(link.mtu)
    return sheet.names(netns).get(link.master or 0, "none")


def _value(field: str, word: str) -> Any:
    if field == "up":
        return word == "yes"
    if field == "mtu":
        return int(word)
    return "" if word == "none" else word
