# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: killed anywhere, or kept from it by faults that last, a run tells no lie and the next one goes on."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils import netns as namespaces
from ansible_collections.hostwire.linux.plugins.module_utils.apply.executor import Executor
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError
from ansible_collections.hostwire.linux.tests.kernel import lan, world
from ansible_collections.hostwire.linux.tests.kernel.steps import (
    NOTHING,
    STRIDE,
    Document,
    apply,
)
from ansible_collections.hostwire.linux.tests.kernel.test_kills import comparable

ROUTER: Document = {
    "namespaces": [{"name": "g", "hosts": {"db": "10.5.0.9"}}, {"name": "r", "forwarding": {"ipv4": True}}],
    "bridges": [{"name": "sw0", "addresses": ["10.5.0.1/24", "fd05::1/64"]}],
    "veths": [
        {"name": "v-g", "bridge": "sw0", "peer": {"name": "eth0", "netns": "g", "addresses": ["10.5.0.2/24"]}},
        {
            "name": "v-r",
            "netns": "r",
            "addresses": ["10.6.0.1/30"],
            "peer": {"name": "v-h", "addresses": ["10.6.0.2/30"]},
        },
    ],
    "taps": [{"name": "t0", "bridge": "sw0"}],
    "routes": [{"netns": "g", "to": "default", "via": "10.5.0.1"}],
    "masquerade": [{"source": "10.5.0.0/24", "except_to": "sw0"}],
    "published_ports": [{"port": 8080, "to": "10.5.0.2:80", "address": "any"}],
}
OTHER: Document = {
    **ROUTER,
    "namespaces": [{"name": "g"}],
    "veths": [{"name": "v-g", "peer": {"name": "eth1", "netns": "g", "addresses": ["10.7.0.2/24"]}}],
    "routes": [],
    "published_ports": [{"port": 8081, "to": "10.5.0.3:80", "address": "any"}],
}
UPLINK: Document = {"bridges": [*lan.BRIDGED["bridges"], {"name": "sw0"}], "taps": ROUTER["taps"]}

RUNS = pytest.mark.parametrize(
    ("there", "wanted"),
    [(None, ROUTER), (ROUTER, OTHER), (ROUTER, NOTHING), (None, UPLINK), (UPLINK, NOTHING)],
    ids=["made", "changed", "removed", "uplink", "uplink back"],
)


def in_a_child(deed: Callable[[], None]) -> Dict[str, Any]:
    """What a process that does it says: ``error`` and its ``kind``, or neither. It may end up in another namespace."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said: Dict[str, Any] = {}
        try:
            deed()
        except HostwireError as error:
            said = {"kind": error.kind, "error": str(error)}
        except OSError as error:
            said = {"kind": "traceback", "error": repr(error)}
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found: Dict[str, Any] = json.loads(text) if status == 0 else {"kind": "killed", "status": status}
    return found


def kill_in_the_way_back(wanted: Document, number: int, when: str) -> Dict[str, Any]:
    """A run that fails at its end, and is killed before or after the n-th action that undoes it."""

    def deed() -> None:
        one, count = Executor._one, [0]

        def counted(executor: Executor, position: int, work: Any) -> None:
            undoing = executor._tolerant
            if undoing and count[0] == number and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            one(executor, position, work)
            if undoing and count[0] == number and when == "after":
                executor._flush()
                os.kill(os.getpid(), signal.SIGKILL)
            count[0] += undoing

        Executor._one = counted  # type: ignore[method-assign]
        document = {} if wanted is NOTHING else wanted
        probes = [{"to": "127.0.0.1", "expect": "unreachable"}]
        engine.run({**document, "probes": probes}, dad_seconds=0, written=True)

    return in_a_child(deed)


def begin(there: Optional[Document]) -> None:
    lan.build()
    if there is not None:
        apply(there)


@pytest.mark.parametrize("following", ["there", "wanted", "nothing"])
@pytest.mark.parametrize("when", ["before", "after"])
@RUNS
def test_a_run_killed_while_it_takes_itself_back_is_in_nobodys_way(
    private_host: Path, there: Optional[Document], wanted: Document, when: str, following: str
) -> None:
    lan.build()
    bare = world.image()
    then = {"there": there or NOTHING, "wanted": wanted, "nothing": NOTHING}[following]
    apply(then)
    whole = comparable(world.image())
    apply(NOTHING)
    killed = 0
    for number in range(zlib.crc32(f"{when}{following}".encode()) % min(STRIDE, 4), 200, STRIDE):
        if there is not None:
            apply(there)
        said = kill_in_the_way_back(wanted, number, when)
        if said["kind"] != "killed":
            assert said["kind"] == "verify", said
            break
        killed += 1
        apply(then)
        assert apply(then).plan == (), number
        assert world.differences(whole, comparable(world.image())) == [], number
        apply(NOTHING)
        assert world.differences(bare, world.image()) == [], number
    assert killed


def broken_socket(call: str, number: int) -> Callable[[Callable[[str], bool]], None]:
    def install(strikes: Callable[[str], bool]) -> None:
        real = getattr(socket.socket, call)

        class Broken(socket.socket):
            pass

        def method(self: Any, *args: Any) -> Any:
            if self.family == socket.AF_NETLINK and strikes(call):
                raise OSError(number, os.strerror(number))
            return real(self, *args)

        setattr(Broken, call, method)
        socket.socket = Broken  # type: ignore[misc]

    return install


def no_sockets(strikes: Callable[[str], bool]) -> None:
    class Missing(socket.socket):
        def __init__(self, *args: Any, **options: Any) -> None:
            if strikes("socket"):
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            super().__init__(*args, **options)

    socket.socket = Missing  # type: ignore[misc]


def no_entry(strikes: Callable[[str], bool]) -> None:
    real = namespaces._setns

    def setns(descriptor: int, kind: int) -> None:
        if strikes("setns"):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        real(descriptor, kind)

    namespaces._setns = setns


def no_sync(strikes: Callable[[str], bool]) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if strikes("fsync"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    os.fsync = fsync


def no_program(strikes: Callable[[str], bool]) -> None:
    class Busy(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, command: List[str], **options: Any) -> None:
            if "restore" in os.path.basename(command[0]) and strikes("restore"):
                command = ["/bin/sh", "-c", "cat >/dev/null; echo 'the lock is held' >&2; exit 1"]
            super().__init__(command, **options)

    subprocess.Popen = Busy  # type: ignore[misc]


FAULTS: Dict[str, Callable[[Callable[[str], bool]], None]] = {
    "send": broken_socket("send", errno.ENOBUFS),
    "receive": broken_socket("recv_into", errno.EAGAIN),
    "sockets": no_sockets,
    "enter": no_entry,
    "sync": no_sync,
    "restore": no_program,
}


def counted_calls(wanted: Document, fault: str) -> int:
    """How many calls of a kind such a run makes. Its host is left as the run leaves it."""
    reading, writing = os.pipe()

    def deed() -> None:
        count = [0]

        def strikes(_name: str) -> bool:
            count[0] += 1
            return False

        FAULTS[fault](strikes)
        apply(wanted)
        os.write(writing, struct.pack("=I", count[0]))

    assert in_a_child(deed) == {}
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        return int(struct.unpack("=I", pipe.read(4))[0])


def broken(wanted: Document, fault: str, first: int, lasting: bool) -> Dict[str, Any]:
    def deed() -> None:
        count = [0]

        def strikes(_name: str) -> bool:
            count[0] += 1
            return count[0] >= first if lasting else count[0] == first

        FAULTS[fault](strikes)
        apply(wanted)

    return in_a_child(deed)


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("fault", FAULTS)
@RUNS
def test_a_run_that_a_fault_breaks_tells_the_truth_and_the_next_goes_on(
    private_host: Path, there: Optional[Document], wanted: Document, fault: str, lasting: bool
) -> None:
    begin(None)
    bare = world.image()
    if there is not None:
        apply(there)
    before = world.image()
    calls = counted_calls(wanted, fault)
    apply(NOTHING)
    points = sorted({1 + number * calls // 8 for number in range(8)} | {calls}) if calls else []
    for first in points:
        if there is not None:
            apply(there)
            before = world.image()
        said = broken(wanted, fault, first, lasting)
        told = (fault, first, said)
        left = [line for line in world.differences(before, world.image()) if "journal" not in line]
        assert said.get("kind") != "traceback", told
        if not said:
            assert apply(wanted).plan == (), told
        elif said["kind"] == "undo":
            assert "not all could be put back" in said["error"], told
        elif left:
            assert "everything was put back" not in said["error"], (told, left)
            raise AssertionError(told, left)
        assert lan.reached("192.168.1.2") or lasting, told  # what never answers again can't finish a move, nor undo it
        apply(wanted)
        assert lan.reached("192.168.1.2"), told
        assert apply(wanted).plan == (), told
        apply(NOTHING)
        assert world.differences(bare, world.image()) == [], told
