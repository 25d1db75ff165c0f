#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module topology_info: the whole truth about a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: topology_info
short_description: The whole truth about a host's network
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - Reads what the kernel knows of the host and of each of its named network namespaces, whoever made it.
  - Links, addresses, routes, neighbours, bridge ports, forwarding, address translation and published ports, and for
    every namespace the processes in it.
  - It reads only.
extends_documentation_fragment:
  - hostwire.linux.attributes.reads_only
seealso:
  - module: hostwire.linux.topology
    description: Makes it so.
"""

EXAMPLES = r"""
- name: What is there
  hostwire.linux.topology_info:
  register: network

- name: The namespaces and the processes in each
  ansible.builtin.debug:
    msg: "{{ item.key }}: {{ item.value.processes | map(attribute='command') | join(', ') | default('empty', true) }}"
  loop: "{{ network.namespaces | dict2items }}"

- name: The namespace red has one default route, and it leads to the switch
  ansible.builtin.assert:
    that: network.namespaces.red.routes | selectattr('to', 'eq', '0.0.0.0/0') | map(attribute='via') == ['192.168.15.5']
"""

RETURN = r"""
host:
  description: The host itself.
  type: dict
  returned: success
  contains:
    links:
      description: Its interfaces.
      type: list
      elements: dict
      returned: success
      contains:
        name:
          description: Its name.
          type: str
          returned: success
        index:
          description: The kernel's number for it.
          type: int
          returned: success
        kind:
          description: The kind of a virtual one (V(veth), V(bridge) and others), null for hardware.
          type: str
          returned: success
        up:
          description: Whether it is set up.
          type: bool
          returned: success
        carrier:
          description: Whether it is connected.
          type: bool
          returned: success
        mtu:
          description: Largest packet in bytes.
          type: int
          returned: success
        mac:
          description: MAC address.
          type: str
          returned: success
        bridge:
          description: The bridge or other interface that it is a port of, or null.
          type: str
          returned: success
        isolated:
          description: Whether it is kept from the other isolated ports of its bridge, null if it is no bridge's port.
          type: bool
          returned: success
        altnames:
          description: Its other names.
          type: list
          elements: str
          returned: success
        owner:
          description: The document that made it, null if none did.
          type: str
          returned: success
        addresses:
          description: Addresses with prefix length.
          type: list
          elements: str
          returned: success
        tentative:
          description: Those of them that the kernel still looks for duplicates of.
          type: list
          elements: str
          returned: success
        duplicate:
          description: Those of them that somebody else on the network has.
          type: list
          elements: str
          returned: success
    routes:
      description: Routes of the main table.
      type: list
      elements: dict
      returned: success
      contains:
        to:
          description: The network.
          type: str
          returned: success
        via:
          description: The gateway, or null.
          type: str
          returned: success
        dev:
          description: The interface, or null.
          type: str
          returned: success
        metric:
          description: The metric.
          type: int
          returned: success
        table:
          description: The number of the table.
          type: int
          returned: success
        type:
          description: V(unicast), V(blackhole) and so on.
          type: str
          returned: success
        protocol:
          description: Who made it, V(kernel), V(boot), V(static), V(ra), V(dhcp), V(hostwire) or a number.
          type: str
          returned: success
        nexthops:
          description: The ways of a route with several, each with C(via), C(dev) and C(weight).
          type: list
          elements: dict
          returned: success
    neighbours:
      description: Machines on the same network that it knows.
      type: list
      elements: dict
      returned: success
      contains:
        address:
          description: Its address.
          type: str
          returned: success
        mac:
          description: Its MAC address, null while it is not known.
          type: str
          returned: success
        dev:
          description: The interface.
          type: str
          returned: success
        state:
          description: V(reachable), V(stale), V(failed) and so on.
          type: str
          returned: success
    bridge_ports:
      description: For each bridge a list of its ports.
      type: dict
      returned: success
    forwarding:
      description: Whether it forwards, with the keys C(ipv4) and C(ipv6).
      type: dict
      returned: success
    nat:
      description: Address translation, ours and others'.
      type: dict
      returned: success
      contains:
        backend:
          description: Which iptables the host uses, V(nft) or V(legacy), null if none.
          type: str
          returned: success
        masquerade:
          description:
            - Networks whose packets leave with another address, each with its C(owner), C(chain), C(family),
              C(source) and so on.
          type: list
          elements: dict
          returned: success
        published_ports:
          description:
            - Ports that lead elsewhere, each with its C(owner), C(chain), C(family), C(protocol), C(port), C(to) and
              so on.
          type: list
          elements: dict
          returned: success
        problem:
          description: Why it can't be told, where it can't.
          type: str
          returned: success
namespaces:
  description:
    - For each named namespace the same as in RV(host), and C(processes), the processes in it, each with its C(pid) on
      the host, its C(pid_inside) in its own PID namespace and its C(command).
  type: dict
  returned: success
  sample:
    red:
      links:
        - {name: lo, index: 1, kind: null, up: true, mtu: 65536, addresses: [127.0.0.1/8, "::1/128"]}
        - {name: eth0, index: 2, kind: veth, up: true, mtu: 1500, owner: main, addresses: [192.168.15.1/24]}
      routes:
        - {to: 0.0.0.0/0, via: 192.168.15.5, dev: eth0, metric: 0, table: 254, type: unicast, protocol: hostwire}
      forwarding: {ipv4: false, ipv6: false}
      processes:
        - {pid: 4711, pid_inside: 1, command: "python3 -m http.server 80"}
documents:
  description:
    - For each document of this host its name and what it says, as it was last applied. Tasks for single objects build
      a document named V(tasks). One that was never applied whole, or whose record can't be read, says null.
  type: dict
  returned: success
problems:
  description:
    - For each record of a document that can't be used (it is damaged, say, or of another version) a sentence that names
      the file and the way out. And one for each run that hasn't come to its end, of a document or of another task.
  type: list
  elements: str
  returned: success
  version_added: 0.4.0
  sample: []
"""

from ansible_collections.hostwire.linux.plugins.module_utils.ansible_readers import run_info


def main() -> None:
    """Look."""
    run_info()


if __name__ == "__main__":
    main()
