# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker as a service of the host: whether it runs, stopping and starting it, and in words why it doesn't start.

With systemd each question costs 20 to 50 ms, so one is asked only where its answer is needed.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import subprocess
import time
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import KernelRefused, MissingOnHost, VerificationFailed
from ..search_path import search_path

# Modules are to use AnsibleModule.run_command, says ansible-test; the engine knows no Ansible.
# pylint: disable=ansible-bad-function

SYSTEMD, SYSVINIT = "systemd", "sysvinit"
_BOOTED = "/run/systemd/system"  # sd_booted(3)
_SERVICE, _SOCKET = "docker.service", "docker.socket"
_SYSVINIT_LOG = "/var/log/docker.log"
_TAKEN_ALONG = ("RequiredBy", "BoundBy", "ConsistsOf")  # stopped with it, but not started with it: systemd.unit(5)
_NEEDED = ("Requires", "Requisite", "BindsTo")  # started with it, or it doesn't start
_PLACES = tuple(f"{place}/systemd/system" for place in ("/etc", "/run", "/usr/local/lib", "/usr/lib"))
_ALWAYS_THERE = (".target", ".slice", ".mount", ".scope")
_PROPERTIES = ",".join(
    (
        *("Id", "LoadState", "ActiveState", "FragmentPath", "DropInPaths", "NeedDaemonReload"),
        *("EnvironmentFiles", "MainPID", "Listen", "RefuseManualStart", "RefuseManualStop"),
        *_NEEDED,
        *_TAKEN_ALONG,
    )
)
_MENDED = {"masked": "unmask it (systemctl unmask)", "not-found": "bring its unit back"}
_UNMET = re.compile(r"^(?:\S+: )?((?:Condition|Assert)\w+=.*) failed\.?$", re.MULTILINE)
_STOP_SECONDS = 300.0  # containers that ignore SIGTERM take their stop timeout, mostly 10 s, each
_LOGGED = re.compile(r'level=(?:error|fatal)\b.*?msg="((?:[^"\\]|\\.)*)"')


class UnitFiles(NamedTuple):
    """docker.service as systemd knows it: its files in order, and whether it and its socket are active.

    ``stale``: a file was changed since systemd read it. ``dependents``: the active units that stop when Docker does.
    ``environment_files`` are those of its variables, specifiers and patterns resolved; None where systemd doesn't say.
    ``main_pid`` is that of the process it started, 0 if there is none; ``listens`` where docker.socket does. ``state``
    is how systemd found the unit (loaded, masked, not-found). ``hindrances``: why it couldn't be stopped and started,
    a line each.
    """

    paths: Tuple[str, ...]
    installed: bool
    active: bool
    socket_active: bool
    stale: bool
    dependents: Tuple[str, ...] = ()
    environment_files: Optional[Tuple[str, ...]] = None
    main_pid: int = 0
    listens: Tuple[str, ...] = ()
    state: str = "loaded"
    hindrances: Tuple[str, ...] = ()


def detect() -> str:
    """Who starts services on this host. Raises MissingOnHost where it is neither systemd nor ``service``."""
    if os.path.isdir(_BOOTED):
        return SYSTEMD
    if os.path.exists("/etc/init.d/docker") or shutil.which("service", path=search_path()):
        return SYSVINIT
    raise MissingOnHost("services: neither systemd runs on this host nor is there the program service")


def unit_files() -> UnitFiles:
    """Ask systemd about docker.service and docker.socket, both in one question. Raises KernelRefused."""
    units = _show([_SERVICE, _SOCKET])
    if _SERVICE not in units:
        raise KernelRefused("systemctl show docker.service", errno.EIO, "no answer")
    own, socket = units[_SERVICE], units.get(_SOCKET, {})
    with_socket = socket.get("ActiveState") == "active"
    dependents = _dependents(units)
    needed = _needed([own, socket] if with_socket else [own], units)
    paths = [own.get("FragmentPath", ""), *own.get("DropInPaths", "").split()]
    return UnitFiles(
        tuple(path for path in paths if path),
        own.get("LoadState") == "loaded",
        own.get("ActiveState") in ("active", "reloading"),
        with_socket,
        any(fields.get("NeedDaemonReload") == "yes" or _unread(fields) for fields in (own, socket)),
        tuple(dependents),
        _environment_files(own.get("EnvironmentFiles", "")),
        int(own.get("MainPID") or 0),
        tuple(line.rpartition(" (")[0] for line in socket.get("Listen", "").splitlines()),
        own.get("LoadState", ""),
        tuple(_hindrances([own, socket] if with_socket else [own], {**needed, **dependents})),
    )


def _unread(fields: Dict[str, str]) -> bool:
    """Whether there are drop-ins that systemd doesn't know: before 254 it overlooks those of a new directory."""
    known = {os.path.basename(path) for path in fields.get("DropInPaths", "").split()}
    there = [path for place in _PLACES for path in glob.glob(f"{place}/{fields.get('Id')}.d/*.conf")]
    masked = {os.path.basename(path) for path in there if os.path.realpath(path) == os.devnull}
    return not {os.path.basename(path) for path in there} <= known | masked


def _needed(own: Sequence[Dict[str, str]], units: Dict[str, Dict[str, str]]) -> Dict[str, Dict[str, str]]:
    """The units without which these aren't started; those that are there on every host aren't asked for."""
    names = {name for fields in own for key in _NEEDED for name in fields.get(key, "").split()}
    new = sorted(name for name in names.difference(units) if not name.endswith(_ALWAYS_THERE))
    return {**(_show(new) if new else {}), **{name: units[name] for name in names.intersection(units)}}


def _hindrances(own: Sequence[Dict[str, str]], others: Dict[str, Dict[str, str]]) -> Iterator[str]:
    """Why systemd wouldn't stop these units, or not start them and the others: a restart by hand would fail, too."""
    for fields in own:
        for key, word in (("RefuseManualStop", "stop"), ("RefuseManualStart", "start")):
            if fields.get(key) == "yes":
                yield f"{fields.get('Id')}: {key} is set, so systemd wouldn't {word} it; take that out of its unit"
    units = {**{fields.get("Id", ""): fields for fields in own}, **others}
    for name, fields in sorted(units.items()):
        state = fields.get("LoadState", "loaded")
        if name and state not in ("loaded", "stub", "merged"):
            words = "is masked" if state == "masked" else f"can't be loaded ({state})"
            yield f"{name}: {words}, so Docker wouldn't start again; {_MENDED.get(state, 'mend it')}"


def _environment_files(shown: str) -> Tuple[str, ...]:
    """systemd's answer, a line each: ``/etc/default/docker (ignore_errors=yes)``; a pattern stands for its files."""
    found: List[str] = []
    for line in shown.splitlines():
        path = line.rpartition(" (")[0]
        found += sorted(glob.glob(path)) if glob.has_magic(path) else [path]
    return tuple(found)


def _show(names: Sequence[str]) -> Dict[str, Dict[str, str]]:
    """Properties of units by the unit's name; one that is shown repeatedly has a line each. Raises KernelRefused."""
    done = _run(["systemctl", "show", *names, f"--property={_PROPERTIES}"])
    if done.returncode:
        raise KernelRefused(f"systemctl show {' '.join(names)}", errno.EIO, done.stderr.strip())
    units: Dict[str, Dict[str, str]] = {}
    for block in done.stdout.split("\n\n"):
        fields: Dict[str, str] = {}
        for line in block.splitlines():
            name, _equals, value = line.partition("=")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
        units[fields.get("Id", "")] = fields
    return units


def _dependents(units: Dict[str, Dict[str, str]]) -> Dict[str, Dict[str, str]]:
    """The active units that stop when these do, and those that stop when they do; mostly there are none."""
    found: Dict[str, Dict[str, str]] = {}
    while units:
        named = {name for fields in units.values() for key in _TAKEN_ALONG for name in fields.get(key, "").split()}
        new = sorted(named.difference(found, (_SERVICE, _SOCKET)))
        units = _show(new) if new else {}
        units = {name: fields for name, fields in units.items() if fields.get("ActiveState") == "active"}
        found.update(sorted(units.items()))
    return found


def unmet_conditions() -> Tuple[str, ...]:
    """The conditions of docker.service that aren't met now, a line each; none where systemd (before 250) can't tell."""
    done = _run(["systemd-analyze", "condition", f"--unit={_SERVICE}"])
    return tuple(f"{condition} isn't met" for condition in _UNMET.findall(done.stdout + done.stderr))


def start_units(names: Sequence[str], seconds: float = 120.0) -> None:
    """Start again what stopped with Docker. Raises VerificationFailed."""
    if names:
        done = _run(["systemctl", "start", *names], seconds)
        if done.returncode:
            raise VerificationFailed(f"systemctl start {' '.join(names)}: {done.stderr.strip()}")


def active(init: str) -> bool:
    """Whether dockerd is started."""
    if init == SYSTEMD:
        return _run(["systemctl", "is-active", "--quiet", _SERVICE]).returncode == 0
    return _run(["service", "docker", "status"]).returncode == 0


def prepare(init: str) -> None:
    """Forget earlier failures and starts, so that systemd's start limit doesn't hit us (systemctl reset-failed)."""
    if init == SYSTEMD:
        _run(["systemctl", "reset-failed", _SERVICE, _SOCKET])


def reload_units(init: str) -> None:
    """Make systemd read changed unit files. Raises KernelRefused."""
    if init == SYSTEMD:
        done = _run(["systemctl", "daemon-reload"])
        if done.returncode:
            raise KernelRefused("systemctl daemon-reload", errno.EIO, done.stderr.strip())


def stop(init: str, socket: bool = True) -> None:
    """Stop dockerd, and its socket with it: else the next question to the API would start it again.

    Both in one transaction, in which systemd turns new connections away. Raises KernelRefused.
    """
    if init == SYSTEMD:
        command = ["systemctl", "stop", *([_SOCKET] if socket else []), _SERVICE]
    else:
        command = ["service", "docker", "stop"]
    done = _run(command, _STOP_SECONDS)
    if done.returncode:
        raise KernelRefused(" ".join(command), errno.EIO, done.stderr.strip() or done.stdout.strip())


def start(init: str, socket: bool = True, seconds: float = 120.0) -> float:
    """Start dockerd, and its socket where it had one. With systemd it serves when this returns.

    Returns when it began, in seconds of time.time(). Raises VerificationFailed with dockerd's own last words.
    """
    if init == SYSTEMD:
        command = ["systemctl", "start", *([_SOCKET] if socket else []), _SERVICE]
    else:
        command = ["service", "docker", "start"]
    began = time.time()
    done = _run(command, seconds)
    if done.returncode:
        raise VerificationFailed(f"dockerd doesn't start: {last_words(init, began) or done.stderr.strip()}")
    return began


def last_words(init: str, since: float) -> str:
    """What dockerd logged that explains a failure, from ``since`` (seconds of time.time()) on; "" for nothing found.

    Not by systemd's number of the start: after a failure it may be the number of the next attempt already.
    """
    if init == SYSTEMD:
        _run(["journalctl", "--sync"])  # what was said a moment ago may not be written yet
        command = ["journalctl", f"--unit={_SERVICE}", f"--since=@{since:.6f}", "--lines=100", "--output=cat"]
        lines = _run([*command, "--no-pager"]).stdout.splitlines()
    else:
        lines = _tail(_SYSVINIT_LOG)
    return explain(lines)


def explain(lines: Sequence[str]) -> str:
    """The reason in a log of dockerd: its last line that says why it ended, else its last error."""
    fatal = [line for line in lines if re.search(r"failed to start daemon|unable to configure the Docker daemon", line)]
    errors = [line for line in lines if _LOGGED.search(line)]
    told = ("docker.service:", "Start", "Stop", "Fail")  # by systemd
    own = [line for line in lines if line.strip() and not line.startswith(told) and "level=info" not in line]
    chosen = (fatal or errors or own)[-1:]
    if not chosen:
        return ""
    found = _LOGGED.search(chosen[0])
    return found.group(1).replace('\\"', '"') if found else chosen[0].strip()


def validate(text: str, arguments: Sequence[str]) -> Optional[str]:
    """What ``dockerd --validate`` (23.0 on) has against a daemon.json with these flags; None if nothing.

    The text is handed over in memory, so that nothing is written.
    """
    descriptor = os.memfd_create("daemon.json")
    try:
        os.write(descriptor, text.encode("utf-8", "surrogateescape"))
        path = f"/proc/{os.getpid()}/fd/{descriptor}"
        done = _run([_dockerd(), "--validate", *arguments, f"--config-file={path}"], 30.0)
    finally:
        os.close(descriptor)
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    if done.returncode == 0 or not said:
        return None
    usage = [line.partition(":")[2] for line in said if line.startswith("Status:")]  # of flags that it doesn't know
    return (usage or said)[-1].strip().replace(path, "daemon.json")


def flags() -> FrozenSet[str]:
    """The names of the flags that this dockerd knows, without dashes."""
    done = _run([_dockerd(), "--help"], 30.0)
    return frozenset(re.findall(r"^\s+(?:-\w, )?--([\w-]+)", done.stdout, re.MULTILINE))


def _dockerd() -> str:
    program = shutil.which("dockerd", path=search_path())
    if program is None:
        raise MissingOnHost("dockerd: no such program on this host")
    return program


def _tail(path: str) -> List[str]:
    try:
        with open(path, "rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 16384))
            return log.read().decode(errors="replace").splitlines()[-60:]
    except OSError:
        return []


def _run(command: Sequence[str], seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", "PATH": search_path(), "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    try:
        return subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            check=False,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
        )
    except FileNotFoundError as error:
        raise MissingOnHost(f"{command[0]}: no such program on this host") from error
    except subprocess.TimeoutExpired as error:
        raise VerificationFailed(f"{' '.join(command)}: no end after {seconds:.0f} s") from error
