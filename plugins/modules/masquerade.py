#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module masquerade: one source translation."""

from __future__ import annotations

DOCUMENTATION = r"""
module: masquerade
short_description: Let a network out behind the host's address
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - Packets from a network leave with the address of the interface that they leave through, or with a fixed one (SNAT).
  - The rules are in chains of this collection and go out in one transaction. They work with iptables-nft and
    iptables-legacy; the backend that the host uses already is taken.
  - Forwarding has to be on, see M(hostwire.linux.forwarding).
extends_documentation_fragment:
  - hostwire.linux.attributes
  - hostwire.linux.owned
  - hostwire.linux.objects.masquerade
"""

EXAMPLES = r"""
- name: The namespaces on v-net-0 reach the world behind the host's address
  hostwire.linux.masquerade:
    source: 192.168.15.0/24
    except_to: v-net-0

- name: Another network, whose neighbours on v-net-2 see its own addresses
  hostwire.linux.masquerade:
    source: 192.168.17.0/24
    except_to: [v-net-1, v-net-2]

- name: One network leaves with a fixed address
  hostwire.linux.masquerade:
    source: 192.168.16.0/24
    to_source: 203.0.113.7

- name: No longer needed
  hostwire.linux.masquerade:
    source: 192.168.16.0/24
    state: absent
"""

RETURN = r"""
plan:
  description: What was changed, or in check mode would be, a readable line for each change, in the order of work.
  returned: success
  type: list
  elements: str
  sample: ["host: masquerade 192.168.15.0/24 except to v-net-0: add"]
before:
  description: The translation before the run, with the document's fields; what has its default is left out.
  returned: success
  type: dict
  sample: {}
after:
  description: The same after the run, or in check mode as it would be.
  returned: success
  type: dict
  sample: {masquerade: [{source: 192.168.15.0/24, except_to: v-net-0}]}
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
  sample: ["source: \"192.168.15.1/24\" has host bits set; say 192.168.15.0/24, or 192.168.15.1/32 for one host"]
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
        "masquerade",
        {
            "source": {"type": "str", "required": True},
            "except_to": {"type": "list", "elements": "str"},
            "to_source": {"type": "str"},
            "netns": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
