# SPDX-License-Identifier: GPL-3.0-or-later
"""Attackers on every interface of a host, with every source and every destination: what may arrive does, nothing else.

HOSTWIRE_ATTACKS is how many set-ups of the sample are tried (all of it without), or "all" for every one there can be.
"""

from __future__ import annotations

from typing import Callable

import pytest

from ansible_collections.hostwire.linux.tests.attack import setups
from ansible_collections.hostwire.linux.tests.attack.passes import Outcome, Passes, in_words, together
from ansible_collections.hostwire.linux.tests.attack.setups import Setup


@pytest.mark.parametrize("setup", setups.chosen(), ids=str)
def test_what_may_arrive_does_and_nothing_else(
    setup: Setup, host: Callable[[Setup], Passes], figures: Callable[[str, Outcome], None]
) -> None:
    passes = host(setup)
    first, tried = passes.all_ways()
    outcome = together([first, passes.answers(tried), passes.two_steps()])
    figures(str(setup), outcome)
    lines = [*in_words(outcome.unwanted), *in_words(outcome.missing)]
    assert not lines, "\n".join(lines)
