#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module docker_info: the truth about Docker on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_info
short_description: The truth about Docker's networks on a host
version_added: 0.2.0
author: The Hostwire authors (@hostwire)
description:
  - Tells what the Docker engine is and where each of its networking options comes from, what docker0 and the other
    networks have for addresses, what runs on them, and what they collide with.
  - Looks at the routes of every table, so that a network behind a VPN is seen, which Docker itself doesn't look for.
  - Recognises by which layout this version writes its firewall rules, and says what of them is missing or damaged.
  - Where Docker isn't installed or doesn't run it says so in RV(installed), RV(running) and RV(reason), and tells the
    rest. It never starts an engine.
  - It reads only.
options:
  socket:
    description: The engine's socket.
    type: path
    default: /var/run/docker.sock
extends_documentation_fragment:
  - hostwire.linux.attributes.reads_only
seealso:
  - module: hostwire.linux.docker_bridge
    description: Gives docker0 another address.
  - module: hostwire.linux.docker_chains
    description: Puts Docker's firewall rules back.
"""

EXAMPLES = r"""
- name: What is there
  hostwire.linux.docker_info:
  register: docker

- name: Say what collides with the office network
  ansible.builtin.debug:
    msg: "{{ item.network }} has {{ item.subnet }}, but there is a route {{ item.words }}"
  loop: "{{ docker.overlaps }}"

- name: Nothing of Docker's firewall rules is missing
  ansible.builtin.assert:
    that: docker.damage == []
    fail_msg: "{{ docker.damage | map(attribute='words') | join('; ') }}"
  when: docker.running
"""

RETURN = r"""
installed:
  description: Whether there is a Docker engine on the host.
  type: bool
  returned: success
running:
  description: Whether it runs.
  type: bool
  returned: success
reason:
  description: Why nothing can be told of an engine; null if one runs.
  type: str
  returned: success
  sample: Docker is stopped
version:
  description: Its version, null if it doesn't run.
  type: str
  returned: success
  sample: 28.5.2
api_version:
  description: The version of its API.
  type: str
  returned: success
  sample: "1.51"
live_restore:
  description:
    - Whether containers go on running while it is stopped. A new address of docker0 doesn't come into force then.
  type: bool
  returned: success
backend:
  description:
    - What it writes its rules with, V(iptables-nft), V(iptables-legacy) or V(nftables); null if that can't be told.
  type: str
  returned: success
options:
  description: The networking options that are set, by the name that C(daemon.json) has for them.
  type: dict
  returned: success
  contains:
    value:
      description: The value.
      type: raw
      returned: success
    places:
      description: Where it is set, each with its C(kind), C(file) and C(line).
      type: list
      elements: dict
      returned: success
  sample:
    bip: {value: 10.200.3.1/24, places: [{kind: daemon.json, file: /etc/docker/daemon.json, line: 2}]}
twice:
  description: A line for each option that is set in more than one place, with which dockerd doesn't start.
  type: list
  elements: str
  returned: success
docker0:
  description: The bridge of the default network, as the kernel has it.
  type: dict
  returned: success
  contains:
    present:
      description: Whether it is there.
      type: bool
      returned: success
    up:
      description: Whether it is set up.
      type: bool
      returned: success
    mtu:
      description: Largest packet in bytes.
      type: int
      returned: success
    addresses:
      description: Addresses with prefix length.
      type: list
      elements: str
      returned: success
      sample: [172.17.0.1/16]
networks:
  description: All networks of the engine.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name.
      type: str
      returned: success
    driver:
      description: V(bridge), V(host), V(macvlan) and so on.
      type: str
      returned: success
    bridge:
      description: Name of its link on the host.
      type: str
      returned: success
    internal:
      description: Whether it has no way out.
      type: bool
      returned: success
    ipv6:
      description: Whether it has IPv6.
      type: bool
      returned: success
    subnets:
      description: Its ranges, each with its C(subnet) and C(gateway).
      type: list
      elements: dict
      returned: success
containers:
  description: The containers that run.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The name.
      type: str
      returned: success
    policy:
      description: The restart policy, V(no), V(always), V(unless-stopped) or V(on-failure).
      type: str
      returned: success
    health:
      description: V(healthy), V(unhealthy) or V(starting), null without a check.
      type: str
      returned: success
    paused:
      description: Whether it is paused.
      type: bool
      returned: success
    auto_remove:
      description: Whether it is gone for good once it stops.
      type: bool
      returned: success
    network_mode:
      description: A network, V(host), V(none) or another container.
      type: str
      returned: success
    addresses:
      description:
        - Its C(ipv4) and C(ipv6) in each C(network); C(static) where the user asked for one.
      type: list
      elements: dict
      returned: success
    ports:
      description:
        - Published ports, each with its C(protocol), C(port) in the container, C(host_port) and C(address) on the host;
          null is every address.
      type: list
      elements: dict
      returned: success
addresses:
  description: The host's own addresses, without those of Docker's bridges, loopback and link-local ones.
  type: list
  elements: str
  returned: success
  sample: [192.168.1.9]
routes:
  description:
    - What the host reaches without Docker, in every routing table. Default routes and their halves, loopback,
      link-local and multicast ranges are left out.
  type: list
  elements: dict
  returned: success
  contains:
    to:
      description: The network.
      type: str
      returned: success
    via:
      description: The gateway, null if it is connected.
      type: str
      returned: success
    dev:
      description: The interface.
      type: str
      returned: success
    table:
      description: The number of the table.
      type: int
      returned: success
overlaps:
  description: Networks of the engine that share addresses with such a route.
  type: list
  elements: dict
  returned: success
  contains:
    network:
      description: Name of the network.
      type: str
      returned: success
    subnet:
      description: Its subnet.
      type: str
      returned: success
    route:
      description: The route, as in RV(routes).
      type: dict
      returned: success
    words:
      description: The route as a person would say it.
      type: str
      returned: success
      sample: 172.16.0.0/12 via 10.9.0.1 dev tun0
layout:
  description:
    - The layout of the firewall rules that the engine keeps, by the versions that have it; null if it doesn't run.
  type: str
  returned: success
damage:
  description: What of these rules is missing, out of order or left over.
  type: list
  elements: dict
  returned: success
  contains:
    kind:
      description:
        - V(missing-chain), V(missing-jump), V(missing-rule), V(missing-port), V(missing-masquerade),
          V(stale-masquerade), V(wrong-order) or V(duplicate).
      type: str
      returned: success
    rule:
      description: The rule as C(iptables-save) prints it; empty where it is about a chain.
      type: str
      returned: success
    words:
      description: What is wrong.
      type: str
      returned: success
    repairable:
      description: Whether M(hostwire.linux.docker_chains) puts it right without a restart.
      type: bool
      returned: success
broken_off:
  description:
    - How far a run of M(hostwire.linux.docker_bridge) had come that was killed or could not go back; its next run does.
    - Null if there was none.
  type: str
  returned: success
  sample: doing
unread:
  description: What could not be read, and why; the fields that it would have filled are null or empty.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.hostwire.linux.plugins.module_utils.ansible_module import run_task
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.info import info


def main() -> None:
    """Look."""
    run_task(
        {"socket": {"type": "path", "default": "/var/run/docker.sock"}},
        lambda module: info(module.params["socket"]),
    )


if __name__ == "__main__":
    main()
