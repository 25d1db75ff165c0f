# SPDX-License-Identifier: GPL-3.0-or-later
"""A bad document, and what many of them have in common."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

Document = Any


Places = dict[str, Callable[[Any], Document]]  # a field's path to a document with a value there


Values = tuple[tuple[str, Any, str], ...]  # a case, a value, and the value in a message


class BadDocument(NamedTuple):
    """A document and the lines of the one message that it gets, in their order."""

    id: str
    document: Document
    problems: tuple[str, ...]
    empty_host: bool = False


ADDRESS_RULE = "is not an address with prefix length, like 192.168.15.1/24 or fd00:15::1/64"
NETWORK_RULE = "is not a network, like 192.168.15.0/24 or fd00:15::/64"


TARGET_RULE = "say it like 192.168.15.2:80 or [fd00:15::2]:80"


HOST_RULE = "is not an IPv4 or IPv6 address, like 192.168.15.2 or fd00:15::2"


RED = {"name": "red"}


PLUGGED = {"container": "web", "name": "lan0", "bridge": "br0"}


CABLE = {"name": "a0", "peer": {"name": "b0", "netns": "red"}}


def in_red(address: str, **more: Any) -> Document:
    """A document with one room whose interface b0 has this address."""
    cable = {"name": "a0", "peer": {"name": "b0", "netns": "red", "addresses": [address]}}
    return {"namespaces": [RED], "veths": [cable], **more}
