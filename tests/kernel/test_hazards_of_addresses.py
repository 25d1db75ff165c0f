# SPDX-License-Identifier: GPL-3.0-or-later
"""What breaks naive automation of addresses, routes and settings, and doesn't break this.

Each test is named after its number in the project's list of hazards.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import time
from ipaddress import IPv6Address
from pathlib import Path
from typing import List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils import netns as namespaces
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, KernelRefused, VerificationFailed
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.plainly import (
    NOTHING,
    Document,
    addresses,
    cable,
    ip,
    link,
    refused,
    routes,
    run,
    setting,
)

pytestmark = pytest.mark.usefixtures("private_host")


# Addresses, routes, settings


def test_25_an_address_with_another_prefix_length_does_not_stay_beside_ours() -> None:
    document = cable("10.50.0.2/24")
    run(document)
    ip("-n", "red", "address", "add", "10.50.0.2/25", "dev", "eth0")
    run(document)
    assert addresses("eth0", "red") == ["10.50.0.2/24"]
    run(cable("10.50.0.2/16"))
    assert addresses("eth0", "red") == ["10.50.0.2/16"]


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "anothers"])
@pytest.mark.parametrize("address", ["192.0.2.9", "2001:db8::9"])
def test_25_an_address_is_given_another_prefix_length(address: str, ours: bool) -> None:
    short, long = (24, 25) if ours else (25, 24)
    if not ours:
        world.build_surroundings()

    def document(length: int) -> Document:
        sections = cable(f"{address}/{length}") if ours else {}
        sections["interfaces" if not ours else "bridges"] = [
            {"name": "br0" if ours else "eth0", "addresses": [f"{address}/{length}".replace(".9/", ".200/")]}
        ]
        return sections

    run(document(short))
    before = world.image()
    wanted = document(long)
    planned = engine.run(wanted, check=True).plan
    assert run(wanted).plan == planned
    assert not run(wanted).changed
    run(document(short))
    assert world.differences(before, world.image()) == []


@pytest.mark.parametrize("new", [[], ["fe80::5/10"], ["fe80::6/64"]])
@pytest.mark.parametrize("netns", ["red", None])
def test_25_a_link_local_address_goes_with_the_document_that_gave_it_and_the_kernels_own_stays(
    netns: Optional[str], new: List[str]
) -> None:
    def document(*given: str) -> Document:
        return cable(*given) if netns else cable(addresses=list(given))

    def there() -> List[str]:
        return sorted(f"{entry['local']}/{entry['prefixlen']}" for entry in link(*end)["addr_info"])

    end = ("eth0", "red") if netns else ("to-red", None)
    run(document())
    a, b, c, d, e, f = bytes.fromhex(link(*end)["address"].replace(":", ""))
    kernels_own = f"{IPv6Address(f'fe80::{a ^ 2:02x}{b:02x}:{c:02x}ff:fe{d:02x}:{e:02x}{f:02x}')}/64"
    run(document("fe80::5/64", kernels_own))
    assert there() == sorted(["fe80::5/64", kernels_own])
    planned = engine.run(document(*new), check=True).plan
    assert run(document(*new)).plan == planned
    assert there() == sorted([*new, kernels_own])
    assert not run(document(*new)).changed


def test_25_an_ipv6_address_moves_to_another_link_with_another_prefix_length() -> None:
    run({**cable("2001:db8::9/64"), "bridges": [{"name": "br0"}]})
    run({**cable(), "bridges": [{"name": "br0", "addresses": ["2001:db8::9/80"]}]})
    assert (addresses("eth0", "red"), addresses("br0")) == ([], ["2001:db8::9/80"])


def test_26_taking_a_primary_address_leaves_its_secondaries_on_our_link() -> None:
    run(cable("10.50.0.1/24", "10.50.0.2/24", "10.50.0.3/24"))
    run(cable("10.50.0.2/24", "10.50.0.3/24"))
    assert addresses("eth0", "red") == ["10.50.0.2/24", "10.50.0.3/24"]


@pytest.mark.parametrize("promote", ["0", "1"])
@pytest.mark.parametrize("document", [{"interfaces": [{"name": "eth0"}]}, NOTHING])
def test_26_taking_a_primary_address_leaves_its_secondaries_on_anothers_link(document: Document, promote: str) -> None:
    world.build_surroundings()
    path = Path("/proc/sys/net/ipv4/conf/eth0/promote_secondaries")
    path.write_text(promote)
    run({"interfaces": [{"name": "eth0", "addresses": ["10.77.0.1/24"]}]})
    ip("address", "add", "10.77.0.2/24", "dev", "eth0")
    ip("route", "add", "10.78.0.0/16", "via", "10.77.0.9")
    run(document)
    assert addresses("eth0") == ["10.77.0.2/24", "192.168.1.2/24", "192.168.1.20/24"]
    assert "10.78.0.0/16" in routes(protocol="boot")
    assert path.read_text().strip() == promote


def test_27_anothers_route_of_the_same_prefix_and_metric_is_never_replaced() -> None:
    world.build_surroundings()
    with refused(Conflict, "isn't ours (protocol 3); give this one another metric or remove that one"):
        run({"routes": [{"to": "198.51.100.0/24", "via": "192.168.1.3"}]})
    run({"routes": [{"to": "198.51.100.0/24", "via": "192.168.1.3", "metric": 5}]})
    run(NOTHING)
    assert "198.51.100.0/24" in routes(protocol="boot")


def test_28_an_ipv6_address_can_be_used_when_the_run_is_over() -> None:
    engine.run(cable("fd00::2/64"))
    with namespaces.inside("red"), socket.socket(socket.AF_INET6) as used:
        used.bind(("fd00::2", 0))


def test_28_an_ipv6_address_that_somebody_else_has_is_refused_and_all_is_undone() -> None:
    engine.run(
        {"name": "theirs", **cable("fd00::2/64", netns="blue", bridge="v-net-0"), "bridges": [{"name": "v-net-0"}]}
    )
    twin = {**cable("fd00::3/64"), "interfaces": []}
    ip("link", "add", "spare", "type", "veth", "peer", "name", "twin")
    ip("link", "set", "spare", "master", "v-net-0", "up")
    before = world.image()
    with pytest.raises(
        VerificationFailed, match="host: twin: address fd00::2/64: somebody else on this network has it"
    ):
        engine.run({**twin, "interfaces": [{"name": "twin", "up": True, "addresses": ["fd00::2/64"]}]})
    assert world.differences(before, world.image()) == []


def test_29_the_default_route_from_an_advertisement_outlives_forwarding() -> None:
    world.build_surroundings()
    advertise()
    run({"forwarding": {"ipv6": True}})
    assert setting("net/ipv6/conf/all/forwarding") == "1"
    for dummy in range(2):  # and goes on listening to the next one, which the route needs one day
        assert routes(protocol="ra") == ["default"]
        assert setting("net/ipv6/conf/eth0/accept_ra") == "2"
        assert run({"forwarding": {"ipv6": True}}).plan == ()
    run(NOTHING)
    assert (setting("net/ipv6/conf/eth0/accept_ra"), setting("net/ipv6/conf/all/forwarding")) == ("1", "0")


def advertise() -> None:
    """A router on the LAN says that it is one, until the host has a default route through it."""
    packet = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)  # RFC 4861, 4.2; the kernel adds the checksum
    with namespaces.inside("lan"):
        sender = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        everybody = ("ff02::1", 0, 0, socket.if_nametoindex("eth0"))
    with sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        deadline = time.monotonic() + 10
        while routes(protocol="ra") != ["default"]:
            assert time.monotonic() < deadline, "the kernel took no advertisement"
            with contextlib.suppress(OSError):  # its own address is still being checked
                sender.sendto(packet, everybody)


REDIRECTS = Path("/proc/sys/net/ipv4/conf/all/accept_redirects")


@pytest.mark.parametrize("before", ["0", "1"])
def test_48_a_router_obeys_no_redirects_and_what_was_before_comes_back_with_the_end_of_forwarding(before: str) -> None:
    REDIRECTS.write_text(before)
    for gone in (NOTHING, {"forwarding": {"ipv4": False}}):
        for dummy in range(2):
            run({"forwarding": {"ipv4": True}})
            assert (setting("net/ipv4/ip_forward"), REDIRECTS.read_text().strip()) == ("1", "0")
        run(gone)
        assert (setting("net/ipv4/ip_forward"), REDIRECTS.read_text().strip()) == ("0", before)
        run(NOTHING)
        assert REDIRECTS.read_text().strip() == before


@pytest.mark.parametrize("before", ["0", "1"])
def test_48_of_two_documents_that_forward_the_last_one_knows_what_was_before(before: str) -> None:
    REDIRECTS.write_text(before)
    for name in ("first", "second"):
        run({"name": name, "forwarding": {"ipv4": True}})
    run({"name": "first", "state": "absent"})
    assert (setting("net/ipv4/ip_forward"), REDIRECTS.read_text().strip()) == ("1", "0")
    assert run({"name": "second", "forwarding": {"ipv4": True}}).plan == ()
    run({"name": "second", "state": "absent"})
    assert (setting("net/ipv4/ip_forward"), REDIRECTS.read_text().strip()) == ("0", before)


@pytest.mark.parametrize("before", ["0", "1"])
def test_48_a_host_that_forwarded_before_is_no_less_safe_for_having_stopped(before: str) -> None:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    REDIRECTS.write_text(before)
    run({"forwarding": {"ipv4": False}})
    assert (setting("net/ipv4/ip_forward"), REDIRECTS.read_text().strip()) == ("0", before)
    run(NOTHING)
    assert (setting("net/ipv4/ip_forward"), REDIRECTS.read_text().strip()) == ("1", "0")


def test_48_a_router_obeys_no_redirects_once_its_document_no_longer_says_so() -> None:
    run({"forwarding": {"ipv4": True}, "sysctls": {"net.ipv4.conf.all.accept_redirects": 1}})
    run({"forwarding": {"ipv4": True}})
    assert REDIRECTS.read_text().strip() == "0"
    assert run({"forwarding": {"ipv4": True}}).plan == ()
    run(NOTHING)
    assert REDIRECTS.read_text().strip() == "1"


def test_48_a_setting_of_a_document_that_is_undone_on_a_router_leaves_it_no_less_safe() -> None:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    REDIRECTS.write_text("1")
    run({"sysctls": {"net.ipv4.conf.all.accept_redirects": 0}})
    run(NOTHING)
    assert REDIRECTS.read_text().strip() == "0"


@pytest.mark.parametrize("before", ["0", "1"])
def test_48_a_namespace_that_is_a_router_for_a_while_is_what_it_was(before: str) -> None:
    run({"namespaces": [{"name": "red"}]})
    with namespaces.inside("red"):
        REDIRECTS.write_text(before)
    for forwards, expected in ((True, "0"), (False, before)):
        document = {"namespaces": [{"name": "red", "forwarding": {"ipv4": forwards}}]}
        run(document)
        with namespaces.inside("red"):
            assert (setting("net/ipv4/ip_forward"), REDIRECTS.read_text().strip()) == (str(int(forwards)), expected)
        assert run(document).plan == ()


@pytest.mark.parametrize("before", ["0", "1"])
@pytest.mark.parametrize("forwards", [True, False])
def test_48_a_run_that_fails_leaves_redirects_as_they_were(before: str, forwards: bool) -> None:
    run({"forwarding": {"ipv4": forwards}})
    REDIRECTS.write_text(before)

    def refuse(position: int, when: str) -> None:
        if when == "after":
            raise KernelRefused("a step", errno.EPERM)

    with pytest.raises(KernelRefused) as raised:
        engine.run({"forwarding": {"ipv4": not forwards}}, hook=refuse)
    assert raised.value.problems[-1] == "everything was put back as it was"
    assert (setting("net/ipv4/ip_forward"), REDIRECTS.read_text().strip()) == (str(int(forwards)), before)


def test_30_a_setting_beside_forwarding_is_as_the_document_says_afterwards() -> None:
    document = {"forwarding": {"ipv4": True}, "sysctls": {"net.ipv4.conf.all.accept_redirects": 1}}
    run(document)
    assert (setting("net/ipv4/ip_forward"), setting("net/ipv4/conf/all/accept_redirects")) == ("1", "1")
    assert run(document).plan == ()


def test_31_a_setting_of_an_interface_with_a_dot_in_its_name() -> None:
    document = {"bridges": [{"name": "v-net.100"}], "sysctls": {"net/ipv4/conf/v-net.100/rp_filter": 2}}
    run(document)
    assert setting("net/ipv4/conf/v-net.100/rp_filter") == "2"
    assert run(document).plan == ()
    run(NOTHING)
