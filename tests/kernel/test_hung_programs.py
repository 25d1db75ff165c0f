# SPDX-License-Identifier: GPL-3.0-or-later
"""External programs that hang, lie, or wait for somebody's lock while the run that started them is killed or told to
stop: nothing appears afterwards, nothing is claimed that isn't so, and the next run finds nothing in its way."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Set, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.dockerd import service
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError, UndoFailed
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import programs
from ansible_collections.hostwire.linux.plugins.module_utils.program import TimedOut
from ansible_collections.hostwire.linux.plugins.module_utils.state_directory import locked
from ansible_collections.hostwire.linux.tests.kernel.steps import NOTHING, Document, apply

NETWORKS: Dict[int, Document] = {
    4: {
        "bridges": [{"name": "b", "addresses": ["10.5.0.1/24"]}],
        "forwarding": {"ipv4": True},
        "masquerade": [{"source": "10.5.0.0/24", "except_to": "b"}],
        "published_ports": [{"port": 8080, "to": "10.5.0.2:80", "address": "any"}],
    },
    6: {
        "bridges": [{"name": "b", "addresses": ["fd00:5::1/64"]}],
        "forwarding": {"ipv6": True},
        "published_ports": [{"port": 8080, "to": "[fd00:5::2]:80", "address": "any"}],
    },
}
BOTH: Document = {
    **NETWORKS[4],
    "bridges": [{"name": "b", "addresses": ["10.5.0.1/24", "fd00:5::1/64"]}],
    "forwarding": {"ipv4": True, "ipv6": True},
    "published_ports": [*NETWORKS[4]["published_ports"], *NETWORKS[6]["published_ports"]],
}
BASE = {4: "iptables", 6: "ip6tables"}
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["IPv4", "IPv6"])
XTABLES_LOCK = "/run/xtables.lock"

# The first so many calls are the real program's. Then it does what it is told, and says first, on a fifo, that it is
# there; the end of that fifo is the end of it and of its children.
STAND_IN = """\
#!/bin/bash
real=/usr/sbin/$(basename "$0")
exec 9>{directory}/life
echo x >>{directory}/calls
[ $(wc -l <{directory}/calls) -gt {spared} ] || exec "$real" "$@" 9>&-
{deed}
"""
HANGS = 'echo begun >&9; sleep 300; exec $real "$@"'
HANGS_WITH_A_CHILD = 'echo begun >&9; sleep 300; $real "$@"; true'


class StandIn:
    """A program in the place of one of iptables'."""

    def __init__(self, directory: Path, names: List[str], deed: str, spared: int) -> None:
        os.mkfifo(directory / "life")
        (directory / "calls").touch()
        self._life = os.open(directory / "life", os.O_RDWR)  # opening it waits for nobody
        self._path = directory / "life"
        self._directory = directory
        for name in names:
            program = directory / name
            program.write_text(STAND_IN.format(directory=directory, spared=spared, deed=deed))
            program.chmod(0o755)

    def calls(self) -> int:
        return len((self._directory / "calls").read_text().splitlines())

    def await_beginning(self) -> None:
        said = b""
        while b"begun" not in said:
            said += os.read(self._life, 100)

    def await_end(self) -> None:
        reading = os.open(self._path, os.O_RDONLY)
        os.close(self._life)
        while os.read(reading, 100):
            pass
        os.close(reading)
        self._life = os.open(self._path, os.O_RDWR)


@pytest.fixture
def put(backend: str, private_host: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., StandIn]]:
    """Puts a stand-in in the place of a verb's programs, of one or both families; all is real again afterwards."""
    with contextlib.ExitStack() as stack:

        def put(verb: str, deed: str, families: Tuple[int, ...] = (4, 6), spared: int = 0) -> StandIn:
            directory = private_host / "stand-in"
            directory.mkdir()
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
            names = [f"{BASE[family]}-{backend}-{verb}" for family in families]
            return StandIn(directory, names, deed, spared)

        yield put


def gone(directory: Path) -> None:
    """The stand-ins are programs like any other again."""
    for program in (directory / "stand-in").glob("ip*"):
        real = program.with_suffix(".real")
        real.symlink_to(f"/usr/sbin/{program.name}")
        real.rename(program)


def rules() -> int:
    """How many lines of ours there are, in either backend and family."""
    saves = [f"{base}-{backend}-save" for base in BASE.values() for backend in ("nft", "legacy")]
    texts = [subprocess.run([save], check=True, capture_output=True, text=True).stdout for save in saves]
    return sum("hostwire" in line.lower() or "HW-" in line for text in texts for line in text.splitlines())


def bridges() -> List[str]:
    listed = subprocess.run(["ip", "-br", "link", "show", "type", "bridge"], check=True, capture_output=True, text=True)
    return listed.stdout.split()[:1]


@contextlib.contextmanager
def in_another_process(work: Callable[[], Any]) -> Iterator[int]:
    """A run; its exit status: 0 done, 1 a HostwireError, which is written to /run/test/said."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            work()
            status = 0
        except HostwireError as error:
            Path("/run/test/said").write_text(f"{error.kind}: {error}")
            status = 1
        finally:
            os._exit(status)
    yield child
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


def status_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def said() -> str:
    return Path("/run/test/said").read_text()


@pytest.mark.parametrize("deed", [HANGS, HANGS_WITH_A_CHILD], ids=["alone", "with a child"])
@pytest.mark.parametrize("verb", ["restore", "save"])
@FAMILIES
def test_a_program_of_a_killed_run_is_gone_and_writes_nothing(
    private_host: Path, put: Callable[..., StandIn], verb: str, family: int, deed: str
) -> None:
    stand_in = put(verb, deed)
    with in_another_process(lambda: apply(NETWORKS[family])) as child:
        stand_in.await_beginning()
        os.kill(child, signal.SIGKILL)
        stand_in.await_end()
    gone(private_host)
    assert rules() == 0 or verb == "save"  # on legacy nothing is read before there is a table
    apply(NOTHING)
    assert (rules(), bridges()) == (0, [])
    apply(NETWORKS[family])
    assert apply(NETWORKS[family]).plan == ()


@FAMILIES
def test_a_run_killed_while_a_removal_hangs_is_finished_by_the_next(
    private_host: Path, put: Callable[..., StandIn], family: int
) -> None:
    apply(NETWORKS[family])
    stand_in = put("restore", HANGS)
    with in_another_process(lambda: apply(NOTHING)) as child:
        stand_in.await_beginning()
        os.kill(child, signal.SIGKILL)
        stand_in.await_end()
    gone(private_host)
    apply(NOTHING)
    assert (rules(), bridges()) == (0, [])


@pytest.mark.parametrize("then", [None, "killed"])
@pytest.mark.parametrize("spared", [0, 1], ids=["the first", "the second"])
def test_a_run_that_is_told_to_stop_ends_its_program_and_takes_everything_back(
    private_host: Path, put: Callable[..., StandIn], spared: int, then: str
) -> None:
    """With the second hanging the first is to be taken back, and that hangs as well until it is too much."""
    stand_in = put("restore", HANGS, spared=spared)
    with in_another_process(lambda: apply(BOTH)) as child:
        stand_in.await_beginning()
        os.kill(child, signal.SIGTERM)
        if spared and then:
            stand_in.await_beginning()  # in the undoing
            os.kill(child, signal.SIGTERM)  # which nothing disturbs
            os.kill(child, signal.SIGKILL)
            assert status_of(child) == -signal.SIGKILL
            stand_in.await_end()
        elif spared:
            stand_in.await_beginning()
            gone(private_host)
            for number in stand_ins():
                os.kill(number, signal.SIGKILL)
            assert status_of(child) == 1
        else:
            assert status_of(child) == 1
            assert said() == "interrupted: told to stop by SIGTERM\neverything was put back as it was"
            assert (rules(), bridges()) == (0, [])
            assert stand_in.calls() == 1
    gone(private_host)
    apply(NOTHING)
    assert (rules(), bridges()) == (0, [])


def stand_ins() -> List[int]:
    """The processes that are stand-ins."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"/run/test/stand-in/" in (directory / "cmdline").read_bytes():
                found.append(int(directory.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@FAMILIES
def test_hazard_35_a_run_that_ends_while_its_program_waits_for_the_lock_leaves_nobody_waiting(
    private_host: Path, monkeypatch: pytest.MonkeyPatch, family: int, number: int
) -> None:
    for base in BASE.values():  # the programs plainly called so are of the backend that has a lock
        for verb in ("", "-save", "-restore"):
            (private_host / f"{base}{verb}").symlink_to(f"/usr/sbin/{base}-legacy{verb}")
    monkeypatch.setenv("PATH", f"{private_host}:{os.environ['PATH']}")
    with open(XTABLES_LOCK, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with in_another_process(lambda: apply(NETWORKS[family])) as child:
            ours = {str(os.getpid()), str(child)}
            while holders_of(XTABLES_LOCK) <= ours:
                time.sleep(0.005)
            os.kill(child, number)
            assert status_of(child) == (1 if number == signal.SIGTERM else -number)
            while holders_of(XTABLES_LOCK) > {str(os.getpid())}:
                time.sleep(0.005)
        fcntl.flock(lock, fcntl.LOCK_UN)
    assert rules() == 0
    apply(NOTHING)
    assert (rules(), bridges()) == (0, [])


def holders_of(path: str) -> Set[str]:
    """The processes that have a file open."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(os.readlink(entry) == path for entry in (process / "fd").iterdir()):
                found.add(process.name)
    return found


@pytest.mark.parametrize("verb", ["restore", "save"])
def test_a_program_that_hangs_is_named_with_how_long_it_was_waited_for(
    private_host: Path, put: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch, verb: str, backend: str
) -> None:
    monkeypatch.setattr(programs, "READ_SECONDS", 1.0 if verb == "save" else 30.0)
    monkeypatch.setattr(programs, "_WRITE_SECONDS", 1.0)
    stand_in = put(verb, "echo waits for the moon >&2; " + HANGS)
    words = rf"ip6?tables-{backend}-{verb}.*: no end after 1 s, .*: waits for the moon"
    with pytest.raises((TimedOut, UndoFailed), match=words) as raised:
        apply(BOTH)
    stand_in.await_end()
    gone(private_host)
    if raised.type is UndoFailed:  # what hangs is what tells whether all is put back
        assert verb == "save"
        assert "what is there can't be seen" in str(raised.value)
        apply(NOTHING)
    assert (rules(), bridges()) == (0, [])


def test_a_program_that_hangs_when_its_work_is_done_has_done_it(
    put: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_WRITE_SECONDS", 1.0)
    put("restore", '$real "$@"; sleep 300')
    assert apply(BOTH).changed
    assert apply(BOTH).plan == ()
    apply(NOTHING)
    assert rules() == 0


@pytest.mark.parametrize("deed", ['$real "$@"; exit 1', '$real "$@"; exit 4', '$real "$@"; kill -9 $$'])
def test_a_program_that_has_done_its_work_has_whatever_it_says(put: Callable[..., StandIn], deed: str) -> None:
    put("restore", deed)
    assert apply(BOTH).changed
    assert apply(BOTH).plan == ()
    apply(NOTHING)
    assert (rules(), bridges()) == (0, [])


@pytest.mark.parametrize("deed", ["cat >/dev/null; exit 0", "exit 0", 'head -n 4 | $real "$@"; exit 0'])
@pytest.mark.parametrize("spared", [0, 1])
def test_a_removal_that_a_program_only_claims_is_no_success(
    private_host: Path, put: Callable[..., StandIn], deed: str, spared: int
) -> None:
    apply(BOTH)
    put("restore", deed, spared=spared)
    with pytest.raises(HostwireError, match=r"ip6?tables-\w+-restore: "):
        apply(NOTHING)
    gone(private_host)
    apply(NOTHING)
    assert (rules(), bridges()) == (0, [])


def test_a_program_that_fails_once_is_asked_again(put: Callable[..., StandIn], private_host: Path) -> None:
    """In the removal, where what is there is read before and after."""
    apply(BOTH)
    once = f'[ -e {private_host}/once ] && exec $real "$@"; touch {private_host}/once; exit 0'
    put("restore", once)
    apply(NOTHING)
    assert (rules(), bridges()) == (0, [])


@pytest.mark.parametrize("question", ["stop", "show", "validate"])
def test_a_program_of_docker_goes_with_the_run_and_its_lock_is_free(
    private_host: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    directory = private_host / "stand-in"
    directory.mkdir()
    stand_in = StandIn(directory, ["systemctl", "service", "dockerd"], HANGS_WITH_A_CHILD, 0)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    asks: Dict[str, Callable[[], Any]] = {
        "stop": lambda: service.stop(service.SYSVINIT),
        "show": service.unit_files,
        "validate": lambda: service.validate("{}", ()),
    }

    def work() -> None:
        with locked("/var/lib/hostwire", "docker_bridge"):
            asks[question]()

    with in_another_process(work) as child:
        stand_in.await_beginning()
        os.kill(child, signal.SIGKILL)
        stand_in.await_end()
    with locked("/var/lib/hostwire", "the next run"):
        pass
