# SPDX-License-Identifier: GPL-3.0-or-later
"""Small calls that fail, and what a killed run leaves beside its files: none of it is told otherwise than it is."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, List, Optional, Sequence

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import files, state_directory, sysctl, whereabouts
from ansible_collections.hostwire.linux.plugins.module_utils import netns as namespaces
from ansible_collections.hostwire.linux.plugins.module_utils.apply import differences, undo
from ansible_collections.hostwire.linux.plugins.module_utils.apply.executor import Work
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError, KernelRefused, UndoFailed
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.tables import is_complete
from ansible_collections.hostwire.linux.plugins.module_utils.observe import Question, observe
from ansible_collections.hostwire.linux.plugins.module_utils.plan.actions import LinkChange, Step, TapAdd
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.channel import Channel, Refusal
from ansible_collections.hostwire.linux.plugins.module_utils.rtnetlink.wire import Message
from ansible_collections.hostwire.linux.tests.kernel import lan, world
from ansible_collections.hostwire.linux.tests.kernel.steps import JOURNAL, NOTHING, Document, apply, journaled

SPACE: Document = {"namespaces": [{"name": "red", "hosts": {"db": "10.0.0.9"}}]}


def refuse(*_args: Any, **_options: Any) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def test_an_uplink_that_a_run_gives_back_again_is_a_port_only_along_with_its_work(private_host: Path) -> None:
    """Else the host would be cut off between the two, for good if the run is killed there."""
    lan.build()
    apply(lan.BRIDGED)
    seen: List[Any] = []

    def look(position: int, when: str) -> None:
        if (position, when) == (0, "before"):
            seen.extend(inverse for action, inverse in journaled() if action[0] == "LinkDelete")

    apply(NOTHING, look)
    (inverse,) = seen
    assert [action[0] for action in inverse][:2] == ["BridgeAdd", "LinkChange"]
    assert not any("eth0" in action for action in inverse)


@pytest.mark.parametrize("name", [".main.journal.new", ".main.state.new"])
def test_a_record_that_a_killed_run_never_finished_goes_with_the_next_run(private_host: Path, name: str) -> None:
    apply(SPACE)
    (JOURNAL.parent / name).write_text("{")
    assert apply(SPACE).plan == ()
    assert not (JOURNAL.parent / name).exists()


def test_a_directory_that_cannot_be_removed_is_no_success(private_host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.image()
    apply(SPACE)
    there = world.image()
    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        with pytest.raises(KernelRefused, match="directory /etc/netns/red: remove: the kernel refused"):
            apply(NOTHING)
    assert world.differences(there, world.image()) == []
    apply(NOTHING)
    assert world.differences(before, world.image()) == []


def test_a_directory_that_an_undo_leaves_is_told_and_goes_with_the_next_run(
    private_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.image()

    def fail(_position: int, when: str) -> None:
        if when == "after" and os.path.exists("/etc/netns/red/hosts"):
            raise KernelRefused("a step", errno.EPERM)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        with pytest.raises(UndoFailed, match="directory /etc/netns/red: is left over"):
            apply(SPACE, fail)
    assert JOURNAL.exists()
    apply(NOTHING)
    assert world.differences(before, world.image()) == []


def test_a_run_that_wrote_nothing_has_no_record_to_put_back(
    private_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(SPACE)

    def nothing_more(*_args: Any, **_options: Any) -> None:
        monkeypatch.setattr(state_directory, "read", refuse)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("ansible_collections.hostwire.linux.plugins.module_utils.engine.intended", nothing_more)
    with pytest.raises(HostwireError, match="Too many open files") as raised:
        apply(NOTHING)
    assert not isinstance(raised.value, UndoFailed)


def test_a_network_has_no_other_name_because_there_is_no_socket_just_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what was remembered by the one name would be of another life by the other."""
    name = whereabouts.here()
    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(PermissionError):
        whereabouts.here()
    monkeypatch.undo()
    assert whereabouts.here() == name


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.EMFILE, errno.EPERM])
def test_a_fault_at_the_name_of_the_network_makes_no_other_life_of_it(
    private_host: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever question it was that failed: what a setting was before is known to the next run."""
    document: Document = {"sysctls": {"net.ipv4.conf.all.arp_ignore": 1}}
    before = world.image()

    class Socket(socket.socket):
        left = -1  # questions until one fails

        def getsockopt(self, *args: Any) -> Any:
            if args[:2] == (socket.SOL_SOCKET, 71):
                Socket.left -= 1
                if Socket.left == -1:
                    raise OSError(number, os.strerror(number))
            return super().getsockopt(*args)

    monkeypatch.setattr(socket, "socket", Socket)
    failed = 0
    for wanted, other in ((document, NOTHING), (NOTHING, document)):
        for place in range(50):
            apply(other)
            Socket.left = place
            try:
                apply(wanted)
            except HostwireError:
                failed += 1
            if Socket.left >= 0:
                break
            apply(NOTHING)
            assert world.differences(before, world.image()) == []
        Socket.left = -1
    assert failed > 3


def test_what_has_no_way_back_needs_nothing_that_may_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces.Tour, "__enter__", refuse)
    assert undo.do_tolerantly([]) == []


def test_a_directory_with_something_in_it_or_none_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    for name in ("full", "missing"):
        files.remove_empty(str(tmp_path / name))
    assert subprocess.check_output(["ls", tmp_path], text=True) == "full\n"


def test_a_setting_that_cannot_be_read_just_now_is_not_one_that_the_kernel_lacks(
    private_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what was to be put back would be taken for gone."""
    document: Document = {"sysctls": {"net.ipv4.conf.all.log_martians": 1}}
    before = world.image()
    apply(document)
    really_open = os.open

    def no_more(path: Any, *args: Any, **options: Any) -> int:
        if str(path).startswith("/proc/sys/net/ipv4/conf/all/log_martians"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return really_open(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", no_more)
        with pytest.raises(KernelRefused, match=r"log_martians: read: .* Too many open files"):
            apply(NOTHING)
        assert sysctl.read_if_possible("net/ipv4/conf/all/log_martians") is None
    apply(NOTHING)
    assert world.differences(before, world.image()) == []
    assert sysctl.read("net/ipv4/conf/all/nonsense") is None


def test_rules_of_which_only_the_beginning_was_printed_are_not_taken_for_all(private_host: Path) -> None:
    apply({"published_ports": [{"port": 8080, "to": "10.5.0.2:80", "address": "any"}]})
    text = subprocess.run(["iptables-save"], check=True, capture_output=True, text=True).stdout
    assert is_complete(text)
    assert is_complete("")
    bounds = [place for place in range(1, len(text)) if is_complete(text[:place])]
    assert [text[:place].endswith("Completed on") or "\n*" in text[place:] for place in bounds] == [True] * len(bounds)
    assert all(text[:place].splitlines()[-1].startswith("# Completed on ") for place in bounds)


@pytest.mark.parametrize("family", [4, 6])
def test_nothing_printed_is_not_taken_for_no_rules_where_there_are_some(
    backend: str, family: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    to = {4: "10.5.0.2:80", 6: "[fd05::2]:80"}[family]
    document: Document = {"published_ports": [{"port": 8080, "to": to, "address": "any"}]}
    apply(document)
    name = {4: "iptables", 6: "ip6tables"}[family]
    silent = tmp_path / "silent"
    silent.mkdir()
    for save in (f"{name}-save", f"{name}-{backend}-save"):
        (silent / save).write_text("#!/bin/sh\nexit 0\n")
        (silent / save).chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{silent}:{os.environ['PATH']}")
        for wanted in (NOTHING, document):
            with pytest.raises(KernelRefused, match=f"{name}.*-save: .*printed nothing"):
                apply(wanted)
    assert apply(document).plan == ()
    apply(NOTHING)


def test_a_link_that_cannot_be_looked_for_just_now_is_not_gone(
    private_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what an undo was to do to it would count as done."""

    def busy(*_args: Any) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    work = [Work(LinkChange(None, "lo", mtu=1400), "undo of: lo")]
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "ioctl", busy)
        assert undo.do_tolerantly(work) == ["host: link lo: the kernel refused: Device or resource busy (EBUSY)"]
    assert undo.do_tolerantly([Work(LinkChange(None, "nobody", mtu=1400), "undo of: nobody")]) == []


def test_the_mac_address_of_a_tap_and_what_a_link_heeds_are_seen_after_an_undo(private_host: Path) -> None:
    document: Document = {"bridges": [{"name": "sw0"}], "taps": [{"name": "t0", "bridge": "sw0"}]}
    apply(document)
    then = observe({None: Question()})
    subprocess.run(["ip", "link", "set", "t0", "address", "02:00:00:00:00:01"], check=True)
    Path("/proc/sys/net/ipv6/conf/t0/accept_ra").write_text("2")
    told = differences.differences(then, observe({None: Question()}), [Step(0, TapAdd(None, "t0", None), (), 0)])
    assert len(told) == 2
    assert "02:00:00:00:00:01" in told[0]
    assert told[1] == "host: sysctl net/ipv6/conf/t0/accept_ra: is 2, was 1"


def test_addresses_that_a_move_left_on_both_links_are_told(private_host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The move's own way back fails as the move did."""
    lan.build()
    apply(lan.BRIDGED)
    really_transact, count = Channel.transact, [0]

    def transact(channel: Channel, messages: Sequence[Message]) -> List[Optional[Refusal]]:
        count[0] += len(messages)
        if count[0] > len(messages):
            return [Refusal(errno.ENOBUFS, None)] * len(messages)
        return really_transact(channel, messages)

    with monkeypatch.context() as patch:
        patch.setattr(Channel, "transact", transact)
        with pytest.raises(UndoFailed, match=r"host: address 192\.168\.1\.2/24 on eth0: is left over"):
            apply(NOTHING)
    assert lan.reached("192.168.1.2")
    apply(NOTHING)
    assert lan.reached("192.168.1.2")
    assert apply(NOTHING).plan == ()


def test_a_run_killed_anywhere_in_a_move_leaves_the_host_on_its_lan(private_host: Path) -> None:
    """Between two batches of messages it is at home on one link or the other, never on one that hears nothing."""
    lan.build()
    for there, wanted in ((NOTHING, lan.BRIDGED), (lan.BRIDGED, NOTHING)):
        number = 0
        while True:
            apply(there)
            child = os.fork()
            if child == 0:
                die_at(number)
                apply(wanted)
                os._exit(0)
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert lan.reached("192.168.1.2"), number
            assert lan.reached("2001:db8:1::2"), number
            if ended == 0:
                break
            number += 1
        assert number > 5


def die_at(number: int) -> None:
    """From now on this process is killed before it sends messages for the n-th time."""
    really_transact, count = Channel.transact, [0]

    def transact(channel: Channel, messages: Sequence[Message]) -> List[Optional[Refusal]]:
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        count[0] += 1
        return really_transact(channel, messages)

    Channel.transact = transact  # type: ignore[method-assign]


def test_a_setting_that_an_undo_cannot_put_back_is_told_whichever_it_is(
    private_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that nobody reads to plan: how a host heeds router advertisements where it forwards."""
    lan.build()
    before = world.image()
    write = sysctl.write

    def refused(path: str, value: str) -> None:
        if path == sysctl.IPV4_FORWARDING or (path == sysctl.accept_ra("eth0") and value == "1"):
            raise KernelRefused(f"sysctl {path} = {value}", errno.EPERM)
        write(path, value)

    with monkeypatch.context() as patch:
        patch.setattr(sysctl, "write", refused)
        with pytest.raises(UndoFailed, match=r"host: sysctl net/ipv6/conf/eth0/accept_ra: is 2, was 1"):
            apply({"forwarding": {"ipv4": True, "ipv6": True}})
    apply(NOTHING)
    assert world.differences(before, world.image()) == []
