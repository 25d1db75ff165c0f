#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module reachability: probes as a task of their own."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reachability
short_description: Prove what is reachable from where, and what is not
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - Sends probes from inside namespaces, from containers or from the host, all at once, and compares what comes back
    with what was claimed.
  - It fails if any probe comes out otherwise, and names each of them.
  - It needs no program on the host, and starts no process in a namespace or container.
  - In check mode nothing is sent, and a warning says so.
extends_documentation_fragment:
  - hostwire.linux.attributes.reads_only
  - hostwire.linux.probes
options:
  probes:
    description: What must, and what must not, be reachable.
    required: true
  timeout:
    description: How long to wait for an answer, in seconds.
    type: float
    default: 2.0
  attempts:
    description: How often a probe is tried until it comes out as claimed.
    type: int
    default: 2
seealso:
  - module: hostwire.linux.topology
    description: Takes the same probes as part of its verification.
"""

EXAMPLES = r"""
- name: Neighbours see each other, and nobody else sees them
  hostwire.linux.reachability:
    probes:
      - {from: red, to: 192.168.15.2}
      - {from: red, to: "fd00:15::2"}
      - {from: blue, to: 203.0.113.9, expect: unreachable}

- name: The web server answers, from the host and from its neighbour
  hostwire.linux.reachability:
    probes:
      - {to: 192.168.15.2, protocol: tcp, port: 80}
      - {from: red, to: 192.168.15.2, protocol: tcp, port: 80}
    timeout: 0.5
    attempts: 4
"""

RETURN = r"""
matrix:
  description: A row for each of O(probes), in the same order. Empty in check mode.
  returned: always, unless the options are wrong
  type: list
  elements: dict
  contains:
    from:
      description: Where the packet started, a namespace, V(container:NAME), or null for the host.
      type: str
      returned: success
    to:
      description: Where it went.
      type: str
      returned: success
    protocol:
      description: V(icmp), V(tcp), V(udp) or V(dns).
      type: str
      returned: success
    port:
      description: The port, null where there is none.
      type: int
      returned: success
    expect:
      description: What was claimed, V(reachable) or V(unreachable).
      type: str
      returned: success
    got:
      description: What was found, V(reachable) or V(unreachable).
      type: str
      returned: success
    ok:
      description: Whether both agree.
      type: bool
      returned: success
    milliseconds:
      description: Time from sending to the answer, null where there was none.
      type: float
      returned: success
    detail:
      description: What answered, or what stood in the way, in words.
      type: str
      returned: success
  sample:
    - from: blue
      to: 192.168.1.3
      protocol: icmp
      port: null
      expect: reachable
      got: reachable
      ok: true
      milliseconds: 0.08
      detail: echo reply
results:
  description: The same as sentences.
  returned: always, unless the options are wrong
  type: list
  elements: str
  sample: ["blue to 192.168.1.3 (icmp): reachable in 0.1 ms, as expected"]
problems:
  description: A line for each probe that came out otherwise, or for each option that can't be right.
  returned: failure
  type: list
  elements: str
  sample: ["blue to 192.168.1.3 (icmp): unreachable in 0.0 ms, but reachable was expected (no route)"]
kind:
  description:
    - V(verify) if a probe came out otherwise, V(invalid) for a wrong option, V(missing) if a namespace or container
      isn't there.
  returned: failure
  type: str
  sample: verify
"""

from ansible_collections.hostwire.linux.plugins.module_utils.ansible_readers import run_probes


def main() -> None:
    """Send the probes."""
    run_probes(
        {
            "probes": {"type": "list", "elements": "dict", "required": True},
            "timeout": {"type": "float", "default": 2.0},
            "attempts": {"type": "int", "default": 2},
        }
    )


if __name__ == "__main__":
    main()
