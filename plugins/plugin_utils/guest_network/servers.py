# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and guests into DHCP and DNS servers, each as the lines of a dnsmasq configuration."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .documents import INSIDE
from .model import INTERNAL, NAT, NAT_GUEST, Network, Nic, Plugged, Setup, gateway, offset
from .names import document, router, services

# A guest behind a router of its own may come back with another MAC address, and there is one address to give: so the
# old lease mustn't last. Two minutes is the least that dnsmasq takes.
LEASE_TIME = {NAT: "2m"}
DEFAULT_LEASE_TIME = "1h"
_NO_ROUTER = "no-router"  # tag of guests whose default route leads elsewhere


class _Place(NamedTuple):
    """Where a server runs: its name, its namespace (None is the host), the interface, and whom it serves."""

    name: str
    netns: Optional[str]
    interface: str
    members: Tuple[Plugged, ...]


def servers(setup: Setup) -> List[Dict[str, Any]]:
    """One entry for each server: ``name``, ``network``, ``netns`` (None is the host), ``state`` and ``lines``.

    Networks that have no server, or are to be absent, get an entry with state absent for the one they may have had.
    """
    found = []
    for network in setup.networks:
        serving = network.present and (network.dhcp.enabled or network.dns.enabled)
        for place in _places(network, setup.plugged[network.name]):
            found.append({
                "name": place.name,
                "network": network.name,
                "netns": place.netns,
                "state": "present" if serving else "absent",
                "lines": list(_lines(network, place)) if serving else [],
            })  # fmt: skip
    return found


def _places(network: Network, members: Tuple[Plugged, ...]) -> List[_Place]:
    if network.mode == NAT:
        return [
            _Place(
                f"{document(network.name)}_{member.guest.name}",
                router(network.name, member.guest.name),
                INSIDE,
                (member,),
            )
            for member in members
        ]
    if network.mode == INTERNAL:
        return [_Place(document(network.name), services(network.name), INSIDE, members)]
    if network.present and not network.its.serves:
        return []
    return [_Place(document(network.name), None, network.name, members)]


def _lines(network: Network, place: _Place) -> Iterator[str]:
    """The configuration, but for where leases are kept and who runs it."""
    yield f"interface={place.interface}"
    yield "except-interface=lo"
    yield "bind-dynamic"  # this interface only, also when it comes later or is made anew
    yield "no-hosts"
    yield from _dns(network, place) if network.dns.enabled else ("port=0",)
    if network.dhcp.enabled:
        yield from _dhcp(network, place)


def _dns(network: Network, place: _Place) -> Iterator[str]:
    dns = network.dns
    yield "domain-needed"
    yield "bogus-priv"  # who has a private address is no question for servers elsewhere
    yield "stop-dns-rebind"  # nor is a name out there to lead a guest's browser to machines in here
    if dns.rebind_ok:
        yield f"rebind-domain-ok=/{'/'.join(dns.rebind_ok)}/"
    if not network.its.leads_out or dns.upstream:
        yield "no-resolv"
    for upstream in dns.upstream:
        yield f"server={upstream}"
    if dns.domain:
        yield f"domain={dns.domain}"
        yield f"local=/{dns.domain}/"
        yield "expand-hosts"
    for member in place.members:
        addresses = [str(address.ip) for address in (member.nic.address, member.nic.address6) if address is not None]
        if addresses:
            name = member.guest.name
            names = [name, f"{name}.{dns.domain}"] if dns.domain else [name]
            yield f"host-record={','.join([*names, *addresses])}"


def _dhcp(network: Network, place: _Place) -> Iterator[str]:
    dhcp = network.dhcp
    lease = dhcp.lease_time or LEASE_TIME.get(network.mode, DEFAULT_LEASE_TIME)
    yield "dhcp-authoritative"
    if dhcp.sequential:
        yield "dhcp-sequential-ip"
    if network.mode == NAT or (place.netns is None and not network.policy.get("from_host", True)):
        yield "no-ping"  # who has the only address is the guest; elsewhere the host isn't let through to the guests
    if network.subnet is not None:
        first, last = dhcp.range or _whole(network)
        yield f"dhcp-range={first},{last},{network.subnet.netmask},{lease}"
        yield from _options(network, place)
    if network.subnet6 is not None:
        yield from _dhcp6(network, place, lease)
    for member in place.members if network.mode != NAT else ():  # whoever asks there is the guest
        yield from _host(network, member)


def _whole(network: Network) -> Tuple[str, str]:
    """Every address that a guest may have."""
    subnet = network.subnet
    if network.mode == NAT:
        only = offset(subnet, NAT_GUEST[4], length=False)
        return only, only
    return offset(subnet, network.its.gateway + 1, length=False), offset(subnet, -2, length=False)


def _options(network: Network, place: _Place) -> Iterator[str]:
    """Who is the router, who answers names, and what a packet may have. An option without a value is not sent."""
    if network.mtu is not None:
        yield f"dhcp-option=option:mtu,{network.mtu}"  # a machine's card isn't ours; router advertisements say it, too
    leads = network.its.leads_out
    if network.mode == NAT:  # there is only the one guest
        leads = all(member.default for member in place.members)
    yield f"dhcp-option=option:router,{gateway(network, 4)}" if leads else "dhcp-option=option:router"
    if leads and not all(member.default for member in place.members):
        yield f"dhcp-option=tag:{_NO_ROUTER},option:router"
    if not network.dns.enabled:
        given = ",".join(address for address in network.dns.upstream if ":" not in address)
        yield f"dhcp-option=option:dns-server,{given}" if given else "dhcp-option=option:dns-server"


def _dhcp6(network: Network, place: _Place, lease: str) -> Iterator[str]:
    dhcp, subnet = network.dhcp, network.subnet6
    if network.mode == NAT and not dhcp.slaac:
        return
    if dhcp.slaac:
        yield f"dhcp-range={subnet.network},ra-only,{subnet.prefixlen},{lease}"
    elif dhcp.range6:
        yield f"dhcp-range={','.join(dhcp.range6)},{subnet.prefixlen},{lease}"
    else:
        return
    yield "enable-ra"
    if not network.its.leads_out:
        yield f"ra-param={place.interface},0,0"  # prefixes are told, and that there is no router


def _host(network: Network, member: Plugged) -> Iterator[str]:
    """What one guest gets: by its MAC address where that is known, else by the name that it asks with."""
    nic, name = member.nic, member.guest.name
    elsewhere = network.its.leads_out and not member.default
    if nic.address is None and nic.address6 is None and nic.mac is None and not elsewhere:
        return
    parts = [nic.mac, f"set:{_NO_ROUTER}" if elsewhere else None, *_given(network, nic), name]
    yield f"dhcp-host={','.join(part for part in parts if part)}"


def _given(network: Network, nic: Nic) -> Sequence[Optional[str]]:
    handed6 = network.dhcp.range6 is not None and nic.address6 is not None
    return [str(nic.address.ip) if nic.address is not None else None, f"[{nic.address6.ip}]" if handed6 else None]
