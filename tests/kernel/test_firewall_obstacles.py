# SPDX-License-Identifier: GPL-3.0-or-later
"""What others' rules do to what a document promises is said by name, in check mode too; who has a port is refused."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from typing import Any, Dict, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, firewall, program, sockets
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import matches, natives
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import (
    BLUE,
    HOST,
    HOST6,
    blocked,
    iptables,
    listening,
)
from ansible_collections.hostwire.linux.tests.kernel.plainly import refused

PORT: Dict[str, Any] = {"published_ports": [{"port": 8080, "to": f"{BLUE}:80", "address": "any"}]}
GUESTS: Dict[str, Any] = {
    "bridges": [{"name": "own", "addresses": ["10.5.0.1/24"]}],
    "forwarding": {"ipv4": True},
    "masquerade": [{"source": "10.5.0.0/24", "except_to": "own"}],
}
SERVICE = """
table ip svc {
  chain forward { type filter hook forward priority filter; policy accept; jump inner; }
  chain inner { oif "v-net-0" ct state established,related accept; oif "v-net-0" reject; iif "own" drop; }
}
"""


def nft(text: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)


def warnings(document: Dict[str, Any], check: bool = False) -> List[str]:
    return list(engine.run(document, check=check, dad_seconds=0).warnings)


def test_a_port_that_others_reject_is_said_by_name(world: int) -> None:
    assert warnings(PORT) == []
    iptables("-N SVC_FWI")
    iptables("-A SVC_FWI -o v-net-0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
    iptables("-A SVC_FWI -o v-net-0 -j REJECT")
    iptables("-I FORWARD -j SVC_FWI")
    with listening("blue", 80) as blue:
        assert blocked("lan", HOST, 8080, blue)
    (line,) = warnings(PORT)
    assert line.startswith(f'published port tcp any:8080 -> {BLUE}:80 leads nowhere: "-A SVC_FWI -o v-net-0 -j REJECT')
    assert "in chain SVC_FWI (iptables, FORWARD)" in line
    assert warnings(PORT, check=True) == [line]
    iptables("-F SVC_FWI")
    assert warnings(PORT) == []


def test_a_port_that_a_chain_of_nftables_rejects_is_said_by_name(world: int) -> None:
    nft("add table ip svc; add chain ip svc input { type filter hook input priority 0; policy drop; }")
    assert warnings(PORT) == []
    nft(SERVICE.replace('iif "own" drop; ', ""))
    with listening("blue", 80) as blue:
        assert blocked("lan", HOST, 8080, blue)
    (line,) = warnings(PORT)
    assert "(reject) in table ip svc, chain inner (nftables, hook forward)" in line
    nft("delete table ip svc")
    nft("add table inet fw; add chain inet fw forward { type filter hook forward priority 0; policy drop; }")
    (line,) = warnings(PORT)
    assert "leads nowhere: the policy drop in table inet fw, chain forward (nftables, hook forward)" in line
    nft("add rule inet fw forward ct status dnat accept")
    assert warnings(PORT) == []


def test_guests_that_others_dont_let_out_are_said_in_the_first_run(world: int) -> None:
    nft("add table inet fw; add chain inet fw forward { type filter hook forward priority 0; policy drop; }")
    (line,) = warnings(GUESTS, check=True)
    assert line.startswith("masqueraded network 10.5.0.0/24 on own gets nowhere: the policy drop in table inet fw")
    assert warnings(GUESTS) == [line]
    nft('add rule inet fw forward iifname "own" accept')
    assert warnings(GUESTS) == []


def test_ufw_is_of_no_concern_where_no_port_is_open_to_others(world: int) -> None:
    iptables("-N ufw-before-input")
    iptables("-I INPUT -j ufw-before-input")
    assert warnings({"name": "own", **PORT})[0].startswith("ufw is active")
    for documents in (GUESTS, {"published_ports": [{"port": 8081, "to": f"{BLUE}:80"}]}):
        assert warnings(documents) == []


def test_looking_for_chains_of_others_starts_no_program_where_there_are_none(
    world: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program takes milliseconds, and every run looks."""

    def started(*_: object, **__: object) -> None:
        raise AssertionError("a program was looked for")

    monkeypatch.setattr(natives.shutil, "which", started)
    monkeypatch.setattr(program, "run", started)
    assert firewall.native_tables(None) == ()


def test_a_port_on_which_somebody_listens_is_refused(world: int) -> None:
    with listening(None, 8080):
        with refused(Conflict, "published_ports[0].port: ", f"(process {os.getpid()}) listens on tcp 0.0.0.0:8080"):
            engine.run(PORT, check=True)
        with pytest.raises(Conflict):
            engine.run(PORT)
        other = {"published_ports": [{"port": 8080, "to": "[fd00:15::2]:80", "address": HOST6}]}
        assert engine.run(other, dad_seconds=0).changed
    assert engine.run(PORT).changed
    with listening(None, 8080):
        assert not engine.run(PORT).changed  # who comes later finds it taken


def test_all_rivals_are_said_in_one_message(world: int) -> None:
    iptables("-t nat -N DOCKER")
    iptables("-t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80")
    to = f"{BLUE}:80"
    ports = [{"port": 8081, "to": to, "address": "any"}, {"port": 53, "protocol": "udp", "to": to, "address": HOST}]
    with listening(None, 53, "udp", address=HOST), pytest.raises(Conflict) as raised:
        engine.run({"published_ports": ports})
    first, second = raised.value.problems
    assert first.startswith("published_ports[0].port: tcp any:8081 is led elsewhere already")
    assert "in chain DOCKER (iptables, nat)" in first
    assert second.startswith("published_ports[1].port: ")
    assert f"listens on udp {HOST}:53" in second


@pytest.mark.parametrize("only", [0, 1])
def test_a_socket_at_all_of_ipv6_may_serve_ipv4_too(private_host: object, only: int) -> None:
    with socket.socket(socket.AF_INET6) as server, listening(None, 80, address="127.0.0.1"):
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        server.bind(("::", 8080))
        server.listen()
        found = sockets.listeners(None, {("tcp", 8080)})
    assert {one.family for one in found} == ({6} if only else {4, 6})
    assert all(one.everywhere for one in found)


def test_the_kernel_says_which_matches_it_has(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = {"nft": matches._ask_nft, "legacy": matches._ask_legacy}[backend]
    for family in (4, 6):
        assert ask(family, "no-such-match") == errno.ENOENT
        monkeypatch.setattr(matches, "_known", {})  # else it remembers what it asked before
        assert matches.lacking(None, backend, family) == {
            name for name in matches.NAMES if not usable(backend, family, name)
        }


def usable(backend: str, family: int, name: str) -> bool:
    """Whether a rule with the match can be written."""
    options = {"devgroup": "--src-group 1", "rpfilter": "--invert"}[name]
    program = {4: "iptables", 6: "ip6tables"}[family]
    command = f"{program}-{backend} -t raw -A PREROUTING -m {name} {options}"
    return subprocess.run(command.split(), check=False, capture_output=True).returncode == 0
