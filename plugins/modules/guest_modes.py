#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module guest_modes: documentation of the action plugin of the same name, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_modes
short_description: What was measured of guest networks' modes, as a table
version_added: 0.3.0
author: The Hostwire authors (@hostwire)
description:
  - Prints a line for each guest network of the play's hosts, with who reaches whom as M(hostwire.linux.reachability)
    measured it, and a sentence that says what was proved.
  - The probes come from the filter P(hostwire.linux.guest_mode_probes#filter).
  - Fails if a cell is otherwise than the network's mode says, or if there is a host about which nothing is known.
  - V(port only) in a cell means that nothing got through directly, and that each published port did.
  - V(-) means that the probes ask for nothing there, for example because a network has only one guest.
options:
  variable:
    description:
      - Name of the variable that each host's task of M(hostwire.linux.reachability) registered, in a loop over what the
        filter returned.
    type: str
    default: guest_modes_result
extends_documentation_fragment:
  - hostwire.linux.attributes.action
  - hostwire.linux.attributes.on_controller
  - hostwire.linux.attributes.no_diff
seealso:
  - module: hostwire.linux.reachability
  - plugin: hostwire.linux.guest_mode_probes
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Try every way in and out, from the host and from a neighbour on its LAN
  hostwire.linux.reachability:
    probes: "{{ item.probes }}"
    timeout: 1
  loop: "{{ guest_network_networks | hostwire.linux.guest_mode_probes(guest_network_guests, host='192.168.1.4',
    neighbour='192.168.1.3') }}"
  loop_control:
    label: "{{ item.place }}"
  delegate_to: "{{ inventory_hostname if item.place == 'host' else 'laptop' }}"
  register: guest_modes_result
  failed_when: false # the table fails, once it has shown the whole picture

- name: Show what was measured
  hostwire.linux.guest_modes:
"""

RETURN = r"""
msg:
  description: What was proved, or what is otherwise than promised.
  returned: always
  type: str
  sample: All 30 cells of 6 guest networks are as their modes say, measured by 62 probes.
cells:
  description: What was measured. Empty in check mode.
  returned: always
  type: list
  elements: dict
  contains:
    host:
      description: The host whose network it is.
      type: str
      returned: success
    network:
      description: The network.
      type: str
      returned: success
    mode:
      description: Its mode.
      type: str
      returned: success
    cell:
      description: Who reaches whom, V(guest → host), V(host → guest), V(guest ↔ guest), V(guest → LAN), V(LAN → guest).
      type: str
      returned: success
    promise:
      description: What the mode says, V(yes), V(no) or V(port only).
      type: str
      returned: success
    measured:
      description: What was measured, one of these, or V(partly).
      type: str
      returned: success
    wrong:
      description: The probes that came out otherwise than the mode says, as words.
      type: list
      elements: str
      returned: success
"""
