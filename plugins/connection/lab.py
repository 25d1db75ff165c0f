# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection lab: into the simulated hosts of the lab on this machine."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lab
short_description: Into the simulated hosts of the lab on this machine
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - Runs commands in a simulated host of the lab, which the playbook C(hostwire.linux.lab) makes on the controller.
    Each has a network, files in C(/etc), C(/run), C(/tmp) and C(/var), processes and a name of its own.
  - It enters the host's namespaces with C(nsenter). Inside, the user who made the lab is root.
    Neither root nor any privilege is needed on the machine.
  - Nothing of the controller's environment is handed on.
notes:
  - The remote user is ignored; it is always root. With C(ansible_user) set to V(root), C(become) to root is
    nothing to do, as with other connections.
  - A password for C(become) can't be given.
extends_documentation_fragment:
  - ansible.builtin.connection_pipelining
options:
  remote_addr:
    description: Name of the lab host.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: ansible_lab_host
  lab_directory:
    description: Directory in which the lab is recorded, the same as that of the module M(hostwire.linux.lab).
    type: path
    default: ~/.cache/hostwire-lab
    vars:
      - name: lab_directory
      - name: ansible_lab_directory
  executable:
    description: Shell of the lab host that runs commands.
    type: str
    default: /bin/sh
    vars:
      - name: ansible_executable
  nsenter:
    description: The program of util-linux that enters namespaces, as a path or as a name to look for on the controller.
    type: str
    default: nsenter
    vars:
      - name: ansible_lab_nsenter
"""

import shutil
import subprocess
from typing import Any, List, Optional, Tuple

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection import ConnectionBase
from ansible.utils.display import Display

from ansible_collections.hostwire.linux.plugins.module_utils.search_path import search_path
from ansible_collections.hostwire.linux.plugins.plugin_utils.lab import state as lab

display = Display()

# What a login on the host would set. The machine's programs are the host's too.
ENVIRONMENT = {
    "HOME": lab.HOME,
    "LANG": "C.UTF-8",
    "LOGNAME": "root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SHELL": "/bin/sh",
    "USER": "root",
}


class Connection(ConnectionBase):
    """A connection to one lab host. There is nothing to keep open: each command enters the host anew."""

    transport = "hostwire.linux.lab"
    has_pipelining = True

    def _option(self, name: str) -> str:
        return str(self.get_option(name))  # type: ignore[no-untyped-call]

    def _enter(self) -> List[str]:
        """Return the words that come before a command to have it run in the host. Raises AnsibleConnectionFailure."""
        name = self._option("remote_addr")
        program = shutil.which(self._option("nsenter"), path=search_path())
        if program is None:
            raise AnsibleConnectionFailure(
                f"There is no program {self._option('nsenter')} (of util-linux) on the controller."
            )
        directory = lab.expand(self._option("lab_directory"))
        try:
            found = lab.read(directory)
        except lab.LabError as error:
            raise AnsibleConnectionFailure(str(error)) from error
        if found is None or name not in found.holders:
            raise AnsibleConnectionFailure(
                f"There is no lab host {name} in {directory}. `ansible-playbook hostwire.linux.lab` makes the lab."
            )
        namespaces = ["--user", "--mount", "--net", "--uts", "--ipc", "--pid"]
        return [program, "--target", str(found.holders[name].pid), "--preserve-credentials", *namespaces, "--"]

    def _run(self, command: List[str], **streams: Any) -> subprocess.CompletedProcess[bytes]:
        """Run an argument list in the host. ``streams``: stdin, stdout or input, as for subprocess.run."""
        words = [*self._enter(), *command]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        try:
            return subprocess.run(words, env=ENVIRONMENT, cwd="/", check=False, **options)
        except OSError as error:
            raise AnsibleConnectionFailure(f"{words[0]} could not be started: {error.strerror}") from error

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(
        self, cmd: str, in_data: Optional[bytes] = None, sudoable: bool = True
    ) -> Tuple[int, bytes, bytes]:
        """Run a command line in the host's shell."""
        display.vvv(f"EXEC {cmd}", host=self._option("remote_addr"))
        done = self._run([self._option("executable"), "-c", cmd], input=in_data or b"")
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path: str, out_path: str) -> None:
        """Write a file of the controller into the host."""
        display.vvv(f"PUT {in_path} TO {out_path}", host=self._option("remote_addr"))
        try:
            with open(in_path, "rb") as source:
                # The path is an argument of the shell, never part of what it reads as a program.
                done = self._run(["/bin/sh", "-c", 'exec cat >"$1"', "sh", out_path], stdin=source)
        except FileNotFoundError as error:
            raise AnsibleError(f"There is no file {in_path} on the controller.") from error
        if done.returncode:
            raise AnsibleError(
                f"{in_path} could not be written to {out_path}: {done.stderr.decode(errors='replace').strip()}"
            )

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Write a file of the host to the controller."""
        display.vvv(f"FETCH {in_path} TO {out_path}", host=self._option("remote_addr"))
        with open(out_path, "wb") as sink:
            done = self._run(["/bin/cat", "--", in_path], stdin=subprocess.DEVNULL, stdout=sink)
        if done.returncode:
            raise AnsibleError(f"{in_path} could not be read: {done.stderr.decode(errors='replace').strip()}")

    def close(self) -> None:
        """There is nothing to close."""
        self._connected = False
