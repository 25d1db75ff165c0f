# SPDX-License-Identifier: GPL-3.0-or-later
"""A resolv.conf, resolv.conf(5), as text: whose it is, what it asks, and what was there before it. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from ..document.fields import HOST_NAME, INTERFACE_NAME

HEADER = "# Made by hostwire.linux for the names {owner!r}: edits will be lost.\n"
DOCKERS_OWN = "127.0.0.11"  # Docker's server in each container of a network that a user made
_OURS = re.compile(r"# Made by hostwire\.linux for the names '([A-Za-z0-9_.-]+)': edits will be lost\.")
# Lines that were there before; the second marks a last line that had no end.
_WAS, _WAS_LAST = "# was: ", "# was, without end: "
_MOST_SERVERS = 3  # MAXNS of glibc; a resolver asks no more


class Resolver(NamedTuple):
    """Whom to ask, and the domains that short names are tried in."""

    nameservers: Tuple[str, ...]
    search: Tuple[str, ...] = ()


class ResolverText(NamedTuple):
    """A file taken apart: ``owner`` is None where it isn't ours; ``before`` is what it held before it was."""

    owner: Optional[str]
    asks: Resolver
    before: Optional[bytes]


def read_resolver(nameservers: Sequence[Any], search: Sequence[Any]) -> Tuple[Resolver, List[str]]:
    """What is asked for, and everything that is wrong with it, a line each with the field's path."""
    problems: List[str] = []
    for number, address in enumerate(nameservers):
        plain, mark, interface = str(address).partition("%")
        try:
            ipaddress.ip_address(plain)
            good = not mark or (":" in plain and INTERFACE_NAME.fullmatch(interface))
        except ValueError:
            good = False
        if not good:
            problems.append(f'nameservers[{number}]: "{address}" is no IPv4 or IPv6 address; 10.0.2.15 would be one')
    if len(nameservers) > _MOST_SERVERS:
        problems.append(f"nameservers: {len(nameservers)} are too many; a resolver asks the first {_MOST_SERVERS} only")
    for number, domain in enumerate(search):
        if not isinstance(domain, str) or not HOST_NAME.fullmatch(domain):
            problems.append(f'search[{number}]: "{domain}" is no domain; lab.example would be one')
    if search and not nameservers:
        problems.append("search: needs nameservers, which know the names in it")
    return Resolver(tuple(map(str, nameservers)), tuple(map(str, search))), problems


def taken_apart(content: bytes) -> ResolverText:
    """Whose a file is, and what it says."""
    lines = content.decode("utf-8", "surrogateescape").splitlines(keepends=True)
    found = _OURS.fullmatch(lines[0].rstrip("\n")) if lines else None
    kept = [line for line in lines if line.startswith((_WAS, _WAS_LAST))]
    before = "".join(
        line[len(_WAS) :] if line.startswith(_WAS) else line[len(_WAS_LAST) :].removesuffix("\n") for line in kept
    )
    asks = Resolver(_words(lines, "nameserver"), _words(lines, "search"))
    if found is None:
        return ResolverText(None, asks, content)
    return ResolverText(found.group(1), asks, before.encode("utf-8", "surrogateescape") if kept else None)


def put_together(owner: str, asks: Resolver, before: Optional[bytes]) -> bytes:
    """A file of ours; ``before`` is kept in it as comments."""
    text = HEADER.format(owner=owner)
    if asks.search:
        text += f"search {' '.join(asks.search)}\n"
    text += "".join(f"nameserver {address}\n" for address in asks.nameservers)
    lines = [] if before is None else before.decode("utf-8", "surrogateescape").splitlines(keepends=True) or [""]
    for line in lines:
        text += _WAS + line if line.endswith("\n") else f"{_WAS_LAST}{line}\n"
    return text.encode("utf-8", "surrogateescape")


def _words(lines: Sequence[str], key: str) -> Tuple[str, ...]:
    """What follows a keyword, of all its lines."""
    return tuple(word for line in lines if line.split()[:1] == [key] for word in line.split()[1:])
