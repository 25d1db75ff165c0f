# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims about reachability."""

from __future__ import annotations


class ModuleDocFragment:
    """``hostwire.linux.probes``: the option of that name; each module describes it itself."""

    DOCUMENTATION = r"""
options:
  probes:
    type: list
    elements: dict
    suboptions:
      from:
        description:
          - Where it starts, a namespace, V(container:NAME) for a running container, or the host itself if left out.
        type: str
      to:
        description: Address to reach.
        type: str
        required: true
      protocol:
        description:
          - V(icmp) sends an echo request, V(tcp) connects, V(udp) wants any answer to a datagram, V(dns) wants any
            answer to a query.
        type: str
        choices: [icmp, tcp, udp, dns]
        default: icmp
      port:
        description: The port. Required for V(tcp) and V(udp), 53 if left out for V(dns).
        type: int
      expect:
        description: The claim.
        type: str
        choices: [reachable, unreachable]
        default: reachable
"""
