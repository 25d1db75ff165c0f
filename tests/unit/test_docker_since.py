# SPDX-License-Identifier: GPL-3.0-or-later
"""What was written since dockerd's start, who wouldn't let it start again, and files that nothing can replace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.docker_api import Api
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd import (
    configuration,
    daemon_json,
    process,
    service,
    units,
)
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.facts import container
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.model import Container
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import (
    plan,
    preflight,
    restart,
    verify,
    wish,
)
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import situation as situations
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.memory import Origin
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.replaceable import why_not_replaceable
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.since import outdated
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, InvalidValue
from ansible_collections.hostwire.linux.plugins.module_utils.program import Done
from ansible_collections.hostwire.linux.tests.unit.test_docker_readdress import checked, planned, situation

TRAITS: Dict[str, Tuple[str, ...]] = {
    "default-runtime": ("runc", "crun"),
    "runtimes": ("runc", "crun"),
    "cgroup-driver": ("systemd",),
}
DROP_IN = "/etc/systemd/system/docker.service.d/x.conf"


def edited(text: str, version: str = "28.5.2", **engine: Any) -> Any:
    """A host whose daemon.json was written after dockerd's start."""
    now = situation(json_text=text, version=version)
    traits = engine.pop("traits", TRAITS)
    now = now._replace(engine=now.engine._replace(storage="overlay2", traits=traits, **engine))
    return now._replace(changed=(daemon_json.PATH,))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "storage-driver",
            "nope",
            "storage-driver: /etc/docker/daemon.json, line 1 says nope, Docker runs with overlay2",
        ),
        ("default-runtime", "nope", "Docker runs with runc, crun"),
        ("runtimes", {"nvidia": {"path": "/nope"}, "crun": {}}, "says nvidia, Docker runs with runc, crun"),
        ("exec-opts", ["native.cgroupdriver=cgroupfs"], "says cgroupfs, Docker runs with systemd"),
        ("authorization-plugins", ["nope"], "was written after Docker's start"),
        ("tlscert", "/nope.pem", "tlscert: /etc/docker/daemon.json, line 1 was written after Docker's start"),
        ("userns-remap", "default", "userns-remap: "),
    ],
)
def test_what_may_keep_dockerd_from_starting_is_no_way_back(key: str, value: Any, said: str) -> None:
    text = json.dumps({"debug": True, key: value})
    lines = outdated(edited(text))
    assert said in lines[0]
    assert "restart Docker with it" in lines[0]
    assert key == "userns-remap" or outdated(edited(text)._replace(changed=())) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"log-driver": "json-file", "log-opts": {"max-size": "10m"}, "labels": ["a=b"], "registry-mirrors": []}',
        '{"storage-driver": "overlay2", "default-runtime": "crun", "exec-opts": ["native.cgroupdriver=systemd"]}',
        '{"bip": "172.17.0.1/16", "live-restore": false, "dns": ["192.0.2.1"]}',
        "\ufeff\n",
        "",
    ],
)
def test_what_does_no_harm_may_be_written_at_any_time(text: str) -> None:
    assert outdated(edited(text)) == []


def test_an_old_engine_reads_no_empty_file() -> None:
    assert "is empty" in outdated(edited(" \n", version="20.10.24"))[0]


def test_a_unit_that_was_edited_is_said_beside_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = "/etc/systemd/system.control/docker.service.d/50-MemoryMax.conf"
    now = situation()._replace(
        changed=(DROP_IN, limit, "/etc/default/docker"), hindrances=("docker.socket: is masked",)
    )
    said = checked(now, monkeypatch, bip="192.168.225.1/24")
    assert f"{DROP_IN}: was changed after Docker's start" in said
    assert "docker.socket: is masked" in said
    assert "/etc/default/docker" not in said
    assert limit not in said
    assert "systemctl daemon-reload, then restart" in checked(situation()._replace(stale=True), monkeypatch, mtu=1400)


@pytest.mark.parametrize(
    ("root", "traits", "text", "said"),
    [
        ("/srv/docker", TRAITS, "{}", "data-root: Docker runs with /srv/docker, which none of its files says"),
        ("/var/lib/docker/x", TRAITS, "{}", "data-root: "),
        ("/var/lib/docker/100000.100000", {**TRAITS, "userns-remap": ("name=userns",)}, "{}", "userns-remap: "),
        ("/var/lib/docker", TRAITS, '{"userns-remap": "default"}', "userns-remap: Docker runs without it"),
        ("/var/lib/docker/1.1", {**TRAITS, "userns-remap": ("name=userns",)}, '{"userns-remap": "default"}', ""),
        ("/var/lib/docker", {}, '{"userns-remap": "default"}', ""),
    ],
)
def test_containers_that_the_next_start_would_not_find(root: str, traits: Any, text: str, said: str) -> None:
    lines = outdated(edited(text, root=root, traits=traits)._replace(changed=()))
    assert [line[: len(said)] for line in lines] == ([said] if said else [])


def test_a_file_counts_by_its_last_change_and_by_whose_it_is(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
        began = process.start_of(running.pid)
        assert began is not None
        assert abs(began - time.time()) < 5
        old = tmp_path / "old.conf"
        old.write_text("old")
        os.utime(old, (0, 0))
        kept = {str(old): "old", str(tmp_path / "gone"): "x", "/bin/sh": "", str(tmp_path / "none"): None}
        now = configuration.assemble(service.SYSTEMD, (), daemon_json.PATH, None, kept)
        found = situations._changed_since(process.Process(running.pid, ()), now, None)
        assert found == (str(old),)
        ours = Origin({}, (), "", {str(old): "old"}, {})
        assert situations._changed_since(process.Process(running.pid, ()), now, ours) == ()
        running.communicate(b"\n")
    assert situations._changed_since(None, now, None) == ()
    assert process.start_of(running.pid) is None


SHOWN: List[Tuple[str, str]] = [
    (
        "Id=docker.service\nLoadState=loaded\nRequires=docker.socket sysinit.target\nRefuseManualStop=yes",
        "RefuseManualStop",
    ),
    ("Id=docker.socket\nLoadState=masked\nActiveState=active", "docker.socket: is masked"),
    ("Id=docker.socket\nLoadState=masked\nActiveState=inactive", "docker.socket: is masked"),
    ("Id=docker.socket\nLoadState=loaded\nActiveState=active\nRefuseManualStart=yes", "wouldn't start it"),
    ("Id=containerd.service\nLoadState=masked", "containerd.service: is masked"),
    ("Id=containerd.service\nLoadState=not-found", "containerd.service: can't be loaded (not-found)"),
    ("Id=app.service\nLoadState=masked\nActiveState=active", "app.service: is masked"),
    ("Id=app.service\nLoadState=masked\nActiveState=inactive", ""),
    ("Id=docker.socket\nLoadState=loaded\nActiveState=active", ""),
]


@pytest.mark.parametrize(("shown", "said"), SHOWN)
def test_units_that_would_not_start_again(monkeypatch: pytest.MonkeyPatch, shown: str, said: str) -> None:
    units_shown = {
        "docker.service": "Id=docker.service\nLoadState=loaded\nActiveState=active\nRequires=docker.socket"
        " containerd.service system.slice\nRequiredBy=app.service",
        "docker.socket": "Id=docker.socket\nLoadState=loaded\nActiveState=active",
        "containerd.service": "Id=containerd.service\nLoadState=loaded\nActiveState=active",
        "app.service": "Id=app.service\nLoadState=loaded\nActiveState=active",
    }
    units_shown[shown.partition("\n")[0][3:]] = shown

    def run(command: List[str], seconds: float = 0) -> Any:
        text = "\n\n".join(units_shown[name] for name in command[2:] if name in units_shown)
        assert "system.slice" not in command
        return Done(0, text, "")

    monkeypatch.setattr(service, "_run", run)
    assert [said in line for line in service.unit_files().hindrances] == ([True] if said else [])


def test_drop_ins_that_systemd_has_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(service, "_PLACES", (str(tmp_path / "etc"), str(tmp_path / "lib")))
    known = {"Id": "docker.service", "DropInPaths": f"{tmp_path}/etc/docker.service.d/a.conf"}
    assert not service._unread(known)
    for name in ("etc/docker.service.d/a.conf", "lib/docker.service.d/a.conf", "lib/docker.service.d/gone.conf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "etc/docker.service.d/gone.conf").symlink_to("/dev/null")
    assert not service._unread(known)
    (tmp_path / "lib/docker.service.d/new.conf").touch()
    assert service._unread(known)
    assert not service._unread({"Id": "docker.socket"})


def test_a_condition_that_is_not_met_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "docker.service: ConditionPathExists=/srv/yes failed.\nConditions failed.\nAssertUser=root succeeded.\n"
    monkeypatch.setattr(service, "_run", lambda *_command: Done(1, said, ""))
    assert service.unmet_conditions() == ("ConditionPathExists=/srv/yes isn't met",)
    texts = {DROP_IN: "[Unit]\nConditionPathExists=/srv/yes\n"}
    now = configuration.assemble(service.SYSTEMD, (), daemon_json.PATH, None, dict(texts))
    assert "ConditionPathExists=/srv/yes" in situations._unmet(now)[0]
    assert situations._unmet(configuration.assemble(service.SYSTEMD, (), daemon_json.PATH, None, {})) == ()


def test_what_lies_there_is_a_file_or_refused(tmp_path: Path) -> None:
    link, pipe, plain = tmp_path / "null", tmp_path / "pipe", tmp_path / "plain"
    link.symlink_to("/dev/null")
    os.mkfifo(pipe)
    plain.write_text("{}")
    assert configuration.read_text(str(link)) == ""
    assert configuration.read_text(str(plain)) == "{}"
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(InvalidValue):
            configuration.read_text(str(path))
    plain.write_bytes(b" " * (5 << 20))
    with pytest.raises(InvalidValue, match="larger than"):
        configuration.read_text(str(plain))
    assert why_not_replaceable(str(plain)) == ""
    assert why_not_replaceable(str(tmp_path / "new" / "file")) == ""
    assert "it leads to /dev/null, which is no file" in why_not_replaceable(str(link))
    assert "is no file" in why_not_replaceable(str(pipe))


@pytest.mark.skipif(os.getuid() != 0, reason="only root mounts")
def test_a_file_that_is_mounted_by_itself_can_not_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_text("")
    look = (
        "import os, sys; from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.replaceable"
        " import why_not_replaceable; print(why_not_replaceable(sys.argv[1]))"
    )
    script = f'mount --bind "$1/b" "$1/a"; exec "{sys.executable}" -c "{look}" "$1/a"'
    root = str(Path(__file__).resolve().parents[2] / "build")
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "another file is mounted there" in done.stdout, done.stderr


def test_a_path_of_the_configuration_is_the_one_that_dockerd_reads() -> None:
    running = process.Process(os.getpid(), ("dockerd", "--config-file", "/srv/docker.json"))
    assert configuration._config_file(["--config-file=/srv/%p.json"], running) == "/srv/docker.json"
    assert configuration._config_file(["--config-file", "d.json"], running) == os.path.join(os.getcwd(), "d.json")
    assert configuration._config_file(["--config-file", "d.json"], None) == "/d.json"
    assert configuration._config_file([], running) == daemon_json.PATH
    odd = process.Process(os.getpid(), ("dockerd", "--config-file=/srv/100%.json"))
    assert configuration._config_file(["--config-file=/srv/100%%.json"], odd) == "/srv/100%.json"
    assert not units.editable("/run/systemd/generator/docker.service.d/x.conf")


@pytest.mark.parametrize("value", ["", None, 0, []])
def test_a_value_that_says_nothing_is_dockers_default(value: Any) -> None:
    now = situation(json_text=json.dumps({"bip": value, "mtu": value}))
    preflight.check_values(now)
    made = planned(now, bip="192.168.225.1/24")
    assert json.loads(made.forward.final[daemon_json.PATH] or "") == {"bip": "192.168.225.1/24", "mtu": value}
    assert planned(now, state="absent").lines == ()


def test_a_listener_that_stops_with_docker_is_in_the_way() -> None:
    one = situations.Listening("172.17.0.1", "nc (process 7), port 80/tcp", "container web")
    made = planned(situation()._replace(sockets=(one,)), bip="192.168.225.1/24")
    (line,) = made.leaning.conflicts
    assert line.startswith("container web: nc (process 7), port 80/tcp: listens at 172.17.0.1")


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("0::/system.slice/docker-ID.scope", "container web"),
        ("0::/system.slice/app.service", "unit app.service"),
        ("0::/", ""),
    ],
)
def test_whose_listener_it_is(monkeypatch: pytest.MonkeyPatch, path: str, part: str) -> None:
    running = (Container("c" * 64, "web", running=True),)
    monkeypatch.setattr(situations, "groups", lambda _pid: path.replace("ID", "c" * 64))
    assert situations._part_of(7, running, ("app.service",)) == part


def checks(**check: Any) -> float:
    state = {"Running": True, "Health": {"Status": "healthy"}}
    entry = {"Id": "c", "Name": "/c", "State": state, "HostConfig": {}, "Config": {"Healthcheck": check}}
    return container(entry).first_check


def test_health_is_awaited_where_it_can_show_in_time() -> None:
    assert checks() == 30.0
    assert checks(Interval=5 * 10**9) == 5.0
    assert checks(Interval=300 * 10**9, StartPeriod=10**10, StartInterval=2 * 10**9) == 2.0
    assert checks(Interval=300 * 10**9, StartInterval=2 * 10**9) == 300.0
    soon = Container("s", "soon", running=True, health="healthy", first_check=30.0)
    late = Container("l", "late", running=True, health="healthy", first_check=300.0)
    ill = Container("i", "ill", running=True, health="unhealthy")
    assert verify.awaited((soon, late, ill), 60.0) == ("s",)


def test_a_refusal_is_a_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "objections", lambda _now, _plan: [])
    asked, now = wish.read_wish({"bip": "192.168.225.1/24"}), edited('{"storage-driver": "nope"}')
    with pytest.raises(Conflict):
        preflight.check(asked, now, plan.make_plan(asked, now))


def test_addresses_that_somebody_else_gave_docker0_stay() -> None:
    now = situation()._replace(addresses=("172.17.0.1/16", "172.17.9.1/16", "10.1.1.1/24", "fd00::1/64"))
    made = planned(now, bip="192.168.225.1/24")
    assert made.forward.kept == ("10.1.1.1/24",)
    assert made.back.kept == ("172.17.9.1/16", "10.1.1.1/24")
    assert made.lines[-1] == "warning: docker0: 172.17.9.1/16, which isn't Docker's, goes with its old subnet"
    assert planned(now, mtu=1400).forward.kept == made.back.kept
    origin = plan.origin_of(now, made)
    text = made.forward.final[daemon_json.PATH]
    moved = situation(json_text=text, address="192.168.225.1/24", origin=origin)
    home = planned(moved._replace(addresses=("192.168.225.1/24", "10.1.1.1/24")), state="restored")
    assert set(home.forward.kept) == {"172.17.9.1/16", "10.1.1.1/24"}


@pytest.mark.parametrize(
    ("before", "parameters", "refused"),
    [
        ('{"ip-masq": false}', {"bip": "10.8.0.1/24"}, True),
        ('{"ip-masq": false}', {"bip": "10.9.0.1/24"}, False),
        ('{"ip-masq": false}', {"bip": "10.8.0.1/24", "ip_masq": True}, False),
        ("{}", {"bip": "10.8.0.1/24", "ip_masq": False}, True),
        ("{}", {"ip_masq": False}, False),
    ],
)
def test_a_rule_that_docker_forgot_is_found_beforehand(
    monkeypatch: pytest.MonkeyPatch, before: str, parameters: Dict[str, Any], refused: bool
) -> None:
    rules = "-A POSTROUTING -s 10.8.0.0/24 ! -o docker0 -j MASQUERADE\n"
    rules += "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n"
    monkeypatch.setattr(preflight, "default_backend", lambda: "nft")
    monkeypatch.setattr(preflight, "saved", lambda *_arguments: rules)
    found = preflight._Found([], [], [])
    now = situation(json_text=before)
    preflight._check_masquerade(now, planned(now, **parameters), found)
    assert ["10.8.0.0/24 is masqueraded" in line for line in found.conflict] == ([True] if refused else [])


def test_docker_is_restarted_for_its_rules_only_where_it_would_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = edited('{"storage-driver": "nope", "mtu": 1}')._replace(hindrances=("docker.socket: is masked",))
    monkeypatch.setattr(restart, "read_host", lambda *_arguments: now)
    with pytest.raises(Conflict) as caught:
        restart.restartable(Api("/nowhere"), now.engine)
    once = situation(Container("o", "once", running=True, auto_remove=True)).engine
    with pytest.raises(Conflict, match="container once: it was started with --rm"):
        restart.restartable(Api("/nowhere"), once)
    assert [line.partition(": ")[2].partition(" ")[0] for line in caught.value.problems] == [
        "docker.socket:",
        "/etc/docker/daemon.json,",
        "storage-driver:",
    ]
    monkeypatch.setattr(restart, "read_host", lambda *_arguments: situation())
    restart.restartable(Api("/nowhere"), now.engine)
    once = situation(Container("o", "once", running=True, auto_remove=True)).engine
    with pytest.raises(Conflict, match="container once: it was started with --rm"):
        restart.restartable(Api("/nowhere"), once)
