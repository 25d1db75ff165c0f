# SPDX-License-Identifier: GPL-3.0-or-later
"""How a bridge behaved on the LAN before it had an uplink comes back with that; a move that fails, and who is moved."""

from __future__ import annotations

import contextlib
import errno
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, netns, uplink
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError, KernelRefused
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.channel import Channel
from ansible_collections.hostwire.linux.plugins.module_utils.uplink_settings import settings_of
from ansible_collections.hostwire.linux.tests.kernel import lan, world
from ansible_collections.hostwire.linux.tests.kernel.steps import JOURNAL, NOTHING, Document, apply, ip_from_here

pytestmark = pytest.mark.usefixtures("private_host")

UNREACHABLE = [{"to": "127.0.0.1", "expect": "unreachable"}]
ODD = {  # on the interface: other values than a bridge of ours has
    "ipv4/conf/eth0/rp_filter": "2",
    "ipv4/conf/eth0/arp_ignore": "2",
    "ipv4/conf/eth0/arp_announce": "1",
    "ipv4/conf/eth0/send_redirects": "0",
    "ipv4/conf/eth0/accept_redirects": "0",
    "ipv4/conf/eth0/promote_secondaries": "1",
    "ipv4/conf/eth0/log_martians": "1",
    "ipv6/conf/eth0/accept_redirects": "0",
    "ipv6/conf/eth0/addr_gen_mode": "1",
    "ipv6/conf/eth0/autoconf": "0",
    "ipv6/conf/eth0/use_tempaddr": "2",
    "ipv6/conf/eth0/accept_ra": "2",
}


def bridge(where: Optional[str], **more: Any) -> Document:
    return {"bridges": [{"name": "sw0", "netns": where, "addresses": ["10.5.0.1/24", "fd05::1/64"], **more}]}


def build(where: Optional[str]) -> None:
    """A bridge of ours, and an interface on a LAN that behaves otherwise."""
    lan.batch("netns add lan" if where is None else f"netns add lan\nnetns add {where}")
    lan.batch("link add eth0 type veth peer name far netns lan\naddress add 192.168.1.2/24 dev eth0", where)
    lan.batch("address add 2001:db8:1::2/64 dev eth0 nodad\nlink set eth0 up", where)
    lan.batch("link set far up", "lan")
    lan.connected((where, "eth0"), ("lan", "far"))
    apply(bridge(where))
    with netns.inside(where):
        for path, value in ODD.items():
            Path("/proc/sys/net", path).write_text(value)


def settings(where: Optional[str], link: str = "sw0") -> Dict[str, Optional[str]]:
    with netns.inside(where):
        return dict(settings_of(link))


@pytest.mark.parametrize("where", [None, "g"])
def test_a_bridge_that_was_there_behaves_as_before_after_a_failed_run(where: Optional[str]) -> None:
    build(where)
    before, image = settings(where), world.image()
    with pytest.raises(HostwireError, match="everything was put back as it was"):
        engine.run({**bridge(where, uplink="eth0"), "probes": UNREACHABLE}, dad_seconds=0)
    assert settings(where) == before
    assert world.differences(image, world.image()) == []


@pytest.mark.parametrize("where", [None, "g"])
@pytest.mark.parametrize("fragment", [False, True], ids=["document", "fragment"])
def test_and_after_its_uplink_is_taken_out_of_the_document(where: Optional[str], fragment: bool) -> None:
    build(where)
    before, its = settings(where), settings(where, "eth0")
    apply(bridge(where, uplink="eth0"))
    assert settings(where) == its
    assert apply(bridge(where, uplink="eth0")).plan == ()
    foretold = engine.run(bridge(where), check=True, fragment=fragment)
    result = engine.run(bridge(where), fragment=fragment, dad_seconds=0)
    assert result.plan == foretold.plan
    assert "sysctl" in str(result.plan) or "net/ipv4/conf/sw0/rp_filter: 2 -> 0" in str(result.plan)
    assert settings(where) == before
    assert engine.run(bridge(where), fragment=fragment, dad_seconds=0).plan == ()


def test_a_failed_removal_of_the_uplink_leaves_the_bridge_as_the_uplink_is() -> None:
    """Also where somebody has given the interface another setting since: the bridge keeps its own."""
    build(None)
    apply(bridge(None, uplink="eth0"))
    Path("/proc/sys/net/ipv4/conf/eth0/arp_filter").write_text("1")
    before, image = settings(None), world.image()
    with pytest.raises(HostwireError, match="everything was put back as it was"):
        engine.run({**bridge(None), "probes": UNREACHABLE}, dad_seconds=0)
    assert settings(None) == before
    assert world.differences(image, world.image()) == []


def test_what_somebody_changed_since_stays_and_what_a_document_says_is_its_own() -> None:
    build(None)
    said = {"sysctls": {"net.ipv4.conf.sw0.rp_filter": 1}}
    apply({**bridge(None, uplink="eth0"), **said})
    assert settings(None)["net/ipv4/conf/{}/rp_filter"] == "1"
    Path("/proc/sys/net/ipv4/conf/sw0/arp_ignore").write_text("3")
    apply({**bridge(None), **said})
    now = settings(None)
    assert now["net/ipv4/conf/{}/arp_ignore"] == "3"
    assert now["net/ipv4/conf/{}/rp_filter"] == "1"
    assert now["net/ipv4/conf/{}/send_redirects"] == "1"
    apply(bridge(None))
    assert settings(None)["net/ipv4/conf/{}/rp_filter"] == "0"


def test_a_secret_that_the_kernel_makes_addresses_of_leaves_the_bridge_as_it_makes_them() -> None:
    build(None)
    Path("/proc/sys/net/ipv6/conf/eth0/stable_secret").write_text("2001:db8::1:2:3")
    Path("/proc/sys/net/ipv6/conf/eth0/addr_gen_mode").write_text("0")
    before = settings(None)
    apply(bridge(None, uplink="eth0"))
    assert settings(None) == settings(None, "eth0")
    apply(bridge(None))
    secret = "net/ipv6/conf/{}/stable_secret"  # which nothing takes away again
    assert {**settings(None), secret: None} == before


def test_a_bridge_and_its_memory_go_together() -> None:
    build(None)
    apply(bridge(None, uplink="eth0"))
    apply(NOTHING)
    assert not JOURNAL.exists()
    apply(bridge(None))
    assert apply(bridge(None)).plan == ()


@pytest.fixture
def two_links() -> None:
    lan.build()
    lan.batch("link add br0 type bridge\nlink set br0 up alias hostwire:main")


def _altnames(link: str) -> List[str]:
    lines = lan.ip("link", "show", "dev", link).splitlines()
    return [line.split()[1] for line in lines if "altname" in line]


class _Broken(Channel):
    """Sockets of which the first one doesn't send any more from some batch on."""

    made = 0
    works = 0
    lasting = False

    def __init__(self) -> None:
        super().__init__()
        _Broken.made += 1
        self.is_first = _Broken.made == 1

    def transact(self, messages: Any) -> Any:
        if self.is_first or _Broken.lasting:
            if _Broken.works == 0:
                raise OSError(errno.ENOBUFS, "No buffer space available")
            _Broken.works -= 1
        return super().transact(messages)


@pytest.mark.parametrize("works", range(4))
@pytest.mark.parametrize("going", ["there", "back"])
def test_a_move_goes_back_over_a_socket_of_its_own(
    two_links: None, works: int, going: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if going == "back":
        uplink.attach("br0", "eth0", ())
    before, marks = [lan.work_of(link) for link in ("eth0", "br0")], _altnames("eth0")
    monkeypatch.setattr(_Broken, "made", 0)
    monkeypatch.setattr(_Broken, "works", works)
    monkeypatch.setattr(uplink, "Channel", _Broken)
    move = uplink.attach if going == "there" else lambda *args: uplink.detach(*args, ())
    if works == 3 and going == "back":  # it takes only as many: then the mark is taken off
        move("br0", "eth0", ())
        return
    if works == 0 and going == "there":  # a mark that can't be set is no reason to fail, and all else comes to nothing
        _Broken.works = 1
    with pytest.raises(KernelRefused) as raised:
        move("br0", "eth0", ())
    assert raised.value.errno == errno.ENOBUFS
    assert len(raised.value.problems) == 1
    lan.settle("eth0", "br0")
    assert [lan.work_of(link) for link in ("eth0", "br0")] == before
    assert _altnames("eth0") == marks


def test_where_the_way_back_fails_too_both_are_told_and_the_mark_stays(
    two_links: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    transact, count = uplink._transact_all, [0]

    def refused(channel: Channel, *parts: Any) -> None:
        count[0] += 1
        if count[0] > 2:
            raise KernelRefused(f"message {count[0]}", errno.ENOMEM)
        transact(channel, *parts)

    monkeypatch.setattr(uplink, "_transact_all", refused)
    with pytest.raises(KernelRefused) as raised:
        uplink.attach("br0", "eth0", ())
    assert raised.value.problems[0].startswith("message 3:")
    assert "message 4" in raised.value.problems[1]
    assert _altnames("eth0") == ["hostwire:main:br0"]


@pytest.mark.parametrize("other", ["altname of the interface", "nothing"])
def test_another_name_of_the_interface_is_not_its_bridge(other: str) -> None:
    lan.build()
    if other != "nothing":
        lan.batch("link property add dev eth0 altname br0")
    before = world.image()
    for move in (
        lambda: uplink.attach("br0", "eth0", ("10.5.0.1/24",)),
        lambda: uplink.detach("br0", "eth0", ("10.5.0.1/24",), ()),
        lambda: uplink.hand_back("br0", ("",)),
        lambda: uplink.take_again("br0", ("",)),
    ):
        with pytest.raises(KernelRefused) as raised:
            move()
        assert raised.value.errno == errno.ENODEV
    assert world.differences(before, world.image()) == []


@pytest.mark.parametrize("going", ["there", "back"])
def test_a_bridge_that_turns_into_another_name_of_its_uplink_meanwhile_is_told_in_words(going: str) -> None:
    lan.build()
    document: Document = {"bridges": [{"name": "br0", "uplink": "eth0", "addresses": ["10.5.0.1/24"]}]}
    ip = ip_from_here()
    if going == "back":
        apply(document)
    done: List[int] = []

    def meanwhile(position: int, when: str) -> None:
        if done or when != ("after" if going == "there" else "before"):
            return
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "del", "br0")
            ip("link", "property", "add", "dev", "eth0", "altname", "br0")
            done.append(position)

    with pytest.raises(HostwireError) as raised:
        apply(document if going == "there" else NOTHING, meanwhile)
    assert done
    assert raised.value.problems
    assert "eth0" in lan.ip("-br", "link", "show")
    if going == "there":
        assert lan.reached("192.168.1.2")
