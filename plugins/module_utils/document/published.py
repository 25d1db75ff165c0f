# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the published ports of a document."""

from __future__ import annotations

from typing import Iterator, Optional, Sequence, Tuple

from ..model import PublishedPort
from .fields import Fields, Ports, shown
from .prefix import Ip, is_loopback, parse_ip, why_not_a_host, why_not_an_ip

DEFAULT_ADDRESS = "127.0.0.1"  # opening a port to the world is said, not implied
ANY = "any"


def published_port(fields: Fields, absent: bool) -> Optional[PublishedPort]:
    """One entry of ``published_ports``; None if something is wrong with it.

    With ``absent``, a protocol or address that is left out is "": the entry means those of each.
    """
    before = len(fields.problems)
    netns = fields.netns()
    protocol = fields.choice("protocol", ("tcp", "udp"), "" if absent else "tcp")
    ports = _ports(fields)
    target = None
    if fields.values.get("to") is not None:
        target = fields.target("to")
    elif not absent:
        fields.missing("to", "the address and port that it leads to, like 192.168.15.2:80")
    address = "" if absent and fields.values.get("address") is None else _address(fields, target[0] if target else None)
    sources = fields.networks("sources")
    if target and ports:
        _check_target(fields, ports, *target)
    if target:
        for source in sources:
            if (":" in source) != (target[0].family == 6):
                fields.problem("sources", f"{source} is of the other family than {target[0].text}")
    if ports is None or address is None or len(fields.problems) > before:
        return None
    to_address, to_port = (target[0].text, target[1].first) if target else ("", ports.first)
    return PublishedPort(netns, protocol, ports.first, ports.last, address, to_address, to_port, sources)


def still_published(reading: Sequence[PublishedPort], stored: Sequence[PublishedPort]) -> Iterator[Tuple[int, str]]:
    """Which entries with state absent leave their port open, since it lies in a range; each with words that say so."""
    for position, gone in enumerate(reading):
        for port in stored:
            inside = port.port < gone.port <= port.port_last
            if inside and gone.netns == port.netns and gone.protocol in ("", port.protocol):
                ports = f"{port.port}-{port.port_last}"
                yield position, f"{gone.port} stays published, as part of {port.protocol} {ports}; say that range"


def _ports(fields: Fields) -> Optional[Ports]:
    if fields.values.get("port") is None:
        fields.missing("port", "which port to publish, like 8080 or 8000-8010")
        return None
    return fields.ports("port")


def _check_target(fields: Fields, ports: Ports, ip: Ip, to_ports: Ports) -> None:
    """A range leads to a range of its length, and the address to one machine."""
    count, to_count = ports.last - ports.first + 1, to_ports.last - to_ports.first + 1
    if count != to_count:
        fields.problem("to", f"leads to {to_count} {_plural(to_count)} and publishes {count}; say as many as in port")
    reason = why_not_a_host(ip.family, ip.number)
    if is_loopback(ip.family, ip.number):
        reason = "is a loopback address, where no packet from elsewhere can be led"
    if reason:
        fields.problem("to", f"{ip.text} {reason}")


def _plural(count: int) -> str:
    return "port" if count == 1 else "ports"


def _address(fields: Fields, target: Optional[Ip]) -> Optional[str]:
    """The local address to publish on: canonical text or ``any``."""
    given = fields.values.get("address") is not None
    text = fields.text("address", "a local address, or any") if given else DEFAULT_ADDRESS
    if text is None or text == ANY:
        return text
    ip = parse_ip(text)
    if ip is None:
        fields.problem("address", f"{shown(text)} {why_not_an_ip(text)}; or say any")
        return None
    reason = why_not_published_on(ip)
    if target and not reason and ip.family != target.family and not given:
        reason = "is the default and IPv4; say the IPv6 address to publish on, or any"
    if target and not reason and ip.family != target.family:
        reason = f"is IPv{ip.family} and {target.text} is IPv{target.family}; say one of the same family, or any"
    if reason:
        fields.problem("address", f"{ip.text} {reason}")
        return None
    return ip.text


def why_not_published_on(ip: Ip) -> Optional[str]:
    """What is wrong with an address of the host to publish on, in words that follow it; None if it will do."""
    if ip.number == 0:
        return "is not an address of its own; say any for every local address"
    if ip.family == 6 and is_loopback(6, ip.number):
        # IPv6 has no route_localnet: a packet that is led away from ::1 is dropped.
        return "can't be published on, for IPv6 leads nothing away from its loopback; say another address, or any"
    return why_not_a_host(ip.family, ip.number)
