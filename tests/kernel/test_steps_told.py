# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts files, guests' names and Docker's chains say when a run is taken back, and whose changes they leave."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import coming_back, deeds
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules import run as chains
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    HostwireError,
    Interrupted,
    KernelRefused,
    UndoFailed,
    VerificationFailed,
)
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import programs
from ansible_collections.hostwire.linux.plugins.module_utils.guest_names import run as names
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file import run as hosts
from ansible_collections.hostwire.linux.tests.kernel import step_worlds
from ansible_collections.hostwire.linux.tests.kernel.children import in_a_child
from ansible_collections.hostwire.linux.tests.kernel.step_worlds import FIRST, HOSTS, STATE, Count, DockersChains
from ansible_collections.hostwire.linux.tests.unit.test_docker_readdress import situation

PUT_BACK = "everything was put back as it was"
GOES_ON = "the next run goes on from there"


@pytest.fixture
def docker(private_host: Path, monkeypatch: pytest.MonkeyPatch) -> DockersChains:
    world = DockersChains("nft", monkeypatch)
    world.reset()
    return world


def journals() -> List[Path]:
    return sorted(STATE.glob("*.steps"))


def refused_for(monkeypatch: pytest.MonkeyPatch, program: str, then: Callable[[], None] = lambda: None) -> None:
    """The program refuses whatever it gets; ``then`` is done first."""
    real = programs.run

    def run(command: List[str], *arguments: Any, **options: Any) -> Any:
        if program in os.path.basename(command[0]):
            then()
            return programs.Done(1, "", "the kernel said no")
        return real(command, *arguments, **options)

    monkeypatch.setattr(programs, "run", run)


def test_where_the_second_familys_rules_are_refused_the_firsts_are_put_back(
    docker: DockersChains, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = docker.image()
    refused_for(monkeypatch, "ip6tables-nft-restore")
    with pytest.raises(KernelRefused) as refused:
        docker.run("first")
    assert refused.value.problems[-1] == PUT_BACK
    assert docker.image() == before


def test_what_others_change_in_the_same_chains_meanwhile_stays(
    docker: DockersChains, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = docker.image()
    theirs = "-s 203.0.113.77/32 -j ACCEPT"

    def meanwhile() -> None:
        if not done:
            done.append(True)
            subprocess.run(["iptables", "-A", "FORWARD", *theirs.split()], check=True)
            subprocess.run(["iptables", "-I", "DOCKER-USER", *theirs.split()], check=True)

    done: List[bool] = []
    refused_for(monkeypatch, "ip6tables-nft-restore", meanwhile)
    with pytest.raises(KernelRefused, match=PUT_BACK):
        docker.run("first")
    after = docker.image()
    for chain in ("FORWARD", "DOCKER-USER"):
        key = f"iptables filter {chain}"
        assert f"-A {chain} {theirs}" in after[key]  # type: ignore[operator]
        after[key].remove(f"-A {chain} {theirs}")  # type: ignore[attr-defined]
    assert after == before


def test_rules_that_cannot_be_put_back_are_named_and_the_next_run_puts_them_back(
    docker: DockersChains, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = docker.image()
    broken: List[bool] = []
    real = programs.run

    def run(command: List[str], *arguments: Any, **options: Any) -> Any:
        if "ip6tables-nft-restore" in command[0]:
            broken.append(True)
        if "restore" in command[0] and broken:
            return programs.Done(4, "", "the lock is held")
        return real(command, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(programs, "run", run)
        with pytest.raises(UndoFailed) as left:
            docker.run("first")
    assert left.value.problems[-1] == GOES_ON
    assert any(line.startswith("iptables: still to be done: ") for line in left.value.problems)
    assert [path.name for path in journals()] == ["docker_chains.steps"]
    plan = docker.run("absent", check=True)
    assert plan[0] == "iptables: take back what a run that was broken off has done"
    assert docker.run("absent") == plan
    assert docker.image() == before


def test_rules_of_another_life_of_the_kernel_are_not_taken_back(docker: DockersChains) -> None:
    """After a reboot Docker has written its rules anew, and the journal tells of rules that are gone."""
    killed(docker, "first")
    journal = journals()[0]
    text = journal.read_text()
    found = json.loads(text)
    assert found["phase"] == "doing"
    docker_again = {key: lines for key, lines in docker.image().items() if key.startswith("ip")}
    journal.write_text(_sealed({**found, "boot": "another"}))
    plan = docker.run("absent", check=True)
    assert plan[0] == "docker_chains: end a run that was broken off"
    assert docker_again == {key: lines for key, lines in docker.image().items() if key.startswith("ip")}
    assert docker.run("absent") == plan
    assert docker.run("absent") == ()


def _sealed(found: Dict[str, Any]) -> str:
    from ansible_collections.hostwire.linux.plugins.module_utils.records import sealed_text

    return sealed_text("version", found.pop("version"), {key: found[key] for key in found if key != "seal"})


def killed(world: DockersChains, wish: str) -> None:
    """A run that is killed once the first family's rules are written."""

    def deed() -> None:
        real = programs.run

        def run(command: List[str], *arguments: Any, **options: Any) -> Any:
            if "ip6tables-nft-restore" in command[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(command, *arguments, **options)

        programs.run = run
        world.run(wish)

    assert in_a_child(deed)["kind"] == "killed"


def test_a_signal_while_rules_are_written_takes_them_back(
    docker: DockersChains, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = docker.image()
    real = programs.run

    def run(command: List[str], *arguments: Any, **options: Any) -> Any:
        done = real(command, *arguments, **options)
        if "ip6tables-nft-restore" in command[0] and not told:
            told.append(True)
            os.kill(os.getpid(), signal.SIGTERM)
        return done

    told: List[bool] = []
    monkeypatch.setattr(programs, "run", run)
    with pytest.raises(Interrupted) as stopped:
        docker.run("first")
    assert stopped.value.problems == ("told to stop by SIGTERM", PUT_BACK)
    assert docker.image() == before


class Service:
    """Docker's service, which fails as often as it is told to."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls: List[str] = []

    def prepare(self, _init: str) -> None:
        self.calls.append("prepare")

    def stop(self, _init: str, socket: bool) -> None:
        self.calls.append("stop with its socket" if socket else "stop")

    def start_units(self, names: Sequence[str], _seconds: float) -> None:
        self.calls += names

    def start(self, _init: str, _socket: bool, seconds: float) -> float:
        self.calls.append("start")
        if self.calls.count("start") <= self.failures:
            raise VerificationFailed("dockerd doesn't start: no such option")
        return seconds


class Api:
    """An engine that answers once its service was started as the last thing."""

    path = "/nowhere"

    def __init__(self, service: Service) -> None:
        self._service = service

    def answers(self) -> bool:
        starts = [call for call in self._service.calls if call.startswith(("stop", "start"))]
        return not starts or (starts[-1] == "start" and starts.count("start") > self._service.failures)


@pytest.mark.parametrize("failures", [1, 4])
def test_where_dockers_restart_fails_the_rules_are_put_back_and_docker_is_started_again(
    docker: DockersChains, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    before = docker.image()
    service = Service(failures)
    started: List[List[str]] = []

    def start_again(_api: Any, ran: List[str], _names: Any, _seconds: float, **_more: bool) -> Dict[str, str]:
        started.append(ran)
        return {}

    monkeypatch.setattr(deeds, "service", service)
    monkeypatch.setattr(chains, "restartable", lambda _api, engine: situation()._replace(engine=engine))
    monkeypatch.setattr(deeds.containers, "start_again", start_again)
    monkeypatch.setattr(deeds.containers, "stop_again", lambda *_arguments: None)
    monkeypatch.setattr(coming_back.verify, "await_right", lambda *_arguments: None)
    monkeypatch.setattr(chains, "_unrepairable", lambda _reading: ("a port that only a restart brings back",))
    wish = chains.Wish(rules=chains_rules(), restart=True)
    with pytest.raises(HostwireError) as failed:
        chains.run(wish, False, Api(service))  # type: ignore[arg-type]
    rules = {key: lines for key, lines in docker.image().items() if key.startswith("ip")}
    assert rules == {key: lines for key, lines in before.items() if key.startswith("ip")}
    assert failed.value.problems[0] == "dockerd doesn't start: no such option"
    if failures == 1:
        assert failed.value.problems[-1] == PUT_BACK
        assert started
        assert not journals()
        return
    assert isinstance(failed.value, UndoFailed)
    assert failed.value.problems[-1] == GOES_ON
    assert journals()
    assert not started
    monkeypatch.setattr(chains, "_unrepairable", lambda _reading: ())
    done = chains.run(wish, False, Api(service))  # type: ignore[arg-type]
    assert done.plan[0] == "docker_chains: take back what a run that was broken off has done"
    assert started
    assert not journals()


def chains_rules() -> Any:
    from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules import access

    return access.parse([step_worlds.DENY])


def test_another_task_about_the_same_file_makes_whole_what_a_killed_one_left_half_written(private_host: Path) -> None:
    behind = private_host / "behind"
    behind.write_bytes(HOSTS)
    subprocess.run(["mount", "--bind", behind, "/etc/hosts"], check=True)
    asked = names.Asked("names", host=True, entries=FIRST)

    def deed() -> None:
        def strike(name: str, when: str) -> None:
            if (name, when) == ("overwrite", "half"):
                os.kill(os.getpid(), signal.SIGKILL)

        step_worlds.watched(strike)
        names.run(asked)

    assert in_a_child(deed)["kind"] == "killed"
    assert behind.read_bytes() != HOSTS
    done = hosts.run("/etc/hosts", "tasks", [{"address": "10.9.9.9", "names": ["other"]}])
    assert done.plan[0] == "/etc/hosts: finish what a run that was killed left half-written"
    assert behind.read_bytes().startswith(HOSTS)
    assert b"localdb" not in behind.read_bytes()
    hosts.run("/etc/hosts", "tasks", [], present=False)
    assert behind.read_bytes() == HOSTS
    assert names.run(asked._replace(state="absent", entries=(), host=False)).plan == ()
    assert not journals()


def killed_in_its_way_back(directory: Path) -> Path:
    """A hosts file of which a run was killed while it took itself back."""
    path = directory / "hosts"
    path.write_bytes(HOSTS)

    def deed() -> None:
        step_worlds.fails_in_the_end()
        step_worlds.killed_at(1, Count(), undoing=True)
        hosts.run(str(path), "tasks", FIRST)

    assert in_a_child(deed)["kind"] == "killed"
    return path


def test_a_file_that_somebody_else_wrote_after_a_run_was_killed_stays_as_it_is(private_host: Path) -> None:
    path = killed_in_its_way_back(private_host)
    theirs = b"127.0.0.1 localhost\n172.17.0.9 anew\n"
    path.write_bytes(theirs)
    assert hosts.run(str(path), "tasks", [], present=False).plan == (
        f"hosts file {path}: end a run that was broken off",
    )
    assert path.read_bytes() == theirs
    assert not journals()


def test_a_run_that_cannot_see_whether_another_was_broken_off_changes_nothing(
    private_host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = killed_in_its_way_back(private_host)
    left = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", no_more_files)
        with pytest.raises(KernelRefused, match=r"directory /var/lib/hostwire: read: .*EMFILE"):
            hosts.run(str(path), "tasks", [], present=False)
    assert path.read_bytes() == left
    assert journals()
    hosts.run(str(path), "tasks", [], present=False)
    assert path.read_bytes() == HOSTS


def no_more_files(_path: str) -> List[str]:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
