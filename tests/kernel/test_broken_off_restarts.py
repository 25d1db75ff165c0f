# SPDX-License-Identifier: GPL-3.0-or-later
"""A restart of Docker that was broken off bars nobody for good, and stirs up nothing in another life of the host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.apply import journals
from ansible_collections.hostwire.linux.plugins.module_utils.apply.journals import DOING, UNDOING, Job, Journals
from ansible_collections.hostwire.linux.plugins.module_utils.docker_api import NotFound
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.clock import Clock
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.model import Container, Engine
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import coming_back, deeds
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.memory import Expected
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules import run as chains
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    HostwireError,
    MissingOnHost,
    UndoFailed,
    VerificationFailed,
)
from ansible_collections.hostwire.linux.plugins.module_utils.plan.actions import Step
from ansible_collections.hostwire.linux.plugins.module_utils.whereabouts import Whereabouts, here
from ansible_collections.hostwire.linux.tests.kernel.step_worlds import STATE, DockersChains

NAMES = {"1": "web", "2": "db", "3": "cache"}
LIVES = {
    "another boot": Whereabouts("another", None),
    "another network of this boot": Whereabouts("", "cookie 1"),
}


class Api:
    """An engine with some containers, each with its state; ``refuses`` are those that can't be started."""

    path = "/nowhere"

    def __init__(self, states: Dict[str, str], refuses: Tuple[str, ...] = ()) -> None:
        self.states = states
        self.refuses = refuses
        self.serves = True
        self.started: List[str] = []

    def answers(self) -> bool:
        return self.serves

    def get(self, path: str) -> Any:
        if path == "/containers/json":
            return []
        (name,) = re.findall("/containers/(.*)/json", path)
        if name not in self.states:
            raise NotFound(f"no such container: {name}")
        state = {"Status": self.states[name], "Running": self.states[name] == "running"}
        return {"Id": name, "Name": NAMES.get(name, name), "State": state, "HostConfig": {}}

    def post(self, path: str, *_args: Any, **_options: Any) -> None:
        (name,) = re.findall("/containers/(.*)/start", path)
        if name in self.refuses:
            raise MissingOnHost("its image is gone")
        self.started.append(name)
        self.states[name] = "running"


class Service:
    """Docker's service: whether it can be started."""

    SYSTEMD, SYSVINIT = "systemd", "sysvinit"

    def __init__(self, api: Api, starts: bool) -> None:
        self._api = api
        self._starts = starts

    def detect(self) -> str:
        return self.SYSVINIT

    def prepare(self, _init: str) -> None:
        pass

    def active(self, _init: str) -> bool:
        return self._api.serves

    def start_units(self, names: Tuple[str, ...], _seconds: float) -> None:
        assert not names

    def start(self, _init: str, _socket: bool, seconds: float) -> float:
        if not self._starts:
            raise VerificationFailed("dockerd doesn't start: no such option")
        self._api.serves = True
        return seconds


@pytest.fixture
def docker(private_host: Path, monkeypatch: pytest.MonkeyPatch) -> DockersChains:
    world = DockersChains("nft", monkeypatch)
    world.reset()
    return world


def broken_off(
    ran: Dict[str, str], phase: str, monkeypatch: pytest.MonkeyPatch, life: Optional[Whereabouts] = None
) -> Path:
    """The journal of a run of docker_chains that was broken off in its restart of Docker."""
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    start = deeds.deed(deeds.Start("systemd", True, False, (), (), (), ()))
    again = deeds.deed(deeds.Containers((), tuple(ran.items()), (), ()))
    steps = (
        Step(0, deeds.deed(deeds.Stop("systemd", True, "1 2 another")), (start,), 0),
        Step(0, start, (), 0),
        Step(0, again, (), 0),
    )
    with monkeypatch.context() as patch:
        if life is not None:
            patch.setattr(journals, "here", lambda: life._replace(boot=life.boot or here().boot))
        Journals(str(STATE)).write(Job("docker_chains", "docker_chains", ("Docker's restart",), steps, {}), phase)
    return STATE / "docker_chains.steps"


@pytest.mark.parametrize("wish", [chains.Wish(), chains.Wish(absent=True)], ids=["present", "absent"])
@pytest.mark.parametrize("phase", [DOING, UNDOING])
@pytest.mark.parametrize(
    ("states", "refuses", "started", "lost"),
    [
        ({"1": "exited", "2": "exited", "3": "exited"}, (), ["1", "2", "3"], []),
        ({"2": "exited", "3": "running"}, (), ["2"], ["web"]),
        ({"1b": "running", "2": "exited"}, (), ["2"], ["web", "cache"]),
        ({"1": "exited", "2": "exited", "3": "running"}, ("1",), ["2"], ["web"]),
        ({}, (), [], ["web", "db", "cache"]),
    ],
    ids=["all there", "one gone", "one made anew", "one that can't be started", "all gone"],
)
def test_a_container_that_does_not_come_back_is_a_remark(
    docker: DockersChains,
    monkeypatch: pytest.MonkeyPatch,
    states: Dict[str, str],
    refuses: Tuple[str, ...],
    started: List[str],
    lost: List[str],
    phase: str,
    wish: chains.Wish,
) -> None:
    journal = broken_off(NAMES, phase, monkeypatch)
    api = Api(dict(states), refuses)
    monkeypatch.setattr(deeds, "service", Service(api, True))
    monkeypatch.setattr(coming_back.verify, "await_right", lambda *_arguments: None)
    done = chains.run(wish, False, api)  # type: ignore[arg-type]
    assert api.started == started
    remarks = [line.partition(": ")[0] for line in done.plan if "ran, and doesn't come back: " in line]
    assert remarks == [f"container {name}" for name in lost]
    assert not journal.exists()
    assert not chains.run(wish, False, api).plan  # type: ignore[arg-type]


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
@pytest.mark.parametrize("serves", [True, False])
def test_in_another_life_nothing_is_started(
    docker: DockersChains, monkeypatch: pytest.MonkeyPatch, life: Whereabouts, serves: bool
) -> None:
    journal = broken_off(NAMES, DOING, monkeypatch, life)
    api = Api(dict.fromkeys(NAMES, "exited"))
    api.serves = serves
    monkeypatch.setattr(deeds, "service", Service(api, True))
    chains.run(chains.Wish(absent=True), False, api)  # type: ignore[arg-type]
    assert (api.started, api.serves) == ([], serves)
    assert not journal.exists()


@pytest.mark.parametrize("ran", [NAMES, {}], ids=["some ran", "none ran"])
def test_docker_that_can_not_be_started_is_left_and_the_next_run_goes_on(
    docker: DockersChains, monkeypatch: pytest.MonkeyPatch, ran: Dict[str, str]
) -> None:
    journal = broken_off(ran, DOING, monkeypatch)
    api = Api(dict.fromkeys(NAMES, "exited"))
    api.serves = False
    monkeypatch.setattr(deeds, "service", Service(api, False))
    monkeypatch.setattr(coming_back.verify, "await_right", lambda *_arguments: None)
    told = chains.run(chains.Wish(absent=True), True, api).plan  # type: ignore[arg-type]
    with pytest.raises(UndoFailed) as left:
        chains.run(chains.Wish(absent=True), False, api)  # type: ignore[arg-type]
    assert left.value.problems == (
        "docker_chains: a run was broken off, and not all could be put back:",
        "docker0 has no address",
        "Docker doesn't answer; look at journalctl -u docker",
        "dockerd doesn't start: no such option",
        "the next run goes on from there",
    )
    assert journal.exists()
    monkeypatch.setattr(deeds, "service", Service(api, True))
    assert chains.run(chains.Wish(absent=True), False, api).plan == told  # type: ignore[arg-type]
    assert api.serves
    assert api.started == list(ran)
    assert not journal.exists()


@pytest.mark.parametrize("life", [None, *LIVES.values()], ids=["this life", *LIVES])
def test_docker_bridge_brings_back_what_ran_in_this_life(
    private_host: Path, monkeypatch: pytest.MonkeyPatch, life: Optional[Whereabouts]
) -> None:
    """What ran in the life in which the run was broken off may have been stopped on purpose since."""
    again = deeds.Containers((), (("1", "web"),), (), ("2",))
    start = deeds.deed(deeds.Start("systemd", True, False, (), ("10.1.0.1/24",), (), ()))
    steps = [
        Step(0, deeds.deed(deeds.Stop("systemd", True, "1 2 another")), (start,), 0),
        Step(0, deeds.deed(again), (), 0),
    ]
    containers = (
        Container("1", "web", running=False, policy="always", status="exited"),
        Container("2", "db", running=True, started="b"),
        Container("3", "cache", running=True, started="a"),
    )
    api = Api({})
    monkeypatch.setattr(deeds, "read_engine", lambda _api: Engine("26.1.5", "1.45", False, containers=containers))
    monkeypatch.setattr(deeds, "service", Service(api, True))
    monkeypatch.setattr(deeds.bridge, "put", lambda _addresses: None)
    monkeypatch.setattr(coming_back.verify, "await_right", lambda *_args: None)
    brought: List[deeds.Containers] = []

    def bring_back(_self: deeds.Docker, what: deeds.Containers) -> None:
        brought.append(what)
        raise HostwireError(["container cache: ran, and doesn't come back: it is gone"])

    monkeypatch.setattr(deeds.Docker, "bring_back", bring_back)
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = Journals(str(STATE))
    with monkeypatch.context() as patch:
        if life is not None:
            patch.setattr(journals, "here", lambda: life._replace(boot=life.boot or here().boot))
        own.write(Job("docker_bridge", "docker_bridge", ("all",), tuple(steps), {}), DOING)
    docker = deeds.Docker(api, deeds.Limits(), Clock())  # type: ignore[arg-type]
    back = coming_back.ComingBack(docker)

    def resume(one: journals.Unfinished) -> List[str]:
        return back.mend(one.job, Expected(), ()) or []

    journals.gone_on(own, "docker_bridge", (), False, resume, docker)
    now = deeds.Containers((), (("3", "cache"), ("2", "db")), ("1",), ("1",))
    assert brought == [again if life is None else now] * 2  # what fails once is tried again
    assert back.lost == ["container cache: ran, and doesn't come back: it is gone"]
    assert not (STATE / "docker_bridge.steps").exists()
