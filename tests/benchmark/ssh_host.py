# SPDX-License-Identifier: GPL-3.0-or-later
"""The private host as a managed host: a real sshd on its loopback, and Ansible's ordinary ssh connection to it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import Dict, Iterator

from private_host import mount_tmpfs

PORT = 2222
_SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PrintLastLog no
PermitRootLogin prohibit-password
PasswordAuthentication no
"""


@contextlib.contextmanager
def served(folder: str) -> Iterator[Dict[str, str]]:
    """An sshd for as long as the context lasts; its value are the variables by which Ansible reaches it."""
    mount_tmpfs("/var/log")  # where sshd would note who logged in
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{name}"], check=True)
    config = f"{folder}/sshd_config"
    with open(config, "w") as file:
        file.write(_SERVER.format(port=PORT, folder=folder))
    socket = f"{folder}/master"
    plain = "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    with subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", config], stderr=subprocess.DEVNULL) as server:
        try:
            _await_port()
            yield {
                "ansible_connection": "ssh",
                "ansible_host": "127.0.0.1",
                "ansible_port": str(PORT),
                "ansible_user": "root",
                "ansible_ssh_private_key_file": f"{folder}/key",
                "ansible_ssh_common_args": plain,
                "ansible_control_path": socket,
            }
        finally:
            # The connection that Ansible keeps open would keep the host's namespace alive.
            leave = ["ssh", *plain.split(), "-o", f"ControlPath={socket}", "-O", "exit", "127.0.0.1"]
            subprocess.run(leave, check=False, capture_output=True)
            server.terminate()


def _await_port() -> None:
    """Return when the server listens: its port shows in the kernel's table in state LISTEN (0A)."""
    wanted = f":{PORT:04X}"
    for _look in range(500):
        with open("/proc/net/tcp") as table:
            if any(wanted in line.split()[1] and line.split()[3] == "0A" for line in list(table)[1:]):
                return
        time.sleep(0.02)
    raise RuntimeError("sshd doesn't listen")
