# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the engine's rules on this host, in one reading."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

from ...firewall.tables import Ruleset
from ..model import Engine
from .damage import Damage, damage
from .expected import Options, expected
from .layout import NFTABLES, Layout, Rulesets, of_version, recognise
from .listing import Listing, read_listing
from .places import carriers_in


class Reading(NamedTuple):
    """What stands, what should, and what is wrong.

    ``layout`` was recognised by the rules, where there are any; ``backend`` is nft or legacy (iptables) or nftables.
    ``expected`` holds the engine's rules by family, nothing where it writes none.
    """

    layout: Layout
    backend: str
    damage: Tuple[Damage, ...]
    listing: Listing
    expected: Dict[int, Ruleset]


def read(
    engine: Engine,
    userland_proxy: Optional[bool] = None,
    iptables: bool = True,
    ip6tables: Optional[bool] = None,
    listing: Optional[Listing] = None,
) -> Reading:
    """Read the rules, unless ``listing`` is given, and judge them by what this engine writes.

    The options are those the engine runs with; None is for one that isn't known: ``userland_proxy`` is then told by the
    rules, and ``ip6tables`` by the version and the rules. Raises MissingOnHost without iptables or the right to use it.
    """
    if listing is None:
        listing = read_listing(native=engine.firewall == "nftables" or engine.release >= (29, 0, 0))
    found = recognise(listing.rulesets, engine, listing.backend, listing.native)
    if found.name == NFTABLES.name:
        return Reading(found, "nftables", _nftables(listing), listing, {})
    options = Options(_proxied(userland_proxy, listing.rulesets), iptables, _six(ip6tables, listing.rulesets))
    nat = [line for ruleset in listing.rulesets.values() for line in ruleset.get("nat", {}).get("DOCKER", ())]
    wanted = expected(engine, options, carriers_in(engine, nat))
    wrong = damage(wanted, listing.rulesets, of_version(engine.release), engine)
    return Reading(found, listing.backend, wrong, listing, wanted)


def _proxied(given: Optional[bool], rulesets: Rulesets) -> bool:
    """Whether the engine runs proxies for published ports; the jump from OUTPUT tells, where it stands."""
    if given is not None:
        return given
    jumps = [line for line in _chain(rulesets, "OUTPUT") if line.endswith(" --dst-type LOCAL -j DOCKER")]
    return not jumps or any(" ! -d " in line for line in jumps)


def _six(given: Optional[bool], rulesets: Rulesets) -> Optional[bool]:
    if given is None and "DOCKER" in rulesets.get(6, {}).get("filter", {}):
        return True
    return given


def _chain(rulesets: Rulesets, chain: str) -> List[str]:
    return [line for ruleset in rulesets.values() for line in ruleset.get("nat", {}).get(chain, ())]


def _nftables(listing: Listing) -> Tuple[Damage, ...]:
    if "ip docker-bridges" in listing.native:
        return ()
    text = "nft: table ip docker-bridges is missing"
    return (Damage("missing-chain", 4, "docker-bridges", "", "", text, repairable=False),)
