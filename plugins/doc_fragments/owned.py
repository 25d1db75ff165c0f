# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules for a single object share."""

from __future__ import annotations


class ModuleDocFragment:
    """``hostwire.linux.owned``: presence and the owner mark."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - Whether it shall be there.
      - V(absent) takes away what this collection made under the same O(owner), and nothing else. What identifies it is
        enough.
    type: str
    choices: [present, absent]
    default: present
  owner:
    description:
      - The owner mark under which the host remembers what was made.
      - Tasks with the same mark build one document together, object by object. It can be taken away as a whole by
        M(hostwire.linux.topology) with that O(hostwire.linux.topology#module:name) and
        O(hostwire.linux.topology#module:state=absent).
    type: str
    default: tasks
notes:
  - In check mode each task sees the host as it is. One that needs what a task before it would make is an error there;
    M(hostwire.linux.topology) plans all of it together.
seealso:
  - module: hostwire.linux.topology
    description: The whole network of a host in one task; faster, and what is no longer named is removed.
  - module: hostwire.linux.topology_info
    description: What is really there.
"""
