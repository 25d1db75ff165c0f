# SPDX-License-Identifier: GPL-3.0-or-later
"""Fresh private hosts to measure on, one at a time, none disturbed by what the one before left to the kernel.

A private host is a network and a mount namespace of its own, with a tmpfs on /run and a directory of a real disk as
/var/lib. Namespaces die later than their last user: the kernel takes them down in a single worker, in the order they
were let go of. ``await_cleanup`` waits for that worker's word (netlink notifications, no polling).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from typing import Any, Callable, Iterator, List, NamedTuple, Tuple

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000  # linux/sched.h
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18  # linux/mount.h
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1  # linux/prctl.h
RTMGRP_LINK = 1  # linux/rtnetlink.h
RTM_DELLINK = 17
IFLA_IFNAME = 3

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORK = os.path.join(ROOT, "build", "benchmark")

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def _setns(descriptor: int) -> None:
    _check(_libc.setns(descriptor, CLONE_NEWNET), "setns")


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), flags, None), f"mount {target}")


def mount_tmpfs(path: str) -> None:
    """An empty directory in memory in place of one of the machine's, for this private host alone."""
    _mount("tmpfs", path, "tmpfs", 0)


def become_root() -> None:
    """Start this program again in a user namespace where it is root, unless it is root already."""
    if os.geteuid() != 0:
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", sys.executable, *sys.argv])


def is_real_root() -> bool:
    """Whether root here is root of the machine; the root of a user namespace can't have socket buffers of any size."""
    with open("/proc/self/uid_map") as file:
        return file.read().split() == ["0", "0", "4294967295"]


def enter_outer_room() -> None:
    """Leave the machine's own network for good, for a private namespace that hosts and canaries hang below."""
    _unshare(CLONE_NEWNET | CLONE_NEWNS)
    _mount("none", "/", "none", MS_REC | MS_PRIVATE)
    os.makedirs(WORK, exist_ok=True)


class Started(NamedTuple):
    """A private host that lives in a process of its own; ``reading`` is where its answer comes from."""

    process: int
    reading: int
    state: str


def on_private_host(work: Callable[[], Any]) -> Any:
    """Run ``work`` on a fresh private host; return what it returns (JSON) once the kernel has forgotten the host."""
    answer = end(start(work))
    await_cleanup()
    return answer


def start(work: Callable[[], Any]) -> Started:
    """Run ``work`` on a fresh private host beside this program, until ``end``."""
    state = tempfile.mkdtemp(prefix="disk-", dir=WORK)
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return Started(child, reading, state)
    os.close(reading)
    status = 1
    try:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        answer = _live_on_private_host(work, state)
        with os.fdopen(writing, "w") as pipe:
            json.dump(answer, pipe)
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)


def end(host: Started) -> Any:
    """Wait for the end of its work; return what that returned."""
    with os.fdopen(host.reading) as pipe:
        text = pipe.read()
    status = os.waitpid(host.process, 0)[1]
    shutil.rmtree(host.state)
    if status != 0:
        raise RuntimeError("the measurement failed, see above")
    return json.loads(text)


def _live_on_private_host(work: Callable[[], Any], state: str) -> Any:
    outer = os.open("/proc/self/ns/net", os.O_RDONLY)
    _unshare(CLONE_NEWNET | CLONE_NEWNS)
    _mount("none", "/", "none", MS_REC | MS_PRIVATE)
    _mount("tmpfs", "/run", "tmpfs", 0)
    os.mkdir("/run/netns")
    _mount(state, "/var/lib", "none", MS_BIND)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    try:
        return work()
    finally:
        # Both by a living process: what an exiting one lets go of, the kernel may put off to a timer.
        _check(_libc.umount2(b"/run", MNT_DETACH), "umount /run")
        _setns(outer)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """At the lowest real-time priority, where that is allowed: for some milliseconds no other work comes between."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def await_cleanup() -> None:
    """Return when every network namespace that was let go of before this call has been taken down.

    The kernel's worker takes all that wait as one batch. The first canary is in the batch of the last of them or in a
    later one; the second can only be in the one after that, so its death says that the first one's batch is over.
    """
    for name in ("canary0", "canary1"):
        with _link_events() as events:
            _release_namespace_with_cable(name)
            while RTM_DELLINK not in [kind for kind, link in _read_events(events) if link == name]:
                pass


def await_no_link(prefix: str) -> None:
    """Return when no link whose name starts with ``prefix`` is left in this network namespace."""
    with _link_events() as events:
        while any(entry[1].startswith(prefix) for entry in socket.if_nameindex()):
            _read_events(events)


def await_quiet(name: str) -> None:
    """Return when the switch has no more to do with what its ports say on coming up (IPv6 neighbours and groups).

    With a thousand ports that is a million packets, and the processors are busy with them for a while. Nothing tells
    the end of it, hence the look twice a second, for half a minute at most.
    """
    before = -1
    for _look in range(60):
        now = _received(name)
        if before >= 0 and now - before < 50:
            return
        before = now
        time.sleep(0.5)


def _received(name: str) -> int:
    with open("/proc/self/net/dev") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line)
    return int(next(text for key, text in lines.items() if key.strip() == name).split()[1])


def _link_events() -> socket.socket:
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    events.bind((0, RTMGRP_LINK))
    return events


def _release_namespace_with_cable(name: str) -> None:
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    _unshare(CLONE_NEWNET)
    # iproute2 takes a name or a PID for a namespace; a child that stays a moment is one
    holder = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    _setns(home)
    os.close(home)
    cable = ["ip", "link", "add", name, "type", "veth", "peer", "name", "end", "netns", str(holder.pid)]
    subprocess.run(cable, check=True)
    holder.communicate()


def _read_events(events: socket.socket) -> List[Tuple[int, str]]:
    """The next notifications: message type and link name; none where a thousand links that died at once overflowed."""
    try:
        data = events.recv(1 << 16)
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
        return []
    found = []
    offset = 0
    while offset < len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        position, end = offset + 32, offset + length
        while position + 4 <= end:
            size, attribute = struct.unpack_from("=HH", data, position)
            if attribute == IFLA_IFNAME:
                found.append((kind, data[position + 4 : position + size - 1].decode()))
            position += (size + 3) & ~3
        offset += (length + 3) & ~3
    return found
