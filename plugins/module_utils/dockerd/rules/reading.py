# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the engine's rules on this host, in one reading."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

from ...firewall.tables import Ruleset
from ..configuration import Configuration
from ..model import Engine
from .damage import Damage, damage
from .expected import Options, expected
from .layout import NFTABLES, Layout, Rulesets, of_version, recognise
from .listing import Listing, read_listing
from .own import own_damage
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


class Asked(NamedTuple):
    """The options that the engine runs with, as far as they are known; None is for one that isn't.

    ``userland_proxy`` is then told by the rules, ``ip6tables`` by the rules and the version.
    """

    userland_proxy: Optional[bool] = None
    iptables: bool = True
    ip6tables: Optional[bool] = None
    direct_routing: bool = False
    ip_masq: bool = True


def asked(configuration: Configuration, engine: Engine) -> Asked:
    """What a configuration says of the options that decide over rules."""
    six = configuration.value("ip6tables")
    if six and engine.release < (27, 0, 0):  # an experiment until then
        six = bool(configuration.value("experimental"))
    return Asked(
        bool(configuration.value("userland-proxy")),
        bool(configuration.value("iptables")),
        None if six is None else bool(six),
        bool(configuration.value("allow-direct-routing")),
        bool(configuration.value("ip-masq")),
    )


def native_too(engine: Engine) -> bool:
    """Whether its rules may be nft's own."""
    return engine.firewall == "nftables" or engine.release >= (29, 0, 0)


def read(engine: Engine, options: Optional[Asked] = None, listing: Optional[Listing] = None) -> Reading:
    """Read the rules, unless ``listing`` is given, and judge them by what this engine writes with these options.

    Raises MissingOnHost without iptables or the right to use it.
    """
    options = options or Asked()
    if listing is None:
        listing = read_listing(native=native_too(engine))
    found = recognise(listing.rulesets, engine, listing.backend, listing.native)
    if found.name == NFTABLES.name:
        return Reading(found, "nftables", _nftables(listing), listing, {})
    if listing.elsewhere and (options.iptables or options.ip6tables):
        return Reading(found, listing.backend, _elsewhere(listing), listing, {})
    known = Options(
        _proxied(options.userland_proxy, listing.rulesets),
        options.iptables,
        _six(options, listing.rulesets),
        options.direct_routing,
    )
    nat = [line for ruleset in listing.rulesets.values() for line in ruleset.get("nat", {}).get("DOCKER", ())]
    wanted = expected(engine, known, carriers_in(engine, nat))
    wrong = damage(wanted, listing.rulesets, of_version(engine.release), engine)
    wrong += tuple(own_damage(wanted, listing.rulesets))
    return Reading(found, listing.backend, wrong, listing, wanted)


def _proxied(given: Optional[bool], rulesets: Rulesets) -> bool:
    """Whether the engine runs proxies for published ports; the jump from OUTPUT tells, where it stands."""
    if given is not None:
        return given
    jumps = [line for line in _chain(rulesets, "OUTPUT") if line.endswith(" --dst-type LOCAL -j DOCKER")]
    return not jumps or any(" ! -d " in line for line in jumps)


def _six(options: Asked, rulesets: Rulesets) -> Optional[bool]:
    if options.ip6tables is None and "DOCKER" in rulesets.get(6, {}).get("filter", {}):
        return True
    return options.ip6tables


def _chain(rulesets: Rulesets, chain: str) -> List[str]:
    return [line for ruleset in rulesets.values() for line in ruleset.get("nat", {}).get(chain, ())]


def _elsewhere(listing: Listing) -> Tuple[Damage, ...]:
    text = (
        f"iptables: Docker's rules stand in iptables-{listing.elsewhere}, but the program iptables is"
        f" iptables-{listing.backend} by now; only a restart of Docker writes them there, and a reboot takes the others"
    )
    return (Damage("missing-chain", 4, "filter", "DOCKER", "", text, repairable=False),)


def _nftables(listing: Listing) -> Tuple[Damage, ...]:
    if "ip docker-bridges" in listing.native:
        return ()
    text = "nft: table ip docker-bridges is missing"
    return (Damage("missing-chain", 4, "docker-bridges", "", "", text, repairable=False),)
