#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module docker_readdress_plan: documentation of the action plugin of the same name, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_readdress_plan
short_description: One plan for docker0 on all hosts of a play
version_added: 0.2.0
author: The Hostwire authors (@hostwire)
description:
  - Decides which address docker0 gets on each host of the play, from what M(hostwire.linux.docker_info) found there and
    from the variables of the role P(hostwire.linux.docker_bridge#role), and prints it as a table.
  - A host gets the address of its variable C(docker_bridge_bip), else the one that the plan file has for it, else the
    one that it has already if that is of the network C(docker_bridge_supernet), else a new one of that network,
    computed from its name.
  - Fails, and names every problem with its host, if any address collides with a route of the host, with another network
    of its engine, with a range declared as taken, with a network to which any host is connected, or with another
    host's; or if a host isn't fit for the change.
  - What a host tells of itself is checked field by field; a host that tells nonsense is named, with the field, and the
    plan is refused. Its published ports are asked for only at addresses that somebody else knows it by, those of the
    inventory (C(ansible_host), C(docker_readdress_addresses)) and those in a network to which another host of the play
    is connected; a warning names a host of which there is none. Five hundred probes are the most for a host.
options:
  file:
    description:
      - Path on the controller to which the plan is written, to be reviewed, and from which the next run takes what each
        host has. It isn't written in check mode, nor if anything speaks against the plan.
    type: path
    required: true
  variable:
    description: Name of the variable that each host's task of M(hostwire.linux.docker_info) registered.
    type: str
    default: docker_readdress_found
  leave_out_unreachable:
    description: Leave out hosts that can't be reached, instead of refusing the plan.
    type: bool
    default: false
  shared:
    description: Whether hosts may have the same subnet.
    type: bool
    default: false
extends_documentation_fragment:
  - hostwire.linux.attributes.action
  - hostwire.linux.attributes.on_controller
attributes:
  diff_mode:
    description: Shows the plan file as it is and as it will be.
    support: full
requirements:
  - netaddr and jmespath on the controller
seealso:
  - module: hostwire.linux.docker_info
  - module: hostwire.linux.docker_readdress_summary
"""

EXAMPLES = r"""
- name: Look at every host
  hostwire.linux.docker_info:
  register: docker_readdress_found
  ignore_unreachable: true

- name: Plan for all of them
  hostwire.linux.docker_readdress_plan:
    file: docker_readdress_plan.yml
  register: docker_readdress_planned
  run_once: true
"""

RETURN = r"""
msg:
  description: The plan in a sentence, or every problem.
  returned: always
  type: str
plan:
  description: What is to happen on each host, by its name.
  returned: success
  type: dict
  contains:
    from:
      description: Addresses that docker0 has.
      type: list
      elements: str
      returned: success
    bip:
      description: The IPv4 address that it gets.
      type: str
      returned: success
    bip6:
      description: The IPv6 address that it gets, or null.
      type: str
      returned: success
    changes:
      description: Whether that is another one.
      type: bool
      returned: success
    stops:
      description: Containers that stop.
      type: list
      elements: str
      returned: success
    started_again:
      description: Those of them that have no restart policy, so that M(hostwire.linux.docker_bridge) starts them again.
      type: list
      elements: str
      returned: success
    downtime_seconds:
      description: How long they may be away at most.
      type: int
      returned: success
    probes:
      description: Their published ports, as M(hostwire.linux.reachability) takes them.
      type: list
      elements: dict
      returned: success
  sample:
    web1: {from: [172.17.0.1/16], bip: 10.200.61.1/24, changes: true, stops: [shop, job], started_again: [job]}
problems:
  description: Everything that speaks against the plan, a line each.
  returned: always
  type: list
  elements: str
  sample: ["web1: docker0 would have 10.8.3.1/24, which overlaps the route 10.8.0.0/16 via 10.9.0.1 dev tun0"]
left_out:
  description: Hosts that can't be reached and are left out.
  returned: always
  type: list
  elements: str
file:
  description: Where the plan was written.
  returned: success
  type: str
diff:
  description: The plan file before and after.
  returned: success
  type: dict
"""
