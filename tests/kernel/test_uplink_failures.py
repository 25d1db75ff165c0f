# SPDX-License-Identifier: GPL-3.0-or-later
"""A move of a NIC's work that is killed, refused or in somebody's way: the host works on as before."""

from __future__ import annotations

import errno
import os
import signal
from typing import Any, Optional, Type

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, uplink
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    Conflict,
    HostwireError,
    InvalidValue,
    KernelRefused,
    VerificationFailed,
)
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.channel import Channel
from ansible_collections.hostwire.linux.tests.kernel import lan, world
from ansible_collections.hostwire.linux.tests.kernel.lan import Document

pytestmark = pytest.mark.usefixtures("private_host")


def killed_at(document: Document, batch: int) -> bool:
    """Whether a run was killed before its n-th batch of messages: it has fewer of them otherwise."""
    child = os.fork()
    if child == 0:
        try:
            transact, count = Channel.transact, [0]

            def counted(channel: Channel, messages: Any) -> Any:
                count[0] += 1
                if count[0] > batch:
                    os.kill(os.getpid(), signal.SIGKILL)
                return transact(channel, messages)

            Channel.transact = counted  # type: ignore[method-assign]
            engine.run(document, hook=lambda position, when: None)  # with a hook each step is a batch
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("following", [lan.BRIDGED, lan.NOTHING], ids=["bridged", "absent"])
@pytest.mark.parametrize("going", [lan.BRIDGED, lan.NOTHING], ids=["there", "back"])
def test_a_run_killed_at_any_moment_loses_nothing(going: Document, following: Document) -> None:
    lan.build()
    before, work = world.image(), lan.work_of("eth0")
    batches = 0
    while True:
        if going is lan.NOTHING:
            engine.run(lan.BRIDGED)
        if not killed_at(going, batches):
            break
        assert lan.reached("192.168.1.1", "lan")
        lan.settle("eth0", "br0")
        predicted = engine.run(following, check=True)
        assert engine.run(following).plan == predicted.plan, f"batch {batches}"
        assert engine.run(following).plan == (), f"batch {batches}"
        assert world.differences(work, lan.work_of("br0" if following is lan.BRIDGED else "eth0")) == [], (
            f"batch {batches}"
        )
        assert lan.reached("192.168.1.2")
        engine.run(lan.NOTHING)
        assert world.differences(before, world.image()) == [], f"batch {batches}"
        batches += 1
    assert batches > 4


@pytest.mark.parametrize("going", [lan.BRIDGED, lan.NOTHING], ids=["there", "back"])
def test_a_run_that_fails_at_any_step_puts_everything_back(going: Document) -> None:
    lan.build()
    if going is lan.NOTHING:
        engine.run(lan.BRIDGED)
    before, work = world.image(), lan.work_of("eth0" if going is lan.BRIDGED else "br0")
    step = 0
    while (refusal := _refused_at(going, step)) is not None:
        assert refusal.problems[-1] == "everything was put back as it was"
        assert world.differences(before, world.image()) == [], f"step {step}"
        assert world.differences(work, lan.work_of("eth0" if going is lan.BRIDGED else "br0")) == [], f"step {step}"
        step += 1
    assert step > 1


def _refused_at(document: Document, step: int) -> Optional[HostwireError]:
    """The error of a run that fails right after this step; None if it has fewer and comes through."""

    def refuse(position: int, when: str) -> None:
        if (position, when) == (step, "after"):
            raise KernelRefused("a step", 1)

    try:
        engine.run(document, hook=refuse)
    except HostwireError as error:
        return error
    return None


@pytest.mark.parametrize("going", [lan.BRIDGED, lan.NOTHING], ids=["there", "back"])
@pytest.mark.parametrize("batch", range(3))
@pytest.mark.parametrize("sent", [False, True], ids=["before", "after"])
def test_a_move_that_the_kernel_refuses_half_way_is_taken_back(
    going: Document, batch: int, sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lan.build()
    if going is lan.NOTHING:
        engine.run(lan.BRIDGED)
    before, work = world.image(), lan.work_of("eth0" if going is lan.BRIDGED else "br0")
    transact, count = uplink._transact_all, [0]

    def refused(channel: Channel, *parts: Any) -> None:
        count[0] += 1
        if sent or count[0] != batch + 1:
            transact(channel, *parts)
        if count[0] == batch + 1:
            raise KernelRefused("a message", 12)

    monkeypatch.setattr(uplink, "_transact_all", refused)
    with pytest.raises(KernelRefused, match="a message"):
        engine.run(going)
    assert world.differences(before, world.image()) == []
    assert world.differences(work, lan.work_of("eth0" if going is lan.BRIDGED else "br0")) == []
    assert lan.reached("192.168.1.2")


@pytest.mark.parametrize("going", [lan.BRIDGED, lan.NOTHING], ids=["there", "back"])
def test_a_fault_after_the_move_is_done_doesnt_undo_it(going: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    lan.build()
    work = lan.work_of("eth0")
    if going is lan.NOTHING:
        engine.run(lan.BRIDGED)
    announce = uplink._announce

    def busy(*_arguments: Any) -> Any:
        raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

    def announced(*arguments: Any) -> None:
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(uplink.replay, "routes_of", busy)
            meanwhile.setattr(uplink.replay, "addresses_of", busy)
            announce(*arguments)

    monkeypatch.setattr(uplink, "_announce", announced)
    engine.run(going)
    assert world.differences(work, lan.work_of("br0" if going is lan.BRIDGED else "eth0")) == []


def test_what_refuses_to_be_a_port_leaves_everything_as_it_was() -> None:
    lan.build()
    lan.batch("link add mv0 link eth0 type macvlan")
    before, work = world.image(), lan.work_of("eth0")
    with pytest.raises(KernelRefused, match=r"br0: bridge: the kernel refused: .*EBUSY"):
        engine.run(lan.BRIDGED)
    assert world.differences(before, world.image()) == []
    assert world.differences(work, lan.work_of("eth0")) == []


def test_a_probe_that_comes_out_wrong_takes_the_move_back() -> None:
    lan.build()
    before, work = world.image(), lan.work_of("eth0")
    with lan.pinged("192.168.1.2") as gap, pytest.raises(VerificationFailed, match="everything was put back as it was"):
        engine.run({**lan.BRIDGED, "probes": [{"to": "192.168.1.222"}]})
    assert gap.seconds <= lan.LONGEST_GAP
    assert world.differences(before, world.image()) == []
    assert world.differences(work, lan.work_of("eth0")) == []
    assert engine.run({**lan.BRIDGED, "probes": [{"to": "192.168.1.1"}]}).reachability[0].ok


@pytest.mark.parametrize(
    ("deed", "kind", "message"),
    [
        (
            "link set eth0 down",
            InvalidValue,
            r"uplink: eth0 is down; say interfaces: \[\{name: eth0, up: true",
        ),
        (
            "link set eth0 name eth1",
            InvalidValue,
            r'uplink: no interface named "eth0" .*; did you mean "eth1"',
        ),
        ("link add br9 type bridge\nlink set eth0 master br9", Conflict, r"uplink eth0: it is a port of br9 already"),
        ("rule add iif eth0 table 77 priority 99", Conflict, r"the work of eth0 can't move: policy rule 99 names it"),
        (
            "nexthop add id 7 via 192.168.1.3 dev eth0\nroute add 203.0.113.0/24 nhid 7",
            Conflict,
            r"the work of eth0 can't move: route 203.0.113.0/24 leads through a nexthop object",
        ),
        ("link add br0 type bridge", Conflict, r"bridge br0: host has a link of this name already"),
    ],
)
def test_what_is_in_the_way_is_told_before_anything_changes(deed: str, kind: Type[HostwireError], message: str) -> None:
    lan.build()
    lan.batch(deed)
    before = world.image()
    with pytest.raises(kind, match=message):
        engine.run(lan.BRIDGED)
    assert world.differences(before, world.image()) == []


def test_one_nic_is_the_uplink_of_one_bridge() -> None:
    lan.build()
    lan.batch("link add eth1 type veth peer name eth1 netns lan\nlink set eth1 up")
    engine.run(lan.BRIDGED)
    before = world.image()
    with pytest.raises(Conflict, match="uplink eth0: it is a port of br0 already"):
        engine.run({"name": "other", "bridges": [{"name": "br1", "uplink": "eth0"}]})
    with pytest.raises(Conflict, match="eth0 is its uplink: leave uplink out first, then say eth1"):
        engine.run({"bridges": [{"name": "br0", "uplink": "eth1"}]})
    assert world.differences(before, world.image()) == []


def test_another_documents_addresses_on_the_uplink_are_in_the_way() -> None:
    lan.build()
    engine.run({"name": "first", "interfaces": [{"name": "eth0", "addresses": ["192.168.1.40/24"]}]})
    with pytest.raises(Conflict, match="uplink eth0: the document 'first' gives it addresses; take that out"):
        engine.run(lan.BRIDGED)
    engine.run({"name": "first", "interfaces": [{"name": "eth0", "mtu": 1400}]})
    engine.run(lan.BRIDGED)
    assert lan.reached("192.168.1.2")
