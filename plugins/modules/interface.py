#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module interface: one interface that exists already."""

from __future__ import annotations

DOCUMENTATION = r"""
module: interface
short_description: Addresses and settings of an interface that exists already
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - Gives addresses, an MTU, a bridge or a state to an interface that exists already and was not made by this
    collection, such as a network card.
  - It only adds. What is left out is left alone, addresses that the interface has from elsewhere included.
extends_documentation_fragment:
  - hostwire.linux.attributes
  - hostwire.linux.owned
  - hostwire.linux.objects.interface
"""

EXAMPLES = r"""
- name: One more address on a network card
  hostwire.linux.interface:
    name: eth0
    addresses: [192.168.1.10/24, "2001:db8:1::10/64"]
    up: true

- name: A card with larger packets
  hostwire.linux.interface:
    name: eth1
    mtu: 9000

- name: Take back what the first task gave it, and nothing else
  hostwire.linux.interface:
    name: eth0
    state: absent
"""

RETURN = r"""
plan:
  description: What was changed, or in check mode would be, a readable line for each change, in the order of work.
  returned: success
  type: list
  elements: str
  sample: ["host: eth0: address 192.168.1.10/24: add"]
before:
  description: What we gave the interface before the run, with the document's fields; what has its default is left out.
  returned: success
  type: dict
  sample: {interfaces: [{name: eth0}]}
after:
  description: The same after the run, or in check mode as it would be.
  returned: success
  type: dict
  sample: {interfaces: [{name: eth0, addresses: [192.168.1.10/24]}]}
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
  sample: ["name: no interface named \"eht0\" on the host; did you mean \"eth0\"?"]
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
        "interfaces",
        {
            "name": {"type": "str", "required": True},
            "netns": {"type": "str"},
            "addresses": {"type": "list", "elements": "str"},
            "mtu": {"type": "int"},
            "up": {"type": "bool"},
            "bridge": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
