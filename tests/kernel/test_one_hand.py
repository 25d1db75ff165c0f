# SPDX-License-Identifier: GPL-3.0-or-later
"""A setting has one hand: a document's word for what the engine sets too holds, or is refused beforehand."""

from __future__ import annotations

import subprocess
from typing import Any, Dict, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, sysctl
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict
from ansible_collections.hostwire.linux.plugins.module_utils.netns import inside
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.steps import refused_alike

Document = Dict[str, Any]
pytestmark = pytest.mark.usefixtures("private_host")

CABLE: Document = {"namespaces": [{"name": "g"}], "veths": [{"name": "v", "peer": {"name": "eth0", "netns": "g"}}]}
SWITCH: Document = {"bridges": [{"name": "br0", "addresses": ["10.0.0.1/24"]}]}
TAP: Document = {"taps": [{"name": "tap0"}]}
PORT: Document = {
    **SWITCH,
    "namespaces": [{"name": "g"}],
    "veths": [{"name": "v", "bridge": "br0", "peer": {"name": "eth0", "netns": "g", "addresses": ["10.0.0.2/24"]}}],
    "published_ports": [{"port": 80, "to": "10.0.0.2:80"}],
}
SIX: Document = {"bridges": [{"name": "br0", "addresses": ["fd00::1/64"]}]}


def words(**values: Any) -> Document:
    """``sysctls`` by the last parts of their paths, with one underscore for each slash between."""
    return {"sysctls": {f"net.{path.replace('__', '.')}": value for path, value in values.items()}}


def run(document: Document, **more: Any) -> engine.Result:
    """As check mode says, and quiet the second time."""
    predicted = engine.run(document, check=True, **more)
    done = engine.run(document, dad_seconds=0, **more)
    assert done.plan == predicted.plan
    assert engine.run(document, dad_seconds=0, **more).plan == ()
    return done


def refused(document: Document, *said: str) -> None:
    """In check mode and by a run alike, and nothing has changed."""
    before = world.image()
    told = "\n".join(refused_alike(Conflict, document))
    assert all(word in told for word in said), told
    assert world.differences(before, world.image()) == []


@pytest.mark.parametrize(
    ("document", "link"),
    [(SWITCH, "br0"), (CABLE, "v"), (TAP, "tap0")],
    ids=["switch", "cable", "tap"],
)
@pytest.mark.parametrize("value", ["0", "1", "2"])
@pytest.mark.parametrize("later", [False, True])
def test_a_word_about_advertisements_holds(document: Document, link: str, value: str, later: bool) -> None:
    path = f"net/ipv6/conf/{link}/accept_ra"
    if later:
        run(document)
    run({**document, **words(**{f"ipv6__conf__{link}__accept_ra": value})})
    assert sysctl.read(path) == value
    run(document)
    assert sysctl.read(path) == "0"  # the engine's again


@pytest.mark.parametrize("leased", [False, True])
def test_a_word_about_a_guests_end_holds(leased: bool) -> None:
    said = {"name": "g", "sysctls": {"net.ipv6.conf.eth0.accept_ra": 1}}
    cable = {"name": "v", "peer": {"name": "eth0", "netns": "g", "leased": leased}}
    run({"namespaces": [said], "veths": [cable]})
    with inside("g"):
        assert sysctl.read("net/ipv6/conf/eth0/accept_ra") == "1"


@pytest.mark.parametrize("first", ["link", "word"])
def test_another_documents_word_holds(first: str) -> None:
    """Whichever of them runs, in whatever order, and also where the link is made anew."""
    switch = {"name": "net", **SWITCH}
    said = {"name": "words", **words(ipv6__conf__br0__accept_ra=2, ipv4__conf__br0__arp_ignore=0)}
    guarded = {**switch, "bridges": [{**SWITCH["bridges"][0], "guests": {"among": False}}]}
    run(guarded)
    run(said)
    if first == "word":
        subprocess.run(["ip", "link", "delete", "br0"], check=True)
        engine.run(guarded, dad_seconds=0)
    for document in (guarded, said, guarded):
        assert engine.run(document, dad_seconds=0).plan == ()
    assert sysctl.read("net/ipv6/conf/br0/accept_ra") == "2"
    engine.run({"name": "words", "state": "absent"})
    engine.run(guarded, dad_seconds=0)
    assert [sysctl.read(f"net/{path}") for path in ("ipv6/conf/br0/accept_ra", "ipv4/conf/br0/arp_ignore")] == [
        "0",
        "1",
    ]


CLASHES = [
    (PORT, words(ipv4__conf__br0__route_localnet=0), "net/ipv4/conf/br0/route_localnet"),
    (SIX, words(ipv6__conf__br0__disable_ipv6=1), "net/ipv6/conf/br0/disable_ipv6"),
    (SIX, words(ipv6__conf__all__disable_ipv6=1), "net/ipv6/conf/all/disable_ipv6"),
]


@pytest.mark.parametrize(("document", "said", "path"), CLASHES)
def test_a_word_that_the_document_itself_cant_do_with_is_refused(document: Document, said: Document, path: str) -> None:
    refused({**document, **said}, path, "the document says", "leave one of the two out")


@pytest.mark.parametrize(("document", "said", "path"), CLASHES)
@pytest.mark.parametrize("first", ["need", "word"])
def test_nor_is_it_taken_from_another_document(document: Document, said: Document, path: str, first: str) -> None:
    needing, saying = {"name": "net", **document}, {"name": "words", **said}
    if first == "word":
        run({"name": "net", **{key: value for key, value in PORT.items() if key != "published_ports"}})
        run(saying)
        refused({**PORT, **needing}, path, "'words'")
    else:
        run(needing)
        refused(saying, path, "'net'")


@pytest.mark.parametrize(("value", "document"), [("1", PORT), ("0", SIX)])
def test_a_word_that_agrees_is_none_too_many(value: str, document: Document) -> None:
    path = "ipv4__conf__br0__route_localnet" if document is PORT else "ipv6__conf__br0__disable_ipv6"
    run({**document, **words(**{path: value})})
    run({"name": "other", **words(**{path: value})})
    engine.run({**document, **words(**{path: value})})
    run({"name": "other", "state": "absent"})
    assert engine.run({**document, **words(**{path: value})}).plan == ()


@pytest.mark.parametrize("room", [None, "g"])
def test_where_new_links_have_no_ipv6_those_with_addresses_do(room: str) -> None:
    """By the document's own word, as hardening guides want it."""
    said = {"net.ipv6.conf.default.disable_ipv6": 1}
    namespaces = [{"name": "g", **({"sysctls": said} if room else {})}]
    cable = {"name": "v", "netns": room, "addresses": ["fd00::1/64"], "peer": {"name": "w", "netns": room}}
    document = {"namespaces": namespaces, "veths": [cable], **({} if room else {"sysctls": said})}
    run(document)
    subprocess.run(["ip", *(["-n", room] if room else []), "link", "delete", "v"], check=True)
    run(document)
    with inside(room):
        assert [sysctl.read(f"net/ipv6/conf/{name}/disable_ipv6") for name in ("v", "w")] == ["0", "1"]


def test_a_host_that_has_it_so_already(private_host: object) -> None:
    sysctl.write("net/ipv6/conf/default/disable_ipv6", "1")
    run(SIX)


def test_an_interface_without_ipv6_gets_no_address_of_it_unless_that_is_said() -> None:
    subprocess.run(["ip", "link", "add", "their0", "type", "bridge"], check=True)
    sysctl.write("net/ipv6/conf/their0/disable_ipv6", "1")
    document = {"interfaces": [{"name": "their0", "up": True, "addresses": ["fd00::1/64"]}]}
    refused(document, "their0", "fd00::1/64", "disable_ipv6 is 1")
    run({**document, **words(ipv6__conf__their0__disable_ipv6=0)})


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (words(ipv4__conf__br9__rp_filter=1), 'no interface named "br9"; did you mean "br0"?'),
        (words(ipv4__conf__br0__rp_filtr=1), "no such setting"),
        (words(ipv4__conf__all__rp_filtr=1), "no such setting"),
        (words(ipv4__neigh__default__gc_thresh9=1), "no such setting"),
        (words(ipv4__tcp_sin_retries=1), "no such setting"),
        ({"namespaces": [{"name": "g", "sysctls": {"net.ipv4.conf.eth9.rp_filter": 1}}]}, 'no interface named "eth9"'),
    ],
)
@pytest.mark.parametrize("there", [False, True])
def test_a_setting_that_there_will_not_be_is_refused_beforehand(said: Document, reason: str, there: bool) -> None:
    if there:
        run(SWITCH)
    refused({**SWITCH, **said}, reason)


def test_what_only_a_module_brings_is_left_to_the_run() -> None:
    assert engine.run(words(netfilter__nf_no_such_thing=1), check=True).changed


UPLINK: List[Document] = [{"name": "br0", "uplink": "eth0"}]


@pytest.mark.parametrize("order", ["together", "uplink first", "forwarding first"])
def test_a_router_hears_advertisements_that_come_one_day(order: str) -> None:
    """Its uplink had none when it became a router."""
    for command in ("netns add lan", "link add eth0 up type veth peer name eth0 netns lan"):
        subprocess.run(["ip", *command.split()], check=True)
    forwarding = {"forwarding": {"ipv6": True}}
    if order != "together":
        run({"bridges": UPLINK} if order == "uplink first" else forwarding)
    run({"bridges": UPLINK, **forwarding})
    assert sysctl.read("net/ipv6/conf/br0/accept_ra") == "2"
    run({"state": "absent"})
    assert sysctl.read("net/ipv6/conf/eth0/accept_ra") == "1"


def test_who_forwarded_before_us_hears_what_it_heard() -> None:
    for command in ("netns add lan", "link add eth0 up type veth peer name eth0 netns lan"):
        subprocess.run(["ip", *command.split()], check=True)
    sysctl.write(sysctl.IPV6_FORWARDING, "1")
    run({"bridges": UPLINK, "forwarding": {"ipv6": True}})
    assert sysctl.read("net/ipv6/conf/br0/accept_ra") == "1"


def test_a_word_about_a_routers_uplink_holds() -> None:
    for command in ("netns add lan", "link add eth0 up type veth peer name eth0 netns lan"):
        subprocess.run(["ip", *command.split()], check=True)
    run({"bridges": UPLINK, "forwarding": {"ipv6": True}, **words(ipv6__conf__br0__accept_ra=1)})
    assert sysctl.read("net/ipv6/conf/br0/accept_ra") == "1"


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_namespace_that_routes_hears_advertisements_on_its_leased_end(when: str) -> None:
    cable = {"name": "v", "peer": {"name": "wan", "netns": "gw", "leased": True}}
    router = {"namespaces": [{"name": "gw", "forwarding": {"ipv6": True}}], "veths": [cable]}
    if when == "later":
        run({**router, "namespaces": [{"name": "gw"}]})
    run(router)
    with inside("gw"):
        assert sysctl.read("net/ipv6/conf/wan/accept_ra") == "2"
