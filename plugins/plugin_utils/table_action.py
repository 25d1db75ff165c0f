# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions that print a table about all hosts of a play have in common."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.color import stringc
from ansible.utils.display import Display

NO_TERMINAL = 79  # columns, as Ansible's own
# Gives text a colour, named as Ansible names it.
Paint = Callable[[str, str], str]


class TableAction(ActionBase):
    """Runs once for all hosts of the play, on the controller; no host is connected to.

    ``HOSTS`` is the option that names the hosts to report on; all hosts of the play if it is left out.
    """

    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    HOSTS: Dict[str, Any] = {"hosts": {"type": "list", "elements": "str"}}
    _requires_connection = False

    def checked_options(self, spec: Mapping[str, Any]) -> Dict[str, Any]:
        """The task's options by ``spec`` and HOSTS. Raises Ansible's own error for one that can't be right."""
        dummy, options = self.validate_argument_spec({**self.HOSTS, **spec})  # type: ignore[no-untyped-call]
        checked: Dict[str, Any] = options
        return checked

    def show(self, draw: Callable[[int, Paint], str], sentence: Optional[str]) -> None:
        """Print what ``draw`` makes of a width in columns and a way to colour, and below it a sentence in green.

        No sentence for a failure: Ansible itself prints its message.
        """
        display = Display()
        parts: List[str] = [draw(display.columns or NO_TERMINAL, stringc)]
        if sentence is not None:
            parts.append(stringc(sentence, "green"))  # type: ignore[no-untyped-call]
        # What reads standard output as JSON shouldn't meet a table there.
        aside = "json" in constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK")  # type: ignore[no-untyped-call]
        display.display("\n\n".join(part for part in parts if part), stderr=aside)


def hosts_of(options: Mapping[str, Any], variables: Mapping[str, Any]) -> List[str]:
    """The hosts to report on: those of the option, else all of the play, those that failed earlier included."""
    names = options["hosts"]
    return list(variables["ansible_play_hosts_all"] if names is None else names)
