#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module published_port: one port that leads to a guest."""

from __future__ import annotations

DOCUMENTATION = r"""
module: published_port
short_description: Publish a port of a guest on an address of the host
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - A port, or a range of ports, of the host leads to an address and port behind it. It works from outside, from the
    host itself and from neighbours of the guest on the same switch.
  - The default address is V(127.0.0.1). Opening a port to the world is said, not implied.
  - Connections that the kernel tracks already are forgotten when a port is published and when it is withdrawn, so
    that the change holds at once.
  - Forwarding has to be on, see M(hostwire.linux.forwarding), unless the address is V(127.0.0.1) only.
extends_documentation_fragment:
  - hostwire.linux.attributes
  - hostwire.linux.owned
  - hostwire.linux.objects.published_port
options:
  to:
    description:
      - Where it leads, as V(192.168.15.2:80) or V([fd00:15::2]:80). Required with O(state=present).
      - A range leads to a range as long, as V(192.168.15.2:8000-8010).
    required: false
"""

EXAMPLES = r"""
- name: The web server in blue, for the host itself
  hostwire.linux.published_port:
    port: 8080
    to: 192.168.15.2:80

- name: The same for everybody in the office
  hostwire.linux.published_port:
    address: any
    port: 8443
    to: 192.168.15.2:443
    sources: [192.168.1.0/24]

- name: A range of UDP ports, over IPv6
  hostwire.linux.published_port:
    protocol: udp
    address: any
    port: 5000-5010
    to: "[fd00:15::2]:5000-5010"

- name: No longer published, on whichever address it was
  hostwire.linux.published_port:
    port: 8443
    state: absent
"""

RETURN = r"""
plan:
  description: What was changed, or in check mode would be, a readable line for each change, in the order of work.
  returned: success
  type: list
  elements: str
  sample: ["host: publish tcp 127.0.0.1:8080 -> 192.168.15.2:80: add"]
before:
  description: The published port before the run, with the document's fields; what has its default is left out.
  returned: success
  type: dict
  sample: {}
after:
  description: The same after the run, or in check mode as it would be.
  returned: success
  type: dict
  sample: {published_ports: [{protocol: tcp, port: 8080, to: "192.168.15.2:80"}]}
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
  sample: ["port: \"80800\" is out of range; ports go from 1 to 65535"]
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
        "published_ports",
        {
            "port": {"type": "str", "required": True},
            "to": {"type": "str"},
            "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
            "address": {"type": "str", "default": "127.0.0.1"},
            "sources": {"type": "list", "elements": "str"},
            "netns": {"type": "str"},
        },
    )


if __name__ == "__main__":
    main()
