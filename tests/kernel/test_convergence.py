# SPDX-License-Identifier: GPL-3.0-or-later
"""From whatever is there to whatever is wanted: one run, as predicted, verified; a second one has nothing to do."""

from __future__ import annotations

import os
import subprocess

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.kernel import networks, private, scenarios

PAIRS = int(os.environ.get("HOSTWIRE_PAIRS", "60"))
# Shrinking a failure takes thousands of hosts: only where somebody sits and looks for it.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate] + ([Phase.shrink] if os.environ.get("HOSTWIRE_SHRINK") else [])

# Somebody else's network on the same host.
FOREIGN = """
netns add foreign
link add their0 type bridge
link set their0 up
link add their1 type bridge
link add their2 type veth peer name eth0 netns foreign
address add 172.30.0.1/24 dev their0
link set their1 up
address add 172.31.0.1/24 dev their1
route add 198.51.100.0/24 via 172.31.0.9 dev their1
route add 198.51.101.0/24 via 172.31.0.9 dev their1 table 100
"""


def build_foreign() -> None:
    subprocess.run(["ip", "-batch", "-"], input=FOREIGN, text=True, check=True)


@settings(
    max_examples=PAIRS,
    deadline=None,
    phases=PHASES,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(data=st.data())
def test_any_host_becomes_what_any_document_says(data: st.DataObject) -> None:
    first, second = data.draw(networks.documents(), "there"), data.draw(networks.documents(), "wanted")
    with private.private_host():
        build_foreign()
        before = scenarios.snapshot()
        engine.run(first, dad_seconds=0)
        for words in data.draw(networks.disturbances(first), "meanwhile"):
            subprocess.run(["ip", *words], check=False, capture_output=True)
        networks.make_way(second)

        predicted = engine.run(second, check=True)
        done = engine.run(second, dad_seconds=0)
        assert (done.changed, done.plan, done.before, done.after) == (
            predicted.changed,
            predicted.plan,
            predicted.before,
            predicted.after,
        )
        again = engine.run(second, dad_seconds=0)
        assert (again.changed, again.plan) == (False, ())

        engine.run({"state": "absent"}, dad_seconds=0)
        assert scenarios.snapshot() == before
