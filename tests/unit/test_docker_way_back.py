# SPDX-License-Identifier: GPL-3.0-or-later
"""docker_bridge's way back, and what has to be seen before a move counts as done."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple, cast

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.apply import jobs, journals
from ansible_collections.hostwire.linux.plugins.module_utils.docker_api import Api
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd import daemon_json, service
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.clock import Clock
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.facts import read_engine
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.model import Container, Engine, Subnet
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.process import identity
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import (
    bridge,
    deeds,
    memory,
    preflight,
    verify,
    wish,
)
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.situation import Situation
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, KernelRefused, VerificationFailed
from ansible_collections.hostwire.linux.plugins.module_utils.plan.actions import ChainsEdit, Deed, FileEdit, Step
from ansible_collections.hostwire.linux.tests.unit.test_docker_readdress import DOCKER0, checked, planned, situation

NEW = "192.168.225.1/24"
MANAGER = {"LocalNodeState": "active", "ControlAvailable": True}


@pytest.mark.parametrize("text", [None, "{}", '{"mtu": 1400}', f'{{"bip": "{DOCKER0}"}}'])
def test_the_way_back_is_the_old_bytes_and_the_old_addresses(text: Optional[str]) -> None:
    now = situation(json_text=text)._replace(addresses=("10.1.1.1/24", DOCKER0, "fd00::1/64"))
    made = planned(now, bip=NEW)
    assert made.back.final == {daemon_json.PATH: text}
    assert made.back.put == (DOCKER0, "10.1.1.1/24")
    assert NEW in made.back.gone
    assert made.forward.put == (NEW,)


@pytest.mark.parametrize(
    ("text", "address", "after"),
    [
        ({"fixed-cidr": "10.9.0.0/26"}, "10.9.0.1/26", "172.17.0.1/16"),
        ({"fixed-cidr": "172.17.8.0/24"}, DOCKER0, DOCKER0),
        ({"default-address-pools": [{"base": "10.9.0.0/16", "size": 24}]}, "10.9.3.1/24", "172.17.0.1/16"),
        ({"default-address-pools": [{"base": "10.9.0.0/16", "size": 24}]}, DOCKER0, DOCKER0),
        ({"bip": "10.9.0.1/24"}, "10.9.0.1/24", "172.17.0.1/16"),
        ({"mtu": 1400}, "10.9.0.1/24", "10.9.0.1/24"),
    ],
)
def test_absent_is_dockers_own_choice_again(text: Dict[str, Any], address: str, after: str) -> None:
    first = situation(json_text=json.dumps(text), address=address)
    made = planned(first, state="absent")
    assert made.forward.expected.address == after
    origin = memory.Origin(dict(made.before), (address,), address, dict(made.forward.final), dict(text))
    then = situation(json_text=made.forward.final[daemon_json.PATH], address=after, origin=origin)
    assert planned(then, state="absent").lines == ()
    assert planned(then, state="restored").forward.expected.address == address


@pytest.mark.parametrize(("cidr", "looked_at"), [("172.17.8.0/24", "172.17.8.0/24"), ("10.9.0.0/26", "")])
def test_a_range_that_an_old_engine_passes_by_is_not_looked_for(cidr: str, looked_at: str) -> None:
    now = situation(json_text=json.dumps({"fixed-cidr": cidr}), version="20.10.24")
    assert planned(now, mtu=1400).back.expected.fixed_cidr == looked_at


def with_ipv6(address6: str = "fd00:78::1/64") -> Situation:
    """A host whose docker0 has this IPv6 address."""
    now = situation(json_text='{"ipv6": true, "fixed-cidr-v6": "fd00:78::/64"}', version="28.5.2")
    bridge_network, office = now.engine.networks
    subnet = Subnet(str(ipaddress.ip_interface(address6).network))
    networks = (bridge_network._replace(subnets=(*bridge_network.subnets, subnet)), office)
    return now._replace(addresses=(DOCKER0, address6), engine=now.engine._replace(networks=networks))


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"fixed_cidr_v6": "fd00:78::/80"}, "fixed_cidr_v6"),
        ({"fixed_cidr_v6": "fd00:78::/48"}, "fixed_cidr_v6"),
        ({"bip6": "fd00:78::1/80"}, "bip6"),
        ({"fixed_cidr_v6": "fd00:79::/80"}, ""),
        ({"fixed_cidr_v6": "fd00:78::/64"}, ""),
        ({"bip6": "fd00:79::1/64", "fixed_cidr_v6": "fd00:79::/64"}, ""),
    ],
)
def test_docker_does_not_change_the_prefix_length_alone(
    monkeypatch: pytest.MonkeyPatch, parameters: Dict[str, str], field: str
) -> None:
    now = with_ipv6()
    if field:
        said = checked(now, monkeypatch, **parameters)
        assert f"{field}: {parameters[field]} would leave docker0 its address fd00:78::1/64" in said
        return
    monkeypatch.setattr(preflight, "objections", lambda _now, _plan: [])
    monkeypatch.setattr(preflight, "_check_disk", lambda _plan, _found: None)
    preflight.check(wish.read_wish(parameters), now, planned(now, **parameters))


def test_another_ipv6_subnet_has_to_be_there_in_the_end() -> None:
    made = planned(with_ipv6(), fixed_cidr_v6="fd00:79::/80")
    assert made.forward.gone == ("fd00:78::1/64",)
    assert made.forward.expected.subnet6 == "fd00:79::/80"
    assert made.back.expected.subnet6 == ""
    engine = with_ipv6().engine
    assert verify.bridge_problems(engine, memory.Expected(subnet6="fd00:79::/80"), (DOCKER0, "fd00:78::1/64"))
    assert not verify.bridge_problems(engine, memory.Expected(subnet6="fd00:79::/80"), (DOCKER0, "fd00:79::1/80"))


@pytest.mark.parametrize(
    ("swarm", "bip", "refused"),
    [
        ({**MANAGER, "Cluster": {"DefaultAddrPool": None}}, "10.0.1.1/24", True),
        ({**MANAGER, "Cluster": {}}, "10.255.0.1/24", True),
        ({**MANAGER, "Cluster": {"DefaultAddrPool": ["172.30.0.0/16", "10.5.0.0/16"]}}, "10.5.9.1/24", True),
        ({**MANAGER, "Cluster": {"DefaultAddrPool": ["10.5.0.0/16"]}}, "10.0.1.1/24", False),
        ({"LocalNodeState": "inactive", "Cluster": None}, "10.0.1.1/24", False),
        ({"LocalNodeState": "active", "ControlAvailable": False}, "10.0.1.1/24", False),
        (None, "10.0.1.1/24", False),
    ],
)
def test_swarms_pool_is_taken(monkeypatch: pytest.MonkeyPatch, swarm: Any, bip: str, refused: bool) -> None:
    class Answers(Api):
        def get(self, path: str) -> Any:
            version = {"Version": "26.1.5", "ApiVersion": "1.45"}
            return {"/version": version, "/info": {"Swarm": swarm}}.get(path, [])

    found = read_engine(Answers())
    now = situation()
    now = now._replace(engine=now.engine._replace(swarm=found.swarm, swarm_pools=found.swarm_pools))
    if refused:
        said = checked(now, monkeypatch, bip=bip)
        assert said.startswith("bip: ")
        assert "out of which Swarm takes its networks' subnets" in said
    else:
        monkeypatch.setattr(preflight, "objections", lambda _now, _plan: [])
        monkeypatch.setattr(preflight, "_check_disk", lambda _plan, _found: None)
        asked = wish.read_wish({"bip": bip})
        preflight.check(asked, now, planned(now, bip=bip))


def test_only_what_changes_is_refused_in_a_file_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    now = situation(defaults='DOCKER_OPTS="--bip=172.17.0.1/16 --mtu=1400"\n')
    moved = {
        key: setting._replace(places=tuple(place._replace(file="/run/flannel/docker") for place in setting.places))
        for key, setting in now.configuration.settings.items()
    }
    now = now._replace(configuration=now.configuration._replace(settings=moved))
    said = checked(now, monkeypatch, bip=NEW)
    assert said.startswith("bip: stands as a flag in /run/flannel/docker, line 1, which another program writes")
    assert "package" not in said
    assert "mtu" not in said
    assert len(checked(now, monkeypatch, state="absent").splitlines()) == 2


def test_a_run_that_an_earlier_version_was_killed_in_is_for_that_version_to_end(tmp_path: Path) -> None:
    store = memory.Store(str(tmp_path))
    store.demand_whole()
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(Conflict, match="run that version once more"):
        store.demand_whole()


Starts = Callable[[str, str], Optional[str]]


class Host:
    """docker0 and dockerd as far as a start sees them: the file it is started with, and which starts succeed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, file: Path, starts: Starts) -> None:
        self.address, self.file = NEW, file
        self.tried: List[str] = []
        self._starts = starts
        monkeypatch.setattr(service, "prepare", lambda _init: None)
        monkeypatch.setattr(service, "reload_units", lambda _init: None)
        monkeypatch.setattr(service, "start", self.start)
        monkeypatch.setattr(bridge, "take_away", lambda _addresses: None)
        monkeypatch.setattr(bridge, "put", self.give)

    def give(self, addresses: Tuple[str, ...]) -> None:
        self.address = addresses[0] if addresses else self.address

    def start(self, _init: str, _socket: bool, _seconds: float) -> float:
        text = self.file.read_text() if self.file.exists() else ""
        self.tried.append(text)
        found = self._starts(text, self.address)
        if found is None:
            raise VerificationFailed("dockerd doesn't start")
        self.address = found
        return 0.0

    def begin(self, said: deeds.Said, tolerant: bool) -> None:
        answers = cast(Api, type("Answers", (), {"answers": lambda _self: True})())
        docker = deeds.Docker(answers, deeds.Limits(), Clock())
        start = deeds.Start("systemd", True, False, (NEW,), (DOCKER0,), (), said)
        docker.do(deeds.deed(start), tolerant)


def remembers(address: str) -> Starts:
    """A dockerd that keeps an address of its own unless another is said."""
    return lambda text, _found: DOCKER0 if text == "said" else address


@pytest.mark.parametrize("tolerant", [False, True], ids=["forward", "back"])
@pytest.mark.parametrize("afterwards", ["", "old bytes"])
def test_docker_has_the_address_whatever_it_remembers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, afterwards: str, tolerant: bool
) -> None:
    file = tmp_path / "daemon.json"
    if afterwards:
        file.write_text(afterwards)
    host = Host(monkeypatch, file, remembers(NEW))
    host.begin(((str(file), "said", afterwards or None),), tolerant)
    assert host.address == DOCKER0
    assert host.tried == ["said"]
    assert (file.read_text() if file.exists() else "") == afterwards


def test_on_the_way_back_docker_is_started_in_every_way_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "daemon.json"
    file.write_text("old")
    said: deeds.Said = ((str(file), "said", "old"),)
    host = Host(monkeypatch, file, lambda text, _found: None if text == "said" else DOCKER0)
    with pytest.raises(VerificationFailed, match="doesn't start"):
        host.begin(said, tolerant=False)
    assert (host.tried, file.read_text()) == (["said"], "old")
    host.begin(said, tolerant=True)
    assert (host.tried, file.read_text()) == (["said", "said", "old"], "old")
    host = Host(monkeypatch, file, lambda _text, _found: None)
    with pytest.raises(VerificationFailed, match="doesn't start"):
        host.begin(said, tolerant=True)
    assert (host.tried, file.read_text()) == (["said", "old"], "old")


def test_what_somebody_wrote_meanwhile_stays_on_the_way_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text("theirs")
    host = Host(monkeypatch, file, remembers(DOCKER0))
    host.begin(((str(file), "said", "old"),), tolerant=True)
    assert (host.tried, file.read_text()) == (["theirs"], "theirs")
    with pytest.raises(VerificationFailed, match="somebody else wrote to it"):
        host.begin(((str(file), "said", "old"),), tolerant=False)
    assert file.read_text() == "theirs"


@pytest.mark.parametrize(
    ("holds", "settled"), [("there", "final"), ("back", "old"), ("old", "old"), ("final", "final"), ("x", "x")]
)
def test_a_text_for_the_start_alone_does_not_outlive_a_killed_run(tmp_path: Path, holds: str, settled: str) -> None:
    file = tmp_path / "daemon.json"
    file.write_text(holds)
    there = deeds.Start("systemd", True, False, (), (), (), ((str(file), "there", "final"),))
    back = there._replace(said=((str(file), "back", "old"),))
    edit = FileEdit(None, str(file), "old", "final", "daemon.json", mounted=False, private=False, uid=None)
    steps = [
        Step(0, deeds.deed(deeds.Stop("systemd", True, "")), (deeds.deed(back),), 0),
        Step(0, edit, (), 0),
        Step(0, deeds.deed(there), (), 0),
    ]
    docker = deeds.Docker(Api(), deeds.Limits(), Clock())
    docker.settle(steps, alive=True)
    assert file.read_text() == settled
    file.write_text("there")
    steps[1] = steps[1]._replace(action=edit._replace(before="there"))
    docker.settle(steps, alive=True)
    assert file.read_text() == "there"  # which is what was there before


def test_the_same_dockerd_that_still_runs_was_never_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = deeds.Docker(Api(), deeds.Limits(), Clock())
    own = identity(os.getpid())

    def stop(daemon: str) -> List[Step]:
        return [Step(0, deeds.deed(deeds.Stop("systemd", True, daemon)), (), 0)]

    active = True
    monkeypatch.setattr(deeds, "running_daemon", lambda: own)
    monkeypatch.setattr(service, "active", lambda _init: active)
    assert own.startswith(f"{os.getpid()} ")
    assert not docker.is_begun(stop(own), alive=True)
    assert docker.is_begun(stop(""), alive=True)  # nobody saw which one it was
    assert docker.is_begun(stop(f"{own}1"), alive=True)
    assert not docker.is_begun(stop(f"{own}1"), alive=False)  # a mere restart; Docker may be stopped on purpose by now
    start = deeds.Start("systemd", True, False, (), (DOCKER0,), (), ())
    assert docker.is_begun([*stop(own), Step(0, deeds.deed(start), (deeds.deed(start),), 0)], alive=False) is False
    assert docker.is_begun([*stop(f"{own}1"), Step(0, deeds.deed(start), (deeds.deed(start),), 0)], alive=False)
    active = False  # it is being stopped
    assert docker.is_begun(stop(own), alive=True)


@pytest.mark.parametrize("fails", [0, 1, 2])
def test_a_stop_that_fails_once_is_tried_again_on_the_way_back_alone(
    monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    calls: List[str] = []

    def stop(_init: str, _socket: bool) -> None:
        calls.append("stop")
        if len(calls) <= fails:
            raise KernelRefused("systemctl stop docker.service", errno.EIO, "Job canceled")

    monkeypatch.setattr(service, "prepare", lambda _init: None)
    monkeypatch.setattr(service, "stop", stop)
    docker = deeds.Docker(Api(), deeds.Limits(), Clock())
    way = deeds.deed(deeds.Stop("systemd", True, ""))
    with contextlib.nullcontext() if fails < 2 else pytest.raises(KernelRefused, match="Job canceled"):
        docker.do(way, tolerant=True)
    assert len(calls) == min(fails + 1, 2)
    calls.clear()
    with contextlib.nullcontext() if not fails else pytest.raises(KernelRefused):
        docker.do(way, tolerant=False)
    assert len(calls) == 1


def test_while_a_restart_of_the_other_task_is_broken_off_docker_is_left_to_that(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    own = journals.Journals(str(tmp_path))
    stop = Step(0, deeds.deed(deeds.Stop("systemd", True, "")), (), 0)
    rules = ChainsEdit(None, "nft", 4, (("nat", "DOCKER", None),), (("nat", "DOCKER", ("-A DOCKER",)),))
    memory.refuse_restart_of("docker_chains", str(tmp_path))
    own.write(journals.Job("docker_chains", "docker_chains", ("a",), (jobs.step(rules),), {}), journals.DOING)
    memory.refuse_restart_of("docker_chains", str(tmp_path))  # rules alone: Docker was never stopped
    own.write(journals.Job("docker_chains", "docker_chains", ("a",), (jobs.step(rules), stop), {}), journals.DOING)
    with pytest.raises(Conflict, match="run docker_chains again first"):
        memory.refuse_restart_of("docker_chains", str(tmp_path))


def test_an_unknown_deed_is_left_to_the_version_that_knows_it() -> None:
    for unknown in (Deed(None, "Pause", ()), Deed(None, "Stop", ("systemd",))):
        with pytest.raises(Conflict, match="run of another version"):
            deeds.kind_of(unknown)


def up(started: str = "1", status: str = "running", restarts: int = 0) -> Engine:
    one = Container("w", "web", running=status != "exited", status=status, started=started, restarts=restarts)
    return Engine("26.1.5", "1.45", False, containers=(one,))


def test_a_container_that_ends_soon_after_its_start_has_not_come_back() -> None:
    watch = verify.Watch(("w",))
    assert watch.unsettled(up(), 0.0)
    assert watch.unsettled(up(), verify.SETTLED - 0.1)
    assert watch.unsettled(up(), verify.SETTLED) == []
    assert "exited now" in watch.unsettled(up(status="exited"), 9.0)[0]
    assert "restarting now" in watch.unsettled(up(status="restarting"), 9.1)[0]
    assert watch.unsettled(up("2"), 9.2)
    assert "doesn't stay up" in watch.unsettled(up("3"), 9.2 + verify.SETTLED)[0]
    assert watch.unsettled(up("3"), 9.3 + 2 * verify.SETTLED) == []
    assert "is gone" in watch.unsettled(up()._replace(containers=()), 20.0)[0]
    assert verify.Watch(()).unsettled(up(status="exited"), 0.0) == []


def test_one_that_was_restarted_again_and_again_before_is_not_awaited() -> None:
    now, long_ago = (time.strftime("%Y-%m-%dT%H:%M:%S.1Z", time.gmtime(time.time() - age)) for age in (1, 3600))
    assert verify.steady(up(now).containers) == ("w",)
    assert verify.steady(up(long_ago, restarts=9).containers) == ("w",)
    assert verify.steady(up(now, restarts=9).containers) == ()
    assert verify.steady(up(now, status="restarting").containers) == ()
    assert verify.steady(up("nonsense", restarts=1).containers) == ("w",)


def test_a_host_that_is_right_already_is_not_asked_whether_it_would_start_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now: Situation = situation(json_text='{"bip": "172.17.0.1/16", "mtu": 1400}')
    runs = {"com.docker.network.driver.mtu": "1500"}
    networks = (now.engine.networks[0]._replace(options=runs), now.engine.networks[1])
    now = now._replace(engine=now.engine._replace(networks=networks))
    asked = wish.read_wish({"bip": DOCKER0})
    preflight.check(asked, now, planned(now, bip=DOCKER0))
    assert "says 1400, Docker runs with 1500" in checked(now, monkeypatch, bip=NEW)
