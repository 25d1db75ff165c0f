#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module netns: one network namespace."""

from __future__ import annotations

DOCUMENTATION = r"""
module: netns
short_description: Network namespaces
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - Makes and removes named network namespaces, as C(ip netns) does and so that C(ip netns) sees them, and sets what
    belongs to one as a whole, its forwarding, kernel settings, name servers and names.
  - The loopback interface is up in every namespace that is made.
  - A namespace in which a process lives, or somebody else's link, route or address is, is not removed; the message
    lists these.
extends_documentation_fragment:
  - hostwire.linux.attributes
  - hostwire.linux.owned
  - hostwire.linux.objects.netns
options:
  forwarding:
    description:
      - Whether packets are forwarded from one interface of the namespace to another, that is, whether it is a router.
      - Left out as a whole it is off at first, and then left as M(hostwire.linux.forwarding) made it.
"""

EXAMPLES = r"""
- name: A namespace
  hostwire.linux.netns:
    name: red

- name: A router between the networks that its interfaces are in
  hostwire.linux.netns:
    name: router
    forwarding:
      ipv4: true
      ipv6: true
    sysctls:
      net.ipv4.conf.all.rp_filter: 1

- name: A namespace with names of its own
  hostwire.linux.netns:
    name: blue
    nameservers: [192.168.15.5]
    hosts:
      localdb: 10.0.2.12

- name: No longer needed
  hostwire.linux.netns:
    name: red
    state: absent
"""

RETURN = r"""
plan:
  description: What was changed, or in check mode would be, a readable line for each change, in the order of work.
  returned: success
  type: list
  elements: str
  sample: ["namespace red: create"]
before:
  description: The namespace before the run, with the document's fields; what has its default is left out.
  returned: success
  type: dict
  sample: {}
after:
  description: The same after the run, or in check mode as it would be.
  returned: success
  type: dict
  sample: {namespaces: [{name: red}]}
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
  sample: ["name: \"1234\" is all digits, which other programs take for a process; add a letter"]
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

from ansible_collections.hostwire.linux.plugins.module_utils.ansible_adapter import run_namespace


def main() -> None:
    """Hand the parameters to the engine."""
    run_namespace(
        {
            "name": {"type": "str", "required": True},
            "forwarding": {"type": "dict"},
            "sysctls": {"type": "dict"},
            "nameservers": {"type": "list", "elements": "str"},
            "hosts": {"type": "dict"},
        },
    )


if __name__ == "__main__":
    main()
