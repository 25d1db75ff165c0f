# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of what is made for a guest: the same whoever else is there, and no two alike."""

from __future__ import annotations

import base64
import hashlib

LONGEST = 15  # characters of an interface's name: IFNAMSIZ is 16 with the final NUL

# What a link is to its guest. Only the cable or tap of the guest itself goes by the network's bare name.
CABLE = ""
OUTER = "out"  # nat: from the network's switch to the guest's router
INNER = "in"  # nat: from the router to the switch that the guest is plugged into
SWITCH = "sw"  # nat: that switch


def link_name(network: str, guest: str, role: str = CABLE) -> str:
    """Name of a link on the host: ``office_linux`` where that fits, else with a hash in place of the guest's name.

    No network's name holds a dot or an underscore, and a guest's begins with a letter or digit: so of a readable name
    it is plain whose it is, and none of them looks like one with a hash (which is 45 bits of SHA-256).
    """
    owner = f"{network}.{role}" if role else network
    readable = f"{owner}_{guest}"
    if len(readable) <= LONGEST:
        return readable
    digest = hashlib.sha256(f"{role}/{network}/{guest}".encode()).digest()
    return f"{network[:4]}__{base64.b32encode(digest)[:9].decode().lower()}"


def router(network: str, guest: str) -> str:
    """Name of the namespace that is the router of one guest of a network in mode nat."""
    return f"{network}-{guest}"


def services(network: str) -> str:
    """Name of the namespace in which the servers of an internal network live."""
    return f"{network}-services"


def document(network: str) -> str:
    """Name of a network's document."""
    return f"guest-{network}"


NAMESPACES = "guest-namespaces"  # the document of the guests' namespaces
