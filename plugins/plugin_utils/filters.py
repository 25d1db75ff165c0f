# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions as filters: under their own names, and with their errors in Ansible's form."""

from __future__ import annotations

from functools import wraps
from typing import Any, Callable, Dict, Type

from ansible.errors import AnsibleFilterError


def as_filters(problem: Type[Exception], *works: Callable[..., Any]) -> Dict[str, Callable[..., Any]]:
    """The filters by name. ``problem`` is what these functions raise about their input."""
    return {work.__name__: _told(work, problem) for work in works}


def _told(work: Callable[..., Any], problem: Type[Exception]) -> Callable[..., Any]:
    @wraps(work)
    def judged(*arguments: Any, **options: Any) -> Any:
        try:
            return work(*arguments, **options)
        except problem as error:
            raise AnsibleFilterError(f"{work.__name__}: {error}") from error

    return judged
