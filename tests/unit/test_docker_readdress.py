# SPDX-License-Identifier: GPL-3.0-or-later
"""docker_bridge before it touches anything: wishes, plans, what stands against them, what is remembered."""

from __future__ import annotations

import errno
import ipaddress
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils import state_directory
from ansible_collections.hostwire.linux.plugins.module_utils.apply import file_edits, journals
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd import configuration, daemon_json, service, units
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.model import (
    Container,
    Endpoint,
    Engine,
    Network,
    PublishedPort,
    Subnet,
)
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import (
    deeds,
    memory,
    plan,
    preflight,
    steps,
    validation,
    verify,
    wish,
)
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.situation import Situation
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.routes import HostRoute
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    Conflict,
    InvalidValue,
    KernelRefused,
    MissingOnHost,
)
from ansible_collections.hostwire.linux.plugins.module_utils.plan.actions import Deed, FileEdit, reversed_edit
from ansible_collections.hostwire.linux.plugins.module_utils.spot import Spot

UNIT = units.Text(
    "/lib/systemd/system/docker.service", "[Service]\nExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS\n"
)
DOCKER0 = "172.17.0.1/16"


def problems_of(**parameters: Any) -> List[str]:
    with pytest.raises(InvalidValue) as caught:
        wish.read_wish(parameters)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (
            {"bip": "192.168.225.0/24"},
            "is the network's own address; the bridge needs one in it, like 192.168.225.1/24",
        ),
        ({"bip": "192.168.225.255/24"}, "is the broadcast address of 192.168.225.0/24"),
        ({"bip": "192.168.225.1"}, "is not an IPv4 address with its prefix length"),
        ({"bip": "192.168.225.1/31"}, "leaves no room for containers"),
        ({"bip": "192.168.225.1/32"}, "leaves no room for containers"),
        ({"bip": "127.0.0.2/8"}, "is a loopback range"),
        ({"bip": "224.0.0.1/24"}, "is a multicast range"),
        ({"bip": "250.0.0.1/24"}, "which is reserved"),
        ({"bip": "0.1.2.3/24"}, "which no host can have"),
        ({"bip": "fd00::1/64"}, "is not an IPv4 address"),
        ({"bip6": "10.0.0.1/24"}, "is not an IPv6 address"),
        ({"bip6": "ff02::1/64"}, "is a multicast range"),
        ({"fixed_cidr": "10.0.0.5/24"}, "has host bits set; the network is 10.0.0.0/24"),
        ({"fixed_cidr": "10.1.0.0/24", "bip": "10.0.0.1/24"}, "10.1.0.0/24 is not inside 10.0.0.0/24"),
        ({"fixed_cidr_v6": "fd00::/64", "mtu": 1000}, "too little for IPv6"),
        ({"mtu": 67}, "between 68 and 65535"),
        ({"default_address_pools": [{"base": "10.0.0.0/16", "size": 8}]}, "size: 8 is not a prefix length between 16"),
        ({"default_address_pools": [{"base": "10.0.0.1/16", "size": 24}]}, "the network is 10.0.0.0/16"),
        ({"default_address_pools": []}, "the list is empty"),
        ({"bip": "10.0.0.1/24", "taken": ["office"]}, 'taken[0]: "office" is not a network'),
        ({"state": "absent", "bip": "10.0.0.1/24"}, "bip: says nothing with state absent"),
        ({}, "nothing is asked for"),
    ],
)
def test_a_bad_wish_is_refused_with_its_field(parameters: Dict[str, Any], said: str) -> None:
    (problem,) = problems_of(**parameters)
    assert said in problem
    assert problem.split(":")[0].split("[")[0].split(".")[0] in {*parameters, "docker_bridge"}


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(problems_of(bip="1.2.3.0/24", mtu=1, fixed_cidr="x", taken=["y"])) == 4


@example(0xE0000000, 1)
@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_a_bip_that_is_let_through_is_one_that_a_bridge_can_have(number: int, length: int) -> None:
    text = f"{ipaddress.IPv4Address(number)}/{length}"
    try:
        taken = wish.read_wish({"bip": text}).value("bip")
    except InvalidValue:
        return
    interface = ipaddress.ip_interface(taken)
    assert interface.ip not in (interface.network.network_address, interface.network.broadcast_address)
    assert interface.network.num_addresses >= 4
    assert not interface.is_loopback
    assert not interface.is_multicast


def situation(
    *containers: Container,
    json_text: Optional[str] = None,
    defaults: Optional[str] = None,
    routes: tuple[HostRoute, ...] = (),
    origin: Optional[memory.Origin] = None,
    address: str = DOCKER0,
    version: str = "26.1.5",
    live_restore: bool = False,
) -> Situation:
    texts = {UNIT.path: UNIT.text, "/etc/default/docker": defaults, daemon_json.PATH: json_text}
    unit = units.Text(UNIT.path, UNIT.text.replace("[Service]\n", "[Service]\nEnvironmentFile=-/etc/default/docker\n"))
    arguments = units.arguments_of(units.read_unit([unit], texts.get))
    found = configuration.assemble(service.SYSTEMD, arguments, daemon_json.PATH, json_text, texts)
    subnet = str(ipaddress.ip_interface(address).network)
    networks = (
        Network("1", "bridge", "bridge", "docker0", subnets=(Subnet(subnet),)),
        Network("2", "office", "bridge", "br-2", subnets=(Subnet("10.44.0.0/24"),)),
    )
    engine = Engine(version, "1.45", live_restore, "", networks, containers)
    return Situation(engine, found, (address,), routes, origin)


def planned(now: Situation, **parameters: Any) -> plan.Plan:
    return plan.make_plan(wish.read_wish(parameters), now)


def checked(now: Situation, monkeypatch: pytest.MonkeyPatch, **parameters: Any) -> str:
    monkeypatch.setattr(preflight, "objections", lambda _now, _plan: [])
    monkeypatch.setattr(preflight, "_check_disk", lambda _plan, _found: None)
    asked = wish.read_wish(parameters)
    with pytest.raises((InvalidValue, Conflict, MissingOnHost)) as caught:
        preflight.check(asked, now, plan.make_plan(asked, now))
    return str(caught.value)


WEB = Container(
    "w",
    "web",
    running=True,
    policy="always",
    mode="bridge",
    endpoints=(Endpoint("bridge", "172.17.0.2"),),
    ports=(PublishedPort("tcp", 80, "", 8080),),
)
PLAIN = Container("p", "plain", running=True, policy="no", mode="bridge", endpoints=(Endpoint("bridge", "172.17.0.3"),))


def test_a_plan_says_everything_that_will_happen() -> None:
    resting = Container("r", "resting", running=False, policy="always")
    made = planned(situation(WEB, PLAIN, resting, Container("d", "dead", running=False)), bip="192.168.225.1/24")
    assert made.lines == (
        "option bip: 192.168.225.1/24",
        "file /etc/docker/daemon.json: make",
        "docker0: 192.168.225.1/24 (was 172.17.0.1/16)",
        "rule nat POSTROUTING -s 192.168.225.0/24 ! -o docker0 -j MASQUERADE: Docker writes it",
        "rule nat DOCKER *:8080/tcp: Docker writes it with the new address of web",
        "docker: stop and start",
        "container web: stops; Docker starts it again (always)",
        "container plain: stops; is started again (no)",
        "container resting: Docker starts it, as always; is stopped again",
        "expected downtime: about 2.8 s, up to 10 s more if a container ignores SIGTERM",
    )
    assert made.forward.start == made.forward.final == {daemon_json.PATH: '{\n  "bip": "192.168.225.1/24"\n}\n'}
    assert made.forward.gone == (DOCKER0,)
    # dockerd keeps the last address, so that of before has to be said on the way back, and isn't left there.
    assert made.back.start == {daemon_json.PATH: '{\n  "bip": "172.17.0.1/16"\n}\n'}
    assert made.back.final == {daemon_json.PATH: None}


def test_what_is_so_already_is_no_change() -> None:
    assert planned(situation(json_text='{"bip": "172.17.0.1/16"}'), bip=DOCKER0, icc=True, ip_masq=True).lines == ()
    assert planned(situation(defaults='DOCKER_OPTS="--bip=172.17.0.1/16"\n'), bip=DOCKER0).lines == ()
    assert planned(situation(), state="absent").lines == ()
    assert planned(situation(), state="restored").lines == ()


def test_absent_takes_the_first_range_that_is_free() -> None:
    routes = (HostRoute("172.17.0.0/16", "192.0.2.1", "vpn0", 254), HostRoute("172.18.4.0/24", None, "eth1", 254))
    now = situation(json_text='{"bip": "10.9.0.1/24", "debug": true}', routes=routes, address="10.9.0.1/24")
    made = planned(now, state="absent")
    assert made.forward.expected.address == "172.19.0.1/16"
    assert json.loads(made.forward.start[daemon_json.PATH] or "") == {"bip": "172.19.0.1/16", "debug": True}
    assert json.loads(made.forward.final[daemon_json.PATH] or "") == {"debug": True}


def test_restored_puts_back_the_old_bytes_or_the_old_values() -> None:
    first = situation(json_text='{"debug":true}')
    there = planned(first, bip="10.9.0.1/24")
    origin = plan.origin_of(first, there)
    written = there.forward.final[daemon_json.PATH]
    now = situation(json_text=written, origin=origin, address="10.9.0.1/24")
    home = planned(now, state="restored")
    assert home.forward.final[daemon_json.PATH] == '{"debug":true}'
    assert home.forward.expected.address == DOCKER0
    # Somebody wrote since: his change stays.
    edited = daemon_json.merge(written, {"debug": False})
    home = planned(situation(json_text=edited, origin=origin, address="10.9.0.1/24"), state="restored")
    assert json.loads(home.forward.final[daemon_json.PATH] or "") == {"debug": False}


def test_what_overlaps_is_named_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = situation(routes=(HostRoute("10.0.0.0/8", "192.0.2.1", "tun0", 254),))
    said = checked(now, monkeypatch, bip="10.44.0.1/16", taken=["10.44.3.0/24"])
    assert said.splitlines() == [
        "bip: 10.44.0.0/16 overlaps the host's route 10.0.0.0/8 via 192.0.2.1 dev tun0",
        "bip: 10.44.0.0/16 overlaps Docker's network office, 10.44.0.0/24",
        "bip: 10.44.0.0/16 overlaps 10.44.3.0/24, which is declared as taken",
    ]


def test_live_restore_matters_only_with_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "live-restore" in checked(situation(WEB, live_restore=True), monkeypatch, bip="10.9.0.1/24")
    asked = wish.read_wish({"bip": "10.9.0.1/24"})
    now = situation(live_restore=True)
    preflight.check(asked, now, plan.make_plan(asked, now))


def test_containers_that_would_not_fit_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    static = PLAIN._replace(endpoints=(Endpoint("bridge", "172.17.0.3", static_ipv4="172.17.0.3"),))
    bound = WEB._replace(ports=(PublishedPort("tcp", 80, "172.17.0.1", 8080),))
    said = checked(situation(static, bound), monkeypatch, bip="10.9.0.1/24")
    assert "container plain: its static address 172.17.0.3 isn't in 10.9.0.0/24" in said
    assert "container web: publishes port 8080/tcp on 172.17.0.1" in said


def test_a_subnet_that_is_too_small_for_what_runs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    said = checked(situation(WEB, PLAIN), monkeypatch, bip="10.9.0.1/30")
    assert said == "docker0: 2 containers run on it, and 10.9.0.0/30 has room for 1"


def test_options_that_the_engine_does_not_know_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "bip6: Docker knows it from 28.0 on; here is 26.1.5" in checked(
        situation(), monkeypatch, bip6="fd00:9::1/64"
    )
    assert "give fixed_cidr_v6" in checked(situation(), monkeypatch, ipv6=True)
    assert "fixed_cidr: 10.9.0.0/24 is not inside 172.17.0.0/16" in checked(
        situation(), monkeypatch, fixed_cidr="10.9.0.0/24"
    )


@pytest.mark.parametrize("parameters", [{"bip": "10.9.0.1/24"}, {"mtu": 1400}, {"state": "absent"}])
def test_an_option_that_stands_twice_leaves_no_way_back(
    monkeypatch: pytest.MonkeyPatch, parameters: Dict[str, Any]
) -> None:
    now = situation(json_text='{"mtu": 1400}', defaults='DOCKER_OPTS="--mtu=1400"\n')
    assert "mtu: set twice" in checked(now, monkeypatch, **parameters)


def test_a_flag_in_a_packages_unit_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = units.Text(UNIT.path, "[Service]\nExecStart=/usr/sbin/dockerd --bip 10.1.0.1/24\n")
    texts: Dict[str, Optional[str]] = {unit.path: unit.text, daemon_json.PATH: None}
    arguments = units.arguments_of(units.read_unit([unit], texts.get))
    found = configuration.assemble(service.SYSTEMD, arguments, daemon_json.PATH, None, texts)
    now = situation(address="10.1.0.1/24")._replace(configuration=found)
    assert f"bip: stands as a flag in {unit.path}, line 2" in checked(now, monkeypatch, bip="10.9.0.1/24")


def test_an_engine_before_23_is_not_given_what_it_does_not_know() -> None:
    flags = frozenset(("bip", "host", "debug", "log-opt"))
    keys = {"bip": 1, "hosts": 1, "log-opts": 1, "features": 1, "bib": 1, "debug": 1}
    assert validation.old_objections("d.json", keys, ["--debug=false", "-H", "fd://"], flags) == [
        "d.json: hosts is set here and by the flag --host; dockerd wouldn't start again",
        "d.json: dockerd doesn't know the key bib, so it wouldn't start again; take it out",
        "d.json: debug is set here and by the flag --debug; dockerd wouldn't start again",
    ]


def test_what_was_before_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = planned(situation(WEB, PLAIN), bip="192.168.225.1/24")
    store = memory.Store(str(tmp_path / "hostwire" / "docker"))
    assert store.origin() is None
    origin = plan.origin_of(situation(), made)
    with store.locked(write=True):
        path, before, text = store.texts(origin)
    assert (before, tmp_path / "hostwire/docker/origin.json") == (None, Path(path))
    assert (tmp_path / "hostwire").stat().st_mode & 0o777 == 0o700
    edit = file_edits.planned(path, None, text.encode(), "origin", private=True)
    file_edits.bring(edit, False, lambda: None)
    assert store.origin() == origin
    assert Path(path).stat().st_mode & 0o777 == 0o600
    store.forget_origin()
    assert store.origin() is None


def test_a_plan_is_a_job_of_steps_with_their_way_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "real_path", lambda path: str(tmp_path / Path(path).name))
    now = situation(WEB, PLAIN, address="10.9.0.1/24")
    made = planned(now, bip="192.168.225.1/24")
    store = memory.Store(str(tmp_path / "hostwire" / "docker"))
    with store.locked(write=True):
        job = steps.job_of(now, made, store)
        journals.Journals(store.above).write(job, journals.DOING)
        (read,) = journals.Journals(store.above).unfinished(memory.NAME, ())
    assert read.job.steps == job.steps
    assert steps.expected_before(read.job, False) == steps.expected_before(job, False)
    assert steps.expected_before(job, False)[0].address == "10.9.0.1/24"
    kinds = [one.action.kind if isinstance(one.action, Deed) else one.action.__class__.__name__ for one in job.steps]
    assert kinds == ["FileEdit", "Stop", "FileEdit", "Start", "Containers"]
    _origin, stop, file, start, again = job.steps
    assert isinstance(file.action, FileEdit)
    assert file.inverse == (reversed_edit(file.action),)
    home, there, halt, ran = (
        deeds.kind_of(one)
        for one in (*stop.inverse, start.action, *start.inverse, again.action)
        if isinstance(one, Deed)
    )
    assert isinstance(home, deeds.Start)
    assert isinstance(there, deeds.Start)
    assert isinstance(halt, deeds.Stop)
    assert isinstance(ran, deeds.Containers)
    assert (home.put, there.put) == (("10.9.0.1/24",), ("192.168.225.1/24",))
    assert there.said == ()
    assert [text for _path, text, _after in home.said] == ['{\n  "bip": "10.9.0.1/24"\n}\n']
    assert [name for _id, name in ran.ran] == ["web", "plain"]


def test_two_runs_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_directory, "LOCK_SECONDS", 0.1)
    store = memory.Store(str(tmp_path / "hostwire" / "docker"))
    with (
        store.locked(write=True),
        pytest.raises(Conflict, match=r"another run holds this host's lock: process \d+, docker_bridge, since "),
        store.locked(write=True),
    ):
        pass


def test_files_keep_their_line_ends_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_bytes(b"{}\r\n")
    path.chmod(0o640)
    there = file_edits.planned(str(path), b"{}\r\n", b'{"a":\r\n1}', "daemon.json")
    file_edits.demand_room(there)
    assert path.read_bytes() == b"{}\r\n"
    file_edits.bring(there, False, lambda: None)
    assert path.read_bytes() == b'{"a":\r\n1}'
    back = reversed_edit(there)
    assert isinstance(back, FileEdit)
    file_edits.bring(back, True, lambda: None)
    assert path.read_bytes() == b"{}\r\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["daemon.json"]


def test_the_old_text_comes_back_on_a_full_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Spot, _content: bytes) -> None:
        raise KernelRefused(f"file {self.path}: write", errno.ENOSPC)

    path = tmp_path / "daemon.json"
    path.write_text("new text")
    monkeypatch.setattr(Spot, "replace", full)
    there = file_edits.planned(str(path), b"new text", b"more", "daemon.json")
    with pytest.raises(KernelRefused, match="No space left"):
        file_edits.bring(there, False, lambda: None)
    assert path.read_text() == "new text"
    file_edits.bring(there._replace(after="old"), True, lambda: None)
    assert path.read_text() == "old"


def test_rules_are_looked_for_as_docker_writes_them() -> None:
    engine = situation(WEB).engine
    expected = memory.Expected(DOCKER0, masquerade=True)
    nat = (
        "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n"
        "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n"
    )
    assert verify.rule_problems(engine, expected, nat) == []
    assert verify.rule_problems(engine, expected, "") == [
        "nat POSTROUTING: no MASQUERADE for 172.17.0.0/16",
        "nat DOCKER: no DNAT for port 8080/tcp of container web",
    ]
    assert "though ip_masq is off" in verify.rule_problems(engine, expected._replace(masquerade=False), nat)[0]


def test_what_came_out_wrong_is_named() -> None:
    engine = situation(WEB, PLAIN._replace(running=False, status="exited")).engine
    expected = memory.Expected("10.9.0.1/24", subnets={"office": ("10.44.0.0/24",)})
    assert verify.bridge_problems(engine, expected, (DOCKER0,)) == [
        "docker0: has 172.17.0.1/16, not 10.9.0.1/24",
        "network bridge: has 172.17.0.0/16, not 10.9.0.0/24",
    ]
    assert verify.container_problems(engine, expected, verify.Before(("w", "p"), ("w",), ())) == [
        "container web: has the address 172.17.0.2, which isn't in 10.9.0.0/24",
        "container web: was healthy, is without a check",
        "container plain: ran, and exited now",
    ]
