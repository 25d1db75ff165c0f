# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that the kernel won't take, or not as they are written; what goes along with some; and the way back."""

from __future__ import annotations

import subprocess
from typing import Any, Dict, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, sysctl
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, InvalidValue, VerificationFailed
from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.plainly import NOTHING, ip, refused, run, setting

Document = Dict[str, Any]
pytestmark = pytest.mark.usefixtures("private_host")

CABLE: Document = {"veths": [{"name": "v", "peer": {"name": "eth0", "netns": "g"}}]}
PLACES = pytest.mark.parametrize("place", ["host", "new namespace", "namespace"])


def saying(path: str, value: object, place: str) -> Document:
    """A document with a word about a setting, of the end that is there if it is a link's."""
    there = {path.format(link="v" if place == "host" else "eth0"): value}
    if place == "namespace":
        run({"namespaces": [{"name": "g"}], **CABLE})
    if place == "host":
        return {"namespaces": [{"name": "g"}], **CABLE, "sysctls": there}
    return {"namespaces": [{"name": "g", "sysctls": there}], **CABLE}


def neighbours() -> None:
    """An interface of the host that leads to a LAN, with addresses of both families and a way out."""
    for command in (
        "link add eth0 type veth peer name far",
        "link set far up",
        "link set eth0 up",
        "address add 192.0.2.1/24 dev eth0",
        "address add fd02::1/64 dev eth0 nodad",
        "-6 route add default via fd02::9",
    ):
        ip(*command.split())


@PLACES
@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("net.ipv4.conf.all.rp_filter", "strict", "Invalid argument"),
        ("net.ipv4.conf.{link}.rp_filter", "0x1", "makes 1 of 0x1"),
        ("net.ipv6.conf.{link}.hop_limit", "064", "makes 52 of 064"),
        ("net.ipv4.ip_default_ttl", 0, "Invalid argument"),
        ("net.ipv4.ip_local_port_range", "60999 32768", "Invalid argument"),
        ("net.ipv4.ip_unprivileged_port_start", 70000, "Invalid argument"),
        ("net.ipv4.ip_local_reserved_ports", "9000-9010,8080", "makes 8080,9000-9010 of"),
        ("net.ipv4.tcp_available_congestion_control", "reno", "can only be read here"),
        ("net.ipv4.route.flush", 1, "an order to the kernel"),
        ("net.core.somaxconn", -1, "Invalid argument"),
    ],
)
def test_a_value_that_the_kernel_does_not_take_is_refused_beforehand(
    path: str, value: object, words: str, place: str
) -> None:
    document = saying(path, value, place)
    for check in (True, False):
        with refused(Conflict, words):
            engine.run(document, check=check)


@PLACES
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("net.ipv4.ip_local_port_range", "900  60999"),
        ("net.ipv4.ip_unprivileged_port_start", 80),
        ("net.ipv4.neigh.{link}.gc_stale_time", 120),
        ("net.ipv6.neigh.{link}.gc_stale_time", 120),
        ("net.ipv4.tcp_rmem", "4096 131072 6291456"),
        ("net.ipv6.conf.{link}.stable_secret", "2001:0db8:0000:0000:0000:0000:0000:0001"),
        ("net.ipv6.conf.{link}.addr_gen_mode", 1),
    ],
)
def test_one_that_it_takes_is_not(path: str, value: object, place: str) -> None:
    if path.endswith("port_range"):  # one is judged by the other
        sysctl.write("net/ipv4/ip_unprivileged_port_start", "80")
    document = saying(path, value, place)
    if place != "host" and path.endswith("port_range"):
        document["namespaces"][0]["sysctls"]["net.ipv4.ip_local_port_range"] = "1900 60999"
    predicted = engine.run(document, check=True)
    assert run(document).plan == predicted.plan
    assert run(document).plan == ()


def test_a_list_that_was_empty_is_so_again() -> None:
    before = world.image()
    document = {"sysctls": {"net.ipv4.ip_local_reserved_ports": "8080,9000-9010"}}
    with pytest.raises(VerificationFailed, match="put back"):
        run({**document, "probes": [{"to": "198.51.100.1"}]})
    assert setting("net/ipv4/ip_local_reserved_ports") == ""
    run(document)
    run(NOTHING)
    assert setting("net/ipv4/ip_local_reserved_ports") == ""
    assert world.differences(before, world.image()) == []


SWITCHES = pytest.mark.parametrize("family", ["ipv4", "ipv6"])
LINKS = pytest.mark.parametrize("link", ["eth0", "default"])


@SWITCHES
@LINKS
@pytest.mark.parametrize("documents", ["one", "word first", "switch first"])
def test_a_link_that_is_not_to_forward_never_does(family: str, link: str, documents: str) -> None:
    """The switch makes all links as itself: a word holds beside it, and where it is off nothing forwards."""
    neighbours()
    before = world.image()
    path = f"net/{family}/conf/{link}/forwarding"
    word, switch = {"sysctls": {path: 0}}, {"forwarding": {family: True}}
    parts = [{"name": "a", **word}, {"name": "b", **switch}]
    if documents == "one":
        parts = [{**word, **switch}]
    for part in reversed(parts) if documents == "switch first" else parts:
        run(part)
        assert setting(path) == "0" or "sysctls" not in part
    for part in parts:
        assert run(part).plan == ()
    for part in reversed(parts):
        run({"name": part.get("name", "main"), "state": "absent"})
        assert setting(path) == "0"
    assert world.differences(before, world.image()) == []


@SWITCHES
def test_a_link_of_which_nothing_is_said_any_more_goes_along_with_the_switch(family: str) -> None:
    neighbours()
    path = f"net/{family}/conf/eth0/forwarding"
    run({"sysctls": {path: 0}, "forwarding": {family: True}})
    run({"forwarding": {family: True}})
    assert setting(path) == "1"


@SWITCHES
def test_so_it_is_in_a_namespace(family: str) -> None:
    path = f"net/{family}/conf/eth0/forwarding"
    for on in (True, False, True):
        room = {"name": "g", "forwarding": {family: on}, "sysctls": {path: 0}}
        run({"namespaces": [room], **CABLE})
        with inside("g"):
            assert sysctl.read(path) == "0"


@pytest.mark.parametrize("which", ["eth0", "all"])
def test_what_goes_with_ipv6_is_said_and_comes_back_when_the_run_is_undone(which: str) -> None:
    neighbours()
    document: Document = {"sysctls": {f"net.ipv6.conf.{which}.disable_ipv6": 1}}
    before = world.image()
    with pytest.raises(VerificationFailed, match="put back"):
        run({**document, "probes": [{"to": "198.51.100.1"}]})
    assert world.differences(before, world.image()) == []
    for check in (True, False):
        (warning,) = engine.run(document, check=check).warnings
        assert "takes IPv6 from eth0, which loses fd02::1/64 for good" in warning
    assert run(document).warnings == ()


def ways() -> List[Document]:
    return [
        {"to": "fd77::/64", "dev": "eth0"},
        {"to": "fd77::/64", "nexthops": [{"via": "fe80::1", "dev": "eth0"}, {"via": "fe80::2", "dev": "eth0"}]},
    ]


@pytest.mark.parametrize("route", ways(), ids=["dev", "nexthops"])
@pytest.mark.parametrize("which", ["eth0", "all"])
def test_an_ipv6_route_and_a_word_against_ipv6_clash(route: Document, which: str) -> None:
    said = {f"net.ipv6.conf.{which}.disable_ipv6": 1}
    document = {"namespaces": [{"name": "g", "sysctls": said}], **CABLE, "routes": [{**route, "netns": "g"}]}
    for check in (True, False):
        with refused(Conflict, "the route fd77::/64 leads through eth0", "leave one of the two out"):
            engine.run(document, check=check)


@pytest.mark.parametrize("route", ways(), ids=["dev", "nexthops"])
def test_an_interface_without_ipv6_gets_no_route_of_it(route: Document) -> None:
    neighbours()
    sysctl.write("net/ipv6/conf/eth0/disable_ipv6", "1")
    for check in (True, False):
        with refused(Conflict, "route fd77::/64 dev eth0", "disable_ipv6 is 1", "leave the route out"):
            engine.run({"routes": [route]}, check=check)
    run({"routes": [route], "sysctls": {"net.ipv6.conf.eth0.disable_ipv6": 0}})


@pytest.mark.parametrize("later", [False, True])
def test_where_new_links_have_no_ipv6_those_with_routes_do(later: bool) -> None:
    sysctl.write("net/ipv6/conf/default/disable_ipv6", "1")
    cable = {"veths": [{"name": "v", "peer": {"name": "w"}}]}
    if later:
        run(cable)
    run({**cable, "routes": [{"to": "fd77::/64", "dev": "v"}]})
    assert subprocess.check_output(["ip", "-6", "route", "show", "fd77::/64"]) != b""


@pytest.mark.parametrize("when", ["at once", "later"])
def test_what_a_switch_has_taken_over_and_loses_is_said_too(when: str) -> None:
    neighbours()
    switch: Document = {"bridges": [{"name": "br0", "uplink": "eth0"}]}
    if when == "later":
        run(switch)
    document = {**switch, "sysctls": {"net.ipv6.conf.br0.disable_ipv6": 1}}
    (warning,) = engine.run(document, check=True).warnings
    assert "takes IPv6 from br0, which loses fd02::1/64 for good" in warning


def test_a_probe_by_an_interface_that_there_is_not() -> None:
    probe = {"from": "g", "to": "fe80::1%eth9", "expect": "unreachable"}
    for check in (True, False):
        with pytest.raises(InvalidValue, match=r'probes\[0\].to: no interface named "eth9" in namespace g'):
            engine.run({"namespaces": [{"name": "g"}], **CABLE, "probes": [probe]}, check=check)
