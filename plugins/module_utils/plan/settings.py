# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel settings, forwarding among them, and a namespace's files: with what they were before, which comes back."""

from __future__ import annotations

from typing import Container, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from .. import sysctl
from ..model import Bridge, End, Forwarding, Namespace, NamespaceView, Topology
from ..suggestion import suggestion
from . import redirects
from .actions import Action, FileSet, SysctlSet
from .advertisements import go_on_hearing, is_our_doing
from .hands import DISABLE_IPV6, LOCALNET, RP_FILTER, Word, words_of
from .owned import Change, SysctlKey
from .sheet import BEFORE_UP, CLOSE, FILES, OPEN, SYSCTL, Sheet, place

ARP_IGNORE = "/arp_ignore"
IMPLIED = (LOCALNET, ARP_IGNORE)  # of links; 0 on a new one, unless somebody made it another for all
HEADER = "# Made by hostwire.linux for the document {name!r}: edits will be lost.\n"
_BUILT_IN = ("net/ipv4/", "net/ipv6/", "net/core/")  # the settings right below, and those of links, need no module
_PLAIN = 2  # slashes in the path of one right below
_UNREADABLE = "/stable_secret"  # until it is set
_SWITCHES = {sysctl.IPV4_FORWARDING: "IPv4 forwarding", sysctl.IPV6_FORWARDING: "IPv6 forwarding"}


def is_switch(path: str) -> bool:
    """Whether a setting is one of the forwarding switches, which every view has without being asked."""
    return path in _SWITCHES


def name_of_setting(path: str) -> str:
    """What a setting is called in a plan."""
    return _SWITCHES.get(path, path)


def wanted_settings(
    topology: Topology, implied: Mapping[SysctlKey, str], others: Optional[Mapping[SysctlKey, Word]] = None
) -> Dict[SysctlKey, str]:
    """Every setting the document names or implies, with its value. ``implied``: what its packet filters need.

    ``others``: what other documents say; where that is another value, what is only implied here is theirs.
    """
    wanted: Dict[SysctlKey, str] = dict(implied)
    for bridge in topology.bridges:
        deaf = _deaf(bridge)
        if deaf is not None:
            wanted[(bridge.netns, f"net/ipv4/conf/{bridge.name}{ARP_IGNORE}")] = deaf
    if others:
        wanted = {key: value for key, value in wanted.items() if key not in others or others[key].value == value}
    _switches(wanted, None, topology.forwarding)
    for namespace in topology.namespaces:
        _switches(wanted, namespace.name, namespace.forwarding)
    wanted.update(words_of(topology))
    return wanted


def _deaf(bridge: Bridge) -> Optional[str]:
    """What the host answers by ARP where guests live: questions for an address that it has there (1), or none (8).

    None: as it likes. A bridge that does an uplink's work does as that did.
    """
    if bridge.guests is None or bridge.uplink is not None:
        return None
    if any(":" not in address for address in bridge.addresses):
        return "1"
    return None if bridge.guests.to_host else "8"


def _switches(wanted: Dict[SysctlKey, str], netns: Optional[str], forwarding: Forwarding) -> None:
    for path, value in ((sysctl.IPV4_FORWARDING, forwarding.ipv4), (sysctl.IPV6_FORWARDING, forwarding.ipv6)):
        if value is not None:
            wanted[(netns, path)] = "1" if value else "0"


def current(namespace: Optional[NamespaceView], path: str) -> Optional[str]:
    """The value that was read; None if it wasn't, or if the kernel has no such setting."""
    if namespace is None:
        return None
    if path in _SWITCHES:
        flag = namespace.forwarding_ipv4 if path == sysctl.IPV4_FORWARDING else namespace.forwarding_ipv6
        return None if flag is None else str(int(flag))
    return namespace.sysctls.get(path)


def plan_settings(sheet: Sheet, wanted: Dict[SysctlKey, str]) -> None:
    """Set what differs; remember what it was."""
    for (netns, path), value in wanted.items():
        namespace = sheet.namespace(netns)
        now = current(namespace, path)
        reason = _why_not(sheet, netns, path) if now is None or sheet.gone else None
        if reason is not None:
            sheet.conflicts.append(f"{place(netns)}: sysctl {path}: {reason}")
            continue
        if namespace is None:
            if path not in _SWITCHES or value != "0":  # a new namespace doesn't forward; if it does, verify sees it
                _set(sheet, netns, path, value, None)
            continue
        if now is None and path in _SWITCHES:
            if value == "1":
                sheet.conflicts.append(f"{place(netns)}: {_SWITCHES[path]}: this kernel hasn't got the family")
            continue
        if now != value:
            _set(sheet, netns, path, value, now)
        elif (netns, path) in sheet.owned.sysctls:
            sheet.after.sysctls[(netns, path)] = Change(sheet.owned.sysctls[(netns, path)].before, value)
        if path in _SWITCHES and now == value == "1":
            _open_ways(sheet, netns, path, namespace)
        if path == sysctl.IPV6_FORWARDING and now == value == "1" and is_our_doing(sheet, netns):
            go_on_hearing(sheet, netns, namespace)
        if path == sysctl.IPV4_FORWARDING and now == value == "1":
            safe = redirects.outdated(sheet, netns)
            if safe is not None:
                _set(sheet, netns, redirects.ACCEPT_REDIRECTS, safe, "1")


def _why_not(sheet: Sheet, netns: Optional[str], path: str) -> Optional[str]:
    """Why there will be no such setting; None where there will be, or where modules may still bring it."""
    namespace, link = sheet.namespace(netns), link_in(path)
    of_links = bool(link)
    if path in _SWITCHES or link in ("all", "default", "lo"):
        link = ""
    if current(namespace, path) is not None and (netns, link) not in sheet.gone:
        return None
    made = bool(link) and (netns, link) in sheet.made
    if link and not made and (namespace is None or sheet.link(netns, link) is None):
        there = list(namespace.links) if namespace is not None else ["lo"]
        names = [*there, *(name for where, name in sheet.made if where == netns)]
        return f'there is no interface named "{link}"{suggestion(link, names)}'
    builtin = of_links or path.count("/") == _PLAIN
    asked = default_of(path) if made else path  # a new link has what all new ones have
    missing = namespace is not None and namespace.sysctls.get(asked, "") is None
    if missing and builtin and path.startswith(_BUILT_IN) and not path.endswith(_UNREADABLE):
        return "this kernel has no such setting"
    return None


def _set(sheet: Sheet, netns: Optional[str], path: str, value: str, now: Optional[str]) -> None:
    line = sheet.line(f"{place(netns)}: {name_of_setting(path)}: {now if now is not None else '(new)'} -> {value}")
    _beforehand(sheet, netns, path, value, line)
    _write(sheet, netns, path, value, now, line)
    remembered = sheet.owned.sysctls.get((netns, path))
    if remembered is not None:
        sheet.after.sysctls[(netns, path)] = Change(remembered.before, value)
    elif now is not None:
        sheet.after.sysctls[(netns, path)] = Change(now, value)
    elif path.endswith(IMPLIED):  # of a link to be made: it may stay when what needs this goes
        sheet.after.sysctls[(netns, path)] = Change("0", value)
    elif path.endswith(RP_FILTER):  # likewise, and distributions have it on for new ones
        before = current(sheet.namespace(netns), default_of(path))
        sheet.after.sysctls[(netns, path)] = Change(before or "0", value)


def _write(sheet: Sheet, netns: Optional[str], path: str, value: str, now: Optional[str], line: int) -> None:
    """The step itself, with what a switch sets along with itself."""
    inverse: List[Action] = [SysctlSet(netns, path, now)] if now is not None else []
    if path == sysctl.IPV4_FORWARDING:
        inverse += redirects.undoing(sheet, netns, value)
    sheet.do(_stage(path, value), line, SysctlSet(netns, path, value), *inverse)
    if path == sysctl.IPV4_FORWARDING:
        redirects.follow(sheet, netns, value, line)
    if path in _SWITCHES:
        sheet.switches[(netns, path)] = value
        _keep_links(sheet, netns, path, value, line)


def _keep_links(sheet: Sheet, netns: Optional[str], switch: str, value: str, line: int) -> None:
    """A switch makes each link as itself (hazard 30): one of which a document says something else stays as it is."""
    namespace = sheet.namespace(netns)
    for key, word in sheet.kept if namespace is not None else ():
        link = link_in(key[1])
        there = link == "default" or sheet.link(netns, link) is not None
        if forwarding_of(key) != (netns, switch) or not there or word == value:
            continue
        if current(namespace, key[1]) in (None, word):  # else it is about to be set anyway
            sheet.do(SYSCTL, line, SysctlSet(netns, key[1], word))
            if key in sheet.said:
                sheet.after.sysctls.setdefault(key, Change(value, word))


def ways_of(topology: Topology) -> Iterator[SysctlKey]:
    """The forwarding of each of a document's own links from and to which it has packets forwarded."""
    rooms: Dict[Optional[str], Forwarding] = {None: topology.forwarding}
    rooms.update((namespace.name, namespace.forwarding) for namespace in topology.namespaces)
    links: List[Union[Bridge, End]] = [*topology.bridges]
    links += [end for veth in topology.veths for end in veth if not end.bridge]
    for link in links:
        for family, on in zip(("ipv4", "ipv6"), rooms.get(link.netns, Forwarding())):
            if on and link.addresses:
                yield link.netns, f"net/{family}/conf/{link.name}/forwarding"


def _open_ways(sheet: Sheet, netns: Optional[str], switch: str, namespace: NamespaceView) -> None:
    """Links of ours on which somebody has turned forwarding off."""
    for path, now in namespace.sysctls.items():
        if now != "0" or forwarding_of((netns, path)) != (netns, switch) or sheet.word(netns, path) is not None:
            continue
        have = sheet.link(netns, link_in(path))
        if have is not None and sheet.is_ours(netns, have):
            line = sheet.line(f"{place(netns)}: {have.name}: {_SWITCHES[switch]} off -> on")
            sheet.do(SYSCTL, line, SysctlSet(netns, path, "1"), SysctlSet(netns, path, "0"))


def forwarding_of(key: SysctlKey) -> Optional[SysctlKey]:
    """The switch that a setting goes along with which is a single link's forwarding, or new links'; else None."""
    netns, path = key
    if not path.endswith("/forwarding") or link_in(path) in ("", "all"):
        return None
    return netns, sysctl.IPV6_FORWARDING if path.startswith("net/ipv6/") else sysctl.IPV4_FORWARDING


def _stage(path: str, value: str) -> int:
    if path in _SWITCHES:
        return OPEN if value == "1" else CLOSE
    if path.endswith(DISABLE_IPV6) and value == "0":
        return BEFORE_UP  # before anything gets an address
    return SYSCTL


def _beforehand(sheet: Sheet, netns: Optional[str], path: str, value: str, line: int) -> None:
    """What flipping a switch would take along, and how it stays."""
    namespace = sheet.namespace(netns)
    if namespace is None:
        return
    if path == sysctl.IPV6_FORWARDING and value == "1":
        go_on_hearing(sheet, netns, namespace, line)


def without_what_forwarding_needs(
    doomed: Dict[SysctlKey, Change], wanted: Mapping[SysctlKey, str]
) -> Dict[SysctlKey, Change]:
    """The same without what came along with forwarding and is needed for as long as that is on (hazards 29 and 48)."""
    return {key: change for key, change in doomed.items() if wanted.get(redirects.switch_of(key) or key) != "1"}


def take_settings(sheet: Sheet, keys: Iterable[SysctlKey], inherited: Container[SysctlKey] = ()) -> None:
    """Put back what we changed and nobody else has changed since; what another document wants too, it inherits."""
    ordered: List[SysctlKey] = sorted(keys, key=lambda key: key[1] not in _SWITCHES)  # switches first (hazard 30)
    for netns, path in ordered:
        forwards = current(sheet.namespace(netns), sysctl.IPV4_FORWARDING)
        along = path == redirects.ACCEPT_REDIRECTS
        if along and redirects.is_seen_to(sheet, netns, forwards):
            continue
        change = sheet.after.sysctls.pop((netns, path), None)
        now = current(sheet.namespace(netns), path)
        if (netns, path) in inherited or (along and forwards == "1" and change and change.before == "1"):
            continue
        if change is None or now is None or not change.explains(now) or (netns, link_in(path)) in sheet.gone:
            continue
        switch = forwarding_of((netns, path)) if change.before == "1" else None
        if switch and sheet.switches.get(switch, current(sheet.namespace(netns), switch[1])) != "1":
            continue  # where nothing forwards any more no link is to
        line = sheet.line(f"{place(netns)}: {name_of_setting(path)}: {now} -> {change.before}")
        _write(sheet, netns, path, change.before, now, line)


def link_in(path: str) -> str:
    """The name of the link that a setting is of (net/ipv4/conf/NAME/...), "" if it is of none."""
    parts = path.split("/")
    return parts[3] if len(parts) == 5 and parts[2] in ("conf", "neigh") else ""


def default_of(path: str) -> str:
    """The setting that a new link takes its own of this path from; the path itself where it is no link's.

    A namespace other than the first has no neigh/default; lo has been there since that was copied.
    """
    link = link_in(path)
    return path.replace(f"/{link}/", "/lo/" if "/neigh/" in path else "/default/", 1) if link else path


def wanted_files(name: str, namespaces: Iterable[Namespace]) -> Dict[str, str]:
    """The files of the document's namespaces: path to text."""
    wanted: Dict[str, str] = {}
    header = HEADER.format(name=name)
    for namespace in namespaces:
        directory = f"/etc/netns/{namespace.name}"
        if namespace.nameservers:
            lines = "".join(f"nameserver {address}\n" for address in namespace.nameservers)
            wanted[f"{directory}/resolv.conf"] = header + lines
        if namespace.hosts:
            entries: Tuple[Tuple[str, str], ...] = (("localhost", "127.0.0.1"), ("localhost", "::1"), *namespace.hosts)
            lines = "".join(f"{address} {host}\n" for host, address in entries)
            wanted[f"{directory}/hosts"] = header + lines
    return wanted


def plan_files(sheet: Sheet, wanted: Dict[str, str]) -> None:
    """Write what is missing or differs; a file that isn't ours is a conflict."""
    for path, text in wanted.items():
        now = sheet.view.files.get(path)
        if now == text:
            sheet.after.files[path] = None
            continue
        if (
            now is not None
            and path not in sheet.owned.files
            and not now.startswith(HEADER.format(name=sheet.owned.name))
        ):
            sheet.conflicts.append(
                f"file {path} exists and isn't ours: move its content into the document and remove it"
            )
            continue
        line = sheet.line(f"file {path}: {'create' if now is None else 'change'}")
        sheet.do(FILES, line, FileSet(None, path, text), FileSet(None, path, now))
        sheet.after.files[path] = None


def take_files(sheet: Sheet, paths: Iterable[str]) -> None:
    """Remove files of ours that the document no longer names."""
    for path in paths:
        sheet.after.files.pop(path, None)
        now = sheet.view.files.get(path)
        if now is not None:
            sheet.do(FILES, sheet.line(f"file {path}: remove"), FileSet(None, path, None), FileSet(None, path, now))
