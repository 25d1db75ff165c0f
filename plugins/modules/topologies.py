#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module topologies: several documents."""

from __future__ import annotations

DOCUMENTATION = r"""
module: topologies
short_description: Several documents of a host's network, one after the other
version_added: 0.3.0
author: The Hostwire authors (@hostwire)
description:
  - Makes the kernel agree with each of these documents in turn, as a task of M(hostwire.linux.topology) for each would.
  - All of them are planned before anything changes, each on the host as those before it will leave it. If one of them
    is refused, nothing is changed at all.
  - So check mode is exact for all of them together, where one of them builds on another, or two share a setting of the
    host, as forwarding is.
  - A document that fails while it is carried out is undone. Those before it stay, and the message names them.
extends_documentation_fragment:
  - hostwire.linux.attributes
options:
  documents:
    description:
      - The documents, in the order in which they are to be applied. Each has the options of
        M(hostwire.linux.topology), its name and state among them.
      - A name may come again further on, where something has to stay until other documents have let go of it.
    type: list
    elements: dict
    required: true
  emptied_namespaces:
    description:
      - Namespaces whose processes tasks before this one end, but not in check mode. Check mode then takes no notice of
        what lives there.
      - Otherwise this means nothing.
    type: list
    elements: str
notes:
  - What a setting of a namespace is before check mode would change it, is shown as C((new)) where an earlier document
    of the same name makes that namespace.
seealso:
  - module: hostwire.linux.topology
    description: A single document.
"""

EXAMPLES = r"""
- name: Rooms, and two networks that lead into them
  hostwire.linux.topologies:
    documents:
      - name: rooms
        namespaces:
          - name: red
          - name: blue
      - name: office
        bridges:
          - {name: office, addresses: [10.0.2.1/24]}
        veths:
          - {name: office_red, bridge: office, peer: {name: eth0, netns: red, addresses: [10.0.2.4/24]}}
        routes:
          - {netns: red, to: default, via: 10.0.2.1}
        forwarding: {ipv4: true}
        masquerade:
          - {source: 10.0.2.0/24, except_to: office}
      - name: lab
        bridges:
          - {name: lab, addresses: [10.0.3.1/24]}
        veths:
          - {name: lab_blue, bridge: lab, peer: {name: eth0, netns: blue, addresses: [10.0.3.4/24]}}
        routes:
          - {netns: blue, to: default, via: 10.0.3.1}
        forwarding: {ipv4: true}
        masquerade:
          - {source: 10.0.3.0/24, except_to: lab}

- name: The lab goes, and then its room
  hostwire.linux.topologies:
    documents:
      - name: lab
        state: absent
      - name: rooms
        namespaces:
          - name: red
"""

RETURN = r"""
documents:
  description: What came of each document, in the same order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The document's name.
      returned: success
      type: str
    changed:
      description: Whether anything of it was changed, or in check mode would be.
      returned: success
      type: bool
    plan:
      description: What was changed, or in check mode would be, a readable line for each change, in the order of work.
      returned: success
      type: list
      elements: str
    before:
      description: The document before the run, with the document's fields; what has its default is left out.
      returned: success
      type: dict
    after:
      description: The same after the run, or in check mode as it would be.
      returned: success
      type: dict
    timings:
      description: How long each part of the run took, in seconds, as RV(hostwire.linux.topology#module:timings) says.
      returned: success
      type: dict
    reachability:
      description:
        - What came of each of the document's probes, as RV(hostwire.linux.topology#module:reachability) says.
      returned: success
      type: list
      elements: dict
  sample:
    - name: rooms
      changed: true
      plan: ["namespace red: create"]
      before: {name: rooms}
      after: {name: rooms, namespaces: [{name: red}]}
      timings: {read: 0.004, plan: 0.001, apply: 0.009, verify: 0.003}
      reachability: []
diff:
  description: What changes of each document of which something does, as YAML text, as C(--diff) shows it.
  returned: success
  type: list
  elements: dict
problems:
  description: Every problem that was found, a line each; the message is all of them.
  returned: failure
  type: list
  elements: str
  sample: ["guest-wire: bridges[0].uplink: no interface named \"eth9\" on the host; did you mean \"eth1\"?"]
kind:
  description: What kind of failure it is, as RV(hostwire.linux.topology#module:kind) says.
  returned: failure
  type: str
  sample: invalid
"""

from ansible_collections.hostwire.linux.plugins.module_utils.ansible_documents import run_documents


def main() -> None:
    """Hand the documents to the engine, whose reader judges all that is in them."""
    run_documents(
        {
            "documents": {"type": "list", "elements": "dict", "required": True},
            "emptied_namespaces": {"type": "list", "elements": "str"},
        }
    )


if __name__ == "__main__":
    main()
