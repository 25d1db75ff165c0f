#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module guest_names: names in the files of guests."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_names
short_description: Names in the hosts files and resolv.conf of namespaces and containers
version_added: 0.2.0
author: The Hostwire authors (@hostwire)
description:
  - Makes guests of this host know names, in one task for all of them, by a block in each one's hosts file, by a DNS
    server in each one's resolv.conf, or both. Guests that are no longer asked for lose the owner's names again.
  - Everything that is wrong is found before the first file is written. Where a file can't be written, those before it
    are put back.
  - A namespace's files are C(/etc/netns/NAME/hosts) and C(/etc/netns/NAME/resolv.conf), which C(ip netns exec) puts
    over those of C(/etc). A hosts file that is made there has the lines of localhost. A file that a document has by its
    C(namespaces[].hosts) or C(namespaces[].nameservers) stays the document's; where names of this task would have to go
    into it, that is an error, but for a document that asks the same servers.
  - A container's files are those that the Docker engine mounts into it, so no program inside is needed. The engine
    makes them anew at each start of the container. Run the task again then.
extends_documentation_fragment:
  - hostwire.linux.attributes
  - hostwire.linux.objects.hosts_entries
options:
  owner:
    description: The mark of the names. Blocks with different marks live side by side in a hosts file.
    type: str
    default: names
  namespaces:
    description: Namespaces that are to know the names. They may not be there yet.
    type: list
    elements: str
    default: []
  containers:
    description: Docker containers, by name, that are to know the names. They have to be running.
    type: list
    elements: str
    default: []
  host:
    description: Whether the entries are to be in this host's own C(/etc/hosts), too.
    type: bool
    default: false
  entries:
    description: All names for the hosts files, as in M(hostwire.linux.hosts_file). No entries, no block.
  nameservers:
    description:
      - Addresses of the DNS servers to ask, at most three. What a container asked before is kept in its file as a
        comment, and comes back with O(state=absent).
      - A container of a network that a user made asks Docker's own server, which knows its neighbours. It is never cut
        off from it. Start such a container with C(--dns) instead.
    type: list
    elements: str
    default: []
  search:
    description: Domains that a name without a dot is tried in.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(absent) takes the owner's names out of all files.
      - With V(present) it is an error to say nothing, be it names or guests, where names of the owner stand.
    type: str
    choices: [present, absent]
    default: present
seealso:
  - module: hostwire.linux.hosts_file
    description: One block in one file, wherever it is.
  - name: hostwire.linux.name_service
    description: The role that finds out the names and runs the DNS server.
    link: https://github.com/hostwire/hostwire.linux/tree/main/roles/name_service
"""

EXAMPLES = r"""
- name: Each guest knows each other guest
  hostwire.linux.guest_names:
    namespaces: [linux, localdb]
    entries:
      - {address: 10.0.2.4, names: [linux]}
      - {address: 10.0.2.12, names: [localdb]}

- name: They ask a DNS server instead
  hostwire.linux.guest_names:
    namespaces: [linux, localdb]
    nameservers: [10.0.2.15]
    search: [lab.example]

- name: Forget it all
  hostwire.linux.guest_names:
    state: absent
"""

RETURN = r"""
plan:
  description: A readable line for each file that changes, the same in check mode and in the run that follows.
  returned: success
  type: list
  elements: str
  sample: ["/etc/netns/linux/hosts: add 10.0.2.12 localdb"]
problems:
  description: All that is wrong, a line each, with the path of the field or of the file. Nothing was changed.
  returned: failure
  type: list
  elements: str
  sample: ["container web: it is exited; start it first"]
kind:
  description:
    - What kind of failure it is, V(invalid), V(missing), V(conflict), V(refused), V(verify), V(interrupted), V(undo) or
      V(unexpected).
    - After V(undo) not all is as it was before; the message says what is left, and the next run goes on from there.
  returned: failure
  type: str
  sample: missing
"""

from typing import Any, Dict

from ansible_collections.hostwire.linux.plugins.module_utils.ansible_module import Module, run_task
from ansible_collections.hostwire.linux.plugins.module_utils.guest_names import run
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file.entries import ENTRIES
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file.run import shown
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file.text import remade_by


def work(module: Module) -> Dict[str, Any]:
    """The whole task."""
    given = {name: module.params[name] for name in run.Asked._fields}
    asked = run.Asked(**given) if module.params["state"] == "present" else run.Asked(given["owner"], "absent")
    outcome = run.run(asked, check=module.check_mode)
    diff = [
        {
            "before_header": edit.place.label,
            "after_header": edit.place.label,
            "before": shown(edit.before),
            "after": shown(edit.after),
        }
        for edit in outcome.edits
    ]
    for edit in outcome.edits:
        for warning in remade_by(edit.before) if given["entries"] and module.params["state"] == "present" else ():
            module.warn(f"{edit.place.label}: {warning}")
    return {"changed": bool(outcome.plan), "plan": list(outcome.plan), "diff": diff}


def main() -> None:
    """Hand the parameters over."""
    names = {"type": "list", "elements": "str", "default": []}
    run_task(
        {
            "owner": {"type": "str", "default": "names"},
            "namespaces": names,
            "containers": names,
            "host": {"type": "bool", "default": False},
            "entries": ENTRIES,
            "nameservers": names,
            "search": names,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        work,
    )


if __name__ == "__main__":
    main()
