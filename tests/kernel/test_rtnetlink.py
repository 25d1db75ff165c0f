# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire against other eyes: what we read is what iproute2 reads, and the kernel's noes reach whom they concern."""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import subprocess
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.model import KernelRoute
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink import addresses, links, routes
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.channel import BATCH, Channel
from ansible_collections.hostwire.linux.tests.kernel import private, world

EXAMPLES = int(os.environ.get("HOSTWIRE_EXAMPLES", "30"))
TABLES = {"main": 254, "local": 255, "100": 100, "70000": 70000}
TYPES = {
    1: "unicast",
    2: "local",
    3: "broadcast",
    4: "anycast",
    5: "multicast",
    6: "blackhole",
    7: "unreachable",
    8: "prohibit",
}
PROTOCOLS = {0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 9: "ra"}

NAMES = ("a0", "a1", "b.100", "a-15-characters")
number = st.integers(0, len(NAMES) - 1)
name = number.map(lambda chosen: NAMES[chosen])
metric = st.one_of(st.just(""), st.integers(1, 2**32 - 1).map(lambda chosen: f"metric {chosen}"))
table = st.sampled_from(["", "table 100", "table 70000"])
ipv4 = st.sampled_from(["default", "203.0.113.0/24", "203.0.113.7", "10.0.0.0/8"])
ipv6 = st.sampled_from(["default", "fd99::/48", "fd99::1"])
KINDS = (
    "bridge",
    "bridge stp_state 1 vlan_filtering 1",
    "veth peer name p{number}",
    "veth peer name p{number} netns room",
)


def words(template: str, **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return st.fixed_dictionaries(parts).map(lambda chosen: template.format(**chosen))


@st.composite
def grounds(draw: st.DrawFn) -> List[str]:
    """Links, most of them up and with addresses of both families."""
    lines = ["netns add room"]
    for index, link in enumerate(NAMES):
        kind = draw(st.sampled_from(KINDS)).format(number=index)
        lines.append(f"link add {link} mtu {draw(st.integers(1280, 9000))} type {kind}")
        if draw(st.integers(0, 4)):
            lines.append(f"link set {link} up")
        if draw(st.integers(0, 3)):
            lines += [f"address add 10.{index}.0.1/24 dev {link}", f"address add fd0{index}::1/64 dev {link} nodad"]
    return lines


changed = st.one_of(
    words("link set {name} master {master}", name=name, master=name),
    words("link set {name} alias {alias}", name=name, alias=st.sampled_from(["hostwire:main", "x", "eth" * 80])),
    words("link set {name} address 02:00:00:00:00:{low:02x}", name=name, low=st.integers(0, 255)),
    words("link property add dev {name} altname {alt}", name=name, alt=st.sampled_from(["alt-1", "alt-2", "a" * 127])),
    words("address add 10.{number}.0.{host}/24 dev {name}", number=number, host=st.integers(2, 5), name=name),
    words("address add 10.{number}.0.1/8 dev {name}", number=number, name=name),
    words("address add 10.9.0.1 peer 10.9.0.2/{length} dev {name}", name=name, length=st.integers(24, 32)),
    words("address add {address} dev {name}", name=name, address=st.sampled_from(["fd08::1/128", "fe80::1234/64"])),
)
nowhere = st.sampled_from(["blackhole", "unreachable", "prohibit"])
routed = st.one_of(
    words("route add {to} via 10.{number}.0.9 {metric} {table}", to=ipv4, number=number, metric=metric, table=table),
    words("-6 route add {to} via fd0{number}::9 {metric} {table}", to=ipv6, number=number, metric=metric, table=table),
    words("route add {to} dev {name} {metric} {table}", to=ipv4, name=name, metric=metric, table=table),
    words("-6 route add {to} dev {name} {metric} {table}", to=ipv6, name=name, metric=metric, table=table),
    words("route add {to} via inet6 fd0{number}::9 {metric}", to=ipv4, number=number, metric=metric),
    words("route add {kind} {to} {metric} {table}", kind=nowhere, to=ipv4, metric=metric, table=table),
    words("-6 route add {kind} {to} {metric} {table}", kind=nowhere, to=ipv6, metric=metric, table=table),
    words("route add {to} src 10.{number}.0.1 dev {name} proto 72", to=ipv4, number=number, name=name),
    words(
        "route add {to} {table} nexthop via 10.{one}.0.9 weight {weight} nexthop via 10.{two}.0.9",
        to=ipv4,
        table=table,
        one=number,
        two=number,
        weight=st.integers(1, 256),
    ),
    words(
        "-6 route add {to} nexthop via fd0{one}::9 weight {weight} nexthop via fd0{two}::9",
        to=ipv6,
        one=number,
        two=number,
        weight=st.integers(1, 256),
    ),
)
networks = st.tuples(grounds(), st.lists(changed, max_size=10), st.lists(routed, min_size=2, max_size=12))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(network=networks)
def test_what_is_read_is_what_iproute2_reads(network: Tuple[List[str], ...]) -> None:
    with private.private_host():
        lines = ["netns add room", *network[0], *(f"link set {each} up" for each in NAMES), *network[1], *network[2]]
        # What can't be is refused, and there is less of a network then.
        subprocess.run(
            ["ip", "-force", "-batch", "-"], input="\n".join(lines), text=True, check=False, capture_output=True
        )
        # A first look, for what the kernel does by itself meanwhile: compared is what two looks around ours agree on.
        shown, shown_routes = world.ip(None, "address show", "route show table all")
        with Channel() as channel:
            read, read_addresses = links.read_links(channel), addresses.read_addresses(channel)
            read_routes = routes.read_routes(channel, TABLES.values())
        shown_again, shown_routes_again = world.ip(None, "address show", "route show table all")

    indexes = {link.index: link.name for link in read.values()}
    assert {link.name: _ours(link, indexes) for link in read.values()} in (_theirs(shown), _theirs(shown_again))
    given_addresses = {
        (indexes[index], entry.address, entry.peer) for index, entries in read_addresses.items() for entry in entries
    }
    assert given_addresses in (_their_addresses(shown), _their_addresses(shown_again))
    ours = sorted(_our_route(route, indexes) for route in read_routes)
    assert ours in (_their_routes(shown_routes), _their_routes(shown_routes_again))


def build(lines: List[str]) -> None:
    """What can't be is refused, and there is less of a network then."""
    for family in ("", "-6"):  # ip takes the family of a batch only from its command line
        batch = [line.replace("-6 ", "", 1) for line in lines if line.startswith("-6 ") == bool(family)]
        command = ["ip", *family.split(), "-force", "-batch", "-"]
        subprocess.run(command, input="\n".join(batch), text=True, check=False, capture_output=True)


def _ours(link: Any, indexes: Dict[int, str]) -> Tuple[Any, ...]:
    fields = (link.index, link.kind, link.up, link.mtu, link.mac, link.alias, sorted(link.altnames))
    return (*fields, indexes.get(link.master), link.stp, link.vlan_filtering)


def _theirs(shown: Iterable[Dict[str, Any]]) -> Dict[str, Tuple[Any, ...]]:
    found = {}
    for link in shown:
        info = link.get("linkinfo", {})
        options = info.get("info_data", {}) if info.get("info_kind") == "bridge" else {}
        stp, vlan = (bool(options[key]) if key in options else None for key in ("stp_state", "vlan_filtering"))
        fields = (link["ifindex"], info.get("info_kind"), "UP" in link["flags"], link["mtu"], link.get("address", ""))
        names = sorted(link.get("altnames", ()))
        found[link["ifname"]] = (*fields, link.get("ifalias", ""), names, link.get("master"), stp, vlan)
    return found


def _their_addresses(shown: Iterable[Dict[str, Any]]) -> Set[Tuple[Any, ...]]:
    return {
        (link["ifname"], f"{entry['local']}/{entry['prefixlen']}", entry.get("address"))
        for link in shown
        for entry in link["addr_info"]
    }


def _our_route(route: KernelRoute, indexes: Dict[int, str]) -> str:
    plain, _slash, length = route.to.partition("/")
    whole = "128" if ":" in plain else "32"
    to = "default" if length == "0" else plain if length == whole else route.to
    family = 6 if ":" in plain else 4
    hops = [(gateway, indexes.get(dev or 0), weight) for gateway, dev, weight in route.nexthops]
    named = next((text for text, number in TABLES.items() if number == route.table), str(route.table))
    protocol = PROTOCOLS.get(route.protocol, str(route.protocol))
    device = indexes.get(route.dev or 0)
    facts = (family, to, TYPES[route.type], route.via, device, route.metric, named, protocol, route.prefsrc, hops)
    return str(facts)


def _their_routes(shown: Iterable[Dict[str, Any]]) -> List[str]:
    found = []
    for route in shown:
        hops = [(_gateway(hop), hop.get("dev"), hop["weight"]) for hop in route.get("nexthops", ())]
        # "default" has no family of its own: IPv6 routes are those with a preference
        family = 6 if ":" in route["dst"] or "pref" in route else 4
        facts = (family, route["dst"], route.get("type", "unicast"), _gateway(route), route.get("dev"))
        rest = (route.get("metric", 0), route.get("table", "main"), route["protocol"], route.get("prefsrc"), hops)
        found.append(str((*facts, *rest)))
    return sorted(found)


def _gateway(route: Dict[str, Any]) -> Optional[str]:
    gateway: Optional[str] = route.get("gateway") or route.get("via", {}).get("host")
    return gateway


def test_a_refusal_has_the_kernels_own_words(private_host: Any) -> None:
    with Channel() as channel:
        channel.transact([links.add_bridge("br0", None, False, False)])
        index = socket.if_nametoindex("br0")
        answer = channel.transact([routes.add_route("10.0.0.0/8", "192.0.2.1", index, 0, 254)])[0]
        assert answer is not None
        assert (answer.errno, answer.detail) == (errno.ENETUNREACH, "Nexthop has invalid gateway")
        answer = channel.transact([links.change_link(index, mtu=70000)])[0]
        assert answer is not None
        assert answer.detail == "mtu greater than device maximum"


@pytest.mark.parametrize("count", [100, 3 * BATCH + 1])
def test_each_answer_belongs_to_its_message(private_host: Any, count: int) -> None:
    bad = {0, 17, 50, 51, count // 2, count - 1}
    with Channel() as channel:
        index = socket.if_nametoindex("lo")
        messages = [
            addresses.add_address(999999 if number in bad else index, f"10.{number // 250}.{number % 250}.1/32")
            for number in range(count)
        ]
        answers = channel.transact(messages)
        assert [number for number, answer in enumerate(answers) if answer is not None] == sorted(bad)
        assert {answer.errno for answer in answers if answer is not None} == {errno.ENODEV}
        assert len(addresses.read_addresses(channel)[index]) == count - len(bad) + 2  # lo's own
        again = channel.transact(messages)
        assert [answer.errno for answer in again if answer] == [
            errno.ENODEV if number in bad else errno.EEXIST for number in range(count)
        ]


def test_what_a_multicast_router_forwards_is_no_route(private_host: Any) -> None:
    """It comes in the same dumps: of all tables, and of table 253, which a multicast router's own is called too."""
    build(["link add in0 type bridge", "address add 10.1.0.1/24 dev in0", "link set in0 up"])
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP) as router:  # as pimd or smcroute does it
        router.setsockopt(socket.IPPROTO_IP, 200, 1)  # MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC: linux/mroute.h
        interface = struct.pack("=HBBI4s4s", 0, 0, 1, 0, socket.inet_aton("10.1.0.1"), bytes(4))
        router.setsockopt(socket.IPPROTO_IP, 202, interface)
        group = struct.pack("=4s4sH32sxxIIIi", bytes(4), socket.inet_aton("239.1.1.1"), 0, bytes(32), 0, 0, 0, 0)
        router.setsockopt(socket.IPPROTO_IP, 204, group)
        assert "239.1.1.1" in subprocess.check_output(["ip", "mroute"], text=True)
        with Channel() as channel:
            everything = {route.to for route in routes.read_all_routes(channel)}
            assert routes.read_routes(channel, [253]) == ()
    assert "10.1.0.0/24" in everything
    assert "239.1.1.1/32" not in everything


def test_a_dump_that_was_interrupted_is_read_again(private_host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "\n".join(f"link add steady{number} type bridge" for number in range(150))
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)
    interrupted = []
    once = Channel._dump_once

    def counting(channel: Channel, *question: Any) -> Any:
        found = once(channel, *question)
        interrupted.append(found is None)
        return found

    monkeypatch.setattr(Channel, "_dump_once", counting)
    child = os.fork()
    if child == 0:
        try:
            with Channel() as channel:
                while True:
                    channel.transact([links.add_bridge("brief", None, False, False)])
                    channel.transact([links.delete_link(socket.if_nametoindex("brief"))])
        finally:
            os._exit(1)
    try:
        with Channel() as channel:
            while not any(interrupted) and len(interrupted) < 2000:
                names = links.read_links(channel).keys() - {"brief"}
                assert names == {"lo", *(f"steady{number}" for number in range(150))}
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert any(interrupted)
