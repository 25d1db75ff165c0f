# SPDX-License-Identifier: GPL-3.0-or-later
"""Random documents that are good, and random things that other people do to a host (hypothesis strategies)."""

from __future__ import annotations

import re
import subprocess
from typing import Any, Dict, List, Optional, Tuple

from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict

NAMESPACES = ("n0", "n1", "n2")
Document = Dict[str, Any]


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A document over a few names, so that two of them collide and overlap in every way."""
    rooms = draw(st.lists(st.sampled_from(NAMESPACES), unique=True, max_size=3))
    places: List[Optional[str]] = [None, *rooms]
    document: Document = {"namespaces": [draw(namespaces(name)) for name in rooms]}
    taken: List[Tuple[Optional[str], str]] = []
    subnets = iter(draw(st.permutations(range(1, 30))))
    bridges = []
    for name in draw(st.lists(st.sampled_from(("b0", "b1")), unique=True)):
        netns = draw(st.sampled_from(places))
        taken.append((netns, name))
        bridge = {"name": name, "netns": netns, **draw(links(next(subnets))), **draw(bridge_options())}
        if netns is None and draw(st.integers(0, 3)) == 0:
            bridge["guests"] = draw(guests())
        bridges.append(bridge)
    document["bridges"] = bridges
    veths = []
    joined = {(bridge["netns"], bridge["name"]): {bridge["name"]} for bridge in bridges}  # no two have one name
    for number in range(draw(st.integers(0, 4))):
        ends: List[Document] = []
        for side in ("a", "b"):
            netns = draw(st.sampled_from(places))
            name = draw(st.sampled_from((f"v{number}{side}", f"v{number}{side}", "eth0", "eth1")))
            if (netns, name) in taken:
                name = f"v{number}{side}"
            taken.append((netns, name))
            ports = [bridge["name"] for bridge in bridges if bridge["netns"] == netns]
            master = draw(st.sampled_from([None, *ports]))
            if master and ends and ends[0].get("bridge") in joined[netns, master]:
                master = None  # packets would run in circles, and keep the machine busy
            end = draw(links(next(subnets)))
            if master:
                end = {"mtu": end.get("mtu"), "up": end.get("up", True), "bridge": master}
            ends.append({"name": name, "netns": netns, **end})
        if all(end.get("bridge") for end in ends):
            both = set().union(*(joined[end["netns"], end["bridge"]] for end in ends))
            joined.update({key: both for key in joined if key[1] in both})
        veths.append({**ends[0], "peer": ends[1]})
    document["veths"] = veths
    document["taps"] = [draw(taps(name, bridges)) for name in draw(st.sampled_from(((), (), ("t0",), ("t0", "t1"))))]
    document["routes"] = draw(routes(document))
    document["forwarding"] = {"ipv4": draw(st.sampled_from((None, None, True, False)))}
    if not any(document[section] for section in document if section != "forwarding"):
        document["forwarding"]["ipv4"] = draw(st.sampled_from((True, False)))  # one that says nothing may be refused
    return document


@st.composite
def namespaces(draw: st.DrawFn, name: str) -> Document:
    namespace: Document = {"name": name}
    if draw(st.booleans()):
        namespace["forwarding"] = {"ipv4": draw(st.booleans()), "ipv6": draw(st.booleans())}
    if draw(st.booleans()):
        namespace["sysctls"] = {"net.ipv4.conf.all.rp_filter": draw(st.integers(0, 2))}
    if draw(st.integers(0, 5)) == 0:
        namespace["hosts"] = {"localdb": f"10.0.2.{draw(st.integers(2, 5))}"}
        namespace["nameservers"] = ["192.0.2.53"]
    return namespace


@st.composite
def links(draw: st.DrawFn, subnet: int) -> Document:
    """Addresses out of one subnet of one's own, state and MTU."""
    link: Document = {}
    hosts = draw(st.lists(st.integers(1, 4), unique=True, max_size=3))
    link["addresses"] = [f"10.{subnet}.0.{host}/24" for host in hosts[:1]]
    for host in hosts[1:]:  # further ones in the same subnet (secondaries) or beside it
        link["addresses"].append(draw(st.sampled_from((f"10.{subnet}.0.{host}/24", f"10.{subnet}.{host}.1/25"))))
    if draw(st.integers(0, 3)) == 0:
        link["addresses"].append(f"fd00:{subnet}::{draw(st.integers(1, 3))}/64")
    if draw(st.integers(0, 3)) == 0:
        link["mtu"] = draw(st.sampled_from((1400, 1450, 9000)))
    if draw(st.integers(0, 4)) == 0:
        link["up"] = False
    if draw(st.integers(0, 4)) == 0:
        link["mac"] = f"02:00:00:00:{subnet:02x}:0{draw(st.integers(1, 3))}"
    return link


@st.composite
def taps(draw: st.DrawFn, name: str, bridges: List[Document]) -> Document:
    tap: Document = {"name": name}
    at = draw(st.sampled_from([None, *bridges]))
    if at:
        tap.update(netns=at["netns"], bridge=at["name"])
    if draw(st.booleans()):
        tap["owner"] = draw(st.sampled_from(("root", "1", "65534")))
    if draw(st.integers(0, 3)) == 0:
        tap["mtu"] = 1400
    if draw(st.integers(0, 3)) == 0:
        tap["up"] = False
    return tap


@st.composite
def bridge_options(draw: st.DrawFn) -> Document:
    return {"mtu": None} if draw(st.integers(0, 4)) else {"mtu": None, "stp": True}


@st.composite
def guests(draw: st.DrawFn) -> Document:
    closed = draw(st.lists(st.sampled_from(("to_host", "from_host", "among", "among", "outside")), max_size=2))
    return dict.fromkeys(closed, False)


@st.composite
def routes(draw: st.DrawFn, document: Document) -> List[Document]:
    """Routes that can be: through a subnet of a link that is up, or nowhere."""
    found: List[Document] = []
    keys = set()
    ends = [*document["bridges"], *document["veths"], *(veth["peer"] for veth in document["veths"])]
    for dummy in range(draw(st.integers(0, 4))):
        route: Document = {"to": f"203.0.{draw(st.integers(110, 113))}.0/24"}
        if draw(st.booleans()):
            route["metric"] = draw(st.integers(1, 3))
        if draw(st.integers(0, 4)) == 0:
            route["table"] = draw(st.sampled_from((100, 1000)))
        usable = [end for end in ends if end.get("up", True) and any(":" not in a for a in end.get("addresses", ()))]
        if usable and draw(st.integers(0, 4)):
            end = draw(st.sampled_from(usable))
            first = next(address for address in end["addresses"] if ":" not in address)
            route["netns"] = end.get("netns")
            route["via"] = f"{first.rsplit('.', 1)[0]}.{draw(st.integers(100, 102))}"
            if draw(st.booleans()):
                route["dev"] = end["name"]
        else:
            route["netns"] = draw(st.sampled_from([None, *(entry["name"] for entry in document["namespaces"])]))
            route["type"] = draw(st.sampled_from(("blackhole", "unreachable", "prohibit")))
        key = (route["netns"], route["to"], route.get("metric"), route.get("table"))
        if key not in keys:
            keys.add(key)
            found.append(route)
    return found


# What others do: argument lists for ip, each aimed at a link or namespace of the first document if it is there.
THEIRS = "10.200.0.1/24"
_IN_THE_WAY = re.compile(
    r"\w+ (?P<name>\S+) \((?P<place>\S+)\) can't be removed: addresses that aren't ours are on it: "
    + re.escape(f"{THEIRS}; take them from it first")
)


@st.composite
def disturbances(draw: st.DrawFn, document: Document) -> List[List[str]]:
    ends = [*document["bridges"], *document["veths"], *(veth["peer"] for veth in document["veths"]), *document["taps"]]
    found: List[List[str]] = []
    for _number in range(draw(st.integers(0, 3))):
        if not ends:
            break
        end = draw(st.sampled_from(ends))
        inside = ["-n", end["netns"]] if end.get("netns") else []
        deed = draw(
            st.sampled_from(
                (
                    ["link", "delete", end["name"]],
                    ["link", "set", end["name"], "down"],
                    ["link", "set", end["name"], "up"],
                    ["link", "set", end["name"], "mtu", "1300"],
                    ["link", "set", end["name"], "nomaster"],
                    ["link", "set", end["name"], "type", "bridge_slave", "isolated", "off"],
                    [
                        "link",
                        "set",
                        end["name"],
                        "type",
                        "bridge_slave",
                        "hairpin",
                        draw(st.sampled_from(("on", "off"))),
                    ],
                    ["address", "flush", "dev", end["name"]],
                    ["address", "add", THEIRS, "dev", end["name"]],
                    ["link", "set", "lo" if inside else end["name"], "down"],
                    ["route", "flush", "proto", "72"],
                )
            )
        )
        found.append([*inside, *deed])
    return found


def make_way(wanted: Document) -> None:
    """Take away what somebody else has on a link that is to go, and nothing else, as a run asks for it beforehand."""
    refused: Tuple[str, ...] = ()
    try:
        engine.run(wanted, check=True)
    except Conflict as error:
        refused = error.problems
    found = [_IN_THE_WAY.fullmatch(line) for line in refused]
    assert all(found), refused
    for match in filter(None, found):
        room = [] if match["place"] == "host" else ["-n", match["place"]]
        subprocess.run(["ip", *room, "address", "del", THEIRS, "dev", match["name"]], check=True)
