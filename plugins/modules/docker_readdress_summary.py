#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module docker_readdress_summary: documentation of the action plugin of the same name, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_readdress_summary
short_description: What came of docker0 on all hosts of a play
version_added: 0.2.0
author: The Hostwire authors (@hostwire)
description:
  - Prints for each host of the play what the role P(hostwire.linux.docker_bridge#role) did there, as a table, and one
    sentence for all of it.
  - Fails if there is a host that is not as it was to be.
options:
  left_out:
    description: Hosts that were left out because they can't be reached.
    type: list
    elements: str
    default: []
  goal:
    description: Whether docker0 was to get its new address or the old one back. Only for the words.
    type: str
    choices: [new, old]
    default: new
  paused:
    description: Whether somebody paused the run. Hosts that weren't touched are no failure then.
    type: bool
    default: false
extends_documentation_fragment:
  - hostwire.linux.attributes.action
  - hostwire.linux.attributes.on_controller
  - hostwire.linux.attributes.no_diff
notes:
  - It reads the variable C(docker_bridge_result) that the role registers, and of the playbook's own
    C(docker_readdress_outside) and C(docker_readdress_trouble).
seealso:
  - module: hostwire.linux.docker_bridge
  - module: hostwire.linux.docker_readdress_plan
"""

EXAMPLES = r"""
- name: What came of it
  hostwire.linux.docker_readdress_summary:
  run_once: true
"""

RETURN = r"""
msg:
  description: What came of it, in one sentence.
  returned: always
  type: str
  sample: "All 12 hosts have their new address."
outcomes:
  description:
    - For each host V(changed), V(unchanged), V(unfinished) where something beside the change failed, V(put back) after
      a failure, V(broken) where putting back failed too, V(refused) before any change, V(unreachable), V(left out) or
      V(untouched).
  returned: always
  type: dict
  sample: {web1: changed, web2: put back, web3: untouched}
"""
