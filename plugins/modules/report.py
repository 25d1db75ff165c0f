#!/usr/bin/python
# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module report: documentation of the action plugin of the same name, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Who reaches whom, on all hosts of a play, as a table
version_added: 0.1.0
author: The Hostwire authors (@hostwire)
description:
  - Prints what M(hostwire.linux.reachability) found on each host of the play as a table, and one sentence that says
    what was proved.
  - Fails if a probe came out otherwise than declared, or if there is a host about which nothing is known because an
    earlier task failed there.
options:
  variable:
    description: Name of the variable that each host's task of M(hostwire.linux.reachability) registered.
    type: str
    default: reachability_result
extends_documentation_fragment:
  - hostwire.linux.attributes.action
  - hostwire.linux.attributes.on_controller
  - hostwire.linux.attributes.no_diff
notes:
  - A host whose task was skipped, because no probes are declared for it, isn't mentioned.
seealso:
  - module: hostwire.linux.reachability
  - module: hostwire.linux.topology
"""

EXAMPLES = r"""
- name: Ask every host
  hostwire.linux.reachability:
    probes: "{{ reachability_probes }}"
  register: reachability_result
  failed_when: false # the report fails, once it has shown the whole picture

- name: Show who reaches whom
  hostwire.linux.report:
"""

RETURN = r"""
msg:
  description: What was proved, or what was not.
  returned: always
  type: str
  sample: "All 27 probes on 5 hosts answered as declared: 22 ways are open and 5 ways are closed."
matrix:
  description: All rows of RV(hostwire.linux.reachability#module:matrix), each with the name of its host as C(host).
  returned: success
  type: list
  elements: dict
surprises:
  description: The rows of RV(matrix) that came out otherwise than declared.
  returned: failure
  type: list
  elements: dict
"""
