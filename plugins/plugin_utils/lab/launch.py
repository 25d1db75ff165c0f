# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that makes the lab's hosts: started by ``state.start``, not imported.

It reads a request from standard input (JSON: ``state_file``, ``machine``, ``hosts``, ``listeners``), makes one user
namespace in which the calling user is root, and in it one holder process for each host: the first process of a PID
namespace with a network, a mount, a UTS and an IPC namespace of its own. When all of them stand, it writes the state
file and lets them run; it answers ``{"error": null}`` or the reason. A holder that was never let run ends by itself, so
nothing outlives a launcher that fails or is killed. Ending a holder ends every process of its host.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from typing import Any, BinaryIO, Dict, List, NamedTuple, NoReturn, Tuple

from . import kernel
from .furnish import Host, furnish
from .listeners import Listener, serve
from .state import Holder, LabError, boot_id, started

# Settings that forbid user namespaces: below /proc/sys, the value that forbids, one that allows.
FORBIDDING = (
    ("kernel/unprivileged_userns_clone", "0", "1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
    *((f"user/max_{kind}_namespaces", "0", "10000") for kind in ("user", "net", "mnt", "pid", "uts", "ipc")),
)

OWN_NAMESPACES = (
    kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET
)


class Held(NamedTuple):
    """A host whose holder stands, and the pipe on which that reported; the holder lives on when it is closed."""

    name: str
    pid: int
    reports: BinaryIO


def read_settings(sysctls: str = "/proc/sys") -> Dict[str, str]:
    """Read those of the settings in FORBIDDING that this kernel has.

    To be called before there is a user namespace: each has limits of its own, and shows only them.
    """
    values = {}
    for path in (setting[0] for setting in FORBIDDING):
        with contextlib.suppress(OSError), open(f"{sysctls}/{path}", encoding="ascii") as setting:
            values[path] = setting.read().strip()
    return values


def refusal(error: OSError, settings: Dict[str, str]) -> str:
    """Say why user namespaces are refused: the setting that forbids them, if one is found, and the way with sudo."""
    for path, forbids, allows in FORBIDDING:
        if settings.get(path) != forbids:
            continue
        name = path.replace("/", ".")
        # The limits under user/ hold for root too; the other two don't.
        instead = "" if path.startswith("user/") else ", or run the lab itself with sudo (`sudo make lab`)"
        return (
            f"This machine forbids what the lab is made of, user namespaces: {name} is {forbids}. "
            f"`sudo sysctl -w {name}={allows}` allows it until the next reboot{instead}."
        )
    return (
        f"The kernel refused what the lab is made of, user namespaces ({os.strerror(error.errno or 0)}), though no "
        "setting forbids them. In a container its seccomp profile does: start the container with "
        "`--security-opt seccomp=unconfined`, or run the lab outside of it, if need be with sudo."
    )


def enter_user_namespace(settings: Dict[str, str]) -> None:
    """Move this process into a new user namespace in which the calling user is root and nobody else exists."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        kernel.unshare(kernel.CLONE_NEWUSER)
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as setting:
                setting.write(text)
    except OSError as error:
        raise LabError(refusal(error, settings)) from error


def _hold(host: Host, report: int, go: int) -> NoReturn:
    """Be the first process of a host: furnish it, say so, wait to be let run, then stay until killed."""
    try:
        furnish(host)
    except (LabError, OSError) as error:
        words = str(error) if isinstance(error, LabError) else f"The lab host {host.name} could not be made: {error}"
        os.write(report, f"{words}\n".encode())
        os._exit(1)
    silence = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    os.write(report, b"ready\n")
    if not os.read(go, 1):
        os._exit(1)  # the launcher is gone, and with it the record of this process
    os.closerange(3, max(report, go, silence) + 1)
    # Whoever is left behind in this host becomes a child of its first process; ignored, its end leaves no zombie.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if host.listeners and os.fork() == 0:
        serve(host.listeners)
    while True:
        signal.pause()


def start_holder(host: Host, go: Tuple[int, int], settings: Dict[str, str]) -> Held:
    """Start the first process of ``host`` in namespaces of its own. Raises LabError.

    A process between makes the namespaces: of a process that calls unshare only the children enter the PID namespace,
    and only the parent of the first one learns the PID that the machine sees.
    """
    reports, report = os.pipe()
    between = os.fork()
    if between == 0:
        os.close(go[1])
        try:
            kernel.unshare(OWN_NAMESPACES)
        except OSError as error:
            os.write(report, f"{refusal(error, settings)}\n".encode())
            os._exit(1)
        pid = os.fork()
        if pid == 0:
            _hold(host, report, go[0])
        os.write(report, f"{pid}\n".encode())
        os._exit(0)
    os.close(report)
    os.waitpid(between, 0)
    stream = os.fdopen(reports, "rb", buffering=0)
    # "PID" and "ready" come from two processes, in either order; anything else is the reason of a failure.
    lines = [stream.readline().decode().strip()]
    if lines[0] == "ready" or lines[0].isdigit():
        lines.append(stream.readline().decode().strip())
    reasons = [line for line in lines if line != "ready" and not line.isdigit()]
    if reasons:
        raise LabError(reasons[0] or f"The lab host {host.name} ended at once.")
    return Held(host.name, int(next(line for line in lines if line.isdigit())), stream)


def launch(request: Dict[str, Any]) -> None:
    """Make every host, write the state file, let the holders run. Raises LabError or OSError; nothing is left then."""
    listeners = [Listener(entry["host"], entry["netns"], entry["port"]) for entry in request["listeners"]]
    settings = read_settings()
    enter_user_namespace(settings)
    go = os.pipe()
    held: List[Held] = []
    for name in [*request["hosts"], request["machine"]]:
        networks = {other.name: other.pid for other in held} if name == request["machine"] else {}
        own = [listener for listener in listeners if listener.host == name]
        held.append(start_holder(Host(name, networks, own), go, settings))
    state = {
        "boot": boot_id(),
        "request": {key: request[key] for key in ("machine", "hosts", "listeners")},
        "holders": {host.name: Holder(host.pid, started(host.pid)) for host in held},
    }
    with open(request["state_file"], "w", encoding="utf-8") as state_file:
        json.dump(state, state_file)
        state_file.flush()
        os.fsync(state_file.fileno())
    os.write(go[1], b"g" * len(held))


def main() -> int:
    """Answer one request."""
    error = None
    try:
        launch(json.load(sys.stdin))
    except LabError as refused:
        error = str(refused)
    except OSError as failed:
        error = f"The lab could not be made: {failed}"
    json.dump({"error": error}, sys.stdout)
    return 0 if error is None else 1


if __name__ == "__main__":
    sys.exit(main())
