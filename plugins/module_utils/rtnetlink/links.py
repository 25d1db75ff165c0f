# SPDX-License-Identifier: GPL-3.0-or-later
"""Links: reading all of a namespace, making veth pairs and bridges, changing and deleting."""

from __future__ import annotations

import struct
from typing import Dict, List, Optional, Tuple

from ..model import Link
from .channel import Channel
from .complete import complete
from .constants import (
    DEVCONF_ACCEPT_RA,
    IFF_RUNNING,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_AF_SPEC,
    IFLA_ALT_IFNAME,
    IFLA_BR_STP_STATE,
    IFLA_BR_VLAN_FILTERING,
    IFLA_EXT_MASK,
    IFLA_GROUP,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_INET6_CONF,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINK,
    IFLA_LINK_NETNSID,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    IFLA_NET_NS_FD,
    IFLA_PROP_LIST,
    NLA_F_NESTED,
    NLM_F_CREATE,
    NLM_F_EXCL,
    RTEXT_FILTER_SKIP_STATS,
    RTM_DELLINK,
    RTM_GETLINK,
    RTM_NEWLINK,
    VETH_INFO_PEER,
)
from .wire import (
    Message,
    attribute,
    attributes,
    c_string,
    find_attribute,
    nested,
    text,
    u32,
    unpack_attribute_header,
    unpack_u32,
)

_IFINFO = struct.Struct("=BxHiII")  # struct ifinfomsg: family, device type, index, flags, changed flags
_AF_INET6 = 10
_USED = frozenset(
    (
        IFLA_IFNAME,
        IFLA_MTU,
        IFLA_ADDRESS,
        IFLA_LINKINFO,
        IFLA_AF_SPEC,
        IFLA_MASTER,
        IFLA_LINK,
        IFLA_LINK_NETNSID,
        IFLA_IFALIAS,
        IFLA_PROP_LIST | NLA_F_NESTED,  # the only one of these that the kernel flags
    )
)
_ALL = _IFINFO.pack(0, 0, 0, 0, 0) + u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)


def read_links(channel: Channel) -> Dict[str, Link]:
    """Every link of the namespace by its name."""
    links = complete(lambda: [_parse(*place) for place in channel.dump(RTM_GETLINK, _ALL)])
    return {link.name: link for link in links}


def _parse(buffer: bytearray, start: int, end: int) -> Link:
    _family, _device, index, flags, _change = _IFINFO.unpack_from(buffer, start)
    name = alias = mac = ""
    kind: Optional[str] = None
    mtu = 0
    master: Optional[int] = None
    peer: Optional[int] = None
    netnsid: Optional[int] = None
    accept_ra: Optional[int] = None
    stp: Optional[bool] = None
    vlan_filtering: Optional[bool] = None
    altnames: Tuple[str, ...] = ()
    position = start + _IFINFO.size
    while position < end:  # not attributes(): this loop runs 35 times a link, and a run reads thousands of links
        size, number = unpack_attribute_header(buffer, position)
        begin = position + 4
        stop = position + size
        position += (size + 3) & ~3
        if number not in _USED:
            continue
        if number == IFLA_IFNAME:
            name = c_string(buffer, begin, stop)
        elif number == IFLA_MTU:
            mtu = unpack_u32(buffer, begin)[0]
        elif number == IFLA_ADDRESS:
            mac = buffer[begin:stop].hex(":")
        elif number == IFLA_LINKINFO:
            kind, stp, vlan_filtering = _parse_info(buffer, begin, stop)
        elif number == IFLA_AF_SPEC:
            accept_ra = _parse_accept_ra(buffer, begin, stop)
        elif number == IFLA_MASTER:
            master = unpack_u32(buffer, begin)[0]
        elif number == IFLA_LINK:
            peer = unpack_u32(buffer, begin)[0]
        elif number == IFLA_LINK_NETNSID:
            netnsid = unpack_u32(buffer, begin)[0]
        elif number == IFLA_IFALIAS:
            alias = c_string(buffer, begin, stop)
        else:
            altnames = tuple(
                c_string(buffer, b, s) for n, b, s in attributes(buffer, begin, stop) if n == IFLA_ALT_IFNAME
            )
    up, running = bool(flags & IFF_UP), bool(flags & IFF_RUNNING)
    return Link(
        index, name, kind, up, running, mtu, mac, master, alias, altnames, peer, netnsid, accept_ra, stp, vlan_filtering
    )


def _parse_info(buffer: bytearray, start: int, end: int) -> Tuple[Optional[str], Optional[bool], Optional[bool]]:
    kind: Optional[str] = None
    stp: Optional[bool] = None
    vlan_filtering: Optional[bool] = None
    for number, begin, stop in attributes(buffer, start, end):
        if number == IFLA_INFO_KIND:
            kind = c_string(buffer, begin, stop)
        elif number == IFLA_INFO_DATA and kind == "bridge":
            for option, option_begin, _stop in attributes(buffer, begin, stop):
                if option == IFLA_BR_STP_STATE:
                    stp = unpack_u32(buffer, option_begin)[0] != 0
                elif option == IFLA_BR_VLAN_FILTERING:
                    vlan_filtering = buffer[option_begin] != 0
    return kind, stp, vlan_filtering


def _parse_accept_ra(buffer: bytearray, start: int, end: int) -> Optional[int]:
    inet6 = find_attribute(buffer, start, end, _AF_INET6)
    conf = find_attribute(buffer, inet6[0], inet6[1], IFLA_INET6_CONF) if inet6 else None
    return int(unpack_u32(buffer, conf[0] + 4 * DEVCONF_ACCEPT_RA)[0]) if conf else None


def _mac(value: str) -> bytes:
    return attribute(IFLA_ADDRESS, bytes.fromhex(value.replace(":", "")))


def _bridge_options(stp: Optional[bool], vlan_filtering: Optional[bool]) -> bytes:
    """Only what is asked for: a kernel without VLAN filtering refuses to hear of it at all."""
    options = u32(IFLA_BR_STP_STATE, stp) if stp is not None else b""
    if vlan_filtering is not None:
        options += attribute(IFLA_BR_VLAN_FILTERING, bytes([vlan_filtering]))
    return nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"), nested(IFLA_INFO_DATA, options))


def add_bridge(name: str, mac: Optional[str], stp: bool, vlan_filtering: bool) -> Message:
    """A new bridge, down; EEXIST if the name is taken, by a link or as another link's altname."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, name) + (_mac(mac) if mac else b"")
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body + _bridge_options(stp or None, vlan_filtering or None))


def add_veth(
    name: str,
    mac: Optional[str],
    mtu: Optional[int],
    peer_name: str,
    peer_mac: Optional[str],
    peer_mtu: Optional[int],
    peer_netns_fd: Optional[int],
    master: Optional[int] = None,
) -> Message:
    """A new cable, both ends down; ``peer_netns_fd`` is an open namespace, None the same one as the first end's.

    The first end can be a port of the bridge with index ``master`` at once.
    """
    peer = _IFINFO.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, peer_name)
    if peer_mac:
        peer += _mac(peer_mac)
    if peer_mtu:
        peer += u32(IFLA_MTU, peer_mtu)
    if peer_netns_fd is not None:
        peer += u32(IFLA_NET_NS_FD, peer_netns_fd)
    info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "veth"), nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, peer)))
    body = _IFINFO.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, name) + (_mac(mac) if mac else b"")
    if mtu:
        body += u32(IFLA_MTU, mtu)
    if master is not None:
        body += u32(IFLA_MASTER, master)
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body + info)


def change_link(
    index: int,
    up: Optional[bool] = None,
    mac: Optional[str] = None,
    mtu: Optional[int] = None,
    master: Optional[int] = None,
    alias: Optional[str] = None,
    group: Optional[int] = None,
) -> Message:
    """Set properties of the link with this index; None leaves one alone, ``master`` 0 takes it off its bridge."""
    flags, changed = (IFF_UP if up else 0, IFF_UP) if up is not None else (0, 0)
    body = _IFINFO.pack(0, 0, index, flags, changed)
    if mac is not None:
        body += _mac(mac)
    if mtu is not None:
        body += u32(IFLA_MTU, mtu)
    if master is not None:
        body += u32(IFLA_MASTER, master)
    if alias is not None:
        body += attribute(IFLA_IFALIAS, alias.encode() or b"\0")
    if group is not None:
        body += u32(IFLA_GROUP, group)
    return Message(RTM_NEWLINK, 0, body)


def change_bridge(index: int, stp: Optional[bool], vlan_filtering: Optional[bool]) -> Message:
    """Set options of the bridge with this index; None leaves one alone."""
    return Message(RTM_NEWLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + _bridge_options(stp, vlan_filtering))


def delete_link(index: int) -> Message:
    """Delete the link with this index (a veth's other end goes with it, hazard 20)."""
    return Message(RTM_DELLINK, 0, _IFINFO.pack(0, 0, index, 0, 0))


def delete_group(group: int) -> Message:
    """Delete all links of a group at once: one wait for the kernel's readers instead of one per link."""
    return Message(RTM_DELLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + u32(IFLA_GROUP, group))


def ports_of(links: Dict[str, Link], bridge: Link) -> List[Link]:
    """The ports of a bridge among the links of its namespace."""
    return [link for link in links.values() if link.master == bridge.index]
