# SPDX-License-Identifier: GPL-3.0-or-later
"""dockerd's options that have to do with the network, each declared once: its names, its type and its default.

Names and types are those of moby's cmd/dockerd/config.go and config_unix.go (20.10 to 29).
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Tuple, Union

Value = Union[str, int, bool, Tuple[Any, ...]]

STR, INT, BOOL, LIST, POOLS = "str", "int", "bool", "list", "pools"


class Option(NamedTuple):
    """One option: ``key`` in daemon.json, ``flags`` on the command line.

    ``default`` is what dockerd takes where the option stands nowhere, None where that depends on the host.
    ``parameter`` is what docker_bridge calls it, None where it doesn't change it. ``since`` is the first engine (major,
    minor) that knows it.
    """

    key: str
    flags: Tuple[str, ...]
    kind: str
    default: Optional[Value] = None
    parameter: Optional[str] = None
    since: Tuple[int, int] = (17, 6)


TABLE_OF_OPTIONS: Tuple[Option, ...] = (
    Option("bip", ("--bip",), STR, None, "bip"),
    Option("bip6", ("--bip6",), STR, None, "bip6", (28, 0)),
    Option("fixed-cidr", ("--fixed-cidr",), STR, None, "fixed_cidr"),
    Option("fixed-cidr-v6", ("--fixed-cidr-v6",), STR, None, "fixed_cidr_v6"),
    Option("ipv6", ("--ipv6",), BOOL, False, "ipv6"),
    Option("default-address-pools", ("--default-address-pool",), POOLS, None, "default_address_pools", (18, 9)),
    Option("mtu", ("--mtu",), INT, None, "mtu"),
    Option("icc", ("--icc",), BOOL, True, "icc"),
    Option("ip-masq", ("--ip-masq",), BOOL, True, "ip_masq"),
    Option("iptables", ("--iptables",), BOOL, True),
    Option("ip6tables", ("--ip6tables",), BOOL, None, None, (20, 10)),  # on by default from 27.0
    Option("ip-forward", ("--ip-forward",), BOOL, True),
    Option("ip-forward-no-drop", ("--ip-forward-no-drop",), BOOL, False, None, (28, 0)),
    Option("userland-proxy", ("--userland-proxy",), BOOL, True),
    Option("firewall-backend", ("--firewall-backend",), STR, None, None, (29, 0)),
    Option("allow-direct-routing", ("--allow-direct-routing",), BOOL, False, None, (28, 2)),
    Option("bridge", ("--bridge", "-b"), STR, None),
    Option("default-gateway", ("--default-gateway",), STR, None),
    Option("default-gateway-v6", ("--default-gateway-v6",), STR, None),
    Option("ip", ("--ip",), STR, "0.0.0.0"),
    Option("dns", ("--dns",), LIST, ()),
    Option("metrics-addr", ("--metrics-addr",), STR, None),
    Option("experimental", ("--experimental",), BOOL, False),
    Option("live-restore", ("--live-restore",), BOOL, False),
    Option("hosts", ("--host", "-H"), LIST, ()),
    Option("data-root", ("--data-root", "--graph", "-g"), STR, "/var/lib/docker"),
    Option("config-file", ("--config-file",), STR, "/etc/docker/daemon.json"),  # a flag only
)

BY_KEY: Dict[str, Option] = {option.key: option for option in TABLE_OF_OPTIONS}
BY_FLAG: Dict[str, Option] = {flag: option for option in TABLE_OF_OPTIONS for flag in option.flags}
BY_PARAMETER: Dict[str, Option] = {option.parameter: option for option in TABLE_OF_OPTIONS if option.parameter}


def plain(value: Any) -> Any:
    """An option's value as JSON has it: tuples become lists."""
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return value


def words(value: Any) -> str:
    """An option's value for a person to read."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        base, size = value.get("base"), value.get("size")
        return f"{base} in pieces of /{size}" if base is not None else repr(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(words(entry) for entry in value) or "none"
    return str(value)
