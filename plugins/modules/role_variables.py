#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module role_variables: documentation of the action plugin of the same name, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: role_variables
short_description: What is wrong with the variables of one of the collection's roles
version_added: 0.3.0
author: The Hostwire authors (@hostwire)
description:
  - Fails if a variable of the host begins as those of the role do and the role doesn't know it, and if the value of one
    can't be right. All of it is said at once, a line each with the path of the field and what would be right.
  - Each role of this collection does this first. It is of use by itself to look at an inventory.
  - A variable out of which another one is made may have any name. Others that begin as a role's but are somebody else's
    are listed in the variable C(hostwire_other_variables).
options:
  role:
    description: The role.
    type: str
    required: true
    choices: [topology, router, guest_network, name_service, docker_bridge, dnsmasq]
extends_documentation_fragment:
  - hostwire.linux.attributes.action
  - hostwire.linux.attributes.no_diff
seealso:
  - module: hostwire.linux.topology
"""

EXAMPLES = r"""
- name: Is the inventory right?
  hostwire.linux.role_variables:
    role: topology
"""

RETURN = r"""
problems:
  description: All that is wrong, a line each, with the path of the field.
  returned: failure
  type: list
  elements: str
  sample: ['topology_publishd_ports: the role topology has no such variable; did you mean "topology_published_ports"?']
kind:
  description: What kind of failure it is, always V(invalid).
  returned: failure
  type: str
  sample: invalid
"""
