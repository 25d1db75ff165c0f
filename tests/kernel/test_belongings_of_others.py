# SPDX-License-Identifier: GPL-3.0-or-later
"""What others do meanwhile to what no step that was begun could take along stays as they made it."""

from __future__ import annotations

import subprocess
from typing import List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.apply import belongings, keeping
from ansible_collections.hostwire.linux.plugins.module_utils.apply.belongings import Room
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError, KernelRefused
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.channel import Channel
from ansible_collections.hostwire.linux.tests.kernel import lan
from ansible_collections.hostwire.linux.tests.kernel.steps import JOURNAL, Document, apply
from ansible_collections.hostwire.linux.tests.kernel.test_belongings import PUT_BACK, image, otherwise

pytestmark = pytest.mark.usefixtures("private_host")

THINGS = """
link add d{0} type bridge
link set d{0} up
address add 10.7{0}.0.1/24 dev d{0}
address add 10.7{0}.0.2/24 dev d{0}
address add 2001:db8:7{0}::1/64 dev d{0} nodad
address add 2001:db8:7{0}::2/64 dev d{0} nodad
route add 10.8{0}.0.0/16 via 10.7{0}.0.9 metric 7
route add 2001:db8:8{0}::/64 via 2001:db8:7{0}::9 metric 7
neigh add 10.7{0}.0.77 lladdr 02:00:00:00:00:77 dev d{0} nud permanent
neigh add 2001:db8:7{0}::77 lladdr 02:00:00:00:00:78 dev d{0} nud permanent
"""
IPV4 = """
route del 10.8{0}.0.0/16
address del 10.7{0}.0.2/24 dev d{0}
neigh del 10.7{0}.0.77 dev d{0}
"""
IPV6 = """
route del 2001:db8:8{0}::/64
address del 2001:db8:7{0}::2/64 dev d{0}
neigh del 2001:db8:7{0}::77 dev d{0}
"""


def build() -> None:
    """Two links of others with much on them."""
    lan.batch(THINGS.format(1) + THINGS.format(2))


def failing(document: Document, meanwhile: str, step: Optional[int]) -> str:
    """What a run says that fails before this step, or at its end; others do something right before that."""
    done: List[str] = []

    def hook(position: int, when: str) -> None:
        if position == step and when == "before":
            lan.batch(meanwhile)
            done.append(meanwhile)
            raise KernelRefused("a step", 1)

    if step is None:

        def at_the_end(*_args: object) -> None:
            lan.batch(meanwhile)
            done.append(meanwhile)
            raise KernelRefused("the end", 1)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine, "probed", at_the_end)
            with pytest.raises(HostwireError) as raised:
                apply(document)
    else:
        with pytest.raises(HostwireError) as raised:
            apply(document, hook)
    assert done
    return str(raised.value)


def both(**fields: object) -> Document:
    return {"interfaces": [{"name": f"d{number}", **fields} for number in (1, 2)]}


def after(meanwhile: str) -> List[str]:
    """The host's differences once others have done this."""
    build()
    before = image(None)
    lan.batch(meanwhile)
    told = otherwise(before, image(None))
    lan.batch("link del d1\nlink del d2")
    assert told
    return told


@pytest.mark.parametrize("fields", [{"up": False}, {"mtu": 1400}, {"mtu": 1000}], ids=["down", "MTU", "no IPv6"])
def test_on_a_link_whose_step_was_never_begun(fields: Document) -> None:
    expected = after(IPV4.format(2) + IPV6.format(2))
    build()
    before = image(None)
    said = failing(both(**fields), IPV4.format(2) + IPV6.format(2), 1)
    assert PUT_BACK in said, said
    assert otherwise(before, image(None)) == expected
    assert not JOURNAL.exists()


@pytest.mark.parametrize(
    ("fields", "other"),
    [
        ({"addresses": ["10.99.0.1/24"]}, IPV6),
        ({"addresses": ["2001:db8:99::1/64"]}, IPV4),
        ({"mtu": 1400}, IPV4),
        ({"mtu": 1000}, IPV4),
    ],
    ids=["IPv4 address", "IPv6 address", "MTU", "no IPv6"],
)
def test_of_a_family_that_a_step_cannot_take_along(fields: Document, other: str) -> None:
    expected = after(other.format(1))
    build()
    before = image(None)
    said = failing({"interfaces": [{"name": "d1", **fields}]}, other.format(1), None)
    assert PUT_BACK in said, said
    assert otherwise(before, image(None)) == expected


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"addresses": ["10.99.0.1/24"]}, IPV4),
        ({"addresses": ["2001:db8:99::1/64"]}, IPV6),
        ({"mtu": 1400}, IPV6),
        ({"up": False}, "neigh add 10.71.0.77 lladdr 02:00:00:00:00:66 dev d1 nud permanent"),
    ],
    ids=["IPv4 address", "IPv6 address", "MTU", "down"],
)
def test_what_a_step_may_have_taken_along_is_given_back(fields: Document, same: str) -> None:
    """Nobody can tell then whose doing it was."""
    build()
    before = image(None)
    assert PUT_BACK in failing({"interfaces": [{"name": "d1", **fields}]}, same.format(1), None)
    assert otherwise(before, image(None)) == []


def test_an_address_is_nothing_to_the_other_end_of_the_cable() -> None:
    things = "link add d1 type veth peer name d2\nlink set d1 up\nlink set d2 up\naddress add 10.72.0.1/24 dev d2\n"
    lan.batch(things + "route add 10.82.0.0/16 via 10.72.0.9")
    lan.connected((None, "d1"), (None, "d2"))
    for link in ("d1", "d2"):
        lan.settled(link)
    document = {"interfaces": [{"name": "d1", "addresses": ["10.99.0.1/24"]}]}
    assert PUT_BACK in failing(document, "route del 10.82.0.0/16", None)
    routes = subprocess.run(["ip", "route"], check=True, capture_output=True, text=True).stdout
    assert "10.82.0.0/16" not in routes


def _noted(*names: str) -> Room:
    with Channel() as channel:
        return belongings.read(channel, 0, None, {*names})


def test_what_was_noted_of_a_link_first_counts_and_later_of_others_is_added() -> None:
    build()
    before = image(None)
    first = _noted("d1")
    lan.batch(IPV4.format(1) + IPV6.format(1))
    kept = keeping.together([{None: first}, {None: _noted("d1", "d2")}])
    lan.batch(IPV4.format(2) + IPV6.format(2))
    links = {None: {family: {"d1", "d2"} for family in (4, 6)}}
    assert keeping.lines(kept, links)
    assert keeping.give_back(kept, links, lambda: None) == []
    assert keeping.lines(kept, links) == []
    assert otherwise(before, image(None)) == []


def test_of_links_that_are_not_asked_for_nothing_is_noted() -> None:
    build()
    room = _noted("d1")
    told = str([*(one.address for one in room.addresses), *(one.to for one in room.routes)])
    assert "10.71.0.1/24" in told
    assert "2001:db8:81::/64" in told
    assert not any(other in told for other in ("10.72.", "10.82.", "2001:db8:72", "2001:db8:82"))
    assert len(room.neighbours) == 2
    lan.batch("route add 10.90.0.0/16 nexthop via 10.72.0.9 nexthop via 10.71.0.9")
    assert "10.90.0.0/16" in str(_noted("d1").routes)
    assert "10.90.0.0/16" in str(_noted("d2").routes)
    assert "10.90.0.0/16" not in str(_noted("lo").routes)
