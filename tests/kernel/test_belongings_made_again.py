# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces and cables that a run takes away: what is seen to come back with them isn't noted, all else is."""

from __future__ import annotations

import itertools
from typing import Any, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.apply import belongings, keeping
from ansible_collections.hostwire.linux.plugins.module_utils.apply.endangered import Endangered
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError, KernelRefused
from ansible_collections.hostwire.linux.plugins.module_utils.model import HostView
from ansible_collections.hostwire.linux.tests.kernel import lan
from ansible_collections.hostwire.linux.tests.kernel.steps import JOURNAL, NOTHING, Document, apply
from ansible_collections.hostwire.linux.tests.kernel.test_belongings import PUT_BACK, image, otherwise

pytestmark = pytest.mark.usefixtures("private_host")

ROOMS = ("a", "b")
OURS: Document = {
    "namespaces": [{"name": name} for name in ROOMS],
    "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24", "fd05::1/64"]}],
    "veths": [
        {
            "name": f"v-{name}",
            "bridge": "sw0",
            "peer": {"name": "eth0", "netns": name, "addresses": [f"10.5.0.{number}/24", f"fd05::{number}/64"]},
        }
        for number, name in enumerate(ROOMS, 2)
    ],
    "routes": [{"netns": name, "to": to, "via": via} for name in ROOMS
               for to, via in (("default", "10.5.0.1"), ("10.66.0.0/16", "10.5.0.1"), ("default", "fd05::1"))],
}  # fmt: skip

# Each can be in a namespace that goes, and doesn't keep it from going.
FOREIGN = {
    "a neighbour": "neigh add 10.5.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
    "an IPv6 neighbour": "neigh add fd05::77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
    "a neighbour answered for": "neigh add proxy 10.5.0.78 dev eth0",
    "a link-local address": "address add fe80::77/64 dev eth0 nodad",
    "another link-local address": "address flush dev eth0 scope link\naddress add fe80::77/64 dev eth0 nodad",
    "an address that ends": "address add 10.5.0.99/24 dev eth0 valid_lft 3600 preferred_lft 1800",
    "an IPv6 address that ends": "address add fd05::99/64 dev eth0 nodad valid_lft 3600 preferred_lft 1800",
    "an address without its route": "route del 10.5.0.0/24 dev eth0",
    "an IPv6 address without its route": "route del fd05::/64 dev eth0",
    "a route that says it is the kernel's": "route add 10.88.0.0/16 dev eth0 proto kernel",
    "such a route in another table": "route add 10.5.0.0/24 dev eth0 table 77 proto kernel",
    "such an IPv6 route in another table": "route add 2001:db8::/64 dev eth0 table 77 proto kernel metric 256",
    "one more such route": "route add 10.5.0.0/24 dev eth0 tos 0x10 proto kernel",
}


def settle() -> None:
    lan.connected((None, "sw0"), *((None, f"v-{name}") for name in ROOMS), *((name, "eth0") for name in ROOMS))
    for netns, link in [(None, "sw0"), *((None, f"v-{name}") for name in ROOMS), *((name, "eth0") for name in ROOMS)]:
        lan.settled(link, netns)


def build() -> None:
    apply(OURS)
    settle()


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """The names of links of which more is noted than neighbours, by each look into a namespace before a run begins."""
    found: List[Any] = []
    note, read = keeping.note, belongings.read

    def counted(endangered: Endangered, before: HostView) -> keeping.Kept:
        def looked(channel: Any, now: int, links: Any, names: Any, plain: Any) -> belongings.Room:
            found.append(sorted(names - plain))
            return read(channel, now, links, names, plain)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keeping, "read", looked)
            return note(endangered, before)

    monkeypatch.setattr(keeping, "note", counted)
    return found


@pytest.mark.parametrize("thing", FOREIGN)
def test_what_others_have_in_a_namespace_that_goes_is_there_to_the_letter_if_it_stays(
    monkeypatch: pytest.MonkeyPatch, noted: List[Any], thing: str
) -> None:
    build()
    lan.batch(FOREIGN[thing], "a")
    before = {netns: image(netns) for netns in (None, *ROOMS)}

    def refused(*_args: object) -> None:
        raise KernelRefused("the end", 1)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "probed", refused)
        with pytest.raises(HostwireError, match=PUT_BACK):
            apply(NOTHING)
    assert noted == ([] if "neighbour" in thing else [["eth0"]])
    settle()
    found = [line for netns, then in before.items() for line in otherwise(then, image(netns))]
    assert [line for line in found if not line.startswith("new: eth0 inet6 fe80:")] == []  # the kernel's own
    assert not JOURNAL.exists()
    assert len(apply(NOTHING).plan) > len(ROOMS)


def test_where_there_is_nothing_of_others_nothing_is_read_and_all_comes_back(noted: List[Any]) -> None:
    build()
    before = {netns: image(netns) for netns in (None, *ROOMS)}
    for step in itertools.count():

        def refuse(position: int, when: str, last: int = step) -> None:
            if (position, when) == (last, "after"):
                raise KernelRefused("a step", 1)

        try:
            apply(NOTHING, refuse)
            break
        except HostwireError as error:
            assert PUT_BACK in str(error)  # noqa: PT017
        settle()
        found = [line for netns, then in before.items() for line in otherwise(then, image(netns))]
        assert found == [], f"step {step}"
    assert step > 4
    assert noted == []


def test_a_link_to_which_something_else_happens_too_is_noted(noted: List[Any]) -> None:
    """It may lose what it holds, and not come to be deleted."""
    build()
    first, second = OURS["veths"]
    veths = [first, {**second, "peer": {**second["peer"], "mac": "02:00:00:00:00:06"}}]
    apply({**OURS, "veths": veths})
    assert ["eth0"] in noted
