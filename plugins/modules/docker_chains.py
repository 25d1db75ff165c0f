#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module docker_chains: Docker's packet filter rules after a flush, and the user's in DOCKER-USER."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_chains
short_description: Docker's firewall rules after a flush, and rules of your own for published ports
version_added: 0.2.0
author: The Hostwire authors (@hostwire)
description:
  - Puts back what C(iptables -F), C(iptables -t nat -F) or C(-X) took from a running Docker engine, without a restart,
    exactly as the engine's version writes it. That is its chains, the jumps to them, masquerading, and the rules of
    networks, containers and published ports. Masquerading that an engine left behind for networks that are no more is
    taken away.
  - Sets rules of your own for who may reach published ports. They stand in one chain C(HOSTWIRE-USER), which is
    replaced as a whole, and to which one jump in Docker's chain C(DOCKER-USER) leads. Docker never touches either; a
    jump that others took away (C(ufw reload) with rules for Docker writes C(DOCKER-USER) anew) is put back.
  - Where the engine runs with C(iptables) set to false, gives containers their way out (masquerading) and their
    published ports, in the chains C(HOSTWIRE-DOCKER) and C(HOSTWIRE-DOCKER-MASQ).
  - Every rule that isn't Docker's and has no mark of this module is left as it is, and so are the policies of chains,
    C(FORWARD) too.
extends_documentation_fragment:
  - hostwire.linux.attributes
options:
  state:
    description:
      - V(present) repairs Docker's rules and sets O(rules).
      - V(absent) takes away all that is this module's own, and leaves Docker's rules alone.
    type: str
    choices: [present, absent]
    default: present
  rules:
    description:
      - Who may reach containers from outside; the first rule that matches a new connection decides. They are looked at
        before Docker's own rules, for IPv4 and IPv6, as far as the addresses in a rule are of a family and Docker
        filters that family.
      - What they are not for are answers of connections that stand, and connections to the host itself. A connection
        that Docker's userland proxy takes (from the host itself, or by IPv6 to a container without it) is one of those.
      - An empty list takes all rules away. If it isn't given, the rules stay as they are.
    type: list
    elements: dict
    suboptions:
      action:
        description:
          - V(deny) drops the packets.
          - V(allow) leaves them to the rules that Docker would have applied without this module, which is a RETURN and
            not an ACCEPT. A port that isn't published stays closed.
        type: str
        choices: [allow, deny]
        required: true
      port:
        description:
          - The published port, on the host, or a range as V(8000-8010). With a port a rule is about connections to
            published ports only, and not about those that containers make to other machines.
        type: str
      protocol:
        description: Protocol; V(tcp) where there is a port.
        type: str
        choices: [tcp, udp, sctp]
      sources:
        description: Addresses and networks that the connection comes from; any if left out.
        type: list
        elements: str
      interface:
        description: Link that the packets come in by; any if left out.
        type: str
      destination:
        description: Address of the host, or network, that was asked for, before Docker translated it.
        type: str
  restart:
    description:
      - Whether to restart Docker where only that brings its rules back, see RV(needs_restart). Containers that ran are
        started again, whatever their restart policy.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Bring published ports back after somebody flushed the firewall
  hostwire.linux.docker_chains:

- name: The database for the office only, nothing for one network, the rest as Docker has it
  hostwire.linux.docker_chains:
    rules:
      - action: allow
        port: "5432"
        sources: [192.0.2.0/24, "2001:db8:1::/48"]
      - action: deny
        port: "5432"
      - action: deny
        sources: [198.51.100.128/25]
        interface: eth0

- name: No rules of ours any more
  hostwire.linux.docker_chains:
    state: absent
"""

RETURN = r"""
plan:
  description: What was changed, or in check mode would be, a readable line each; the same words in both.
  returned: success
  type: list
  elements: str
  sample: ["iptables nat: put back -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"]
before:
  description: The rules of each chain that changes, before the run, by family, table and chain.
  returned: success
  type: dict
  sample: {ipv4: {nat: {PREROUTING: []}}}
after:
  description: The same after the run, or in check mode as they would be, as they were written.
  returned: success
  type: dict
  sample: {ipv4: {nat: {PREROUTING: ["-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"]}}}
diff:
  description: RV(before) and RV(after) as YAML text, as C(--diff) shows them. Empty where they are the same.
  returned: success
  type: dict
needs_restart:
  description: What is damaged and only a restart of Docker brings back, a line each.
  returned: success
  type: list
  elements: str
  sample: []
restarted:
  description: Whether Docker was restarted, or in check mode would be.
  returned: success
  type: bool
timings:
  description: How long each part of the run took, in seconds.
  returned: success
  type: dict
  contains:
    read:
      description: Reading the engine, its configuration and the rules.
      type: float
      returned: success
    plan:
      description: Comparing the rules with those that should be there.
      type: float
      returned: success
    apply:
      description: Writing the rules.
      type: float
      returned: when something changes, and Docker isn't restarted
    restart:
      description: Writing the rules and restarting Docker, until containers run again.
      type: float
      returned: when it was restarted
    verify:
      description: Reading everything again.
      type: float
      returned: when something changes
  sample: {read: 0.08, plan: 0.002, apply: 0.02, verify: 0.07}
problems:
  description: Every problem that was found, a line each; the message is all of them.
  returned: failure
  type: list
  elements: str
  sample: ["rules[0].port: \"0\" is no port; say 8080, or 8000-8010, within 1 to 65535"]
kind:
  description:
    - What kind of failure it is.
    - V(invalid) is an option that can't be right, V(missing) something that the host lacks, as a running engine; after
      these two nothing was changed.
    - V(refused) is the kernel saying no, V(verify) a result other than asked for, V(interrupted) a signal; after these
      all rules were put back. V(unexpected) is a mistake in this collection.
    - After V(undo) not all is as it was before; the message says what is left, and the next run goes on from there.
  returned: failure
  type: str
  sample: invalid
"""

from typing import Any, Dict

from ansible_collections.hostwire.linux.plugins.module_utils.ansible_module import Module, run_task
from ansible_collections.hostwire.linux.plugins.module_utils.docker_api import Api
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.access import parse
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.rules.run import Wish, run
from ansible_collections.hostwire.linux.plugins.module_utils.document import to_yaml

SPEC: Dict[str, Dict[str, Any]] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "rules": {
        "type": "list",
        "elements": "dict",
        "options": {
            "action": {"type": "str", "choices": ["allow", "deny"], "required": True},
            "port": {"type": "str"},
            "protocol": {"type": "str", "choices": ["tcp", "udp", "sctp"]},
            "sources": {"type": "list", "elements": "str"},
            "interface": {"type": "str"},
            "destination": {"type": "str"},
        },
    },
    "restart": {"type": "bool", "default": False},
}


def work(module: Module) -> Dict[str, Any]:
    """The task."""
    rules = module.params["rules"]
    wish = Wish(module.params["state"] == "absent", None if rules is None else parse(rules), module.params["restart"])
    done = run(wish, module.check_mode, Api())
    before, after = (to_yaml(state) if done.before != done.after else "" for state in (done.before, done.after))
    return {
        "changed": bool(done.plan),
        "plan": list(done.plan),
        "before": done.before,
        "after": done.after,
        "diff": {"before_header": "rules", "after_header": "rules", "before": before, "after": after},
        "needs_restart": list(done.needs_restart),
        "restarted": done.restarted,
        "timings": done.timings,
    }


def main() -> None:
    """Hand the parameters over."""
    run_task(SPEC, work)


if __name__ == "__main__":
    main()
