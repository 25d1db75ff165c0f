# SPDX-License-Identifier: GPL-3.0-or-later
"""Real hosts with a real Docker engine, and the collection's modules run on them as a task would."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar

import ansible

from ansible_collections.hostwire.linux.tests.testbed.engine import TestbedError
from ansible_collections.hostwire.linux.tests.testbed.hosts import Host, Testbed

REPOSITORY = Path(__file__).resolve().parents[2]
ENGINES = {"bookworm": "20.10", "trixie": "26.1", "forky": "28.5"}
LIBRARY = "/opt/hostwire"
# A module as Ansible runs it, minus the packing: parameters in by ``basic``, the answer out on standard output.
DRIVER = """
import json, runpy, sys
sys.path.insert(0, "/opt/hostwire")
sys.dont_write_bytecode = True
import ansible.module_utils.basic as basic
name, parameters = json.load(sys.stdin)
basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": parameters}).encode()
basic._ANSIBLE_PROFILE = "legacy"
sys.argv = [name]
runpy.run_module("ansible_collections.hostwire.linux.plugins.modules." + name, run_name="__main__")
"""
# A container that ends at once when it is told to: no stop costs the engine's ten seconds.
IDLE = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done")
Value = TypeVar("Value")


def serving(answer: str, port: int = 80) -> tuple[str, ...]:
    """A container's command that answers a line on a TCP port and ends at once when it is told to."""
    return ("sh", "-c", f"trap 'exit 0' TERM; nc -ll -p {port} -e echo {answer} & wait $!")


class Machine:
    """One test host. Its methods raise TestbedError where a program on it fails."""

    def __init__(self, testbed: Testbed, host: Host) -> None:
        self.testbed = testbed
        self.host = host
        self.name, self.release = host.name, host.release

    @property
    def address(self) -> str:
        """Its IPv4 address on the LAN."""
        return self.host.ipv4

    def run(self, *command: str, stdin: str = "", check: bool = True) -> str:
        """The output of a program on the host."""
        done = self.completed(*command, stdin=stdin)
        if check and done.returncode:
            raise TestbedError(f"{self.name}: {shlex.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def completed(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A program's whole outcome."""
        client = ["docker", "--host", self.testbed.engine.socket, "exec", "--interactive", self.name]
        return subprocess.run([*client, *command], input=stdin, capture_output=True, text=True, check=False)

    def docker(self, *arguments: str, check: bool = True) -> str:
        """The docker client on the host, stripped output."""
        return self.run("docker", *arguments, check=check).strip()

    def inspect(self, name: str, kind: str = "container") -> Any:
        """What the host's engine says of a container, or another kind of object."""
        return json.loads(self.docker(kind, "inspect", name))[0]

    def module(self, name: str, /, *, check: bool = False, diff: bool = True, **parameters: Any) -> dict[str, Any]:
        """The answer of a module of the collection, a failure's too; it never has a traceback."""
        asked = {**parameters, "_ansible_check_mode": check, "_ansible_diff": diff}
        done = self.completed("python3", "-c", DRIVER, stdin=json.dumps([name, asked]))
        assert "Traceback" not in done.stderr + done.stdout, done.stderr + done.stdout
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except ValueError as problem:
            raise AssertionError(f"{name} on {self.name}: {done.stdout}{done.stderr}") from problem
        return answer

    def done(self, name: str, /, **parameters: Any) -> dict[str, Any]:
        """The same, of a module that must not fail."""
        answer = self.module(name, **parameters)
        assert not answer.get("failed"), answer["msg"]
        return answer

    def read(self, path: str) -> Optional[str]:
        """A file's text as it stands there, None if there is none."""
        done = self.completed("cat", path)
        return done.stdout if done.returncode == 0 else None

    def write(self, path: str, text: str) -> None:
        """Write a file, and the directory that it is in."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1"', "sh", path, stdin=text)

    def start_docker(self) -> None:
        """Start the engine and wait until it serves."""
        self.run("sh", "-c", "systemctl reset-failed docker docker.socket; systemctl start docker")

    def reset(self, *, legacy: bool = False) -> None:
        """A host on which Docker was just installed and started; ``legacy``: with iptables-legacy."""
        kind = "legacy" if legacy else "nft"
        self.run("sh", "-c", RESET, "sh", kind)

    def reboot(self) -> None:
        """Restart the host. What was enabled comes back; its address on the LAN may be another."""
        self.testbed.reboot(self.name)
        (entry,) = json.loads(self.testbed.engine.docker("inspect", self.name))
        network = entry["NetworkSettings"]["Networks"]["bridge"]
        self.host = self.host._replace(ipv4=network["IPAddress"], ipv6=network["GlobalIPv6Address"])

    def asks(self, address: str, port: int, seconds: float = 10.0) -> str:
        """What a TCP port answers to this host, "" if nothing within ``seconds``."""
        return self.run("python3", "-c", ASK, address, str(port), str(seconds)).strip()

    def outside_asks(self, port: int, seconds: float = 10.0, address: str = "") -> str:
        """What the host's TCP port answers to another machine on its LAN, "" if nothing within ``seconds``."""
        inside = ("nsenter", f"--net=/proc/{self.testbed.engine.inner_pid()}/ns/net")
        command = [*inside, "python3", "-c", ASK, address or self.address, str(port), str(seconds)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


RESET = """
set -eu
systemctl stop docker.socket docker.service 2>/dev/null || true
systemctl reset-failed docker.socket docker.service 2>/dev/null || true
for link in $(ip -o link show type bridge | cut -d: -f2); do ip link delete "$link"; done
for flavour in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do
    for table in raw mangle nat filter; do
        if [ "$($flavour-save -t $table 2>/dev/null | grep -c '^[-:]')" -gt 0 ]; then
            $flavour -t $table -F; $flavour -t $table -X
        fi
    done
    $flavour -P FORWARD ACCEPT 2>/dev/null || true
done
rm -rf /var/lib/docker/* /etc/docker /etc/systemd/system/docker.service.d /var/lib/hostwire
sed -i '/^DOCKER_OPTS/d' /etc/default/docker 2>/dev/null || true
update-alternatives --quiet --set iptables "/usr/sbin/iptables-$1"
update-alternatives --quiet --set ip6tables "/usr/sbin/ip6tables-$1"
systemctl daemon-reload
systemctl start docker
docker import /usr/local/share/hostwire/busybox.tar busybox >/dev/null
"""
ASK = """
import socket, sys, time
address, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
end = time.monotonic() + seconds
while True:
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.settimeout(1)
            answer = connection.recv(100)
            if answer:
                print(answer.decode())
                break
    except OSError:
        pass
    if time.monotonic() > end:
        break
    time.sleep(0.05)
"""


class Machines:
    """Hosts on a test bed of their own, booted when they are first asked for."""

    def __init__(self, directory: Path) -> None:
        self.testbed = Testbed(directory)
        self._booted: dict[str, Machine] = {}

    def get(self, release: str) -> Machine:
        """The host of a Debian release: bookworm (Docker 20.10), trixie (26.1) or forky (28.5)."""
        if release not in self._booted:
            (host,) = self.testbed.run({release: release})
            machine = Machine(self.testbed, host)
            self._furnish(machine)
            machine.run("systemctl", "enable", "--quiet", "docker.service", "docker.socket")
            self._booted[release] = machine
        return self._booted[release]

    def down(self) -> None:
        """Take all of it away."""
        self.testbed.engine.stop()

    def _furnish(self, machine: Machine) -> None:
        """Ansible's and the collection's code that a task would bring along."""
        archive = io.BytesIO()
        collection = f"{LIBRARY}/ansible_collections/hostwire/linux"
        package = Path(ansible.__file__).parent
        with tarfile.open(fileobj=archive, mode="w") as packed:
            for source, target in (
                (REPOSITORY / "plugins", f"{collection}/plugins"),
                (package / "module_utils", f"{LIBRARY}/ansible/module_utils"),
                (package / "__init__.py", f"{LIBRARY}/ansible/__init__.py"),
                (package / "_vendor", f"{LIBRARY}/ansible/_vendor"),
                (package / "release.py", f"{LIBRARY}/ansible/release.py"),
            ):
                packed.add(source, target.lstrip("/"), filter=_source)
        client = ["docker", "--host", self.testbed.engine.socket, "cp", "-", f"{machine.name}:/"]
        subprocess.run(client, input=archive.getvalue(), check=True, capture_output=True)


def _source(entry: tarfile.TarInfo) -> Optional[tarfile.TarInfo]:
    return None if entry.name.endswith((".pyc", "__pycache__")) else entry


def eventually(look: Callable[[], Value], right: Callable[[Value], object], seconds: float = 30.0) -> Value:
    """What ``look`` sees once it is right; after ``seconds`` whatever it sees."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if right(seen) or time.monotonic() > end:
            return seen
        time.sleep(0.2)
