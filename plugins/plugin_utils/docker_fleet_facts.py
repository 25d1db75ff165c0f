# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host tells of its Docker, as docker_info returns it: a broken or lying host is named with its field."""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, Mapping, Tuple

from .foreign import Field, Problems, address, flag, list_of, mapping_of, number, or_none, text

_ADDRESS = address(ipaddress.ip_address, "an IPv4 or IPv6 address")
_WITH_PREFIX = address(ipaddress.ip_interface, "an address with a prefix length")
_NETWORK = address(lambda text: ipaddress.ip_network(text, strict=False), "a network, like 10.8.0.0/16")

_PORT = {
    "protocol": Field(text),
    "port": Field(number(0, 65535)),
    "address": Field(or_none(_ADDRESS)),
    "host_port": Field(number(0, 65535)),
}
_CONTAINER = {
    "name": Field(text),
    "policy": Field(text),
    "ports": Field(list_of(mapping_of(_PORT))),
}
_SUBNET = {"subnet": Field(or_none(_NETWORK))}
_NETWORKS = {"name": Field(text), "subnets": Field(list_of(mapping_of(_SUBNET)))}
_ROUTE = {
    "to": Field(_NETWORK),
    "via": Field(or_none(text), None),
    "dev": Field(text),
    "table": Field(number(0, 0xFFFFFFFF), 254),
}
_STATUS = {
    "installed": Field(flag),
    "running": Field(flag, False),
    "reason": Field(or_none(text), None),
    "broken_off": Field(or_none(text), None),
}
_ENGINE = {
    **_STATUS,
    "live_restore": Field(or_none(flag), None),
    "twice": Field(list_of(text), []),
    "docker0": Field(mapping_of({"addresses": Field(list_of(_WITH_PREFIX))})),
    "networks": Field(list_of(mapping_of(_NETWORKS))),
    "containers": Field(list_of(mapping_of(_CONTAINER))),
    "addresses": Field(list_of(_ADDRESS), []),
    "routes": Field(list_of(mapping_of(_ROUTE))),
}


def checked(found: Any) -> Tuple[Dict[str, Any], Problems]:
    """The facts that a plan needs, of the right form, and all that is wrong with them, each with its field's path.

    Of a host without a Docker engine there is nothing to know but that.
    """
    problems: Problems = []
    there = isinstance(found, Mapping) and (found.get("running") or found.get("broken_off"))
    facts: Dict[str, Any] = mapping_of(_ENGINE if there else _STATUS)(found, "", problems)
    return facts, problems
