# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever fails at whatever step: the host is as before."""

from __future__ import annotations

import errno
import functools
import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.apply import disk
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    KernelRefused,
)
from ansible_collections.hostwire.linux.tests.kernel import networks, private, world
from ansible_collections.hostwire.linux.tests.kernel.steps import (
    CASES,
    NOTHING,
    Document,
    actions_of,
    apply,
    begin,
    inside,
    ip_from_here,
    journaled,
    some_of,
    status_of_run_to_kill,
    steps_of,
)
from ansible_collections.hostwire.linux.tests.kernel.test_convergence import PHASES, build_foreign

EXAMPLES = int(os.environ.get("HOSTWIRE_EXAMPLES", "30")) // 2


def obstructible(there: Optional[Document], wanted: Document) -> List[int]:
    """The steps that make something which somebody else could have made, where nothing of ours had to go for it."""
    actions = actions_of(there, wanted)
    taken = [action[2] for action in actions if action[0] == "RouteDelete"]
    return [
        step
        for step, action in enumerate(actions)
        if action[0] in OBSTACLES and not (action[0] == "RouteAdd" and action[2] in taken)
    ]


def test_the_documents_have_steps_of_every_kind() -> None:
    made, changed = steps_of(None, world.FIRST), steps_of(world.FIRST, world.SECOND)
    removed = steps_of(world.FIRST, NOTHING)
    assert min(len(made), len(changed)) >= 30
    assert {*made, *changed, *removed} == {
        *(
            "NetnsAdd",
            "NetnsDelete",
            "BridgeAdd",
            "BridgeChange",
            "PortChange",
            "VethAdd",
            "TapAdd",
            "LinkDelete",
            "LinkChange",
            "AddressAdd",
        ),
        *("AddressDelete", "RouteAdd", "RouteDelete", "SysctlSet", "FileSet", "TableSet", "FlowsForget"),
    }


@CASES
def test_a_failure_at_any_step_leaves_the_host_as_it_was(
    private_host: Path, there: Optional[Document], wanted: Document
) -> None:
    begin(there)
    before = world.image()
    for step in some_of(len(steps_of(there, wanted)), "failure"):

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


OBSTACLES: Dict[str, Callable[[List[Any]], List[str]]] = {
    "NetnsAdd": lambda a: ["netns", "add", a[0]],
    "BridgeAdd": lambda a: [*inside(a[0]), "link", "add", a[1], "type", "bridge"],
    "VethAdd": lambda a: [*inside(a[0]), "link", "add", a[1], "type", "bridge"],
    "AddressAdd": lambda a: [*inside(a[0]), "address", "add", a[2], "dev", a[1]],
    "RouteAdd": lambda a: [*inside(a[0]), "route", "add", "blackhole", a[1], "metric", str(a[4]), "table", str(a[5])],
}


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
        networks.make_way(second)
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
