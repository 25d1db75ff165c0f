# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: hosts of their own on this machine, without any privilege, that leave nothing behind."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.hostwire.linux.plugins.plugin_utils.lab import state
from ansible_collections.hostwire.linux.tests.lab import machine

REPOSITORY = Path(__file__).resolve().parents[2]
HOSTS = ["patchbay", "neighbour"]
LISTENER = {"host": "patchbay", "netns": "blue", "port": 80}
REQUEST: dict[str, Any] = {"machine": "switchroom", "hosts": HOSTS, "listeners": [LISTENER]}
NAMESPACES = ["--user", "--preserve-credentials", "--mount", "--net", "--uts", "--ipc", "--pid"]
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
NOBODY = 65534
PYTHON = os.path.realpath(sys.executable)  # not a link inside a virtual environment, which a host may not see
PATIENCE = 10.0  # seconds, for what takes milliseconds


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lab that is up, by its directory."""
    path = tmp_path_factory.mktemp("lab") / "hosts"
    state.replace(path, REQUEST)
    yield path
    state.replace(path, None)


def holders(directory: Path) -> dict[str, state.Holder]:
    lab = state.read(directory)
    assert lab is not None
    return lab.holders


def entering(directory: Path, host: str) -> list[str]:
    return ["nsenter", "--target", str(holders(directory)[host].pid), *NAMESPACES, "--"]


def run(directory: Path, host: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script inside a lab host."""
    words = [*entering(directory, host), "sh", "-ec", script]
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)


def said(directory: Path, host: str, script: str) -> str:
    done = run(directory, host, script)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def eventually(claim: Callable[[], bool]) -> bool:
    """Whether the claim comes true. For what the kernel announces to nobody outside the lab."""
    deadline = time.monotonic() + PATIENCE
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def play(directory: Path, hosts: str, tasks: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """Run tasks (a playbook may be JSON) on lab hosts of this file's lab."""
    playbook = directory.parent / "playbook.json"
    playbook.write_text(json.dumps([{"hosts": hosts, "gather_facts": False, "tasks": tasks}]))
    variables = {
        "ansible_connection": "hostwire.linux.lab",
        "ansible_python_interpreter": PYTHON,
        "lab_directory": str(directory),
    }
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", f"{hosts},", "-e", json.dumps(variables), str(playbook)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "build"), "ANSIBLE_NOCOLOR": "1"},
        cwd=directory.parent,
        timeout=120,
    )


def test_each_host_has_its_own_name_processes_and_network(directory: Path) -> None:
    for host in [*HOSTS, "switchroom"]:
        assert said(directory, host, "hostname; cat /etc/hostname") == f"{host}\n{host}"
        assert said(directory, host, "cat /proc/1/cmdline | tr '\\0' ' '").endswith("lab.launch")
        assert said(directory, host, "ls /sys/class/net") == "lo"
        assert "LOWER_UP" in said(directory, host, "ip link show lo")


def test_the_machine_of_the_lab_sees_the_networks_of_the_hosts(directory: Path) -> None:
    said(directory, "switchroom", "ip link add x0 type veth peer name eth9 netns patchbay")
    assert "eth9" in said(directory, "patchbay", "ip link show")
    said(directory, "switchroom", "ip link del x0")
    assert said(directory, "patchbay", "ls /run/netns") == ""


@pytest.mark.parametrize("place", ["/etc", "/run", "/var/lib", "/tmp", "/dev/shm"])
def test_files_of_a_host_are_seen_by_nobody_else(directory: Path, place: str) -> None:
    mark = f"{place}/mark-of-{os.getpid()}"
    said(directory, "patchbay", f"touch {mark}")
    assert not Path(mark).exists()
    assert run(directory, "neighbour", f"test -e {mark}").returncode == 1
    assert run(directory, "switchroom", f"test -e {mark}").returncode == 1


@pytest.mark.parametrize(
    "deed",
    [
        "touch /usr/mark",
        "echo 7 >/proc/sys/vm/swappiness",
        "echo x >/sys/kernel/uevent_helper",
    ],
)
def test_the_rest_of_the_machine_is_read_only(directory: Path, deed: str) -> None:
    done = run(directory, "patchbay", deed)
    assert done.returncode != 0
    assert "Read-only file system" in done.stderr


def test_settings_of_its_network_can_be_written(directory: Path) -> None:
    before = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    assert said(directory, "neighbour", "cd /proc/sys/net/ipv4; echo 1 >ip_forward; cat ip_forward") == "1"
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == before


def test_an_orphan_leaves_no_zombie(directory: Path) -> None:
    said(directory, "neighbour", "setsid sleep 0.01 >/dev/null 2>&1 &")
    assert eventually(lambda: "sleep" not in said(directory, "neighbour", "ps -eo comm"))


def test_a_listener_follows_its_namespace_and_no_process_is_inside(directory: Path) -> None:
    connect = "import socket; socket.create_connection(('127.0.0.1', 80), 2).close()"
    call = f'ip netns exec blue {PYTHON} -c "{connect}"'
    for dummy in range(2):
        said(directory, "patchbay", "ip netns add blue; ip -n blue link set lo up")
        assert eventually(lambda: run(directory, "patchbay", call).returncode == 0)
        assert said(directory, "patchbay", "ip netns pids blue") == ""
        said(directory, "patchbay", "ip netns del blue")


def test_ansible_runs_modules_copies_and_fetches(directory: Path, tmp_path: Path) -> None:
    name = "/etc/a name; touch $(id) 'x'"
    content = tmp_path / "content"
    content.write_bytes(bytes(range(256)) * 1000)
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.ping": {}, "vars": {"ansible_pipelining": True}},
        {"ansible.builtin.ping": {}, "vars": {"ansible_pipelining": False}},
        {"ansible.builtin.copy": {"src": str(content), "dest": name}},
        {"ansible.builtin.fetch": {"src": name, "dest": f"{tmp_path}/fetched", "flat": True}},
    ]
    done = play(directory, "patchbay", tasks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "fetched").read_bytes() == content.read_bytes()
    assert said(directory, "patchbay", "ls -d /etc/a*name*") == name


def test_a_host_that_is_not_there_is_named_with_the_way_to_make_it(directory: Path) -> None:
    done = play(directory, "nowhere", [{"ansible.builtin.raw": "true"}])
    assert done.returncode != 0
    assert "There is no lab host nowhere" in done.stdout
    assert "ansible-playbook hostwire.linux.lab" in done.stdout


def test_only_a_difference_is_a_change(tmp_path: Path) -> None:
    wanted = {"directory": str(tmp_path / "lab"), "hosts": ["one"]}
    runs: list[tuple[dict[str, Any], bool, bool]] = [  # options, in check mode, whether that is a change
        (wanted, True, True),
        (wanted, False, True),
        (wanted, False, False),
        ({**wanted, "hosts": ["one", "two"]}, False, True),
        ({**wanted, "state": "absent"}, True, True),
        ({**wanted, "state": "absent"}, False, True),
        ({**wanted, "state": "absent"}, False, False),
    ]
    tasks = []
    for options, check, changed in runs:
        tasks.append({"hostwire.linux.lab": options, "check_mode": check, "register": "result"})
        tasks.append({"ansible.builtin.assert": {"that": f"result is {'' if changed else 'not '}changed"}})
    done = play(tmp_path / "lab", "nowhere", tasks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "lab").exists()


def test_another_request_makes_the_lab_anew(tmp_path: Path) -> None:
    state.replace(tmp_path / "lab", {**REQUEST, "hosts": ["patchbay"]})
    first = holders(tmp_path / "lab")
    state.replace(tmp_path / "lab", {**REQUEST, "hosts": ["patchbay"]})
    assert holders(tmp_path / "lab") == first
    state.replace(tmp_path / "lab", REQUEST)
    assert not any(state.lives(holder) for holder in first.values())
    assert set(holders(tmp_path / "lab")) == {"patchbay", "neighbour", "switchroom"}
    state.replace(tmp_path / "lab", None)


def test_absent_ends_every_process_and_takes_the_directory(tmp_path: Path) -> None:
    state.replace(tmp_path / "lab", REQUEST)
    held = holders(tmp_path / "lab")
    child = subprocess.Popen([*entering(tmp_path / "lab", "patchbay"), "sleep", "1000"])
    said(tmp_path / "lab", "patchbay", "setsid sleep 1000 >/dev/null 2>&1 &")
    state.replace(tmp_path / "lab", None)
    assert child.wait(PATIENCE) == -signal.SIGKILL or child.returncode == 128 + signal.SIGKILL
    assert not any(state.lives(holder) for holder in held.values())
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(("boot", "age"), [(None, 1), ("another boot of this machine", 0)])
def test_a_process_that_merely_has_the_recorded_pid_is_left_alone(tmp_path: Path, boot: str | None, age: int) -> None:
    innocent = subprocess.Popen(["sleep", "1000"])
    try:
        (tmp_path / "lab").mkdir(mode=0o700)
        recorded = {"patchbay": state.Holder(innocent.pid, state.started(innocent.pid) - age)}
        text = json.dumps({"boot": boot or state.boot_id(), "request": REQUEST, "holders": recorded})
        (tmp_path / "lab" / state.STATE_FILE).write_text(text)
        assert holders(tmp_path / "lab") == {}
        state.replace(tmp_path / "lab", None)
        assert not (tmp_path / "lab").exists()
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def test_a_lab_that_fails_says_why_and_leaves_no_process(tmp_path: Path) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # holders without a launcher become our children
    try:
        before = children()
        with pytest.raises(state.LabError, match=r"switchroom could not be made: .*run/netns/no/name"):
            state.replace(tmp_path / "lab", {**REQUEST, "hosts": ["patchbay", "no/name"]})
        for pid in set(children()) - set(before):
            os.waitpid(pid, 0)
        assert state.read(tmp_path / "lab") is None
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"holders": {"a": [1]}}'])
def test_what_is_no_record_of_a_lab_is_no_lab(tmp_path: Path, text: str) -> None:
    (tmp_path / state.STATE_FILE).write_text(text)
    assert state.read(tmp_path) is None


def test_a_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir(mode=0o755)
    with pytest.raises(state.LabError, match="mode 0700"):
        state.replace(tmp_path / "lab", REQUEST)


def lab_as_a_program(directory: Path, build: Path) -> list[str]:
    """The words that make and remove a lab with the distribution's Python, which every user can run."""
    program = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from ansible_collections.hostwire.linux.plugins.plugin_utils.lab import state\n"
        "directory, request = Path(sys.argv[1]), json.loads(sys.argv[2])\n"
        "try:\n"
        "    state.replace(directory, request)\n"
        "except state.LabError as error:\n"
        "    sys.exit(str(error))\n"
        "print(sorted(state.read(directory).holders))\n"
        "state.replace(directory, None)\n"
        "print(directory.exists())\n"
    )
    interpreter = ["env", f"PYTHONPATH={build}", "PYTHONDONTWRITEBYTECODE=1", "/usr/bin/python3", "-c", program]
    return [*interpreter, str(directory), json.dumps(REQUEST)]


@pytest.fixture
def readable_build() -> Iterator[Path]:
    """The lab's own code where every user can read it."""
    path = Path(f"/tmp/hostwire-readable-{os.getpid()}")
    package = "ansible_collections/hostwire/linux/plugins/plugin_utils"
    shutil.copytree(REPOSITORY / "plugins/plugin_utils", path / package, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["chmod", "-R", "a+rX", str(path)], check=True)
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_unprivileged_user_makes_and_removes_a_lab(readable_build: Path) -> None:
    home = readable_build / "home"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY, NOBODY)
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    words = [*become, *lab_as_a_program(home / "lab", readable_build)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["['neighbour', 'patchbay', 'switchroom']", "False"]


@pytest.mark.parametrize("setting", ["user.max_user_namespaces", "user.max_net_namespaces"])
def test_where_user_namespaces_are_forbidden_it_says_which_setting_does(
    tmp_path: Path, readable_build: Path, setting: str
) -> None:
    path = f"/proc/sys/{setting.replace('.', '/')}"
    # These limits are those of a user namespace: of one of the test's own here, of the machine in earnest.
    script = f'echo 0 >{path}; exec "$@"'
    words = ["unshare", "--user", "--map-root-user", "sh", "-ec", script, "sh"]
    words += lab_as_a_program(tmp_path / "lab", readable_build)
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"{setting} is 0" in done.stderr
    assert f"sudo sysctl -w {setting}=" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read the machine's firewall")
def test_the_machine_has_the_same_network_before_and_after(tmp_path: Path) -> None:
    network, sysctls = machine.own_network(), machine.own_sysctls()
    state.replace(tmp_path / "lab", REQUEST)
    try:
        said(tmp_path / "lab", "switchroom", "ip link add br0 type bridge; ip addr add 198.51.100.1/24 dev br0")
        said(tmp_path / "lab", "patchbay", "iptables -t nat -A POSTROUTING -j MASQUERADE")
        said(tmp_path / "lab", "patchbay", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        assert machine.own_network() == network
        assert machine.changed_sysctls(sysctls) == {}
    finally:
        state.replace(tmp_path / "lab", None)
    assert machine.own_network() == network
    assert machine.changed_sysctls(sysctls) == {}
