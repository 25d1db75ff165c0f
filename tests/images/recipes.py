# SPDX-License-Identifier: GPL-3.0-or-later
"""What the test hosts' images are made of: one Debian release each, with its own Docker engine."""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple

_COMMON = (
    "busybox-static",  # becomes the image of the inner containers: nothing can be pulled inside
    "ca-certificates",
    "conntrack",
    "containerd",
    "dbus",
    "dnsmasq-base",
    "docker.io",
    "iproute2",
    "iptables",
    "iputils-ping",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",  # ansible's package module asks for it
    "systemd",
    "systemd-sysv",
)


class Recipe(NamedTuple):
    """A Debian release by its code name, and the packages beside debootstrap's minbase."""

    suite: str
    packages: Tuple[str, ...]


RECIPES: Dict[str, Recipe] = {
    recipe.suite: recipe
    for recipe in (
        Recipe("bookworm", _COMMON),
        Recipe("trixie", (*_COMMON, "docker-cli")),
        Recipe("forky", (*_COMMON, "docker-cli", "nftables")),
    )
}
