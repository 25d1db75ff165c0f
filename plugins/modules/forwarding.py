#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module forwarding: whether the host, or a namespace, is a router."""

from __future__ import annotations

DOCUMENTATION = r"""
module: forwarding
short_description: Turn a host or a namespace into a router
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - Turns forwarding of packets on or off, of the host itself or of a namespace, and reads back that it is so.
  - On the host, as long as it was this collection that turned forwarding on, packets between interfaces that nothing
    of this collection names are dropped, so that the host doesn't become a router for everybody.
extends_documentation_fragment:
  - hostwire.linux.attributes
  - hostwire.linux.owned
options:
  ipv4:
    description: Forwarding of IPv4; left alone if left out. With O(state=absent), saying neither family means both.
    type: bool
  ipv6:
    description: Forwarding of IPv6; left alone if left out.
    type: bool
  netns:
    description:
      - Namespace that forwards; the host itself if left out.
      - It was made by M(hostwire.linux.netns) with the same O(owner). One that a document made says its forwarding
        there.
    type: str
"""

EXAMPLES = r"""
- name: The host forwards IPv4, for guests behind it
  hostwire.linux.forwarding:
    ipv4: true

- name: A namespace is a router for both families
  hostwire.linux.forwarding:
    netns: router
    ipv4: true
    ipv6: true

- name: The host forwards as it did before
  hostwire.linux.forwarding:
    state: absent
"""

RETURN = r"""
plan:
  description: What was changed, or in check mode would be, a readable line for each change, in the order of work.
  returned: success
  type: list
  elements: str
  sample:
    - "host: guard IPv4 forwarding between interfaces that no document names: add"
    - "host: IPv4 forwarding: 0 -> 1"
before:
  description: The setting before the run, with the document's fields; what has its default is left out.
  returned: success
  type: dict
  sample: {forwarding: {ipv4: false}}
after:
  description: The same after the run, or in check mode as it would be.
  returned: success
  type: dict
  sample: {forwarding: {ipv4: true}}
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
  sample: ["ipv4: \"maybe\" is neither true nor false"]
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

from ansible_collections.hostwire.linux.plugins.module_utils.ansible_adapter import run_forwarding


def main() -> None:
    """Hand the parameters to the engine."""
    run_forwarding(
        {
            "ipv4": {"type": "bool"},
            "ipv6": {"type": "bool"},
            "netns": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
