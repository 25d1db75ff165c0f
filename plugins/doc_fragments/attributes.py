# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of the collection can say about itself."""

from __future__ import annotations


class ModuleDocFragment:
    """What modules say of themselves: ``.reads_only`` change nothing, ``.on_controller`` print a table of a play, and
    with ``.no_diff`` that is all."""

    DOCUMENTATION = r"""
options: {}
requirements:
  - Python 3.9 or later on the host; nothing beside its standard library.
  - Root there, or the capabilities C(CAP_NET_ADMIN) and C(CAP_SYS_ADMIN).
  - The C(iptables) and C(ip6tables) programs, only where something is masqueraded, published or filtered.
attributes:
  check_mode:
    description:
      - Says what would change without changing anything; RV(ignore:plan) is word for word that of the run that
        follows.
    support: full
  diff_mode:
    description: Shows the objects in question as YAML, as they are and as they will be.
    support: full
  idempotent:
    description: Run a second time with the same options it changes nothing.
    support: full
  platform:
    description: The operating systems it works on.
    platforms: linux
    support: full
  action_group:
    description:
      - Use C(group/hostwire.linux.hostwire) in C(module_defaults) to set options of all the collection's modules at
        once.
    support: full
    membership:
      - hostwire.linux.hostwire
"""

    READS_ONLY = r"""
options: {}
requirements:
  - Python 3.9 or later on the host; nothing beside its standard library.
  - Root there, or the capabilities C(CAP_NET_ADMIN) and C(CAP_SYS_ADMIN), to look into namespaces.
attributes:
  check_mode:
    description: Says what would change without changing anything.
    support: full
  diff_mode:
    description: Shows the objects in question as they are and as they will be.
    support: N/A
    details: This module changes nothing.
  idempotent:
    description: Run a second time with the same options it changes nothing.
    support: full
  platform:
    description: The operating systems it works on.
    platforms: linux
    support: full
  action_group:
    description:
      - Use C(group/hostwire.linux.hostwire) in C(module_defaults) to set options of all the collection's modules at
        once.
    support: full
    membership:
      - hostwire.linux.hostwire
"""

    ACTION = r"""
attributes:
  check_mode:
    description: Says what would change without changing anything.
    support: full
  idempotent:
    description: Run a second time with the same options it changes nothing.
    support: full
  action:
    description: Runs on the controller and never connects to a host.
    support: full
"""

    ON_CONTROLLER = r"""
options:
  hosts:
    description: The hosts to report on. All hosts of the play if left out, those that failed earlier included.
    type: list
    elements: str
attributes:
  bypass_host_loop:
    description: Runs once for all hosts of the play.
    support: full
notes:
  - The width of the table is that of the terminal, or 79 columns without one. Colours are used where Ansible uses them.
  - With a callback that writes JSON to standard output the table goes to standard error.
"""

    NO_DIFF = r"""
options: {}
attributes:
  diff_mode:
    description: Shows the objects in question as they are and as they will be.
    support: N/A
    details: It changes nothing.
"""
