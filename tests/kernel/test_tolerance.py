# SPDX-License-Identifier: GPL-3.0-or-later
"""What an undo takes for done already is so already, and what a run has done it knows of."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import Any, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, search_path
from ansible_collections.hostwire.linux.plugins.module_utils import netns as namespaces
from ansible_collections.hostwire.linux.plugins.module_utils.apply.executor import Executor, Work
from ansible_collections.hostwire.linux.plugins.module_utils.apply.undo import do_tolerantly
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError
from ansible_collections.hostwire.linux.plugins.module_utils.plan import actions as act
from ansible_collections.hostwire.linux.tests.kernel import lan, world
from ansible_collections.hostwire.linux.tests.kernel.steps import Document, apply, inside

pytestmark = pytest.mark.usefixtures("private_host")

FILTER = "*filter\n:HW-FORWARD-X - [0:0]\nCOMMIT\n"
DEEDS: List[act.Action] = [
    act.LinkChange("g", "lo", mtu=1400),
    act.AddressAdd("g", "lo", "10.9.9.9/32"),
    act.SysctlSet("g", "net/ipv4/ip_forward", "0"),
    act.TapAdd("g", "t0", None),
    act.TableSet("g", "nft", 4, FILTER),
    act.TableSet("g", "legacy", 6, FILTER),
    act.UplinkDetach("g", "br0", "eth0", (), ()),
    act.UplinkForfeit("g", "eth0", "eth0", ("",), ()),
]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EPERM, errno.ENOMEM])
@pytest.mark.parametrize("action", DEEDS, ids=lambda action: type(action).__name__)
def test_a_namespace_that_cannot_be_entered_just_now_is_not_gone(
    action: act.Action, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["ip", "netns", "add", "g"], check=True)
    setns = namespaces._setns

    def refuse(fd: int, kind: int) -> None:
        if os.fstat(fd).st_ino != home:
            raise OSError(number, os.strerror(number))
        setns(fd, kind)

    home = os.stat("/proc/thread-self/ns/net").st_ino
    monkeypatch.setattr(namespaces, "_setns", refuse)
    (words,) = do_tolerantly([Work(action, "undo of: something")])
    assert os.strerror(number) in words


@pytest.mark.parametrize("action", [one for one in DEEDS if not isinstance(one, (act.LinkChange, act.AddressAdd))],
                         ids=lambda action: type(action).__name__)  # fmt: skip
@pytest.mark.parametrize("there", ["nothing", "a plain file"])
def test_in_a_namespace_that_is_gone_there_is_nothing_to_undo(action: act.Action, there: str) -> None:
    if there != "nothing":
        Path("/run/netns").mkdir(exist_ok=True)
        Path("/run/netns/g").touch()
    assert do_tolerantly([Work(action, "undo of: something")]) == []


@pytest.mark.parametrize("where", [None, "g"])
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_a_program_that_is_gone_has_undone_nothing(
    where: Optional[str], family: int, backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    subprocess.run(["ip", "netns", "add", "g"], check=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(search_path, "_ALWAYS", (str(tmp_path),))
    (words,) = do_tolerantly([Work(act.TableSet(where, backend, family, FILTER), "undo of: rules")])
    assert "no such program" in words


def test_a_setting_of_a_link_that_is_gone_is_gone() -> None:
    assert do_tolerantly([Work(act.SysctlSet(None, "net/ipv4/conf/gone/rp_filter", "0"), "undo")]) == []
    (words,) = do_tolerantly([Work(act.SysctlSet(None, "net/ipv4/conf/lo/rp_filter", "x"), "undo")])
    assert "Invalid argument" in words


FIRST: List[Any] = [
    lambda where: act.AddressDelete(where, "lo", "10.9.9.1/32"),
    lambda where: act.AddressAdd(where, "lo", "fd09::1/128"),
    lambda where: act.LinkChange(where, "lo", mtu=1400),
    lambda where: act.RouteDelete(where, "10.8.0.0/16", None, "lo", 0, 254, 1, (), 3),
    lambda where: act.SysctlSet(where, "net/ipv4/conf/lo/rp_filter", "1"),
]


@pytest.mark.parametrize("where", [None, "g"])
@pytest.mark.parametrize("first", FIRST, ids=["address", "IPv6 address", "MTU", "route", "setting"])
@pytest.mark.parametrize("gone", [[], [0], [1, 2], [0, 1, 2, 3]], ids=str)
def test_what_was_done_before_many_links_were_deleted_at_once_is_known(
    where: Optional[str], first: Any, gone: List[int]
) -> None:
    subprocess.run(["ip", "netns", "add", "g"], check=True)
    lan.batch("".join(f"link add d{number} type bridge\n" for number in range(4)), where)
    lan.batch("link set lo up\naddress add 10.9.9.1/32 dev lo\nroute add 10.8.0.0/16 dev lo", where)
    lan.batch("".join(f"link del d{number}\n" for number in gone), where)
    work = [Work(first(where), "first"), *(Work(act.LinkDelete(where, f"d{number}"), "link") for number in range(4))]
    work.append(Work(act.LinkChange(where, "lo", mtu=1500), "last"))
    with Executor() as executor:
        executor.run(work)
    assert set(executor.begun) == {0, 5, *(1 + number for number in range(4) if number not in gone)}
    assert "bridge" not in lan.ip(*inside(where), "-d", "link", "show")


def test_and_comes_back_where_the_run_fails() -> None:
    document: Document = {"taps": [{"name": f"t{number}"} for number in range(4)]}
    addresses = {"interfaces": [{"name": "lo", "addresses": ["10.9.9.1/32", "fd09::1/128"]}]}
    apply({**document, **addresses})
    before = world.image()
    with pytest.raises(HostwireError, match="everything was put back as it was"):
        engine.run(
            {
                "probes": [{"to": "127.0.0.1", "expect": "unreachable"}],
                "sysctls": {"net.ipv4.conf.all.log_martians": 0},
            },
            dad_seconds=0,
        )
    assert world.differences(before, world.image()) == []
