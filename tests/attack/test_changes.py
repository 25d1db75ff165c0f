# SPDX-License-Identifier: GPL-3.0-or-later
"""While documents come, change and go: nothing arrives that must not, and what passes by others goes on."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.attack import networks, places, setups
from ansible_collections.hostwire.linux.tests.attack.conftest import choose_programs
from ansible_collections.hostwire.linux.tests.attack.flood import Stream, flooded, unwanted
from ansible_collections.hostwire.linux.tests.attack.frames import Packet
from ansible_collections.hostwire.linux.tests.attack.networks import BRANCH, DESK, FIRST, LAB, SECOND, Network
from ansible_collections.hostwire.linux.tests.attack.places import LAN, WAN
from ansible_collections.hostwire.linux.tests.attack.setups import Setup
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import batch

NETWORKS = (FIRST, SECOND, DESK, LAB, BRANCH)
FLOW = "one.a to the LAN"
PLAIN = Setup("nft", 0, "ACCEPT", 0, False, setups.NOBODY, False, "everything", False)
HOSTS = [
    PLAIN,
    PLAIN._replace(backend="legacy", forwarded=True),
    PLAIN._replace(forwarded=True, bridge_nf=1, company=setups.DOCKER),
    PLAIN._replace(backend="legacy", policy="DROP", bridge_nf=1, company=setups.UFW),
]


def mac(network: Network) -> str:
    return f"02:00:00:00:ff:{network.number:02x}"


def document(network: Network, *more: Dict[str, Any], **bridge: object) -> Dict[str, Any]:
    """A network's own document, its switch with a MAC address that is known beforehand."""
    made = networks.document(network.name, networks.part(network), *more)
    made["bridges"] = [{**made["bridges"][0], "mac": mac(network), **bridge}]
    return made


def streams(eth0: str, eth9: str) -> List[Stream]:
    """What must not arrive, whatever is being done, and one flow."""
    found = []
    for family in (4, 6):
        one, two, desk, lab = (network.address(family, 2) for network in (FIRST, SECOND, DESK, LAB))
        ways = [
            ("lan", eth0, LAN[family], one, "one.a"),
            ("lan", eth0, LAN[family], two, "two.a"),
            ("lan", eth0, LAN[family], desk, "desk.a"),
            ("lan", eth0, two, one, "one.a"),
            ("wan", eth9, WAN[family], one, "one.a"),
            ("two.a", mac(SECOND), two, one, "one.a"),
            ("one.a", mac(FIRST), one, two, "two.a"),
            ("two.a", mac(SECOND), one, LAN[family], "lan"),
            ("desk.a", mac(DESK), desk, LAN[family], "lan"),
            ("desk.a", mac(DESK), desk, one, "one.a"),
            ("lab.a", mac(LAB), lab, one, "one.a"),
            ("branch.a", mac(BRANCH), BRANCH.address(family, 2), one, "one.a"),
        ]
        for sender, to_mac, source, to, at in ways:
            title = f"{sender} as {source} to {to}"
            found.append(Stream(title, sender, to_mac, Packet(source, to, 1000 + len(found), 7777, "udp", 0), at))
    return found


def flow() -> Stream:
    return Stream(
        FLOW, "one.a", mac(FIRST), Packet(FIRST.address(4, 2), LAN[4], 999, 999, "udp", 0), "lan", numbered=True
    )


Prepare = Callable[[Setup], List[Stream]]


@pytest.fixture
def prepared(private_host: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Prepare:
    """A host without documents, and what floods it."""

    def made(setup: Setup) -> List[Stream]:
        choose_programs(setup.backend, tmp_path, monkeypatch)
        places.outside_world(setup)
        eth0, eth9 = (places.mac_of(None, interface) for interface in ("eth0", "eth9"))
        lan, wan = (places.mac_of(room, "eth0") for room in ("lan", "wan"))
        batch(
            [
                f"neighbour replace {address} lladdr {owner} dev {device} nud permanent"
                for addresses, owner, device in ((LAN, lan, "eth0"), (WAN, wan, "eth9"))
                for address in addresses.values()
            ]
        )
        found = streams(eth0, eth9)
        if not setup.forwarded:  # else it is nobody's business before there is a document
            for number, source in enumerate((WAN[4], FIRST.address(4, 2))):
                packet = Packet(source, LAN[4], 997 + number, 7777, "udp", 0)
                found.append(Stream(f"through the host as {source}", "wan", eth9, packet, "lan"))
        return [*found, flow()]

    return made


def run(*documents: Dict[str, Any]) -> None:
    for each in documents:
        engine.run(each, dad_seconds=0)


def gone(network: Network) -> Dict[str, Any]:
    return {"name": network.name, "state": "absent"}


@pytest.mark.parametrize("setup", HOSTS, ids=str)
def test_nothing_arrives_while_documents_come_change_and_go_and_what_is_let_through_goes_on(
    setup: Setup, prepared: Prepare
) -> None:
    with flooded(prepared(setup)) as flood:

        def step(title: str, *documents: Dict[str, Any]) -> None:
            flood.step = title
            run(*documents)
            flood.await_rounds()

        step("one comes", document(FIRST))
        flood.await_arrival(FLOW)
        start = flood.sent[FLOW]
        for network in NETWORKS[1:]:
            step(f"{network.name} comes", document(network))
        step("one publishes", document(FIRST, networks.PUBLISHED))
        step("two is closed", document(SECOND, guests={"outside": False}))
        step("desk's guests are apart", document(DESK, guests={"outside": False, "among": False}))
        step("all is as before", *(document(network) for network in NETWORKS))
        for network in reversed(NETWORKS[1:]):
            step(f"{network.name} goes", gone(network))
        flood.await_arrival(FLOW)
        end = flood.sent[FLOW] - 1
        flood.await_rounds(100)
        step("one goes", gone(FIRST))
    lost = set(range(start, end)) - flood.seen[FLOW]
    lines = unwanted(flood, [FLOW]) + ([f"lost: {len(lost)} of {end - start} x {FLOW}"] if lost else [])
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("setup", HOSTS, ids=str)
def test_guests_stay_hidden_while_somebody_empties_the_filter_table(setup: Setup, prepared: Prepare) -> None:
    """`iptables -F`, as scripts of old do, and what Docker does when it starts anew is less."""
    with flooded(prepared(setup)) as flood:
        run(*(document(network) for network in NETWORKS))
        for program in ("iptables", "ip6tables"):
            subprocess.run([program, "-w", "-P", "FORWARD", "ACCEPT"], check=True)
            subprocess.run([program, "-w", "-F"], check=True)
        flood.await_rounds(50)
        run(*(document(network) for network in NETWORKS))
        flood.await_rounds(50)
    guests = [stream.title for stream in flood.streams if stream.at != "lan"]
    lines = unwanted(flood, [stream.title for stream in flood.streams if stream.title not in guests])
    assert not lines, "\n".join(lines)


def test_where_nothing_is_kept_away_all_of_it_arrives(prepared: Prepare) -> None:
    """Else the flood is none."""
    with flooded(prepared(PLAIN)) as flood:
        run(*(document(network) for network in NETWORKS))
        places.unguard()
        for stream in flood.streams:
            flood.await_arrival(stream.title)
