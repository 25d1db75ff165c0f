# SPDX-License-Identifier: GPL-3.0-or-later
"""External programs don't outlive whoever started them, end in time, heed signals and inherit what they need."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Callable, Iterator, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import program
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Interrupted, KernelRefused, MissingOnHost
from ansible_collections.hostwire.linux.plugins.module_utils.interruption import heeded, undisturbed
from ansible_collections.hostwire.linux.plugins.module_utils.state_directory import locked

LONG = 60.0  # seconds that no test takes

# A program that says on a pipe that it has begun, and whose end is the end of that pipe. By itself, with a child of its
# own, and with one that its parent doesn't wait for.
HANGS = {
    "alone": "echo begun >&9; exec sleep 100",
    "with a child": "echo begun >&9; sleep 100; true",
    "deaf": 'trap "" TERM INT HUP; echo begun >&9; while :; do sleep 100; done',
    "with a child that it leaves": "(sleep 100 & echo begun >&9); sleep 100",
}  # fmt: skip


class Life:
    """A fifo that programs hold open."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self._reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(self._reading, True)

    def command(self, words: str) -> List[str]:
        """A shell that holds it open as descriptor 9."""
        return ["/bin/sh", "-c", f"exec 9>{self._path}; {words}"]

    def await_beginning(self) -> None:
        writing = os.open(self._path, os.O_WRONLY)  # so that the read below waits
        with contextlib.closing(os.fdopen(os.dup(self._reading), "rb", buffering=0)) as said:
            assert said.readline() == b"begun\n"
        os.close(writing)

    def await_end(self) -> None:
        """Until nobody holds it any more."""
        while os.read(self._reading, 100):
            pass


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path / "life")


@contextlib.contextmanager
def another(work: Callable[[], object]) -> Iterator[int]:
    """A process that does the work; it is gone afterwards."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_what_a_program_says_and_how_it_ends() -> None:
    done = program.run(["/bin/sh", "-c", "cat; printf '\\377' >&2; exit 7"], LONG, text="in \udcff")
    assert done == (7, "in \udcff", "\udcff")
    assert program.run(["/bin/sh", "-c", "kill -9 $$"], LONG).status == -9
    replaced = program.run(["/bin/sh", "-c", "printf '\\377'"], LONG, undecodable="replace")
    assert replaced.output == "\N{REPLACEMENT CHARACTER}"


def test_more_input_than_a_pipe_holds_goes_in_and_comes_out_and_what_is_not_read_is_no_error() -> None:
    much = "line\n" * 100_000
    assert program.run(["/bin/cat"], LONG, text=much).output == much
    assert program.run(["/bin/true"], LONG, text=much).status == 0


def test_several_programs_run_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "meeting")  # each waits for the other
    meets = [["/bin/sh", "-c", f"echo {word}; : {sign}{tmp_path}/meeting"] for word, sign in (("a", "<"), ("b", ">"))]
    assert [done.output for done in program.run_all(meets, LONG)] == ["a\n", "b\n"]
    assert program.run_all([], LONG) == []


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingOnHost, match=r"^iptables-save: no such program on this host$"):
        program.run([str(tmp_path / "iptables-save")], LONG)
    (tmp_path / "garbage").write_text("\0")
    for mode in (0o644, 0o755):
        (tmp_path / "garbage").chmod(mode)
        with pytest.raises(KernelRefused, match=r"^garbage: start: the kernel refused: "):
            program.run([str(tmp_path / "garbage")], LONG)


@pytest.mark.parametrize("kind", HANGS)
def test_a_program_that_does_not_end_in_time_is_ended_with_all_its_children(kind: str, life: Life) -> None:
    with pytest.raises(program.TimedOut, match=r"^sh -c .*: no end after 1 s, so it was killed: waits for a thing$"):
        program.run(life.command("echo waits for a thing >&2; " + HANGS[kind]), 0.5001)
    life.await_end()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("kind", HANGS)
def test_a_program_goes_with_the_process_that_started_it(kind: str, number: int, life: Life) -> None:
    def work() -> None:
        if number != signal.SIGKILL:  # whoever started the tests may have it ignored
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        program.run(life.command(HANGS[kind]), LONG)

    with another(work) as child:
        life.await_beginning()
        os.kill(child, number)
        life.await_end()


def test_all_of_several_programs_go(life: Life) -> None:
    hangs = life.command(HANGS["with a child"])
    with another(lambda: program.run_all([hangs, hangs, hangs], LONG)) as child:
        life.await_beginning()
        os.kill(child, signal.SIGKILL)
        life.await_end()


@pytest.mark.parametrize("kind", HANGS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_is_heeded_ends_the_program(kind: str, number: int, life: Life) -> None:
    ours = signal.signal(number, signal.SIG_DFL)  # whoever started the tests may have it ignored
    try:
        signaller = threading.Thread(target=lambda: (life.await_beginning(), os.kill(os.getpid(), number)))
        with heeded():
            signaller.start()
            with pytest.raises(Interrupted, match=f"^told to stop by {signal.Signals(number).name}$"):
                program.run(life.command(HANGS[kind]), LONG)
            with pytest.raises(Interrupted):  # nor is another one begun
                program.run(["/bin/true"], LONG)
            with undisturbed():
                assert program.run(["/bin/true"], LONG).status == 0
        signaller.join()
        life.await_end()
    finally:
        signal.signal(number, ours)


def test_a_signal_while_something_is_taken_back_comes_afterwards(life: Life) -> None:
    came: List[int] = []
    ours = signal.signal(signal.SIGTERM, lambda number, _frame: came.append(number))
    try:
        signaller = threading.Thread(target=lambda: (life.await_beginning(), os.kill(os.getpid(), signal.SIGTERM)))
        with heeded(), undisturbed():
            signaller.start()
            done = program.run(life.command("echo begun >&9; sleep 0.3; echo whole"), LONG)
            assert (done.output, came) == ("whole\n", [])
        signaller.join()
        assert came == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, ours)


def descriptors(**options: bool) -> List[str]:
    listed = program.run(["/bin/sh", "-c", "for i in /proc/$$/fd/*; do readlink $i; done"], LONG, **options)  # type: ignore[arg-type]
    return [path for path in listed.output.splitlines() if path.startswith("/") and path != "/dev/null"]


def test_a_program_inherits_the_lock_of_the_run_and_nothing_else(tmp_path: Path) -> None:
    with open(tmp_path / "other", "wb") as other:
        os.set_inheritable(other.fileno(), True)
        assert descriptors() == []
        tmp_path.chmod(0o700)
        with locked(str(tmp_path), "a test"):
            assert descriptors() == [f"{tmp_path}/lock"]
            assert descriptors(leaves_daemon=True) == []  # else nobody could run any more while it lives
        assert descriptors() == []


def test_no_other_run_begins_while_a_program_of_a_killed_one_still_works(tmp_path: Path, life: Life) -> None:
    """Also where nothing has ended it: the shell that would have was killed as well."""
    directory = tmp_path / "state"

    gate = tmp_path / "gate"
    os.mkfifo(gate)

    def gated() -> None:
        with locked(str(directory), "the first run"):
            program.run(life.command(f"echo begun >&9; read _ <{gate}; true"), LONG)

    orders: List[str] = []

    def second() -> None:
        with locked(str(directory), "the second run"):
            orders.append("second run")

    with another(gated) as child:
        life.await_beginning()
        for number in children(child):
            if b"kill -s KILL 0" in Path(f"/proc/{number}/cmdline").read_bytes():
                os.kill(number, signal.SIGKILL)
        os.kill(child, signal.SIGKILL)
    waiting = threading.Thread(target=second)
    waiting.start()
    waiting.join(0.3)
    orders.append("program ends")
    with open(gate, "w", encoding="ascii") as opened:
        opened.write("go\n")
    life.await_end()
    waiting.join()
    assert orders == ["program ends", "second run"]


def children(process: int) -> List[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_a_daemon_lives_on_where_it_is_meant_to_and_not_where_the_run_ends_before(life: Life) -> None:
    daemon = "sleep 100 >/dev/null 2>&1 & echo $!; echo begun >&9"
    done = program.run(life.command(daemon), LONG, leaves_daemon=True)
    os.kill(int(done.output), signal.SIGKILL)  # it is there
    life.await_beginning()
    life.await_end()
    with another(lambda: program.run(life.command(daemon + "; sleep 100"), LONG, leaves_daemon=True)) as child:
        life.await_beginning()
        os.kill(child, signal.SIGKILL)
        life.await_end()


def test_what_a_program_leaves_behind_with_its_output_is_not_waited_for(life: Life) -> None:
    assert program.run(life.command("sleep 100 & echo said"), LONG) == (0, "said\n", "")
    life.await_end()
    daemon = int(program.run(life.command("sleep 100 & echo $!"), LONG, leaves_daemon=True).output)
    os.kill(daemon, signal.SIGKILL)


@pytest.mark.parametrize("size", [0, 1, 4096, 60_000])  # of the last words, which wait in a pipe
@pytest.mark.parametrize("stream", [1, 2])
@pytest.mark.parametrize("early", ["", "first "])
def test_the_last_words_of_a_program_that_leaves_a_child_are_heard(
    size: int, stream: int, early: str, life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they come, with its end, between two looks."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    poll = subprocess.Popen.poll

    def late(process: subprocess.Popen[bytes]) -> Optional[int]:
        if gate.exists() and process.args[0] == "/bin/sh" and str(gate) in process.args[-1]:  # type: ignore[index]
            gate.write_text("go\n")
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            gate.unlink()
        return poll(process)

    monkeypatch.setattr(subprocess.Popen, "poll", late)
    words = f"sleep 100 & printf '{early}' >&{stream}; read _ <{gate}; head -c {size} /dev/zero | tr '\\0' x >&{stream}"
    done = program.run(life.command(words), LONG)
    assert (done.status, done[stream]) == (0, early + "x" * size)
    assert not gate.exists()
    life.await_end()


def test_nothing_is_left_of_what_was_started() -> None:
    before = os.listdir("/proc/self/fd")
    for _time in range(3):
        program.run(["/bin/true"], LONG)
        with pytest.raises(MissingOnHost):
            program.run(["/nonexistent/program"], LONG)
    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
