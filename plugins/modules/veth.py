#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module veth: one virtual cable."""

from __future__ import annotations

DOCUMENTATION = r"""
module: veth
short_description: Virtual cables between namespaces, bridges and the host
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - Makes and removes a virtual ethernet cable with all that belongs to its two ends, which namespace each is in,
    which bridge it is plugged into, its addresses, MAC address and MTU.
  - Both ends are one object. Removing either removes the cable.
extends_documentation_fragment:
  - hostwire.linux.attributes
  - hostwire.linux.owned
  - hostwire.linux.objects.veth
options:
  peer:
    description: The other end; required with O(state=present).
    required: false
"""

EXAMPLES = r"""
- name: A cable between two namespaces
  hostwire.linux.veth:
    name: veth-red
    netns: red
    addresses: [192.168.15.1/24, "fd00:15::1/64"]
    peer:
      name: veth-blue
      netns: blue
      addresses: [192.168.15.2/24, "fd00:15::2/64"]

- name: A cable from a bridge on the host into a namespace
  hostwire.linux.veth:
    name: veth-green-br
    bridge: v-net-0
    peer:
      name: eth0
      netns: green
      addresses: [192.168.16.3/24]

- name: No longer needed
  hostwire.linux.veth:
    name: veth-green-br
    state: absent
"""

RETURN = r"""
plan:
  description: What was changed, or in check mode would be, a readable line for each change, in the order of work.
  returned: success
  type: list
  elements: str
  sample: ["veth red/veth-red = blue/veth-blue: create"]
before:
  description: The cable before the run, with the document's fields; what has its default is left out.
  returned: success
  type: dict
  sample: {}
after:
  description: The same after the run, or in check mode as it would be.
  returned: success
  type: dict
  sample: {veths: [{name: veth-red, netns: red, peer: {name: veth-blue, netns: blue}}]}
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
  sample: ["addresses[0]: \"192.168.15.1\" has no prefix length; write it like 192.168.15.1/24"]
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
        "veths",
        {
            "name": {"type": "str", "required": True},
            "netns": {"type": "str"},
            "bridge": {"type": "str"},
            "addresses": {"type": "list", "elements": "str"},
            "mac": {"type": "str"},
            "mtu": {"type": "int"},
            "up": {"type": "bool", "default": True},
            "leased": {"type": "bool", "default": False},
            "peer": {"type": "dict"},
        },
    )


if __name__ == "__main__":
    main()
