# SPDX-License-Identifier: GPL-3.0-or-later
"""Links: reading all of a namespace, making veth pairs and bridges, changing and deleting."""

from __future__ import annotations

import functools
import struct
from typing import Dict, List, Optional, Sequence, Tuple

from ..model import Link
from . import constants as nl
from .channel import BATCH, Channel
from .shapes import Shapes
from .wire import (
    Message,
    attribute,
    attributes,
    c_string,
    nested,
    text,
    u32,
    unpack_u32,
)

_IFINFO = struct.Struct("=BxHiII")  # struct ifinfomsg: family, device type, index, flags, changed flags
_AF_INET6 = 10
# What else a port of a bridge is: its name, its number, and what the kernel makes it on a new one.
PORT_FLAGS = (
    ("learning", nl.IFLA_BRPORT_LEARNING, True),
    ("flood", nl.IFLA_BRPORT_UNICAST_FLOOD, True),
    ("mcast_flood", nl.IFLA_BRPORT_MCAST_FLOOD, True),
    ("bcast_flood", nl.IFLA_BRPORT_BCAST_FLOOD, True),
    ("proxy_arp", nl.IFLA_BRPORT_PROXYARP, False),
    ("locked", nl.IFLA_BRPORT_LOCKED, False),
)
_SHAPES = Shapes(
    {
        nl.IFLA_IFNAME: "s",
        nl.IFLA_MTU: "I",
        nl.IFLA_ADDRESS: "s",
        nl.IFLA_LINKINFO: {
            nl.IFLA_INFO_KIND: "s",
            nl.IFLA_INFO_DATA: "s",
            nl.IFLA_INFO_SLAVE_KIND: "s",
            # Of a bridge's port.
            nl.IFLA_INFO_SLAVE_DATA: {
                nl.IFLA_BRPORT_ISOLATED: "s",
                nl.IFLA_BRPORT_MODE: "s",
                nl.IFLA_BRPORT_STATE: "s",
                **{number: "s" for _name, number, _usual in PORT_FLAGS},
            },
        },
        nl.IFLA_AF_SPEC: {_AF_INET6: {nl.IFLA_INET6_FLAGS: "I", nl.IFLA_INET6_CONF: "s"}},
        nl.IFLA_MASTER: "I",
        nl.IFLA_LINK: "I",
        nl.IFLA_LINK_NETNSID: "I",
        nl.IFLA_IFALIAS: "s",
        nl.IFLA_PROP_LIST | nl.NLA_F_NESTED: "s",  # the only one of these that the kernel flags
        nl.IFLA_GROUP: "I",
    }
)
_PORTS = Shapes(
    {
        nl.IFLA_IFNAME: "s",
        nl.IFLA_MASTER: "I",
        nl.IFLA_LINKINFO: {nl.IFLA_INFO_SLAVE_KIND: "s", nl.IFLA_INFO_SLAVE_DATA: {nl.IFLA_BRPORT_STATE: "s"}},
    }
)
_USUAL = tuple(bytes([usual]) for _name, _number, usual in PORT_FLAGS)
_BRIDGE = b"bridge\0"
_ALL = _IFINFO.pack(0, 0, 0, 0, 0) + u32(nl.IFLA_EXT_MASK, nl.RTEXT_FILTER_SKIP_STATS)


def read_links(channel: Channel) -> Dict[str, Link]:
    """Every link of the namespace by its name."""
    return {link.name: link for link in channel.dump(nl.RTM_GETLINK, _ALL, _parse)}


def read_links_elsewhere(channel: Channel, places: Sequence[Tuple[int, int]]) -> List[Optional[Link]]:
    """Single links of other namespaces: each by the number of the namespace (IFLA_LINK_NETNSID) and its index there.

    None for one that there isn't. A kernel before 4.15 takes the index for one of the channel's own namespace.
    """
    found: List[Optional[Link]] = []
    for start in range(0, len(places), BATCH):
        messages = [
            Message(nl.RTM_GETLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + u32(nl.IFLA_TARGET_NETNSID, number))
            for number, index in places[start : start + BATCH]
        ]
        for place in channel.ask(messages):
            found.append(_parse(*place) if place is not None else None)
    return found


def read_port_states(channel: Channel) -> List[Tuple[str, int, int]]:
    """Each port of a bridge: its name, the bridge's index, and its state of linux/if_bridge.h, BR_STATE_DISABLED on."""
    return [port for port in channel.dump(nl.RTM_GETLINK, _ALL, _parse_port_state) if port is not None]


def _parse_port_state(buffer: bytearray, start: int, end: int) -> Optional[Tuple[str, int, int]]:
    name, bridge, master, state = _PORTS.read(buffer, start + _IFINFO.size, end)
    return (_word(name), bridge, state[0] if state else 0) if master == _BRIDGE else None


def _parse(buffer: bytearray, start: int, end: int) -> Link:
    _family, _device, index, flags, _change = _IFINFO.unpack_from(buffer, start)
    (
        name, mtu, mac, kind, data, port_of, isolated, hairpin, state,
        learning, flood, mcast_flood, bcast_flood, proxy_arp, locked, inet6_flags, inet6_conf,
        master, peer, netnsid, alias, properties, group,
    ) = _SHAPES.read(buffer, start + _IFINFO.size, end)  # fmt: skip
    word, stp, vlan_filtering, owner = _parse_kind(kind, data)
    is_port = port_of == _BRIDGE
    of_port = (learning, flood, mcast_flood, bcast_flood, proxy_arp, locked) if is_port else _USUAL
    return Link(
        index,
        _word(name),
        word,
        flags & nl.IFF_UP != 0,
        flags & nl.IFF_RUNNING != 0,
        mtu,
        mac.hex(":") if mac else "",
        master,
        _word(alias) if alias else "",
        _parse_names(properties) if properties else (),
        peer,
        netnsid,
        int(unpack_u32(inet6_conf, 4 * nl.DEVCONF_ACCEPT_RA)[0]) if inet6_conf else None,
        stp,
        vlan_filtering,
        owner,
        isolated == b"\1" if is_port else None,
        hairpin == b"\1" if is_port else None,
        group or 0,
        inet6_flags is not None and inet6_flags & nl.IF_READY != 0,
        flags & nl.IFF_NOARP != 0,
        state[0] if is_port and state else None,
        () if of_port == _USUAL else _odd(of_port),
    )


@functools.lru_cache(maxsize=64)
def _odd(flags: Tuple[Optional[bytes], ...]) -> Tuple[str, ...]:
    """Which of PORT_FLAGS are not as on a new port; one that the kernel doesn't know is."""
    told = zip(PORT_FLAGS, flags)
    return tuple(name for (name, _number, usual), value in told if value is not None and (value != b"\0") != usual)


def _word(text: bytes) -> str:
    return text[:-1].decode(errors="backslashreplace")  # see c_string


@functools.lru_cache(maxsize=256)
def _parse_kind(
    kind: Optional[bytes], data: Optional[bytes]
) -> Tuple[Optional[str], Optional[bool], Optional[bool], Optional[int]]:
    """Kind, STP, VLAN filtering and a tap's owner. All plain veths have the same."""
    if kind is None:
        return None, None, None, None
    stp: Optional[bool] = None
    vlan_filtering: Optional[bool] = None
    owner: Optional[int] = None
    name = _word(kind)
    buffer = bytearray(data or b"") if name in ("bridge", "tun") else bytearray()
    for option, begin, _stop in attributes(buffer, 0, len(buffer)):
        if name == "tun":
            if option == nl.IFLA_TUN_OWNER:
                owner = int(unpack_u32(buffer, begin)[0])
        elif option == nl.IFLA_BR_STP_STATE:
            stp = unpack_u32(buffer, begin)[0] != 0
        elif option == nl.IFLA_BR_VLAN_FILTERING:
            vlan_filtering = buffer[begin] != 0
    return name, stp, vlan_filtering, owner


def _parse_names(properties: bytes) -> Tuple[str, ...]:
    buffer = bytearray(properties)
    found = attributes(buffer, 0, len(buffer))
    return tuple(c_string(buffer, begin, stop) for number, begin, stop in found if number == nl.IFLA_ALT_IFNAME)


def _mac(value: str) -> bytes:
    return attribute(nl.IFLA_ADDRESS, bytes.fromhex(value.replace(":", "")))


def _bridge_options(stp: Optional[bool], vlan_filtering: Optional[bool]) -> bytes:
    """Only what is asked for: a kernel without VLAN filtering refuses to hear of it at all."""
    options = u32(nl.IFLA_BR_STP_STATE, stp) if stp is not None else b""
    if vlan_filtering is not None:
        options += attribute(nl.IFLA_BR_VLAN_FILTERING, bytes([vlan_filtering]))
    return nested(nl.IFLA_LINKINFO, text(nl.IFLA_INFO_KIND, "bridge"), nested(nl.IFLA_INFO_DATA, options))


def add_bridge(name: str, mac: Optional[str], stp: bool, vlan_filtering: bool) -> Message:
    """A new bridge, down; EEXIST if the name is taken, by a link or as another link's altname."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + text(nl.IFLA_IFNAME, name) + (_mac(mac) if mac else b"")
    return Message(
        nl.RTM_NEWLINK, nl.NLM_F_CREATE | nl.NLM_F_EXCL, body + _bridge_options(stp or None, vlan_filtering or None)
    )


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
    peer = _IFINFO.pack(0, 0, 0, 0, 0) + text(nl.IFLA_IFNAME, peer_name)
    if peer_mac:
        peer += _mac(peer_mac)
    if peer_mtu:
        peer += u32(nl.IFLA_MTU, peer_mtu)
    if peer_netns_fd is not None:
        peer += u32(nl.IFLA_NET_NS_FD, peer_netns_fd)
    info = nested(
        nl.IFLA_LINKINFO, text(nl.IFLA_INFO_KIND, "veth"), nested(nl.IFLA_INFO_DATA, attribute(nl.VETH_INFO_PEER, peer))
    )
    body = _IFINFO.pack(0, 0, 0, 0, 0) + text(nl.IFLA_IFNAME, name) + (_mac(mac) if mac else b"")
    if mtu:
        body += u32(nl.IFLA_MTU, mtu)
    if master is not None:
        body += u32(nl.IFLA_MASTER, master)
    return Message(nl.RTM_NEWLINK, nl.NLM_F_CREATE | nl.NLM_F_EXCL, body + info)


def change_link(
    index: int,
    up: Optional[bool] = None,
    mac: Optional[str] = None,
    mtu: Optional[int] = None,
    master: Optional[int] = None,
    alias: Optional[str] = None,
    group: Optional[int] = None,
    silent: Optional[bool] = None,
) -> Message:
    """Set properties of the link with this index; None leaves one alone, ``master`` 0 takes it off its bridge."""
    flags, changed = (nl.IFF_UP if up else 0, nl.IFF_UP) if up is not None else (0, 0)
    if silent is not None:
        flags, changed = flags | (nl.IFF_NOARP if silent else 0), changed | nl.IFF_NOARP
    body = _IFINFO.pack(0, 0, index, flags, changed)
    if mac is not None:
        body += _mac(mac)
    if mtu is not None:
        body += u32(nl.IFLA_MTU, mtu)
    if master is not None:
        body += u32(nl.IFLA_MASTER, master)
    if alias is not None:
        body += attribute(nl.IFLA_IFALIAS, alias.encode() or b"\0")
    if group is not None:
        body += u32(nl.IFLA_GROUP, group)
    return Message(nl.RTM_NEWLINK, 0, body)


def change_bridge(index: int, stp: Optional[bool], vlan_filtering: Optional[bool]) -> Message:
    """Set options of the bridge with this index; None leaves one alone."""
    return Message(nl.RTM_NEWLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + _bridge_options(stp, vlan_filtering))


def change_port(
    index: int,
    isolated: Optional[bool],
    hairpin: Optional[bool],
    state: Optional[int] = None,
    flags: Sequence[Tuple[str, bool]] = (),
) -> Message:
    """Set whether a bridge's port, by the index of its link, is isolated (no frame goes between two such ports),
    whether it is given back the frames that came through it, its state (BR_STATE_*), and any of PORT_FLAGS; None leaves
    one alone.

    The link has to be a port already: the kernel looks for its bridge before it reads anything else of the message.
    """
    options = b""
    for option, wanted in ((nl.IFLA_BRPORT_ISOLATED, isolated), (nl.IFLA_BRPORT_MODE, hairpin)):
        if wanted is not None:
            options += attribute(option, bytes([wanted]))
    if state is not None:
        options += attribute(nl.IFLA_BRPORT_STATE, bytes([state]))
    wanted_flags = dict(flags)
    for name, number, _usual in PORT_FLAGS if flags else ():
        if name in wanted_flags:
            options += attribute(number, bytes([wanted_flags[name]]))
    info = nested(nl.IFLA_LINKINFO, text(nl.IFLA_INFO_SLAVE_KIND, "bridge"), nested(nl.IFLA_INFO_SLAVE_DATA, options))
    return Message(nl.RTM_NEWLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + info)


def delete_link(index: int) -> Message:
    """Delete the link with this index (a veth's other end goes with it, hazard 20)."""
    return Message(nl.RTM_DELLINK, 0, _IFINFO.pack(0, 0, index, 0, 0))


def delete_group(group: int) -> Message:
    """Delete all links of a group at once: one wait for the kernel's readers instead of one per link."""
    return Message(nl.RTM_DELLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + u32(nl.IFLA_GROUP, group))


def add_altname(index: int, name: str) -> Message:
    """Give the link with this index one more name; EEXIST if it is taken, and refused by kernels before 5.5."""
    return Message(
        nl.RTM_NEWLINKPROP, nl.NLM_F_CREATE | nl.NLM_F_EXCL, _IFINFO.pack(0, 0, index, 0, 0) + _altname(name)
    )


def remove_altname(index: int, name: str) -> Message:
    """Take that name from the link again; the kernel refuses it if there is none such."""
    return Message(nl.RTM_DELLINKPROP, 0, _IFINFO.pack(0, 0, index, 0, 0) + _altname(name))


def _altname(name: str) -> bytes:
    return nested(nl.IFLA_PROP_LIST, text(nl.IFLA_ALT_IFNAME, name))
