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
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import deeds
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import run as readdress
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules import run as chains
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    HostwireError,
    MissingOnHost,
    UndoFailed,
    VerificationFailed,
)
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
    """Docker's service: what is called, and whether it can be started."""

    def __init__(self, api: Api, starts: bool) -> None:
        self._api = api
        self._starts = starts

    def detect(self) -> str:
        return "systemd"

    def prepare(self, _init: str) -> None:
        pass

    def start(self, _init: str, seconds: float) -> float:
        if not self._starts:
            raise VerificationFailed("dockerd doesn't start: no such option")
        self._api.serves = True
        return seconds


@pytest.fixture
def docker(private_host: Path, monkeypatch: pytest.MonkeyPatch) -> DockersChains:
    world = DockersChains("nft", monkeypatch)
    world.reset()
    return world


def broken_off(ran: Any, phase: str, monkeypatch: pytest.MonkeyPatch, life: Optional[Whereabouts] = None) -> Path:
    """The journal of a run of docker_chains that was broken off in its restart of Docker."""
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with monkeypatch.context() as patch:
        if life is not None:
            patch.setattr(journals, "here", lambda: life._replace(boot=life.boot or here().boot))
        Journals(str(STATE)).write(Job("docker_chains", "docker_chains", (), (), {"ran": ran}), phase)
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
    monkeypatch.setattr(chains, "service", Service(api, True))
    chains.run(chains.Wish(absent=True), False, api)  # type: ignore[arg-type]
    assert (api.started, api.serves) == ([], serves)
    assert not journal.exists()


@pytest.mark.parametrize("ran", [NAMES, {}, None, [1]], ids=["some ran", "none ran", "null", "another shape"])
def test_docker_that_can_not_be_started_is_left_and_the_next_run_goes_on(
    docker: DockersChains, monkeypatch: pytest.MonkeyPatch, ran: Any
) -> None:
    journal = broken_off(ran, DOING, monkeypatch)
    api = Api(dict.fromkeys(NAMES, "exited"))
    api.serves = False
    monkeypatch.setattr(chains, "service", Service(api, False))
    with pytest.raises(UndoFailed) as left:
        chains.run(chains.Wish(absent=True), False, api)  # type: ignore[arg-type]
    assert left.value.problems == (
        "docker_chains: a run was broken off, and not all could be put back:",
        "dockerd doesn't start: no such option",
        "the next run goes on from there",
    )
    assert journal.exists()
    monkeypatch.setattr(chains, "service", Service(api, True))
    chains.run(chains.Wish(absent=True), False, api)  # type: ignore[arg-type]
    assert api.serves
    assert api.started == (list(NAMES) if ran is NAMES else [])
    assert not journal.exists()


@pytest.mark.parametrize("life", [None, *LIVES.values()], ids=["this life", *LIVES])
def test_docker_bridge_brings_back_what_ran_in_this_life(
    private_host: Path, monkeypatch: pytest.MonkeyPatch, life: Optional[Whereabouts]
) -> None:
    """What ran in the life in which the run was broken off may have been stopped on purpose since."""
    again = deeds.Containers(("old.service",), (("1", "web"),), (), ("2",))
    own = Journals(str(STATE))
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    job = Job("docker_bridge", "docker_bridge", ("its containers",), (), {})
    containers = (
        Container("1", "web", running=False, policy="always", status="exited"),
        Container("2", "db", running=True, started="b"),
        Container("3", "cache", running=True, started="a"),
    )
    monkeypatch.setattr(readdress, "read_engine", lambda _api: Engine("26.1.5", "1.45", False, containers=containers))
    monkeypatch.setattr(readdress.service, "detect", lambda: "sysvinit")
    monkeypatch.setattr(readdress, "_containers", lambda _job: [again])
    monkeypatch.setattr(readdress.verify, "await_right", lambda *_args: None)
    with monkeypatch.context() as patch:
        if life is not None:
            patch.setattr(journals, "here", lambda: life._replace(boot=life.boot or here().boot))
        own.write(job, DOING)
    docker = deeds.Docker(Api({}), deeds.Limits(), Clock())  # type: ignore[arg-type]
    docker.went_back = True
    brought: List[deeds.Containers] = []

    def bring_back(what: deeds.Containers) -> None:
        brought.append(what)
        raise HostwireError(["container cache: ran, and doesn't come back: it is gone"])

    monkeypatch.setattr(docker, "bring_back", bring_back)
    run = readdress._Run(docker, own)
    lines = run.go_on(False)
    now = deeds.Containers((), (("3", "cache"), ("2", "db")), ("1",), ("1",))
    assert brought == [again if life is None else now]
    assert lines[-1] == "container cache: ran, and doesn't come back: it is gone"
    assert not (STATE / "docker_bridge.steps").exists()
