#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module lab: documentation of the action plugin of the same name, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab
short_description: Simulated hosts on this machine
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - Makes and removes simulated hosts on the controller, for trying networks and testing playbooks. Each has a network,
    files in C(/etc), C(/run), C(/tmp) and C(/var), processes and a name of its own; the rest of the machine's files it
    can read.
  - No host has a cable at first. One more of them, the machine of the lab, sees the networks of all others in
    C(/run/netns). Cables and switches between them are made there, with M(hostwire.linux.topology).
  - All of it is inside one user namespace, in which the user who runs the task is root. No privilege is needed, and the
    network of the machine can't be touched.
  - The connection plugin P(hostwire.linux.lab#connection) leads into the hosts.
requirements:
  - Linux 5.12 or later, with user namespaces; C(nsenter) of util-linux to connect.
attributes:
  check_mode:
    description: Says whether the lab would be made or removed without doing it.
    support: full
  diff_mode:
    description: Shows the lab before and after.
    support: full
  idempotent:
    description: Run a second time with the same options it changes nothing.
    support: full
notes:
  - It runs on the controller, whatever host the task is for, and never connects to that host.
  - A lab that differs from what is asked for is removed and made anew. It doesn't outlive a reboot.
options:
  state:
    description: Whether the lab is to be there. V(absent) ends every process in it.
    type: str
    choices: [present, absent]
    default: present
  directory:
    description:
      - Where the lab is recorded; a directory for nothing else, which belongs to the user and is closed to others.
    type: path
    default: ~/.cache/hostwire-lab
  machine:
    description: Name of the machine of the lab.
    type: str
    default: switchroom
  hosts:
    description: Names of the other hosts.
    type: list
    elements: str
    default: []
  listeners:
    description:
      - Who accepts TCP connections inside namespaces of the hosts, for probes to connect to.
      - It begins as soon as the namespace is there and ends with it. No process is inside the namespace.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: The lab host.
        type: str
        required: true
      netns:
        description: The namespace in that host.
        type: str
        required: true
      port:
        description: The TCP port.
        type: int
        required: true
seealso:
  - plugin: hostwire.linux.lab
    plugin_type: connection
  - module: hostwire.linux.topology
"""

EXAMPLES = r"""
- name: Two hosts, and somebody on port 80 of the namespace blue as soon as there is one
  hostwire.linux.lab:
    hosts: [patchbay, neighbour]
    listeners:
      - {host: patchbay, netns: blue, port: 80}

- name: No longer needed
  hostwire.linux.lab:
    state: absent
"""

RETURN = r"""
diff:
  description: The lab before and after the run; empty where there is none.
  returned: success
  type: dict
  contains:
    before:
      description: Machine, hosts and listeners of the lab that was there.
      type: dict
      returned: success
    after:
      description: Machine, hosts and listeners of the lab that is there now.
      type: dict
      returned: success
  sample: {before: {}, after: {machine: switchroom, hosts: [patchbay, neighbour], listeners: []}}
"""
