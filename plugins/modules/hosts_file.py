#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module hosts_file: names in a hosts file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hosts_file
short_description: Names of hosts as one managed block in a hosts file
version_added: 0.2.0
author: The Hostwire authors (@hostwire)
description:
  - Keeps a block of entries in C(/etc/hosts), in a namespace's C(/etc/netns/NAME/hosts) or in any other file of that
    form, Windows' C(drivers/etc/hosts) on a mounted disk too.
  - Everything outside the block stays byte for byte as it is, comments, order, encoding and line ends included, so the
    lines of localhost and of the host itself can't be lost.
  - The file is replaced at once, so that no reader ever sees half of it. Where it is a mount point, as in a container,
    it is written in place; a write that was cut short is finished by the next run.
  - A file that a document has as a whole, by C(namespaces[].hosts), is left to it; entries for it are an error.
extends_documentation_fragment:
  - hostwire.linux.attributes
  - hostwire.linux.objects.hosts_entries
options:
  path:
    description:
      - The file. It is made if it isn't there, with the lines of localhost in it; its directory has to be there.
      - Refused are a symbolic link, what is no plain file, more than 16 MiB, and text with NUL characters, as UTF-16
        without a byte order mark has.
      - It may lie in a directory of another user's, who can't have another file read or written in its place. Links on
        the way to its directory are followed where nobody but root could have put them.
    type: path
    default: /etc/hosts
  entries:
    description:
      - All that the block shall hold; the order doesn't matter. No entries, no block.
      - A name may have one IPv4 and one IPv6 address. Another address for it, here or on a line of somebody else, is an
        error that names both. Lines with a loopback address are left out of that, for many hosts have their own name
        there.
  owner:
    description: The mark of the block. Blocks with different marks live side by side in a file.
    type: str
    default: tasks
  state:
    description: V(absent) takes the block away, and the file if it was made for it.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: hostwire.linux.topology
    description: Its option C(namespaces[].hosts) gives a namespace a hosts file of its own.
"""

EXAMPLES = r"""
- name: Every host knows the database and the proxy
  hostwire.linux.hosts_file:
    entries:
      - {address: 10.0.2.12, names: [localdb.example.com, localdb]}
      - {address: "fd00:2::12", names: [localdb.example.com, localdb]}
      - {address: 10.0.2.4, names: [proxy]}

- name: So does the Windows system on the other disk
  hostwire.linux.hosts_file:
    path: /mnt/windows/Windows/System32/drivers/etc/hosts
    owner: guests
    entries:
      - {address: 192.168.56.3, names: [linux]}

- name: Forget them all
  hostwire.linux.hosts_file:
    state: absent
"""

RETURN = r"""
plan:
  description: A readable line per change, the same in check mode and in the run that follows.
  returned: success
  type: list
  elements: str
  sample: ["/etc/hosts: add 10.0.2.12 localdb"]
before:
  description: The entries of the block as they were.
  returned: success
  type: list
  elements: dict
  sample: []
after:
  description: The entries of the block as they are, or will be.
  returned: success
  type: list
  elements: dict
  sample: [{address: 10.0.2.12, names: [localdb]}]
problems:
  description: All that is wrong, a line each, with the path of the field. Nothing was changed.
  returned: failure
  type: list
  elements: str
  sample: ["entries[0].address: 10.0.2.12/24 has a prefix length; a hosts file takes the address alone"]
kind:
  description:
    - What kind of failure it is, V(invalid), V(missing), V(conflict), V(refused), V(verify), V(interrupted), V(undo) or
      V(unexpected).
    - After V(undo) not all is as it was before; the message says what is left, and the next run goes on from there.
  returned: failure
  type: str
  sample: conflict
"""

from typing import Any, Dict

from ansible_collections.hostwire.linux.plugins.module_utils.ansible_module import Module, run_task
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file import run
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file.entries import ENTRIES


def work(module: Module) -> Dict[str, Any]:
    """The whole task."""
    asked = module.params
    outcome = run.run(
        asked["path"],
        asked["owner"],
        asked["entries"],
        present=asked["state"] == "present",
        check=module.check_mode,
    )
    diff = {
        "before_header": asked["path"],
        "after_header": asked["path"],
        "before": run.shown(outcome.content_before),
        "after": run.shown(outcome.content_after),
    }
    for warning in outcome.warnings:
        module.warn(f"{asked['path']}: {warning}")
    return {
        "changed": bool(outcome.plan),
        "plan": list(outcome.plan),
        "before": run.plain(outcome.before),
        "after": run.plain(outcome.after),
        "diff": diff if outcome.plan else {},
    }


def main() -> None:
    """Hand the parameters over."""
    run_task(
        {
            "path": {"type": "path", "default": "/etc/hosts"},
            "entries": ENTRIES,
            "owner": {"type": "str", "default": "tasks"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        work,
    )


if __name__ == "__main__":
    main()
