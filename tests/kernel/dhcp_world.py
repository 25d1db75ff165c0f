# SPDX-License-Identifier: GPL-3.0-or-later
"""Real DHCP and DNS servers out of guest_services, and a real client (busybox) in namespaces."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside
from ansible_collections.hostwire.linux.tests.kernel.guest_world import FILTERS, Item, apply

PATIENCE = 30.0  # seconds for what does come, on a busy machine

# What a DHCP client does with a lease: it takes the address and the route, and tells what else it was told.
_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip address replace "$ip/$mask" dev "$interface"
for via in $router; do ip route replace default via "$via" dev "$interface"; done
echo "lease=$ip router=$router dns=$dns domain=$domain"
"""


def plug(networks: List[Item], guests: List[Item]) -> List[Item]:
    """Make networks with their guests; returns the documents."""
    found: List[Item] = FILTERS["guest_documents"](networks, guests)
    apply(found)
    return found


@contextlib.contextmanager
def serving(networks: Sequence[Item], guests: Sequence[Item], directory: Path) -> Iterator[Dict[str, Any]]:
    """All servers of these networks, by name, while the context lasts; their lease files stay in ``directory``."""
    running: Dict[str, Any] = {}
    try:
        for entry in FILTERS["guest_services"](networks, guests):
            if entry["state"] == "present":
                running[entry["name"]] = start(entry, directory)
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def start(entry: Item, directory: Path) -> Any:
    """One server, as a service manager would run it, but as root: a test's user namespace may have no other user."""
    name = entry["name"]
    (directory / f"{name}.conf").write_text("".join(f"{line}\n" for line in entry["lines"]))
    with inside(entry["netns"]):
        return subprocess.Popen(
            [
                "dnsmasq",
                "--keep-in-foreground",
                "--user=root",
                "--pid-file=",
                f"--conf-file={directory / f'{name}.conf'}",
                f"--dhcp-leasefile={directory / f'{name}.leases'}",
                f"--log-facility={directory / f'{name}.log'}",
            ]
        )


def lease(room: str, interface: str, directory: Path, hostname: str = "", tries: int = 20) -> Dict[str, str]:
    """What a DHCP client in a room is given; it asks by the name of the room. Empty where nobody answers."""
    script = directory / "udhcpc.sh"
    script.write_text(_SCRIPT)
    script.chmod(0o755)
    ask = ["busybox", "udhcpc", "-i", interface, "-f", "-q", "-n", "-t", str(tries), "-T", "1", "-s", str(script)]
    with inside(room):
        done = subprocess.run([*ask, "-x", f"hostname:{hostname or room}"], check=False, capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if line.startswith("lease=")]
    return dict(word.split("=", 1) for word in found[-1].split(" ")) if found else {}


def offered6(room: str, mac: str) -> str:
    """The address that a DHCPv6 server offers to who asks in a room (RFC 8415); nothing where nobody answers."""

    def option(code: int, value: bytes) -> bytes:
        return struct.pack("!HH", code, len(value)) + value

    identity = option(1, struct.pack("!HH", 3, 1) + bytes.fromhex(mac.replace(":", "")))  # DUID-LL of an Ethernet card
    solicit = bytes((1, 0, 0, 7)) + identity + option(3, struct.pack("!III", 1, 0, 0)) + option(8, bytes(2))
    with inside(room):
        client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        with client, contextlib.suppress(OSError):  # its own address isn't ready, or nobody answers
            index = socket.if_nametoindex("eth0")
            client.bind(("::", 546))
            client.settimeout(1)
            client.sendto(solicit, ("ff02::1:2", 547, 0, index))
            answer = client.recv(2048)
            place = answer.find(struct.pack("!HH", 5, 24))  # an address of the IA
            if answer[:1] == b"\x02" and place >= 0:
                return socket.inet_ntop(socket.AF_INET6, answer[place + 4 : place + 20])
    return ""


def resolved(room: str, name: str, server: str) -> str:
    """The IPv4 address that a server gives for a name; nothing where it knows none."""
    with inside(room):
        done = subprocess.run(
            ["busybox", "nslookup", "-type=a", name, server], check=False, capture_output=True, text=True, timeout=60
        )
    found = [line.split()[1] for line in done.stdout.splitlines()[2:] if line.startswith("Address")]
    return found[0] if found else ""


def wait(until: Callable[[], bool]) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + PATIENCE
    while not until():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def pair(*nics: Item) -> Tuple[Item, Item]:
    """Two guests with the same NICs."""
    one, two = ({"name": name, "nics": [dict(nic) for nic in nics]} for name in ("one", "two"))
    return one, two
