#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module route: one route."""

from __future__ import annotations

DOCUMENTATION = r"""
module: route
short_description: Routes of the host and of namespaces
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - Adds and removes a route, IPv4 or IPv6. Routes of this collection carry a protocol number of their own, so that
    those of others are never taken over.
extends_documentation_fragment:
  - hostwire.linux.attributes
  - hostwire.linux.owned
  - hostwire.linux.objects.route
options:
  netns:
    description: Namespace that has the route; the host itself if left out.
    type: str
"""

EXAMPLES = r"""
- name: The default route of a namespace
  hostwire.linux.route:
    netns: blue
    to: default
    via: 192.168.15.5

- name: Office B is behind a gateway of its own
  hostwire.linux.route:
    to: 10.20.0.0/16
    via: 192.168.1.254
    metric: 100

- name: Nothing goes to this network
  hostwire.linux.route:
    to: 203.0.113.0/24
    type: blackhole

- name: Two ways that share the packets
  hostwire.linux.route:
    to: 198.51.100.0/24
    nexthops:
      - {via: 192.168.1.253, weight: 1}
      - {via: 192.168.1.254, weight: 3}

- name: No longer needed, whatever its metric
  hostwire.linux.route:
    to: 10.20.0.0/16
    state: absent
"""

RETURN = r"""
plan:
  description: What was changed, or in check mode would be, a readable line for each change, in the order of work.
  returned: success
  type: list
  elements: str
  sample: ["blue: route default via 192.168.15.5: add"]
before:
  description: The route before the run, with the document's fields; what has its default is left out.
  returned: success
  type: dict
  sample: {}
after:
  description: The same after the run, or in check mode as it would be.
  returned: success
  type: dict
  sample: {routes: [{netns: blue, to: 0.0.0.0/0, via: 192.168.15.5}]}
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
  sample:
    - "via: no connected subnet of namespace blue has the gateway 192.168.99.5; there are 192.168.15.0/24 on eth0;
      where it is on the wire of eth0 all the same, add the route {to: 192.168.99.5/32, dev: eth0}"
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
        "routes",
        {
            "to": {"type": "str", "required": True},
            "via": {"type": "str"},
            "dev": {"type": "str"},
            "netns": {"type": "str"},
            "metric": {"type": "int"},
            "table": {"type": "str", "default": "main"},
            "type": {
                "type": "str",
                "choices": ["unicast", "blackhole", "unreachable", "prohibit"],
                "default": "unicast",
            },
            "nexthops": {"type": "list", "elements": "dict"},
        },
    )


if __name__ == "__main__":
    main()
