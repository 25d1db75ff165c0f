# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces, bridges, cables and other people's interfaces: from what is there to what is wanted."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional, Tuple, Union

from .. import sysctl
from ..document.links import same_mtu
from ..document.prefix import has_ipv6
from ..model import CONTAINER, Address, Bridge, End, Interface, Link, Namespace, Tap, Veth
from . import actions as act
from .addresses import plan_addresses, plan_foreign_addresses
from .hands import ALL_LINKS, DISABLE_IPV6, NEW_LINKS
from .losses import words_of_losses
from .owned import UNKNOWN, Change, owner_of
from .ports import join, mend_link, mend_plugged
from .sheet import ADDRESS, BEFORE_UP, LINK, MAKE_LINKS, MAKE_NAMESPACES, Sheet, kind_words, place, port_again
from .uplinks import has_only_own_ports, look_of, plan_bridge_addresses

IPV6_MTU = 1280  # RFC 8200, 5: on a link with less the kernel has no IPv6 at all (hazard 22)
HEED = "2"  # of accept_ra: advertisements are heeded also where IPv6 is forwarded, or is from one day on
LOOPBACK = "127.0.0.1/8"  # which the kernel gives lo when it comes up first
VETH_MTU = 1500  # ETH_DATA_LEN, linux/if_ether.h: what the kernel gives a new veth


def plan_namespaces(sheet: Sheet, wanted: Iterable[Namespace]) -> None:
    """Make those that are missing; see that lo is up and marked in all."""
    for namespace in wanted:
        name = namespace.name
        view = sheet.namespace(name)
        if view is None:
            line = sheet.line(f"namespace {name}: create")
            sheet.do(MAKE_NAMESPACES, line, act.NetnsAdd(name), act.NetnsDelete(name))
            sheet.do(LINK, line, act.LinkChange(name, "lo", up=True, alias=sheet.owned.mark))
            sheet.after.namespaces[name] = UNKNOWN
            continue
        lo = view.links.get("lo")
        if not sheet.is_our_namespace(name):
            owner = owner_of(lo.alias) if lo is not None else None
            whose = "exists and isn't ours" if owner is None else f"belongs to the document {owner!r}"
            way = "remove it first" if owner is None else "take it out of that one first"
            sheet.conflicts.append(
                f'namespace "{name}" {whose}: take it off the list of namespaces to use it as it is, or {way}'
            )
            continue
        sheet.after.namespaces[name] = view.inode
        if lo is not None and not (lo.up and lo.alias == sheet.owned.mark):
            line = sheet.line(f"{name}: lo: up")
            undo = act.LinkChange(name, "lo", up=lo.up, alias=lo.alias)
            sheet.do(LINK, line, act.LinkChange(name, "lo", up=True, alias=sheet.owned.mark), undo)
        if (
            view.inode > 0
            and lo is not None
            and lo.up
            and not any(is_loopback(entry) for entry in view.addresses.get(lo.index, ()))
        ):
            line = sheet.line(f"{name}: lo: address {LOOPBACK}: add")
            told = (name, "lo", LOOPBACK)
            sheet.do(ADDRESS, line, act.AddressAdd(*told), act.AddressDelete(*told))


def is_loopback(entry: Address) -> bool:
    """Whether it is one of those by which programs of one machine reach each other."""
    return entry.address.startswith("127.")


def plan_bridges(sheet: Sheet, wanted: Iterable[Bridge]) -> None:
    """Make missing bridges; mend those that differ."""
    for bridge in wanted:
        have = usable(sheet, bridge.netns, bridge.name, "bridge")
        mac, mtu = look_of(sheet, bridge)
        if have is None:
            _make_bridge(sheet, bridge._replace(mac=mac, mtu=mtu))
        else:
            sheet.after.links[(bridge.netns, bridge.name)] = have.index
            _mend_bridge_options(sheet, bridge, have)
            want = End(bridge.name, bridge.netns, None, (), mac, mtu if mtu is not None else have.mtu, bridge.up)
            mend(sheet, want, have, hears_routers=bridge.uplink is not None)
            _allow_ipv6(sheet, bridge)
        plan_bridge_addresses(sheet, bridge, have)


def _make_bridge(sheet: Sheet, bridge: Bridge) -> None:
    netns, name = bridge.netns, bridge.name
    line = sheet.line(f"{place(netns)}: bridge {name}: create")
    mac = bridge.mac or sheet.stable_mac(netns, name)
    add = act.BridgeAdd(netns, name, mac, bridge.stp, bridge.vlan_filtering)
    sheet.do(MAKE_LINKS, line, add, act.LinkDelete(netns, name))
    narrow = (netns, name) in sheet.narrow
    # Its ports take IPv6 from it: those that are born on it, and those that join it.
    for stage in (BEFORE_UP, ADDRESS) if narrow and bridge.mtu is not None and bridge.mtu >= IPV6_MTU else ():
        sheet.do(stage, line, act.LinkChange(netns, name, mtu=bridge.mtu))
        refuse_advertisements(sheet, netns, name, line, stage=stage)
    if not narrow:
        refuse_advertisements(sheet, netns, name, line)
    if _needs_ipv6_allowed(sheet, bridge):
        sheet.do(BEFORE_UP, line, act.SysctlSet(netns, no_ipv6(bridge), "0"))
    # The MTU comes behind the ports: each port that joins pulls a bridge's MTU down to its own (hazard 21).
    sheet.do(LINK, line, act.LinkChange(netns, name, up=bridge.up, mtu=bridge.mtu, alias=sheet.owned.mark))
    sheet.after.links[(netns, name)] = UNKNOWN


def refuse_advertisements(
    sheet: Sheet, netns: Optional[str], name: str, line: int, heed: bool = False, stage: int = BEFORE_UP
) -> None:
    """A guest must not become the host's IPv6 router (CVE-2020-10749), nor that of one that doesn't ask for any."""
    if sheet.view.views[None].forwarding_ipv6 is None:  # a kernel without IPv6
        return
    path = sysctl.accept_ra(name)
    sheet.do(stage, line, act.SysctlSet(netns, path, sheet.word(netns, path) or (HEED if heed else "0")))


def _mend_bridge_options(sheet: Sheet, bridge: Bridge, have: Link) -> None:
    netns, name = bridge.netns, bridge.name
    if bridge.stp != have.stp:
        line = sheet.line(f"{place(netns)}: bridge {name}: stp {'on' if bridge.stp else 'off'}")
        sheet.do(
            LINK, line, act.BridgeChange(netns, name, bridge.stp, None), act.BridgeChange(netns, name, have.stp, None)
        )
    if bridge.vlan_filtering != bool(have.vlan_filtering):
        line = sheet.line(f"{place(netns)}: bridge {name}: vlan_filtering {'on' if bridge.vlan_filtering else 'off'}")
        undo = act.BridgeChange(netns, name, None, have.vlan_filtering)
        sheet.do(LINK, line, act.BridgeChange(netns, name, None, bridge.vlan_filtering), undo)


def plan_veths(sheet: Sheet, wanted: Iterable[Veth]) -> None:
    """Make missing cables; mend those that differ; a cable that leads elsewhere is made anew (hazard 20)."""
    for veth in wanted:
        a, b = same_mtu(veth)
        if b.bridge and not a.bridge:
            a, b = b, a  # the first end of a new cable can be born on its bridge
        have_a = usable(sheet, a.netns, a.name, "veth")
        have_b = usable(sheet, b.netns, b.name, "veth")
        if have_a is None or have_b is None or sheet.view.peers.get((a.netns, a.name)) != (b.netns, b.name):
            have_a, have_b = _take_strays(sheet, veth, (a, have_a), (b, have_b))
            _make_veth(sheet, veth, a, b)
        else:
            for end, have in ((a, have_a), (b, have_b)):
                sheet.after.links[(end.netns, end.name)] = have.index
                mend(sheet, end._replace(mtu=end.mtu or VETH_MTU), have)
                _allow_ipv6(sheet, end)
        alone = not (a.up and b.up) and not (a.bridge or b.bridge)  # until the other end is up, and then it's ours
        plan_addresses(sheet, a.netns, a.name, a.addresses, have_a, alone)
        plan_addresses(sheet, b.netns, b.name, b.addresses, have_b, alone)


def _take_strays(sheet: Sheet, veth: Veth, *ends: Tuple[End, Optional[Link]]) -> Tuple[Optional[Link], Optional[Link]]:
    """Delete our cables that have the names but lead elsewhere."""
    for end, have in ends:
        if have is not None and (end.netns, end.name) not in sheet.gone:
            line = sheet.line(f"{place(end.netns)}: veth {end.name}: remove (it doesn't lead to {describe(veth)})")
            sheet.take_link(end.netns, have, line)
    return None, None


def describe(veth: Veth) -> str:
    """Both ends of a cable, as a plan's line names them."""
    return f"{place(veth.a.netns)}/{veth.a.name} = {place(veth.b.netns)}/{veth.b.name}"


def _make_veth(sheet: Sheet, veth: Veth, a: End, b: End) -> None:
    line = sheet.line(_words_of_making(veth))
    macs = [end.mac or sheet.stable_mac(end.netns, end.name) for end in (a, b)]
    add = act.VethAdd(a.netns, a.name, macs[0], a.mtu, a.bridge, b.netns, b.name, macs[1], b.mtu)
    sheet.do(MAKE_LINKS, line, add, act.LinkDelete(a.netns, a.name))
    mark = sheet.owned.mark
    for end, bridge in ((a, None), (b, b.bridge)):
        if not end.bridge and (end.mtu or VETH_MTU) >= IPV6_MTU:
            refuse_advertisements(sheet, end.netns, end.name, line, _takes_advertisements(end))
        if _needs_ipv6_allowed(sheet, end):
            sheet.do(BEFORE_UP, line, act.SysctlSet(end.netns, no_ipv6(end), "0"))
        join(sheet, line, act.LinkChange(end.netns, end.name, up=end.up, bridge=bridge, alias=mark), end)
        sheet.after.links[(end.netns, end.name)] = UNKNOWN


def _words_of_making(veth: Veth) -> str:
    host, guest = veth
    if guest.netns is not None and guest.netns.startswith(CONTAINER):
        return f"{place(guest.netns)}: cable {guest.name} to bridge {host.bridge} of the host ({host.name}): create"
    return f"veth {describe(veth)}: create"


def no_ipv6(link: Union[Bridge, End, Interface]) -> str:
    """The setting that keeps IPv6 from this link."""
    return f"net/ipv6/conf/{link.name}{DISABLE_IPV6}"


def _takes_advertisements(end: Union[End, Tap]) -> bool:
    """A guest that sees to its addresses itself does so in both families; the host never does."""
    return isinstance(end, End) and end.leased and end.netns is not None


def _needs_ipv6_allowed(sheet: Sheet, link: Union[Bridge, End]) -> bool:
    """Docker turns IPv6 off by default in containers whose networks have none; others do it on their hosts."""
    if not (has_ipv6(link.addresses) or (link.netns, link.name) in sheet.ipv6_ways):
        return False
    into_container = link.netns is not None and link.netns.startswith(CONTAINER)
    namespace = sheet.namespace(link.netns)
    default = namespace.sysctls.get(NEW_LINKS) if namespace is not None else None
    return into_container or "1" in (default, sheet.word(link.netns, NEW_LINKS))


def _allow_ipv6(sheet: Sheet, end: Union[Bridge, End]) -> None:
    if not (has_ipv6(end.addresses) or (end.netns, end.name) in sheet.ipv6_ways):
        return
    path = no_ipv6(end)
    if sheet.view.views[end.netns].sysctls.get(path) == "1":
        line = sheet.line(f"{place(end.netns)}: {end.name}: disable_ipv6 1 -> 0")
        sheet.do(BEFORE_UP, line, act.SysctlSet(end.netns, path, "0"), act.SysctlSet(end.netns, path, "1"))


def _way_out(have: Link, netns: Optional[str], kind: str) -> str:
    """Whose a link is that has the name of one to be made, and what to do about it."""
    owner = owner_of(have.alias)
    if owner is not None:
        return f"it belongs to the document {owner!r}; choose another name, or take it out of that one first"
    if netns is not None and netns.startswith(CONTAINER):
        return "it isn't ours; choose another name"
    if have.kind == kind == "bridge":
        return "it isn't ours; choose another name, or take it off the list of bridges: ports may name it as it is"
    return "it isn't ours; choose another name, or say it under interfaces to use it as it is"


def usable(sheet: Sheet, netns: Optional[str], name: str, kind: str) -> Optional[Link]:
    """Our link of this name and kind, or None if it is to be made; another's is a conflict."""
    namespace = sheet.namespace(netns)
    if namespace is None:
        return None
    have = sheet.link(netns, name)
    if have is None:
        for other in namespace.links.values():
            if name in other.altnames and (netns, other.name) not in sheet.gone:
                what = f"{kind_words(kind)} {name}: {place(netns)} has a link"
                sheet.conflicts.append(f'{what} "{other.name}" with this altname already')
        return None
    if not sheet.is_ours(netns, have):
        what = f"{kind_words(kind)} {name}: {place(netns)} has a link"
        sheet.conflicts.append(
            f"{what} of this name already ({kind_words(have.kind)}), and {_way_out(have, netns, kind)}"
        )
        return have if have.kind == kind else None
    if have.kind != kind:
        line = sheet.line(f"{place(netns)}: {kind_words(have.kind)} {name}: remove (a {kind_words(kind)} is wanted)")
        sheet.take_link(netns, have, line)
        return None
    return have


def mend(sheet: Sheet, want: Union[End, Tap], have: Link, hears_routers: bool = False) -> None:
    """Bring one of our links into agreement. ``hears_routers``: it does as its uplink did."""
    netns, name = want.netns, want.name
    words: List[str] = []
    change = undo = act.LinkChange(netns, name)
    if want.up != have.up:
        words.append("up" if want.up else "down")
        change, undo = change._replace(up=want.up), undo._replace(up=have.up)
        if not want.up:
            sheet.falling.add((netns, name))
    mac = want.mac
    if mac is None and have.mac in sheet.twice() and (netns is None or not netns.startswith(CONTAINER)):
        mac = sheet.stable_mac(netns, name)  # another has its address, and gets what is for it
    if mac is not None and mac != have.mac:
        words.append(f"mac {have.mac} -> {mac}")
        change, undo = change._replace(mac=mac), undo._replace(mac=have.mac)
    if want.mtu != have.mtu:
        words.append(f"mtu {have.mtu} -> {want.mtu}")
        change, undo = change._replace(mtu=want.mtu), undo._replace(mtu=have.mtu)
    master = _master_name(sheet, netns, have)
    if (want.bridge or "") != master:
        words.append(f"onto bridge {want.bridge}" if want.bridge else f"off bridge {master}")
        change, undo = change._replace(bridge=want.bridge or ""), undo._replace(bridge=master)
    if have.silent:
        words.append("arp on")
        change, undo = change._replace(silent=False), undo._replace(silent=True)
    if have.alias != sheet.owned.mark:
        words.append("mark as ours")
        change, undo = change._replace(alias=sheet.owned.mark), undo._replace(alias=have.alias)
    mend_link(sheet, want, have, words, change, undo)
    heeded = int(HEED) if _takes_advertisements(want) else 0
    if want.bridge or hears_routers or have.accept_ra in (None, heeded):
        return
    path = sysctl.accept_ra(name)
    if sheet.word(netns, path) is None:
        line = sheet.line(f"{place(netns)}: {name}: accept_ra {have.accept_ra} -> {heeded}")
        sheet.do(
            BEFORE_UP, line, act.SysctlSet(netns, path, str(heeded)), act.SysctlSet(netns, path, str(have.accept_ra))
        )


def _master_name(sheet: Sheet, netns: Optional[str], link: Link) -> str:
    """The name of the bridge that a link will still be a port of after what the plan takes away; "" for none."""
    name = sheet.names(netns).get(link.master or 0, "")
    return "" if (netns, name) in sheet.gone else name


def plan_interfaces(sheet: Sheet, wanted: Iterable[Interface]) -> None:
    """Properties of interfaces that aren't ours; what they were before is remembered."""
    for interface in wanted:
        netns, name = interface.netns, interface.name
        have = sheet.link(netns, name)
        if have is None and name == "lo" and sheet.namespace(netns) is None:
            _dress_new_loopback(sheet, interface)
            continue
        if have is None:
            sheet.conflicts.append(f"interface {name}: {place(netns)} has no interface of this name")
            continue
        wishes = (
            ("up", interface.up, have.up),
            ("mtu", interface.mtu, have.mtu),
            ("bridge", interface.bridge, _master_name(sheet, netns, have)),
        )
        for field, want, now in wishes:
            key = (netns, name, field)
            if want is not None and want != now:
                _set_foreign(sheet, have, netns, field, now, want)
            elif want is not None and key in sheet.owned.settings:
                sheet.after.settings[key] = Change(sheet.owned.settings[key].before, _word(want))
        master = sheet.link(netns, interface.bridge) if interface.bridge else None
        if master is not None and have.master == master.index:
            mend_plugged(sheet, netns, have, master)
        empty = have.kind == "bridge" and has_only_own_ports(sheet, netns, name, have)
        plan_foreign_addresses(sheet, netns, name, interface.addresses, have, empty)
        _refuse_without_ipv6(sheet, interface)


def _refuse_without_ipv6(sheet: Sheet, interface: Interface) -> None:
    """Somebody has turned IPv6 off on an interface that isn't ours, and the document doesn't turn it on."""
    netns, path = interface.netns, no_ipv6(interface)
    address = next((one for one in interface.addresses if ":" in one), None)
    off = address is not None and sheet.view.views[netns].sysctls.get(path) == "1"
    if off and "0" not in (sheet.word(netns, path), sheet.word(netns, ALL_LINKS)):
        sheet.conflicts.append(
            f"{place(netns)}: {interface.name}: address {address}: sysctl {path} is 1, which keeps IPv6 from it; "
            "say 0 for that in sysctls, or leave the address out"
        )


def refuse_ways_without_ipv6(sheet: Sheet) -> None:
    """The same of routes through interfaces that the document says nothing else of."""
    for (netns, name), to in sheet.ipv6_ways.items():
        link, path = sheet.link(netns, name), f"net/ipv6/conf/{name}{DISABLE_IPV6}"
        if link is None or sheet.is_ours(netns, link) or sheet.view.views[netns].sysctls.get(path) != "1":
            continue
        if "0" not in (sheet.word(netns, path), sheet.word(netns, ALL_LINKS)):
            sheet.conflicts.append(
                f"{place(netns)}: route {to} dev {name}: sysctl {path} is 1, which keeps IPv6 from it; "
                "say 0 for that in sysctls, or leave the route out"
            )


def _dress_new_loopback(sheet: Sheet, interface: Interface) -> None:
    """The loopback link of a namespace that the same plan makes."""
    netns = interface.netns
    if interface.mtu is not None or interface.up is not None:
        line = sheet.line(f"{place(netns)}: lo: as the document has it")
        sheet.do(LINK, line, act.LinkChange(netns, "lo", up=interface.up, mtu=interface.mtu))
    plan_addresses(sheet, netns, "lo", interface.addresses, None)
    for address in interface.addresses:
        sheet.after.addresses[(netns, "lo", address)] = None


def _set_foreign(sheet: Sheet, have: Link, netns: Optional[str], field: str, now: Any, want: Any) -> None:
    name = have.name
    loss = ""
    if have.up and (field == "up" or (field == "mtu" and want < IPV6_MTU <= now)):
        loss = words_of_losses(sheet, netns, have, ipv6_only=field == "mtu")
    line = sheet.line(f"{place(netns)}: {name}: {field} {_word(now)} -> {_word(want)}{loss}")
    blank = act.LinkChange(netns, name)
    again = port_again(netns, have) if field == "bridge" else []
    sheet.do(LINK, line, blank._replace(**{field: want}), blank._replace(**{field: now}), *again)
    if field == "up" and not want:
        sheet.falling.add((netns, name))
    key = (netns, name, field)
    before = sheet.owned.settings[key].before if key in sheet.owned.settings else _word(now)
    sheet.after.settings[key] = Change(before, _word(want))


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else "none"
