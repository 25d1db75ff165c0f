# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel settings, forwarding among them, and a namespace's files: with what they were before, which comes back."""

from __future__ import annotations

from typing import Container, Dict, Iterable, List, Mapping, Optional, Tuple

from .. import sysctl
from ..model import Forwarding, Namespace, NamespaceView, Topology
from ..rtnetlink.constants import RTPROT_RA
from .actions import FileSet, SysctlSet
from .owned import Change, SysctlKey
from .sheet import CLOSE, FILES, LINK, OPEN, SYSCTL, Sheet, place

ACCEPT_REDIRECTS = "net/ipv4/conf/all/accept_redirects"
LOCALNET = "/route_localnet"  # off on a new link, unless somebody opened it for all
HEADER = "# Made by hostwire.linux for the document {name!r}: edits will be lost.\n"
_SWITCHES = {sysctl.IPV4_FORWARDING: "IPv4 forwarding", sysctl.IPV6_FORWARDING: "IPv6 forwarding"}


def is_switch(path: str) -> bool:
    """Whether a setting is one of the forwarding switches, which every view has without being asked."""
    return path in _SWITCHES


def wanted_settings(topology: Topology, localnet: Iterable[Tuple[Optional[str], str]]) -> Dict[SysctlKey, str]:
    """Every setting the document names or implies, with its value. ``localnet``: links that need route_localnet."""
    wanted: Dict[SysctlKey, str] = {}
    for netns, name in localnet:
        wanted[(netns, f"net/ipv4/conf/{name}{LOCALNET}")] = "1"
    _switches(wanted, None, topology.forwarding)
    wanted.update({(None, path): value for path, value in topology.sysctls})
    for namespace in topology.namespaces:
        _switches(wanted, namespace.name, namespace.forwarding)
        wanted.update({(namespace.name, path): value for path, value in namespace.sysctls})
    return wanted


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
        if namespace is None:
            if path not in _SWITCHES or value != "0":  # a new namespace doesn't forward; if it does, verify sees it
                _set(sheet, netns, path, value, None)
            continue
        now = current(namespace, path)
        if now is None and path in _SWITCHES:
            if value == "1":
                sheet.conflicts.append(f"{place(netns)}: {_SWITCHES[path]}: this kernel hasn't got the family")
            continue
        if now != value:
            _set(sheet, netns, path, value, now)
        elif (netns, path) in sheet.owned.sysctls:
            sheet.after.sysctls[(netns, path)] = Change(sheet.owned.sysctls[(netns, path)].before, value)


def _set(sheet: Sheet, netns: Optional[str], path: str, value: str, now: Optional[str]) -> None:
    subject = _SWITCHES.get(path, path)
    line = sheet.line(f"{place(netns)}: {subject}: {now if now is not None else '(new)'} -> {value}")
    _beforehand(sheet, netns, path, value, line)
    inverse = [SysctlSet(netns, path, now)] if now is not None else []
    sheet.do(_stage(path, value), line, SysctlSet(netns, path, value), *inverse)
    _afterwards(sheet, netns, path, value, line)
    remembered = sheet.owned.sysctls.get((netns, path))
    if remembered is not None:
        sheet.after.sysctls[(netns, path)] = Change(remembered.before, value)
    elif now is not None:
        sheet.after.sysctls[(netns, path)] = Change(now, value)
    elif path.endswith(LOCALNET):  # of a link to be made: it may stay when the last port that needs this goes
        sheet.after.sysctls[(netns, path)] = Change("0", value)


def _stage(path: str, value: str) -> int:
    if path in _SWITCHES:
        return OPEN if value == "1" else CLOSE
    return SYSCTL


def _beforehand(sheet: Sheet, netns: Optional[str], path: str, value: str, line: int) -> None:
    """What flipping a switch would take along, and how it stays."""
    namespace = sheet.namespace(netns)
    if namespace is None:
        return
    if path == sysctl.IPV6_FORWARDING and value == "1":  # deletes the default route from advertisements (hazard 29)
        uplinks = {route.dev for route in namespace.routes if route.protocol == RTPROT_RA}
        for link in namespace.links.values():
            if link.index in uplinks and link.accept_ra != 2:
                accept = f"net/ipv6/conf/{link.name}/accept_ra"
                was = str(link.accept_ra or 0)
                sheet.do(LINK, line, SysctlSet(netns, accept, "2"), SysctlSet(netns, accept, was))
                sheet.after.sysctls.setdefault((netns, accept), Change(was, "2"))


def without_what_forwarding_needs(
    doomed: Dict[SysctlKey, Change], wanted: Mapping[SysctlKey, str]
) -> Dict[SysctlKey, Change]:
    """The same without what came along with IPv6 forwarding and is needed for as long as that is on (hazard 29)."""
    routers = {netns for (netns, path), value in wanted.items() if path == sysctl.IPV6_FORWARDING and value == "1"}
    return {key: change for key, change in doomed.items() if key[0] not in routers or not key[1].endswith("/accept_ra")}


def _afterwards(sheet: Sheet, netns: Optional[str], path: str, value: str, line: int) -> None:
    """Put back at once what a switch sets along with itself (hazard 30)."""
    namespace = sheet.namespace(netns)
    redirects = namespace.sysctls.get(ACCEPT_REDIRECTS) if namespace is not None else None
    if redirects is None or path != sysctl.IPV4_FORWARDING:
        return
    if redirects != _before_us(sheet, netns, redirects):  # a run of ours that was killed left it like that
        return
    opposite = "0" if value == "1" else "1"  # what the kernel makes of it
    if redirects != opposite:
        same = SysctlSet(netns, ACCEPT_REDIRECTS, redirects)
        sheet.do(SYSCTL, line, same, same)
        kept = Change(redirects, redirects, opposite)  # if killed in between
        sheet.after.sysctls.setdefault((netns, ACCEPT_REDIRECTS), kept)


def _before_us(sheet: Sheet, netns: Optional[str], redirects: Optional[str]) -> Optional[str]:
    """What accept_redirects was before a run of ours that was killed; what it is now if that wasn't us."""
    remembered = sheet.owned.sysctls.get((netns, ACCEPT_REDIRECTS))
    return remembered.before if remembered is not None and remembered.explains(redirects) else redirects


def take_settings(sheet: Sheet, keys: Iterable[SysctlKey], inherited: Container[SysctlKey] = ()) -> None:
    """Put back what we changed and nobody else has changed since; what another document wants too, it inherits."""
    ordered: List[SysctlKey] = sorted(keys, key=lambda key: key[1] not in _SWITCHES)  # switches first (hazard 30)
    for netns, path in ordered:
        change = sheet.after.sysctls.pop((netns, path), None)
        now = current(sheet.namespace(netns), path)
        if (netns, path) in inherited:
            continue
        if change is None or now is None or not change.explains(now) or (netns, link_in(path)) in sheet.gone:
            continue
        line = sheet.line(f"{place(netns)}: {_SWITCHES.get(path, path)}: {now} -> {change.before}")
        sheet.do(_stage(path, change.before), line, SysctlSet(netns, path, change.before), SysctlSet(netns, path, now))
        _afterwards(sheet, netns, path, change.before, line)


def link_in(path: str) -> str:
    """The name of the link that a setting is of (net/ipv4/conf/NAME/...), "" if it is of none."""
    parts = path.split("/")
    return parts[3] if len(parts) == 5 and parts[2] in ("conf", "neigh") else ""


def default_of(path: str) -> str:
    """The setting that a new link takes its own of this path from; the path itself where it is no link's."""
    link = link_in(path)
    return path.replace(f"/{link}/", "/default/") if link else path


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
