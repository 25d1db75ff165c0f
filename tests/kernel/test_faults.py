# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever goes wrong at whatever step: the host is as before, or the next run makes it whole."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.apply import disk
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    Conflict,
    Interrupted,
    KernelRefused,
    MissingOnHost,
)
from ansible_collections.hostwire.linux.tests.kernel import networks, private, world
from ansible_collections.hostwire.linux.tests.kernel.test_convergence import PHASES, build_foreign

Document = Dict[str, Any]
JOURNAL = Path("/var/lib/hostwire/main.journal")
NOTHING: Document = {"state": "absent"}
EXAMPLES = int(os.environ.get("HOSTWIRE_EXAMPLES", "30")) // 2
# A kill costs five runs to look at: without this, some cases take only every fifth step.
EVERY_STEP = bool(os.environ.get("HOSTWIRE_EVERY_STEP"))
CASES = pytest.mark.parametrize(
    ("there", "wanted"),
    [(None, world.FIRST), (world.FIRST, world.SECOND), (world.FIRST, NOTHING)],
    ids=["made", "changed", "removed"],
)


def apply(document: Document, hook: Optional[Callable[[int, str], None]] = None) -> engine.Result:
    return engine.run(document, hook=hook, dad_seconds=0)


def begin(there: Optional[Document]) -> None:
    world.build_surroundings()
    if there is not None:
        apply(there)


def obstructible(there: Optional[Document], wanted: Document) -> List[int]:
    """The steps that make something which somebody else could have made, where nothing of ours had to go for it."""
    actions = actions_of(there, wanted)
    taken = [action[2] for action in actions if action[0] == "RouteDelete"]
    return [
        step
        for step, action in enumerate(actions)
        if action[0] in OBSTACLES and not (action[0] == "RouteAdd" and action[2] in taken)
    ]


def steps_of(there: Optional[Document], wanted: Document) -> List[str]:
    """The name of each step's action, in order."""
    return [action[0] for action in actions_of(there, wanted)]


def actions_of(there: Optional[Document], wanted: Document) -> List[List[Any]]:
    """Each step's action as the journal has it, in order."""
    with private.private_host():
        begin(there)
        found: List[List[Any]] = []

        def hook(position: int, when: str) -> None:
            if when == "before" and position == len(found):
                found.extend(action for action, _inverse in journaled()[position : position + 1])

        apply(wanted, hook)
        return found


def journaled() -> List[Any]:
    steps: List[Any] = json.loads(JOURNAL.read_text())["steps"]
    return steps


def test_the_documents_have_steps_of_every_kind() -> None:
    made, changed = steps_of(None, world.FIRST), steps_of(world.FIRST, world.SECOND)
    removed = steps_of(world.FIRST, NOTHING)
    assert min(len(made), len(changed)) >= 30
    assert {*made, *changed, *removed} == {
        *("NetnsAdd", "NetnsDelete", "BridgeAdd", "BridgeChange", "VethAdd", "LinkDelete", "LinkChange", "AddressAdd"),
        *("AddressDelete", "RouteAdd", "RouteDelete", "SysctlSet", "FileSet", "TableSet", "FlowsForget"),
    }


@CASES
def test_a_failure_at_any_step_leaves_the_host_as_it_was(
    private_host: Path, there: Optional[Document], wanted: Document
) -> None:
    begin(there)
    before = world.image()
    for step in range(len(steps_of(there, wanted))):

        def refuse(position: int, when: str, step: int = step) -> None:
            if (position, when) == (step, "before"):
                raise KernelRefused(f"step {step}", errno.EPERM)

        with pytest.raises(KernelRefused) as raised:
            apply(wanted, refuse)
        assert raised.value.problems == (
            f"step {step}: the kernel refused: Operation not permitted (EPERM)",
            "everything was put back as it was",
        )
        assert world.differences(before, world.image()) == [], f"step {step}"
    apply(wanted)
    assert apply(wanted).plan == ()


def killed(document: Document, step: int, when: str) -> None:
    """A run that is killed before or after this step."""
    assert status_of_run_to_kill(document, step, when) == -signal.SIGKILL


def status_of_run_to_kill(document: Document, step: int, when: str) -> int:
    """How a process ends that is to be killed before or after this step of its run, if there is such a step."""
    child = os.fork()
    if child == 0:
        try:
            apply(document, lambda *point: os.kill(os.getpid(), signal.SIGKILL) if point == (step, when) else None)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("when", ["before", "after"])
@CASES
def test_a_run_killed_at_any_step_is_finished_by_the_next(
    private_host: Path, there: Optional[Document], wanted: Document, when: str
) -> None:
    world.build_surroundings()
    bare = world.image()
    apply(wanted)
    whole = comparable(world.image())
    apply(NOTHING)
    whole_walk = EVERY_STEP or (wanted is world.SECOND and when == "before")
    for step in range(0, len(steps_of(there, wanted)), 1 if whole_walk else 5):
        if there is not None:
            apply(there)
        killed(wanted, step, when)
        predicted = engine.run(wanted, check=True)
        assert apply(wanted).plan == predicted.plan, f"step {step}"
        assert apply(wanted).plan == (), f"step {step}"
        assert world.differences(whole, comparable(world.image())) == [], f"step {step}"
        apply(NOTHING)
        assert world.differences(bare, world.image()) == [], f"step {step}"


def comparable(image: Dict[str, Any]) -> Dict[str, Any]:
    """An image without what differs between two builds of one network."""
    state = "/var/lib/hostwire/main.state"
    rooms = {
        name: {**room, "links": {n: {**link, "address": None} for n, link in room["links"].items()}}
        for name, room in image["rooms"].items()
    }
    return {**image, "rooms": rooms, "files": {path: text for path, text in image["files"].items() if path != state}}


OBSTACLES: Dict[str, Callable[[List[Any]], List[str]]] = {
    "NetnsAdd": lambda a: ["netns", "add", a[0]],
    "BridgeAdd": lambda a: [*inside(a[0]), "link", "add", a[1], "type", "bridge"],
    "VethAdd": lambda a: [*inside(a[0]), "link", "add", a[1], "type", "bridge"],
    "AddressAdd": lambda a: [*inside(a[0]), "address", "add", a[2], "dev", a[1]],
    "RouteAdd": lambda a: [*inside(a[0]), "route", "add", "blackhole", a[1], "metric", str(a[4]), "table", str(a[5])],
}


def ip_from_here() -> Callable[..., Any]:
    """``ip`` in the namespace that the test is in now: a hook may be called in any."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    enter = ["nsenter", f"--net=/proc/self/fd/{home}", "ip"]
    return lambda *words: subprocess.run([*enter, *words], pass_fds=[home], check=True)


def inside(netns: Optional[str]) -> List[str]:
    return ["-n", netns] if netns else []


@pytest.mark.parametrize(
    ("there", "wanted"), [(None, world.FIRST), (world.FIRST, world.SECOND)], ids=["made", "changed"]
)
def test_where_the_kernel_itself_refuses_a_step_the_host_is_left_as_it_was(
    private_host: Path, there: Optional[Document], wanted: Document
) -> None:
    begin(there)
    ip = ip_from_here()
    before = world.image()

    def obstruct(step: int, made: List[Any], position: int, when: str) -> None:
        if (position, when) == (step, "before") and not made:
            made.append(journaled()[step][0])
            ip(*OBSTACLES[made[0][0]](made[0][1:]))

    for step in obstructible(there, wanted):
        made: List[Any] = []
        with pytest.raises(KernelRefused) as raised:
            apply(wanted, functools.partial(obstruct, step, made))
        assert "the kernel refused" in raised.value.problems[0]
        assert any(isinstance(word, str) and word in raised.value.problems[0] for word in made[0][1:]), raised.value
        clear(made[0])
        assert world.differences(before, world.image()) == [], (step, made[0])
    apply(wanted)
    assert apply(wanted).plan == ()


def clear(action: List[Any]) -> None:
    """Take an obstacle away again, where the undo has left it: it belongs to somebody else."""
    kind, fields = action[0], action[1:]
    room = [] if kind == "NetnsAdd" else inside(fields[0])
    if kind == "NetnsAdd":
        words = ["netns", "delete", fields[0]]
    elif kind == "AddressAdd":
        words = ["address", "delete", fields[2], "dev", fields[1]]
    elif kind == "RouteAdd":
        words = ["route", "delete", "blackhole", fields[1], "table", str(fields[5])]
    else:
        words = ["link", "delete", fields[1]]
    subprocess.run(["ip", *room, *words], check=False, capture_output=True)


@settings(max_examples=EXAMPLES, deadline=None, phases=PHASES, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_on_any_host_a_failure_at_any_step_of_any_run_is_undone_and_a_kill_made_good(data: st.DataObject) -> None:
    first, second = data.draw(networks.documents(), "there"), data.draw(networks.documents(), "wanted")
    step = data.draw(st.integers(0, 40), "step")
    with private.private_host():
        build_foreign()
        bare = world.image()
        apply(first)
        for words in data.draw(networks.disturbances(first), "meanwhile"):
            subprocess.run(["ip", *words], check=False, capture_output=True)
        before = world.image()

        def refuse(position: int, when: str) -> None:
            if (position, when) == (step, "after"):
                raise KernelRefused("a step", errno.EPERM)

        try:
            apply(second, refuse)
        except KernelRefused:
            assert world.differences(before, world.image()) == []
        status_of_run_to_kill(first, step, "after")
        predicted = engine.run(second, check=True)
        assert apply(second).plan == predicted.plan
        assert apply(second).plan == ()
        apply(NOTHING)
        assert world.differences(bare, world.image()) == []


@pytest.mark.parametrize(
    "part",
    [
        {"interfaces": [{"name": "eth0", "addresses": ["10.77.0.9/24"]}]},
        {"state": "absent", "interfaces": [{"name": "eth0"}]},
        {"state": "absent", "namespaces": [{"name": "blue"}]},
        {"state": "absent", "forwarding": {"ipv4": True}},
    ],
    ids=["an address", "an interface", "a namespace", "forwarding"],
)
def test_a_failure_at_any_step_of_a_fragment_leaves_the_host_as_it_was(private_host: Path, part: Document) -> None:
    begin(world.FIRST)
    before = world.image()
    step = 0
    while fails_behind(step, part):
        assert world.differences(before, world.image()) == [], f"step {step}"
        step += 1
    assert step >= 2
    assert engine.run(part, fragment=True, dad_seconds=0).plan == ()


def fails_behind(step: int, part: Document) -> bool:
    """Whether the fragment's run has such a step, behind which it fails then."""

    def refuse(position: int, when: str) -> None:
        if (position, when) == (step, "after"):
            raise KernelRefused("a step", errno.EPERM)

    try:
        engine.run(part, fragment=True, hook=refuse, dad_seconds=0)
    except KernelRefused:
        return True
    return False


MANY: Document = {
    "namespaces": [{"name": "red"}],
    "bridges": [{"name": "v-net-0", "addresses": ["10.5.0.1/16"]}],
    "veths": [
        {"name": f"v{number}", "bridge": "v-net-0", "peer": {"name": f"eth{number}", "netns": "red"}}
        for number in range(100)
    ],
    "routes": [{"to": "10.200.0.0/16", "via": "10.5.0.9"}],
}


def interfere(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Somebody else runs this ``ip`` command between the next run's plan and its first step."""
    journal = disk.Store.journal

    def journal_and_more(store: disk.Store, *entry: Any) -> None:
        monkeypatch.undo()
        journal(store, *entry)
        subprocess.run(["ip", *words], check=True)

    monkeypatch.setattr(disk.Store, "journal", journal_and_more)


@pytest.mark.parametrize(
    ("obstacle", "clearing", "subject"),
    [
        ("link add v50 type bridge", "link delete v50", "veth host/v50 = red/eth50: create"),
        ("route add blackhole 10.200.0.0/16", "route delete blackhole 10.200.0.0/16", "host: route 10.200.0.0/16 via"),
    ],
)
def test_a_refusal_in_the_middle_of_a_batch_is_said_of_its_object_and_undone(
    private_host: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str, clearing: str, subject: str
) -> None:
    before = world.image()
    interfere(monkeypatch, *obstacle.split())
    with pytest.raises(KernelRefused) as raised:
        apply(MANY)
    assert raised.value.problems[0].startswith(subject)
    assert raised.value.problems[0].endswith("the kernel refused: File exists (EEXIST)")
    subprocess.run(["ip", *clearing.split()], check=True)
    assert world.differences(before, world.image()) == []


def test_what_somebody_else_took_away_already_need_not_be_taken_away(
    private_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.image()
    apply(MANY)
    interfere(monkeypatch, "link", "delete", "v7")
    apply(NOTHING)
    assert world.differences(before, world.image()) == []


def test_without_privilege_the_capability_is_named(private_host: Path) -> None:
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(65534, 65534, 65534)
            with pytest.raises(MissingOnHost, match="hasn't got CAP_NET_ADMIN and CAP_SYS_ADMIN: run it as root"):
                apply(SMALL)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_after_a_kill_another_document_or_none_at_all_finds_nothing_in_its_way(private_host: Path) -> None:
    world.build_surroundings()
    bare = world.image()
    other: Document = {
        **world.FIRST,
        "interfaces": [{**world.FIRST["interfaces"][0], "mtu": 1420}],
        "published_ports": [],
    }
    for step in range(0, len(steps_of(world.FIRST, world.SECOND)), 11):
        for following in (other, NOTHING):
            apply(world.FIRST)
            killed(world.SECOND, step, "before")
            apply(following)
            assert apply(following).plan == (), f"step {step}"
            apply(NOTHING)
            assert world.differences(bare, world.image()) == [], f"step {step}"


def test_a_failure_after_a_kill_does_not_forget_what_the_killed_run_left(private_host: Path) -> None:
    world.build_surroundings()
    bare = world.image()
    count = len(steps_of(None, world.FIRST))
    for step in range(0, count, 10):
        killed(world.FIRST, step, "before")
        left = world.image()["rooms"]

        def refuse(position: int, when: str) -> None:
            if when == "after":
                raise KernelRefused("a step", errno.EPERM)

        with pytest.raises(KernelRefused):
            apply(world.FIRST, refuse)
        assert world.differences(left, world.image()["rooms"]) == []
        apply(NOTHING)
        assert world.differences(bare, world.image()) == [], f"step {step}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_is_told_to_stop_takes_itself_back(private_host: Path, number: int) -> None:
    begin(world.FIRST)
    before = world.image()
    ours = signal.signal(number, signal.SIG_DFL)  # whoever started the tests may have it ignored

    def stop(position: int, when: str) -> None:
        if (position, when) == (40, "before"):
            signal.raise_signal(number)

    try:
        with pytest.raises(Interrupted) as raised:
            apply(world.SECOND, stop)
    finally:
        signal.signal(number, ours)
    assert raised.value.problems == (
        f"told to stop by {signal.Signals(number).name}",
        "everything was put back as it was",
    )
    assert world.differences(before, world.image()) == []


def test_what_others_do_meanwhile_is_neither_undone_nor_called_left_over(private_host: Path) -> None:
    begin(None)
    ip = ip_from_here()
    before = world.image()

    def refuse(position: int, when: str) -> None:
        if (position, when) == (30, "before"):
            ip("link", "add", "veth1234", "type", "veth", "peer", "name", "eth0", "netns", "lan2")
            ip("route", "add", "10.99.0.0/16", "via", "192.168.1.3")
            raise KernelRefused("a step", errno.EPERM)

    ip("netns", "add", "lan2")
    with pytest.raises(KernelRefused):
        apply(world.FIRST, refuse)
    assert "veth1234" in world.image()["rooms"]["None"]["links"]
    ip("route", "delete", "10.99.0.0/16")
    ip("link", "delete", "veth1234")
    ip("netns", "delete", "lan2")
    assert world.differences(before, world.image()) == []


def test_a_full_disk_under_the_journal_stops_before_the_first_change(private_host: Path) -> None:
    begin(None)
    with small_disk():
        Path("/var/lib/hostwire/filler").write_bytes(b"x" * 4096 * 3)
        before = world.image()
        with pytest.raises(
            MissingOnHost, match=r"nothing can be written there .No space left on device., so nothing was changed"
        ):
            apply(world.FIRST)
        assert world.differences(before, world.image()) == []


def test_a_state_directory_that_is_read_only_stops_before_the_first_change(private_host: Path) -> None:
    begin(None)
    with small_disk("remount,ro"):
        before = world.image()
        with pytest.raises(
            MissingOnHost, match=r"nothing can be written there .Read-only file system., so nothing was"
        ):
            apply(world.FIRST)
        assert engine.run(world.FIRST, check=True).changed
        assert world.differences(before, world.image()) == []


def test_a_state_directory_of_somebody_else_is_refused(private_host: Path) -> None:
    begin(None)
    os.mkdir("/var/lib/hostwire")
    os.chown("/var/lib/hostwire", 12345, 12345)
    before = world.image()
    with pytest.raises(Conflict, match="/var/lib/hostwire belongs to user 12345, not to the one who runs this"):
        apply(world.FIRST)
    assert world.differences(before, world.image()) == []


@contextlib.contextmanager
def small_disk(*remount: str) -> Iterator[None]:
    """The state directory is a file system of four pages of its own."""
    os.mkdir("/var/lib/hostwire")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "tmpfs", "/var/lib/hostwire"], check=True)
    for option in remount:
        subprocess.run(["mount", "-o", option, "/var/lib/hostwire"], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "/var/lib/hostwire"], check=True)


SMALL: Document = {"name": "second", "namespaces": [{"name": "grey"}]}


def test_of_two_runs_at_once_the_second_waits_for_the_first(private_host: Path) -> None:
    begin(None)
    orders: List[str] = []
    with in_the_middle_of_a_run() as release:
        waiting = threading.Timer(0.3, lambda: (orders.append("first released"), release()))
        waiting.start()
        engine.run(SMALL)
        orders.append("second done")
    assert orders == ["first released", "second done"]


def test_a_wait_for_the_lock_ends_with_the_holders_name(private_host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(None)
    monkeypatch.setattr(disk, "LOCK_SECONDS", 0.2)
    with in_the_middle_of_a_run() as release:
        with pytest.raises(Conflict, match=r"another run holds this host's lock: process \d+, document 'main', since "):
            engine.run(SMALL)
        assert engine.run(SMALL, check=True).changed
        release()


@contextlib.contextmanager
def in_the_middle_of_a_run() -> Iterator[Callable[[], None]]:
    """Another process applies the first document, and goes on when it is let."""
    begun, go_on = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:

            def pause(position: int, when: str) -> None:
                if (position, when) == (5, "before"):
                    os.write(begun[1], b"!")
                    os.read(go_on[0], 1)

            apply(world.FIRST, pause)
        finally:
            os._exit(0)
    os.read(begun[0], 1)
    yield lambda: os.write(go_on[1], b"!") and None
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for fd in (*begun, *go_on):
        os.close(fd)
