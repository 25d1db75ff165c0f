#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module bridge: one virtual switch."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge
short_description: Virtual switches
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - Makes and removes a bridge, the kernel's virtual switch, with its addresses. What is plugged into it says so
    itself, with the option C(bridge) of M(hostwire.linux.veth) and M(hostwire.linux.interface).
  - The MAC address of a bridge is pinned. Left to the kernel it would change with the ports.
  - A bridge that others have plugged something into, or have routes through, is not removed; the message names these.
extends_documentation_fragment:
  - hostwire.linux.attributes
  - hostwire.linux.owned
  - hostwire.linux.objects.bridge
"""

EXAMPLES = r"""
- name: A switch with an address of the host on it
  hostwire.linux.bridge:
    name: v-net-0
    addresses: [192.168.15.5/24, "fd00:15::5/64"]

- name: A switch with larger packets, inside a namespace
  hostwire.linux.bridge:
    name: storage
    netns: red
    mtu: 9000

- name: A switch for guests who reach each other and the host, and nothing else
  hostwire.linux.bridge:
    name: host-only
    addresses: [192.168.56.1/24]
    guests: {outside: false}

- name: No longer needed
  hostwire.linux.bridge:
    name: v-net-0
    state: absent
"""

RETURN = r"""
plan:
  description: What was changed, or in check mode would be, a readable line for each change, in the order of work.
  returned: success
  type: list
  elements: str
  sample: ["host: bridge v-net-0: create", "host: v-net-0: address 192.168.15.5/24: add"]
before:
  description: The bridge before the run, with the document's fields; what has its default is left out.
  returned: success
  type: dict
  sample: {}
after:
  description: The same after the run, or in check mode as it would be.
  returned: success
  type: dict
  sample: {bridges: [{name: v-net-0, addresses: [192.168.15.5/24]}]}
diff:
  description:
    - RV(before) and RV(after) as YAML text, as C(--diff) shows them, and the plan. What else changes in the packet
      filter is told in comments. Empty where nothing changes.
  returned: success
  type: dict
timings:
  description: How long each part of the run took, in seconds.
  returned: success
  type: dict
  contains:
    read:
      description: Checking the options and reading from the kernel what is there.
      type: float
      returned: success
    plan:
      description: Comparing both.
      type: float
      returned: success
    apply:
      description: Writing the journal and changing the kernel.
      type: float
      returned: success
    verify:
      description: Reading back what was changed.
      type: float
      returned: success
  sample: {read: 0.004, plan: 0.001, apply: 0.009, verify: 0.003}
problems:
  description: Every problem that was found, a line each; the message is all of them.
  returned: failure
  type: list
  elements: str
  sample: ["addresses[0]: \"192.168.15.0/24\" is the address of the network itself, not a host's"]
kind:
  description:
    - What kind of failure it is.
    - V(invalid) is an option that can't be right, V(missing) something that the host lacks, V(conflict) something in
      the way that isn't ours; after these three nothing was changed.
    - V(refused) is the kernel saying no, V(verify) a result other than asked for; after these two everything was
      undone.
    - V(undo) means that undoing failed too; the message says what is left. V(unexpected) is a mistake in this
      collection.
  returned: failure
  type: str
  sample: invalid
"""

from ansible_collections.hostwire.linux.plugins.module_utils.ansible_adapter import run_object


def main() -> None:
    """Hand the parameters to the engine."""
    run_object(
        "bridges",
        {
            "name": {"type": "str", "required": True},
            "netns": {"type": "str"},
            "addresses": {"type": "list", "elements": "str"},
            "mac": {"type": "str"},
            "mtu": {"type": "int"},
            "up": {"type": "bool", "default": True},
            "stp": {"type": "bool", "default": False},
            "vlan_filtering": {"type": "bool", "default": False},
            "uplink": {"type": "str"},
            "guests": {
                "type": "dict",
                "options": {
                    **{way: {"type": "bool", "default": True} for way in ("to_host", "from_host", "among", "outside")},
                    "from_others": {"type": "bool", "default": False},
                    "services": {"type": "list", "elements": "str", "choices": ["dhcp", "dns"]},
                },
            },
        },
    )


if __name__ == "__main__":
    main()
