# SPDX-License-Identifier: GPL-3.0-or-later
"""What others have on a link that a run takes down, deletes or re-addresses is afterwards as it was, to the letter."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.apply import keeping, undo
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError, KernelRefused, UndoFailed
from ansible_collections.hostwire.linux.tests.kernel import lan
from ansible_collections.hostwire.linux.tests.kernel.steps import JOURNAL, Document, apply, inside

UNREACHABLE = [{"to": "127.0.0.1", "expect": "unreachable"}]
PUT_BACK = "everything was put back as it was"

# Of each kind something that no document can say; a line for ip each.
THINGS = """
address add 192.168.1.2/24 brd + dev eth0
address add 192.168.1.20/24 dev eth0 label eth0:x
address add 192.168.1.21/24 dev eth0 metric 77
address add 192.168.9.5/24 dev eth0 valid_lft 3600 preferred_lft 1800
address add 10.44.0.1/24 dev eth0 noprefixroute
address add 10.45.0.1 peer 10.45.0.2/32 dev eth0
address add 2001:db8:1::2/64 dev eth0 nodad
address add 2001:db8:2::2/64 dev eth0 nodad noprefixroute
address add 2001:db8:3::2 peer 2001:db8:3::9/128 dev eth0 nodad
address add 2001:db8:4::2/64 dev eth0 nodad metric 70
address add 2001:db8:5::2/64 dev eth0 nodad valid_lft 3600 preferred_lft 1800
address add fe80::77/64 dev eth0 nodad
route add default via 192.168.1.1
route add 10.1.0.0/16 via 192.168.1.1 mtu 1400 advmss 1200 initcwnd 20
route add 10.2.0.0/16 dev eth0 scope link src 192.168.1.20 metric 5 proto static
route add 10.3.0.0/16 via 192.0.2.1 dev eth0 onlink
route add 10.4.0.0/16 nexthop via 192.168.1.3 weight 2 nexthop via 192.168.1.1
route add 10.5.0.0/16 via 192.168.1.1 table 77 mtu lock 1300
route add 10.6.0.0/16 tos 0x10 via 192.168.1.1
route add 10.6.0.0/16 via 192.168.1.3
route append 10.6.0.0/16 via 192.168.1.4
route add local 10.7.0.0/16 dev eth0
route add ::/0 via 2001:db8:1::1 pref high
route add 2001:db8:11::/64 via 2001:db8:1::1 mtu 1400 hoplimit 9 pref low
route add 2001:db8:12::/64 dev eth0 metric 50 src 2001:db8:1::2
route add 2001:db8:13::/64 via fe80::1 dev eth0 expires 3600
route add 2001:db8:14::/64 nexthop via 2001:db8:1::1 weight 2 nexthop via 2001:db8:1::7
route add 2001:db8:15::/64 from 2001:db8:1::/64 via 2001:db8:1::1
neigh add 192.168.1.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent
neigh add 2001:db8:1::77 lladdr 02:00:00:00:00:78 dev eth0 nud permanent router
neigh add proxy 192.168.1.78 dev eth0
neigh add proxy 2001:db8:1::78 dev eth0
"""
LOOKS = (
    "-o -d address show",
    "-d route show table all",
    "-6 -d route show table all",
    "neighbour show nud permanent",
    "neighbour show proxy",
    "-6 neighbour show proxy",
)


def build(netns: Optional[str], things: str = THINGS) -> None:
    """eth0, here or in a namespace, with all of that; its other end is far away."""
    lan.batch("netns add lan" if netns is None else f"netns add lan\nnetns add {netns}")
    lan.batch("link add eth0 type veth peer name far netns lan\nlink set lo up", netns)
    lan.batch("link set far up", "lan")
    lan.batch("link set eth0 up", netns)
    lan.connected((netns, "eth0"), ("lan", "far"))
    lan.settled("eth0", netns)
    lan.batch(things, netns)
    lan.settled("eth0", netns)
    peers = re.findall(r"address add \S+ peer (\S*:\S*)", things)
    # The kernel makes the route to an address's other end a moment after it has checked the address.
    lan.until(lambda: all(lan.ip(*inside(netns), "-6", "route", "show", peer) for peer in peers))


def image(netns: Optional[str]) -> Dict[str, List[str]]:
    """All that links hold, each look sorted but for IPv4 addresses: their order counts.

    Without the kernel's own routes to the host itself, which it makes a moment after it has checked an address.
    """

    def told(look: str) -> List[str]:
        words = ["ip", *inside(netns), *look.split()]
        text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        text = re.sub(r"(expires|valid_lft|preferred_lft) (\d+)sec", lambda m: f"{m[1]} {round(int(m[2]), -2)}", text)
        lines = [" ".join(re.sub(r"^\d+: |\btentative\b", "", line).split()) for line in text.splitlines()]
        lines = [line for line in lines if "table local proto kernel" not in line]
        joined = re.sub(r"\n(?=nexthop)", " ", "\n".join(lines)).split("\n")
        ordered = [line for line in joined if " inet " in line]
        return ordered + sorted(line for line in joined if " inet " not in line)

    return {look: told(look) for look in LOOKS}


def otherwise(before: Dict[str, List[str]], now: Dict[str, List[str]]) -> List[str]:
    """What isn't as before."""
    found = [f"gone: {line}" for look in LOOKS for line in before[look] if line not in now[look]]
    found += [f"new: {line}" for look in LOOKS for line in now[look] if line not in before[look]]
    return found or ([] if before == now else [f"in another order: {now}"])


def fails(document: Document) -> str:
    """What a run says that does all of the document and then finds something unreachable that shouldn't be."""
    with pytest.raises(HostwireError) as raised:
        engine.run({**document, "probes": UNREACHABLE}, dad_seconds=0)
    return str(raised.value)


def _nic(netns: Optional[str], **fields: Any) -> Document:
    return {"interfaces": [{"name": "eth0", "netns": netns, **fields}]}


DEEDS: Dict[str, Callable[[Optional[str]], Document]] = {
    "down": lambda netns: _nic(netns, up=False),
    "no IPv6": lambda netns: _nic(netns, mtu=1000),
    "another MTU": lambda netns: _nic(netns, mtu=1300),
    "another address": lambda netns: _nic(netns, addresses=["192.168.1.99/24", "10.99.0.1/24", "fd99::1/64"]),
    "down and another address": lambda netns: _nic(netns, up=False, addresses=["10.99.0.1/24"]),
    "disable_ipv6": lambda _netns: {"sysctls": {"net.ipv6.conf.eth0.disable_ipv6": 1}},
    "disable_ipv6 of all": lambda _netns: {"sysctls": {"net.ipv6.conf.all.disable_ipv6": 1}},
}


@pytest.mark.parametrize(
    ("netns", "deed"),
    [(netns, deed) for netns in (None, "g") for deed in DEEDS if netns is None or not deed.startswith("disable_ipv6")],
)
def test_what_a_link_held_that_a_failed_run_changed_is_there_to_the_letter(
    private_host: Path, netns: Optional[str], deed: str
) -> None:
    build(netns)
    before = image(netns)
    said = fails(DEEDS[deed](netns))
    assert PUT_BACK in said, said
    lan.settled("eth0", netns)
    assert otherwise(before, image(netns)) == []
    assert not JOURNAL.exists()


def test_routes_alone_are_there_after_an_address_came_and_went(private_host: Path) -> None:
    """The last IPv4 address of a link takes its routes along, though they were there before it."""
    build(None, "route add 10.1.0.0/16 dev eth0 mtu 1400\nroute add 2001:db8:1::/64 dev eth0 mtu 1300")
    before = image(None)
    assert PUT_BACK in fails(_nic(None, addresses=["10.99.0.1/24"]))
    assert otherwise(before, image(None)) == []


OURS: Document = {
    "namespaces": [{"name": "g"}],
    "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24", "fd05::1/64"]}],
    "veths": [
        {
            "name": "v-g",
            "bridge": "sw0",
            "peer": {
                "name": "eth0",
                "netns": "g",
                "addresses": ["10.5.0.2/24", "fd05::2/64"],
                "mac": "02:00:00:00:00:05",
            },
        }
    ],
    "taps": [{"name": "t0"}],
}
# Of what isn't ours there may be neighbours on our links: no run is refused for them.
NEIGHBOURS = """
neigh add {}.77 lladdr 02:00:00:00:00:77 dev {} nud permanent
neigh add {}:77 lladdr 02:00:00:00:00:78 dev {} nud permanent
"""
CHANGES: Dict[str, Document] = {
    "nearly all removed": {"taps": OURS["taps"]},
    "made anew": {**OURS, "veths": [{**OURS["veths"][0], "name": "v-x"}]},
    "the namespace removed": {**OURS, "namespaces": [], "veths": []},
    "another MAC address": {
        **OURS, "veths": [{**OURS["veths"][0], "peer": {**OURS["veths"][0]["peer"], "mac": "02:00:00:00:00:06"}}]
    },
    "down": {
        **OURS,
        "bridges": [{**OURS["bridges"][0], "up": False}],
        "veths": [{**OURS["veths"][0], "peer": {**OURS["veths"][0]["peer"], "up": False}}],
    },
    "other addresses": {
        **OURS,
        "bridges": [{"name": "sw0", "addresses": ["10.5.0.9/24"]}],
        "veths": [{**OURS["veths"][0], "peer": {"name": "eth0", "netns": "g", "addresses": ["10.5.0.8/24"]}}],
    },
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_our_own_links_held_is_there_after_a_failed_change(private_host: Path, change: str) -> None:
    apply(OURS)
    for netns, link in ((None, "sw0"), ("g", "eth0")):
        lan.batch(NEIGHBOURS.format("10.5.0", link, "fd05:", link), netns)
    _settle()
    before = {netns: image(netns) for netns in (None, "g")}
    said = fails(CHANGES[change])
    assert PUT_BACK in said, said
    _settle()
    assert [line for netns, then in before.items() for line in otherwise(then, image(netns))] == []
    assert "permanent" in str(before).lower()


def _settle() -> None:
    lan.connected((None, "sw0"), (None, "v-g"), ("g", "eth0"))
    for netns, link in ((None, "sw0"), (None, "v-g"), ("g", "eth0")):
        lan.settled(link, netns)


@pytest.mark.parametrize(
    "meanwhile",
    [
        "route add 10.9.0.0/16 via 192.168.1.1",
        "address add 10.9.0.1/24 dev eth0",
        "neigh add 192.168.1.99 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
    ],
)
def test_what_others_do_meanwhile_stays(private_host: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str) -> None:
    build(None)
    before = image(None)
    give_back = keeping.give_back

    def later(*args: Any) -> List[str]:
        subprocess.run(["ip", *meanwhile.split()], check=False, capture_output=True)
        return give_back(*args)

    monkeypatch.setattr("ansible_collections.hostwire.linux.plugins.module_utils.apply.way_back.give_back", later)
    assert PUT_BACK in fails(_nic(None, mtu=1300))
    now = image(None)
    lost = {look: [line for line in before[look] if line not in now[look]] for look in LOOKS}
    assert not any(lost.values())
    assert now != before


@pytest.mark.parametrize(("thing", "words"), [
    ("route del 10.1.0.0/16", "route 10.1.0.0/16"),
    ("-6 route del 2001:db8:11::/64", "route 2001:db8:11::/64"),
    ("neigh del 192.168.1.77 dev eth0", "neighbour 192.168.1.77"),
    ("address del 2001:db8:3::2/128 dev eth0", "address 2001:db8:3::2/128"),
])  # fmt: skip
def test_what_cannot_be_given_back_is_told(
    private_host: Path, monkeypatch: pytest.MonkeyPatch, thing: str, words: str
) -> None:
    build(None)
    lines = keeping.lines

    def later(*args: Any) -> List[str]:
        subprocess.run(["ip", *thing.split()], check=False, capture_output=True)
        return lines(*args)

    monkeypatch.setattr("ansible_collections.hostwire.linux.plugins.module_utils.apply.way_back.lines", later)
    with pytest.raises(UndoFailed, match=words):
        engine.run({**_nic(None, up=False), "probes": UNREACHABLE}, dad_seconds=0)
    assert JOURNAL.exists()


def test_a_run_that_only_makes_what_is_its_own_looks_at_nothing_more(
    private_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("it looked")

    monkeypatch.setattr(keeping, "note", refuse)
    apply(OURS)
    assert apply(OURS).plan == ()


def test_a_plan_says_what_an_interface_loses_with_its_state(private_host: Path) -> None:
    """No later run brings it back: what others wrote down is theirs."""
    build(None)
    (line,) = engine.run(_nic(None, up=False), check=True).plan
    assert line.startswith("host: eth0: up yes -> no, which loses ")
    assert "2001:db8:1::2/64" in line
    (line,) = engine.run(_nic(None, mtu=1000), check=True).plan
    assert "route 2001:db8:12::/64" in line or "more" in line
    assert "route 10." not in line
    assert engine.run(_nic(None, mtu=1300), check=True).plan == ("host: eth0: mtu 1500 -> 1300",)
    lan.batch("address flush dev eth0\nroute flush table all proto boot\naddress add 192.168.1.2/24 dev eth0")
    assert engine.run(_nic(None, up=False), check=True).plan == ("host: eth0: up yes -> no",)


WAY_BACK = "ansible_collections.hostwire.linux.plugins.module_utils.apply.way_back"
ACCEPT_RA = Path("/proc/sys/net/ipv6/conf/eth0/accept_ra")  # lost and made anew along with IPv6


def test_what_a_fault_kept_from_being_mended_once_is_mended_in_the_next_round(
    private_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(None)
    ACCEPT_RA.write_text("2")
    before, done = image(None), undo.do_tolerantly
    refused: List[Any] = []

    def once(work: Any, *args: Any) -> List[str]:
        if work and not refused:
            refused.append(work)
            return ["no memory just now"]
        return done(work, *args)

    monkeypatch.setattr(f"{WAY_BACK}.do_tolerantly", once)
    assert PUT_BACK in fails(_nic(None, mtu=1000))
    assert refused
    assert ACCEPT_RA.read_text() == "2\n"
    lan.settled("eth0")
    assert otherwise(before, image(None)) == []


def test_what_a_step_that_cannot_be_undone_has_nothing_to_do_with_is_mended_all_the_same(
    private_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(None)
    lan.batch("link add d0 type bridge\nlink set d0 up\naddress add 10.66.0.1/24 dev d0")
    ACCEPT_RA.write_text("2")
    before, done = image(None), undo.do_tolerantly

    def never(work: Any, *args: Any) -> List[str]:
        if any("d0" in one.action for one in work):
            return ["d0: the kernel refused"]
        return done(work, *args)

    monkeypatch.setattr("ansible_collections.hostwire.linux.plugins.module_utils.apply.undo.do_tolerantly", never)
    monkeypatch.setattr(f"{WAY_BACK}.do_tolerantly", never)
    document = {"interfaces": [{"name": "eth0", "mtu": 1000}, {"name": "d0", "mtu": 1400}]}
    with pytest.raises(UndoFailed) as raised:
        engine.run({**document, "probes": UNREACHABLE}, dad_seconds=0)
    assert "link d0" in str(raised.value)
    assert "eth0" not in str(raised.value)
    assert ACCEPT_RA.read_text() == "2\n"
    lan.settled("eth0")
    assert otherwise(before, image(None)) == []


@pytest.mark.parametrize(
    ("path", "value", "document", "stays"),
    [
        ("ipv4/conf/eth0/promote_secondaries", "1", _nic(None, addresses=["10.99.0.1/24"]), True),
        ("ipv4/conf/all/accept_redirects", "0", _nic(None, addresses=["10.99.0.1/24"]), True),
        ("ipv4/conf/eth0/promote_secondaries", "1", _nic(None, up=False), True),
        ("ipv4/conf/all/accept_redirects", "1", {"forwarding": {"ipv4": True}}, False),
        ("ipv4/ip_forward", "0", {"forwarding": {"ipv4": True}}, False),
    ],
)
def test_a_setting_that_somebody_changes_meanwhile_stays_unless_a_step_changes_it_too(
    private_host: Path, path: str, value: str, document: Document, stays: bool
) -> None:
    build(None)
    setting = Path("/proc/sys/net", path)
    before = setting.read_text()
    begun: List[int] = []

    def hook(position: int, when: str) -> None:
        begun.append(position)

    def meanwhile(*_args: Any) -> None:
        setting.write_text(value)
        raise KernelRefused("a step", 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "probed", meanwhile)
        with pytest.raises(HostwireError, match=PUT_BACK):
            apply(document, hook)
    assert begun
    assert setting.read_text() == (f"{value}\n" if stays else before)
