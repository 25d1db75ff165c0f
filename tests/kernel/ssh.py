# SPDX-License-Identifier: GPL-3.0-or-later
"""A real sshd in one namespace, and the client's command line in another."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Iterator, List, Optional

from ansible_collections.hostwire.linux.tests.kernel import lan

_SERVER = """
ListenAddress {address}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
"""
_OPTIONS = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=5")


@contextlib.contextmanager
def ssh_server(
    directory: Path, address: str, server: Optional[str] = None, client: Optional[str] = None
) -> Iterator[List[str]]:
    """An sshd at ``address`` in the namespace ``server`` (None is the host), once it lets the client in.

    Its value is the command line with which the namespace ``client`` logs in; what is to be run there follows it.
    """
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)], check=True)
    config = directory / "sshd_config"
    config.write_text(_SERVER.format(address=address, directory=directory))
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    options = [word for option in _OPTIONS for word in ("-o", option)]
    login = [*_in(client), "ssh", "-F", "none", *options, "-i", str(directory / "key"), f"root@{address}"]
    daemon = [*_in(server), "/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
    with subprocess.Popen(daemon, stderr=subprocess.DEVNULL) as process:
        try:
            lan.until(lambda: subprocess.run([*login, "true"], check=False, capture_output=True).returncode == 0)
            yield login
        finally:
            process.terminate()


def _in(netns: Optional[str]) -> List[str]:
    return ["ip", "netns", "exec", netns] if netns else []
