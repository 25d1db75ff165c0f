# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts for tests: systemd containers, each with its own network, disk and (when started) Docker engine.

``docker restart`` of such a host is a reboot: namespaces, links and rules are gone, the disk stays. Inside, nothing can
be pulled: /usr/local/share/hostwire/busybox.tar is there for ``docker import``.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Dict, List, NamedTuple, Optional, Type

from ..images.build import image
from .engine import Engine, TestbedError

_BOOT = Path(__file__).with_name("boot.sh")
_BOOT_SECONDS = 90.0
# --privileged would fail where the machine itself lacks a capability.
_AS_A_HOST = (
    "--tmpfs=/run",
    "--tmpfs=/tmp",
    "--cap-add=NET_ADMIN",
    "--cap-add=SYS_ADMIN",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",  # else the Docker engine inside can't turn ip_forward on
    "--cgroupns=private",
    "--sysctl=net.ipv6.conf.all.disable_ipv6=0",
    "--sysctl=net.ipv6.conf.default.disable_ipv6=0",
    "--volume=/var/lib/docker",  # an overlay can't lie on an overlay
    "--volume=/var/lib/containerd",
)


class Host(NamedTuple):
    """A running host and its addresses on the LAN that all hosts share."""

    name: str
    release: str
    ipv4: str
    ipv6: str


class Testbed:
    """An engine of its own and the hosts on it; as a context manager it takes all of it away at the end."""

    def __init__(self, directory: Path) -> None:
        self.engine = Engine(directory)

    def __enter__(self) -> Testbed:
        self.engine.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.engine.stop()

    def run(self, releases: Dict[str, str]) -> List[Host]:
        """Boots a host per entry (name: Debian release) and returns when all of them are up.

        Raises TestbedError when one isn't up, with every unit started, within 90 seconds; images.BuildFailed.
        """
        tarballs = {release: image(release) for release in sorted(set(releases.values()))}
        self.engine.start()
        for release, tarball in tarballs.items():
            self._import(release, tarball)
        for name, release in releases.items():
            boot = ("/bin/sh", "-c", _BOOT.read_text())
            self.engine.docker(
                "run", "--detach", f"--name={name}", f"--hostname={name}", *_AS_A_HOST, _tag(release), *boot
            )
        return [self._booted(name, release) for name, release in releases.items()]

    def execute(self, host: str, *command: str) -> str:
        """Runs a program on a host and returns its output; TestbedError if it fails."""
        return self.engine.docker("exec", host, *command)

    def reboot(self, host: str) -> None:
        """Restarts a host and waits until it is up again."""
        self.engine.docker("restart", "-t", "0", host)
        self.await_boot(host)

    def await_boot(self, host: str) -> None:
        """Returns once systemd has started everything; TestbedError, naming the units, if one failed."""
        deadline = time.monotonic() + _BOOT_SECONDS
        state = ""
        # systemctl waits by itself, but only from the moment that systemd listens.
        while state not in ("running", "degraded"):
            if time.monotonic() > deadline:
                raise TestbedError(f"{host} isn't up after {_BOOT_SECONDS:.0f} s ({state or 'no answer'})")
            state = self.engine.docker("exec", host, "systemctl", "is-system-running", "--wait", check=False)
            time.sleep(0.1)
        if state == "degraded":
            raise TestbedError(f"{host}: failed units: {self.execute(host, 'systemctl', '--failed', '--plain')}")

    def _import(self, release: str, tarball: Path) -> None:
        if not self.engine.docker("image", "ls", "--quiet", _tag(release)):
            self.engine.docker("import", str(tarball), _tag(release))

    def _booted(self, name: str, release: str) -> Host:
        self.await_boot(name)
        (container,) = json.loads(self.engine.docker("inspect", name))
        network = container["NetworkSettings"]["Networks"]["bridge"]
        return Host(name, release, network["IPAddress"], network["GlobalIPv6Address"])


def _tag(release: str) -> str:
    return f"hostwire/{release}"
