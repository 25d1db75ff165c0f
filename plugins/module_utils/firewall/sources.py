# SPDX-License-Identifier: GPL-3.0-or-later
"""A document's rules in raw: which sources are its networks', and where those live."""

from __future__ import annotations

from typing import Iterable, List

from .rules import Writer
from .shared import SOURCE, STRANGE
from .want import ANY, family_of

_TO_LOCAL = "-m addrtype --dst-type LOCAL"


def sources(writer: Writer) -> None:
    """What a packet whose way back is another interface must not claim to be."""
    _dispatch(writer)
    forged = writer.chain("raw", "FORGED")
    for guest in writer.guests:
        for prefix in writer.prefixes(guest):
            away = "" if writer.by_route else f" ! -i {guest.interface}"
            writer.add("raw", forged, f"protect guests on {guest.interface}", f"-s {prefix}{away}", "DROP")
    for source, interface in writer.homes_elsewhere():
        away = "" if writer.by_route else f" ! -i {interface}"
        writer.add("raw", forged, "", f"-s {source}{away}", "DROP")
    if writer.by_route:
        _admitted(writer, forged)
    if writer.family == 4 or writer.chains["raw", forged]:  # by IPv6 the kernel itself keeps loopback on lo
        writer.hang("raw", SOURCE, 50, forged)
    else:
        del writer.chains["raw", forged]
    for answer in writer.want.answers:
        if family_of(answer.address) == writer.family:
            writer.share("raw", SOURCE, 35, "", f"-i {answer.interface} -s {answer.address}", "RETURN", once=True)


def _dispatch(writer: Writer) -> None:
    """Where the kernel can't be asked for the group of a link, or for the way back: link by link."""
    addressed = {guest.interface for guest in writer.guests if writer.prefixes(guest)}
    for name in () if writer.by_group else writer.links:
        if name not in addressed:
            writer.share("raw", SOURCE, 45, "", f"-i {name}", "RETURN")
    for guest in writer.guests:
        prefixes = writer.prefixes(guest)
        if not prefixes or (writer.by_group and writer.by_route):
            continue
        if writer.by_route:
            writer.share("raw", SOURCE, 40, "", f"-i {guest.interface}", f"goto {STRANGE}")
            continue
        for prefix in prefixes:
            writer.share("raw", SOURCE, 30, "", f"-i {guest.interface} -s {prefix}", "RETURN")
        writer.share("raw", SOURCE, 40, "", f"-i {guest.interface}", f"goto {STRANGE}")


def _admitted(writer: Writer, forged: str) -> None:
    """Sources that a published port, or a network, is open to: they don't come by another interface either.

    The host may hear of them on several for other reasons, so only what would use the opening is dropped.
    """
    for port in writer.ports:
        span = str(port.port) if port.port == port.port_last else f"{port.port}:{port.port_last}"
        to = "" if port.address == ANY else f" -d {port.address}"
        for source in _limited(port.sources):
            matches = f"-s {source}{to} -p {port.protocol} -m {port.protocol} --dport {span} {_TO_LOCAL}"
            writer.add("raw", forged, "", matches, "DROP")
    if writer.let_through:
        through = writer.chain("raw", "THROUGH")
        for source in _limited(writer.let_through):
            writer.add("raw", forged, "", f"-s {source}", through)
        for destination in writer.let_through:
            writer.add("raw", through, "", f"-d {destination}", "DROP")


def _limited(sources: Iterable[str]) -> List[str]:
    """Those that aren't everybody."""
    return sorted(source for source in sources if not source.endswith("/0"))
