# SPDX-License-Identifier: GPL-3.0-or-later
"""Links that others have built on ours: they would go along."""

from __future__ import annotations

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.model import HostView, Topology
from ansible_collections.hostwire.linux.plugins.module_utils.plan.owned import nothing
from ansible_collections.hostwire.linux.plugins.module_utils.plan.sheet import Sheet
from ansible_collections.hostwire.linux.plugins.module_utils.plan.strangers import Hangers
from ansible_collections.hostwire.linux.tests.host_views import Device, view


@pytest.mark.parametrize("netns", [None, "red"])
@pytest.mark.parametrize(
    ("kind", "alias", "elsewhere", "told"),
    [
        ("vlan", "", None, "top"),
        ("macvlan", "lab", None, "top"),
        ("vlan", "hostwire:other", None, "top (of the document 'other')"),
        ("vlan", "hostwire:main", None, None),  # our own
        ("vlan", "", 1, None),  # on a link of another namespace that has the same number
        ("veth", "", None, None),  # the number is that of its other end
    ],
)
def test_a_link_on_top_of_ours(
    netns: str | None, kind: str, alias: str, elsewhere: int | None, told: str | None
) -> None:
    there = view(netns, (Device("br0", (), "bridge"), Device("top", (), kind)))
    below = there.links["br0"].index
    top = there.links["top"]._replace(alias=alias, peer_index=below, peer_netnsid=elsewhere)
    there = there._replace(links={**there.links, "top": top})
    sheet = Sheet(HostView((), {netns: there}, {}, {}), nothing("main"), "")
    sheet.gone.add((netns, "br0"))
    lines = list(Hangers(sheet, Topology(), True, Topology()).conflicts())
    built = f"bridge br0 ({netns or 'host'}) can't be removed: links that aren't ours are built on it: {told}; "
    assert lines == ([] if told is None else [f"{built}delete them first"])
