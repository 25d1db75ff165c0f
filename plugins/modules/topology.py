#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module topology: a whole document."""

from __future__ import annotations

DOCUMENTATION = r"""
module: topology
short_description: The network of a host as one document
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - One document says what the network of a host is, its namespaces, virtual cables, switches, addresses, routes,
    forwarding, address translation and published ports. This module makes the kernel agree with it.
  - It reads what is there, plans, applies the plan in one batch and verifies by reading back and by sending the
    probes. If anything fails, everything is as it was before.
  - What it makes is marked as made by this document. What the document no longer names is removed. Nothing else is
    ever changed or removed, and something of somebody else that is in the way is an error before anything changes. So
    is what hangs on something that is to go, as a virtual machine that is plugged into a bridge, somebody's route
    through one, or a process in a namespace.
  - The order of entries never matters.
  - Every problem of a document is found before anything changes, and all of them are in one message, each with the
    path of its field.
  - It speaks to the kernel directly, so that it needs no C(ip) program and takes about as long for two hundred
    namespaces as one command.
extends_documentation_fragment:
  - hostwire.linux.attributes
  - hostwire.linux.document
  - hostwire.linux.probes
options:
  name:
    description:
      - The owner mark. Several documents with different names live side by side on one host, each touching only its
        own.
      - Up to 32 letters, digits and C(_.-), beginning with a letter or digit.
    type: str
    default: main
  state:
    description:
      - V(absent) removes everything that a document of this O(name) made. Nothing else of the document is needed
        then.
      - With V(present) a document that says nothing, where one of this O(name) has made something, is an error.
    type: str
    choices: [present, absent]
    default: present
  probes:
    description:
      - What must, and what must not, be reachable afterwards. They are sent at the end of each run and belong to its
        verification. If one comes out otherwise, the run fails and is undone.
notes:
  - Changes are written to a journal in C(/var/lib/hostwire) first. A run that was killed is finished or undone by the
    next one.
seealso:
  - module: hostwire.linux.topologies
    description: Several documents that build on each other.
  - module: hostwire.linux.topology_info
    description: What is really there.
  - module: hostwire.linux.reachability
    description: The probes as a task of their own.
"""

EXAMPLES = r"""
- name: Two namespaces on a switch, behind the host's address, and a web server that the office may use
  hostwire.linux.topology:
    namespaces:
      - name: red
      - name: blue
    bridges:
      - {name: v-net-0, addresses: [192.168.15.5/24]}
    veths:
      - {name: veth-red-br, bridge: v-net-0, peer: {name: eth0, netns: red, addresses: [192.168.15.1/24]}}
      - {name: veth-blue-br, bridge: v-net-0, peer: {name: eth0, netns: blue, addresses: [192.168.15.2/24]}}
    routes:
      - {netns: red, to: default, via: 192.168.15.5}
      - {netns: blue, to: default, via: 192.168.15.5}
    forwarding: {ipv4: true}
    masquerade:
      - {source: 192.168.15.0/24, except_to: v-net-0}
    published_ports:
      - {port: 8080, to: "192.168.15.2:80", address: any, sources: [192.168.1.0/24]}
    probes:
      - {from: red, to: 192.168.15.2}

- name: A second document on the same host, two networks with a router between them
  hostwire.linux.topology:
    name: office
    namespaces:
      - name: desk
      - name: router
        forwarding: {ipv4: true, ipv6: true}
      - name: printer
    veths:
      - name: eth0
        netns: desk
        addresses: [10.1.0.10/24, "fd00:1::10/64"]
        peer: {name: lan1, netns: router, addresses: [10.1.0.1/24, "fd00:1::1/64"]}
      - name: eth0
        netns: printer
        addresses: [10.2.0.10/24, "fd00:2::10/64"]
        peer: {name: lan2, netns: router, addresses: [10.2.0.1/24, "fd00:2::1/64"]}
    routes:
      - {netns: desk, to: default, via: 10.1.0.1}
      - {netns: desk, to: default, via: "fd00:1::1"}
      - {netns: printer, to: 10.1.0.0/24, via: 10.2.0.1}
      - {netns: printer, to: "fd00:1::/64", via: "fd00:2::1"}
    probes:
      - {from: desk, to: 10.2.0.10}
      - {from: desk, to: "fd00:2::10"}
      - {from: printer, to: 192.168.15.2, expect: unreachable}

- name: A running container gets one more cable, and the way to a network behind it
  hostwire.linux.topology:
    name: lab
    bridges:
      - {name: v-lab, addresses: [10.3.0.1/24, "fd00:3::1/64"]}
    containers:
      - {container: web, name: lan0, bridge: v-lab, addresses: [10.3.0.2/24, "fd00:3::2/64"]}
    routes:
      - {netns: "container:web", to: 10.4.0.0/16, via: 10.3.0.1}

- name: The office is no longer needed, the first document stays
  hostwire.linux.topology:
    name: office
    state: absent
"""

RETURN = r"""
plan:
  description: What was changed, or in check mode would be, a readable line for each change, in the order of work.
  returned: success
  type: list
  elements: str
  sample:
    - "namespace red: create"
    - "host: bridge v-net-0: create"
    - "host: v-net-0: address 192.168.15.5/24: add"
before:
  description: The document before the run, with the document's fields; what has its default is left out.
  returned: success
  type: dict
  sample: {name: main}
after:
  description: The same after the run, or in check mode as it would be.
  returned: success
  type: dict
  sample: {name: main, namespaces: [{name: red}], bridges: [{name: v-net-0, addresses: [192.168.15.5/24]}]}
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
  sample: ["veths[2].peer.netns: no namespace named \"blu\"; did you mean \"blue\"?"]
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
reachability:
  description: What came of each of O(probes), in the same order. Empty in check mode.
  returned: success
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
"""

from ansible_collections.hostwire.linux.plugins.module_utils.ansible_adapter import run_document


def main() -> None:
    """Hand the document to the engine, whose reader judges all that is nested."""
    run_document(
        {
            "name": {"type": "str", "default": "main"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "namespaces": {"type": "list", "elements": "dict"},
            "bridges": {"type": "list", "elements": "dict"},
            "veths": {"type": "list", "elements": "dict"},
            "interfaces": {"type": "list", "elements": "dict"},
            "taps": {"type": "list", "elements": "dict"},
            "containers": {"type": "list", "elements": "dict"},
            "routes": {"type": "list", "elements": "dict"},
            "forwarding": {"type": "dict"},
            "masquerade": {"type": "list", "elements": "dict"},
            "published_ports": {"type": "list", "elements": "dict"},
            "sysctls": {"type": "dict"},
            "probes": {"type": "list", "elements": "dict"},
        }
    )


if __name__ == "__main__":
    main()
