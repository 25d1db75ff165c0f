# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Docker as it is would start again: values in files, what runs beside them, and who answers at the socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.docker_api import Api
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd import (
    configuration,
    daemon_json,
    process,
    service,
    units,
)
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.configuration import Configuration
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.options import BY_KEY
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import preflight, situation
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.agreement import bad_values, differences
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, InvalidValue, MissingOnHost
from ansible_collections.hostwire.linux.tests.unit import test_docker_readdress

UNIT = "/etc/systemd/system/docker.service"


def host(json_text: Optional[str] = None, defaults: Optional[str] = None, address: str = "172.17.0.1/16") -> Any:
    return test_docker_readdress.situation(json_text=json_text, defaults=defaults, address=address)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("bip", 5, "bip: 5 is not a text"),
        ("bip", "10.1.1.1", 'bip: "10.1.1.1" is not an IPv4 address with its prefix length'),
        ("bip", "172.17.0.0/24", 'bip: "172.17.0.0/24" is the network\'s own address'),
        ("bip6", "10.0.0.1/24", 'bip6: "10.0.0.1/24" is not an IPv6 address'),
        ("fixed-cidr", "nonsense", 'fixed-cidr: "nonsense" is not an IPv4 network'),
        ("fixed-cidr-v6", "fd00::1/64", 'fixed-cidr-v6: "fd00::1/64" has host bits set'),
        ("mtu", 12, "mtu: 12 bytes"),
        ("mtu", "1400", "mtu: '1400' is not a number"),
        ("mtu", True, "mtu: True is not a number"),
        ("icc", "no", "icc: 'no' is not true or false"),
        ("iptables", "false", "iptables: 'false' is not true or false"),
        ("default-address-pools", [{"base": "10.0.0.0/16", "size": 8}], "default-address-pools[0].size"),
        ("default-address-pools", ["10.0.0.0/16"], 'default-address-pools[0]: "10.0.0.0/16" is not a pool'),
        ("default-address-pools", "10.0.0.0/16", "default-address-pools: '10.0.0.0/16' is not a list"),
        ("dns", "192.0.2.1", "dns: '192.0.2.1' is not a list"),
    ],
)
def test_values_in_the_file_are_judged_as_parameters_are(key: str, value: Any, said: str) -> None:
    now = host(json.dumps({"debug": True, key: value}))
    (line,) = bad_values(now.configuration)
    assert line.startswith(f"{daemon_json.PATH}, line 1: {said}")
    with pytest.raises(InvalidValue):
        preflight.check_values(now)


@pytest.mark.parametrize(
    ("words", "said"),
    [("--bip=10.1.1.1", "bip: "), ("--mtu x", "mtu: "), ("--default-address-pool 10.0.0.0/8", "default-address-pools")],
)
def test_so_are_values_of_flags(words: str, said: str) -> None:
    (line,) = bad_values(host(defaults=f'#\nDOCKER_OPTS="{words}"\n').configuration)
    assert line.startswith(f"/etc/default/docker, line 2: {said}")


def test_right_values_are_no_trouble() -> None:
    text = {"bip": "172.17.0.1/16", "mtu": 1400, "ipv6": False, "dns": ["192.0.2.1"], "hosts": ["fd://"]}
    pools = "--default-address-pool base=10.1.0.0/16,size=24 --default-address-pool=base=10.2.0.0/16,size=24"
    now = host(json.dumps(text), defaults=f'DOCKER_OPTS="{pools} --icc=false"\n')
    assert bad_values(now.configuration) == []


def unit(exec_start: str, running: Optional[List[str]], environment: str = "") -> Any:
    """A host whose unit has this ExecStart, and where this command line runs."""
    text = units.Text(UNIT, f"[Service]\nEnvironmentFile=-/e\nExecStart={exec_start}\n")
    texts: Dict[str, Optional[str]] = {UNIT: text.text, "/e": environment, daemon_json.PATH: None}
    read = units.read_unit([text], texts.get)
    arguments = units.arguments_of(read)
    found: Configuration = configuration.assemble(service.SYSTEMD, arguments, daemon_json.PATH, None, texts)
    program = next((word for word in read.command[:1] if not units.is_dockerd(word.text)), None)
    now = host()._replace(configuration=found._replace(program=program))
    return now._replace(process=process.Process(9, tuple(running)) if running else None)


AGREE: List[Tuple[str, List[str]]] = [
    ("/usr/bin/dockerd -H fd:// --bip=10.1.0.1/24", ["dockerd", "-H", "fd://", "--bip=10.1.0.1/24"]),
    ("/usr/bin/dockerd --bip 10.1.0.1/24", ["/usr/bin/dockerd", "--bip", "10.1.0.1/24"]),
    ("@/usr/bin/dockerd dockerd --bip=10.1.0.1/24", ["dockerd", "--bip=10.1.0.1/24"]),
    ("-/usr/bin/nice -n 5 /usr/bin/dockerd --bip=10.1.0.1/24", ["/usr/bin/dockerd", "--bip=10.1.0.1/24"]),
    ("/usr/bin/env A=b dockerd --bip=10.1.0.1/24", ["dockerd", "--bip=10.1.0.1/24"]),
    ("/usr/bin/dockerd $OPTS", ["/usr/bin/dockerd", "--bip=10.1.0.1/24"]),
    (
        "/usr/bin/dockerd --label host=%H --data-root=/srv/%i",
        ["/usr/bin/dockerd", "--label", "host=box", "--data-root=/srv/x"],
    ),
    ("/usr/local/bin/start-docker", ["dockerd", "-H", "fd://", "--debug"]),
    ("/bin/sh -c 'exec dockerd -H fd:// --debug'", ["dockerd", "-H", "fd://", "--debug"]),
]


@pytest.mark.parametrize(("exec_start", "running"), AGREE)
def test_what_runs_as_the_files_say_is_no_trouble(exec_start: str, running: List[str]) -> None:
    now = unit(exec_start, running, 'OPTS="--bip=10.1.0.1/24"\n')
    assert [line for line in differences(now) if "Docker runs with" not in line] == []
    assert all(word in running or "%" in word for word in now.arguments)


@pytest.mark.parametrize(
    ("exec_start", "running", "said"),
    [
        ("/bin/sh -c 'exec dockerd --bip=10.1.0.1/24'", ["dockerd", "--bip=10.1.0.1/24"], "starts it by /bin/sh"),
        ("/usr/local/bin/start", ["dockerd", "--mtu", "1400"], "starts it by /usr/local/bin/start"),
        ("/usr/local/bin/start", ["dockerd", "--iptables=false"], "starts it by /usr/local/bin/start"),
        ("/usr/local/bin/start", ["dockerd", "--config-file=/srv/d.json"], "starts it by /usr/local/bin/start"),
        ("/usr/bin/dockerd $UNKNOWN", ["dockerd", "--bip=10.1.0.1/24"], "none of its files says"),
        ("/usr/bin/dockerd", ["dockerd", "--bip6=fd00::1/64"], "none of its files says"),
        ("/usr/bin/dockerd --bip=10.1.0.1/24", ["dockerd"], f"{UNIT}, line 3 says 10.1.0.1/24, dockerd runs without"),
        ("/usr/bin/dockerd --mtu=1", ["dockerd", "--mtu=2"], f"{UNIT}, line 3 says 1, dockerd runs with 2"),
        ("/usr/bin/dockerd -H fd://", ["dockerd", "-H", "unix://"], "dockerd runs with unix://"),
        ("/usr/local/bin/start", None, "starts /usr/local/bin/start, behind which no dockerd is seen"),
    ],
)
def test_what_the_files_do_not_explain_is_a_conflict(
    monkeypatch: pytest.MonkeyPatch, exec_start: str, running: Optional[List[str]], said: str
) -> None:
    now = unit(exec_start, running)
    assert said in differences(now)[0]
    assert said in test_docker_readdress.checked(now, monkeypatch, icc=False)


def test_a_process_that_is_not_seen_is_no_trouble_where_dockerd_is_started_plainly() -> None:
    assert differences(unit("/usr/bin/dockerd -H fd://", None)) == []


@pytest.mark.parametrize(
    ("text", "differs"),
    [
        ({"bip": "10.9.0.1/24"}, True),
        ({"bip": "172.17.0.1/24"}, True),
        ({"bip": "172.17.0.1/16"}, False),
        ({"icc": False}, True),
        ({"icc": True}, False),
        ({"mtu": 1400}, True),
        ({"ip-masq": False}, True),
        ({"ip-masq": False, "iptables": False}, False),
        ({"fixed-cidr": "172.17.4.0/24"}, True),
        ({"fixed-cidr": "172.17.8.0/24"}, False),
        ({"data-root": "/srv/docker"}, True),
        ({"data-root": "/var/lib/docker"}, False),
        ({"data-root": "/var/lib"}, True),
        ({"debug": True}, False),
    ],
)
def test_a_file_that_was_edited_since_the_start_is_a_conflict(text: Dict[str, Any], differs: bool) -> None:
    now = host(json.dumps(text))
    options = {
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.driver.mtu": "1500",
    }
    bridge, office = now.engine.networks
    subnets = (bridge.subnets[0]._replace(ip_range="172.17.8.0/24"),)
    networks = (bridge._replace(options=options, subnets=subnets), office)
    now = now._replace(engine=now.engine._replace(networks=networks, root="/var/lib/docker"))
    said = differences(now)
    assert bool(said) is differs
    if differs:
        key = next(iter(text))
        assert said[0].startswith(f"{key}: {daemon_json.PATH}, line 1 says ")
        assert "systemctl restart docker" in said[0]


def test_variables_come_from_where_systemd_says() -> None:
    text = units.Text(UNIT, "[Service]\nEnvironmentFile=-/etc/default/%p-opts\nExecStart=/usr/bin/dockerd $OPTS\n")
    texts = {"/etc/default/docker-opts": "OPTS=--bip=10.1.0.1/24\n"}
    assert units.arguments_of(units.read_unit([text], texts.get)) == ()
    (word,) = units.arguments_of(units.read_unit([text], texts.get, ["/etc/default/docker-opts"]))
    assert (word.text, word.file) == ("--bip=10.1.0.1/24", "/etc/default/docker-opts")


SHOWN = """\
Id=docker.service
LoadState=loaded
ActiveState={active}
EnvironmentFiles=/etc/default/docker (ignore_errors=yes)
EnvironmentFiles={pattern} (ignore_errors=no)
MainPID=42

Id=docker.socket
ActiveState=inactive
Listen=/run/docker.sock (Stream)
Listen=172.17.0.1:2375 (Stream)
"""


def shown(monkeypatch: pytest.MonkeyPatch, text: str) -> service.UnitFiles:
    def run(command: List[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, text, "")

    monkeypatch.setattr(service, "_run", run)
    return service.unit_files()


def test_what_systemd_answers_repeatedly_is_read_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).touch()
    found = shown(monkeypatch, SHOWN.format(active="active", pattern=f"{tmp_path}/*"))
    assert found.environment_files == ("/etc/default/docker", f"{tmp_path}/a", f"{tmp_path}/b")
    assert found.listens == ("/run/docker.sock", "172.17.0.1:2375")
    assert found.main_pid == 42


def test_the_dockerd_that_runs_is_found_behind_a_wrapper(tmp_path: Path) -> None:
    program = tmp_path / "dockerd"
    program.symlink_to(sys.executable)
    waits = "import sys; sys.stdout.write('.'); sys.stdout.flush(); sys.stdin.read()"
    wrapped = ["/bin/sh", "-c", '"$@"; true', "sh", str(program), "-c", waits, "--bip=10.1.0.1/24"]
    with subprocess.Popen(wrapped, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.read(1) == b"."
        found = process.running(child.pid)
        assert process.running(0) is None
        child.communicate()
    assert found is not None
    assert found.pid != child.pid
    assert found.arguments[-1] == "--bip=10.1.0.1/24"
    assert process.running(child.pid) is None
    assert process.command_line(child.pid) == ()


def test_who_listens_at_a_socket_is_told_by_the_kernel(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    assert process.listener(path) is None
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        found = process.listener(path)
    assert found is not None
    assert found.pid == os.getpid()
    assert found.command


@pytest.mark.parametrize(
    ("active", "socket_active", "listens", "kind", "said"),
    [
        (False, False, 77, Conflict, "is stopped, but what answers"),
        (True, False, 77, Conflict, "runs, too, but what answers"),
        (True, True, 77, Conflict, "runs, too, but what answers"),
        (False, True, 1, MissingOnHost, "Docker must run before docker0 can get another address"),
        (False, False, None, MissingOnHost, "Docker must run before docker0 can get another address"),
        (True, True, 1, None, ""),
        (True, False, 42, None, ""),
        (True, True, None, None, ""),
    ],
)
def test_an_engine_that_docker_service_is_not_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
    active: bool,
    socket_active: bool,
    listens: Optional[int],
    kind: Any,
    said: str,
) -> None:
    asked = []

    def listener(path: str) -> Optional[process.Process]:
        asked.append(path)
        return process.Process(listens, ("/snap/docker/1/bin/dockerd",)) if listens else None

    monkeypatch.setattr(situation, "listener", listener)
    files = service.UnitFiles((), True, active, socket_active, False)
    arguments = (Api("/run/x.sock"), files, process.Process(42, ("dockerd",)), host().configuration)
    if kind is None:
        situation._demand_own(*arguments)
    else:
        with pytest.raises(kind, match=said):
            situation._demand_own(*arguments)
    assert bool(asked) is (active or not socket_active)  # a question to docker.socket would start Docker


def test_every_option_that_is_compared_is_in_the_table() -> None:
    assert {"bip", "fixed-cidr", "data-root", "hosts", "metrics-addr"} <= set(BY_KEY)
