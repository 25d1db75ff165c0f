#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module docker_bridge: another address for docker0."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_bridge
short_description: Another address for docker0, and what belongs to it
version_added: 0.2.0
author: The Hostwire authors (@hostwire)
description:
  - Gives Docker's default bridge C(docker0) another address, or changes other networking options of C(dockerd), on a
    host with running containers, and ends with the new state or, if anything fails, with the old one.
  - Everything that stands against it is found first and said in one message, with nothing changed. Then it writes the
    options to C(daemon.json), of which it keeps every other byte, takes them out of C(/etc/default/docker) and
    the admin's unit files, stops Docker, puts C(docker0) right, starts Docker, starts those containers again that ran
    and that Docker doesn't start itself, and looks whether addresses, NAT rules, containers and published ports are
    right. A container that ends within three seconds of its start hasn't come back.
  - The way back is the old state literally, so what wouldn't start again as it is is refused. That is a value in a file
    that C(dockerd) can't take, an option that it runs with and that none of its files explains, a file that was edited
    since its start in one of these options, and another engine than C(docker.service) at the socket.
  - What else names the old address or subnet of C(docker0) is looked for in C(daemon.json), the flags,
    C(docker.socket), the settings of containers and the sockets of the host. What keeps C(dockerd) from starting is a
    conflict, the rest a warning that is in the plan, too.
  - A run that was killed is taken back by the next one.
  - An option that isn't given is left as it is.
extends_documentation_fragment:
  - hostwire.linux.attributes
options:
  state:
    description:
      - V(present) sets the options that are given.
      - V(absent) takes all the options of this module away, and C(docker0) back to Docker's own choice.
      - V(restored) goes back to the state before this module's first change.
    type: str
    choices: [present, absent, restored]
    default: present
  bip:
    description: IPv4 address of C(docker0) with the prefix length of its subnet.
    type: str
  bip6:
    description: IPv6 address of C(docker0) with prefix length. Docker 28.0 and later.
    type: str
  fixed_cidr:
    description: The part of the bridge's IPv4 subnet that containers get their addresses from.
    type: str
  fixed_cidr_v6:
    description: The IPv6 subnet of the bridge.
    type: str
  ipv6:
    description: Whether containers on the default bridge have IPv6.
    type: bool
  default_address_pools:
    description:
      - The ranges that Docker takes subnets for new networks from, in place of its own list. Networks that exist keep
        their subnets.
    type: list
    elements: dict
    suboptions:
      base:
        description: The range.
        type: str
        required: true
      size:
        description: Prefix length of the subnets that are cut out of it.
        type: int
        required: true
  mtu:
    description: Largest packet in bytes on the default bridge's containers.
    type: int
  icc:
    description: Whether containers on the default bridge reach each other.
    type: bool
  ip_masq:
    description: Whether Docker masquerades what containers on the default bridge send out.
    type: bool
  taken:
    description: Networks that are in use elsewhere, like the office's and the VPN's; what overlaps them is refused.
    type: list
    elements: str
    default: []
  start_timeout:
    description: Seconds that C(dockerd) has to start.
    type: int
    default: 120
  verify_timeout:
    description: Seconds that containers and published ports have to be right again after that.
    type: int
    default: 60
seealso:
  - module: hostwire.linux.docker_info
"""

EXAMPLES = r"""
- name: docker0 leaves 172.17.0.0/16 to the office network
  hostwire.linux.docker_bridge:
    bip: 192.168.225.1/24
    default_address_pools:
      - base: 192.168.226.0/23
        size: 27
    taken: [172.16.0.0/12, 10.0.0.0/8]

- name: Back to the way it was before
  hostwire.linux.docker_bridge:
    state: restored

- name: Docker's own defaults
  hostwire.linux.docker_bridge:
    state: absent
"""

RETURN = r"""
plan:
  description: What was changed, or in check mode would be, a readable line each; the same words in both.
  returned: success
  type: list
  elements: str
  sample: ["option bip: 192.168.225.1/24", "docker0: 192.168.225.1/24 (was 172.17.0.1/16)"]
before:
  description: The state before the run.
  returned: success
  type: dict
  contains:
    address:
      description: IPv4 address of C(docker0) with prefix length; null if it has none.
      type: str
      returned: success
    options:
      description: Those options of this module that stand in any file, by their name in C(daemon.json).
      type: dict
      returned: success
    files:
      description:
        - Each file that changes, by its path, with C(options), those of this module that stand there, and C(kept), how
          much else does; null for one that isn't there. What is kept is never shown, as it may hold passwords.
      type: dict
      returned: success
  sample: {address: 172.17.0.1/16, options: {}, files: {/etc/docker/daemon.json: {options: {}, kept: 2 other keys}}}
after:
  description: The state after the run, or in check mode as it would be, as RV(before).
  returned: success
  type: dict
  sample:
    address: 192.168.225.1/24
    options: {bip: 192.168.225.1/24}
    files: {/etc/docker/daemon.json: {options: {bip: 192.168.225.1/24}, kept: 2 other keys}}
diff:
  description: RV(before) and RV(after) as YAML text, as C(--diff) shows them.
  returned: success
  type: dict
downtime:
  description: Seconds without Docker that are to be expected of the plan.
  returned: success
  type: float
  sample: 2.8
timings:
  description: How long each part of the run took, in seconds.
  returned: success
  type: dict
  contains:
    read:
      description: Reading the engine, its configuration, the bridge and the routes.
      type: float
      returned: success
    plan:
      description: Planning, and looking for what stands against the plan.
      type: float
      returned: success
    prepare:
      description: Looking whether there is room for the new files, and what the containers do.
      type: float
      returned: when something changes
    stop:
      description: Stopping Docker.
      type: float
      returned: when something changes
    files:
      description: Putting the files in place, while Docker is stopped.
      type: float
      returned: when something changes
    start:
      description: Putting the address of C(docker0) right, and starting Docker, until it answers.
      type: float
      returned: when something changes
    containers:
      description: Getting the containers back.
      type: float
      returned: when something changes
    verify:
      description: Until everything was seen to be right.
      type: float
      returned: when something changes
    recover:
      description: Taking back a run that was broken off.
      type: float
      returned: when there was one
  sample: {read: 0.21, plan: 0.12, prepare: 0.05, stop: 0.4, files: 0.01, start: 0.9, containers: 0.5, verify: 0.3}
problems:
  description: Every problem that was found, a line each; the message is all of them.
  returned: failure
  type: list
  elements: str
  sample: ["bip: 10.9.0.0/24 overlaps the host's route 10.0.0.0/8 via 192.0.2.1 dev tun0"]
kind:
  description:
    - What kind of failure it is.
    - V(invalid) is an option or file that can't be right, V(missing) something that the host lacks, V(conflict)
      something in the way; after these three nothing was changed.
    - V(refused) is the kernel or the service manager saying no, V(verify) a result other than asked for,
      V(interrupted) a signal; after these everything was put back as it was.
    - V(undo) means that not all could be put back; the message says what is left, and the next run goes on from there.
      V(unexpected) is a mistake in this collection.
  returned: failure
  type: str
  sample: conflict
"""

from typing import Any, Dict

from ansible_collections.hostwire.linux.plugins.module_utils.ansible_module import Module, run_task
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.deeds import Limits
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.run import run
from ansible_collections.hostwire.linux.plugins.module_utils.document import to_yaml

SPEC: Dict[str, Dict[str, Any]] = {
    "state": {"type": "str", "choices": ["present", "absent", "restored"], "default": "present"},
    "bip": {"type": "str"},
    "bip6": {"type": "str"},
    "fixed_cidr": {"type": "str"},
    "fixed_cidr_v6": {"type": "str"},
    "ipv6": {"type": "bool"},
    "default_address_pools": {
        "type": "list",
        "elements": "dict",
        "options": {"base": {"type": "str", "required": True}, "size": {"type": "int", "required": True}},
    },
    "mtu": {"type": "int"},
    "icc": {"type": "bool"},
    "ip_masq": {"type": "bool"},
    "taken": {"type": "list", "elements": "str", "default": []},
    "start_timeout": {"type": "int", "default": 120},
    "verify_timeout": {"type": "int", "default": 60},
}


def _diff_text(state: Dict[str, Any]) -> str:
    return to_yaml(state) if state else ""


def work(module: Module) -> Dict[str, Any]:
    """The task."""
    limits = Limits(float(module.params["start_timeout"]), float(module.params["verify_timeout"]))
    done = run(module.params, module.check_mode, limits=limits)
    for line in done.warnings:
        module.warn(line)
    shown = (done.before, done.after) if done.before != done.after else ({}, {})
    before, after = (_diff_text(state) for state in shown)
    return {
        "changed": done.changed,
        "plan": list(done.plan),
        "before": done.before,
        "after": done.after,
        "diff": {"before_header": "docker0", "after_header": "docker0", "before": before, "after": after},
        "downtime": done.downtime,
        "timings": done.timings,
    }


def main() -> None:
    """Hand the parameters over."""
    run_task(SPEC, work)


if __name__ == "__main__":
    main()
