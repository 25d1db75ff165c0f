# SPDX-License-Identifier: GPL-3.0-or-later
"""How the Docker engine arranges its rules, which changed from version to version: pure."""

from __future__ import annotations

from typing import Mapping, NamedTuple, Optional, Tuple

from ...firewall.tables import Ruleset
from ..model import Engine

# Rulesets by family (4, 6), as firewall.tables.parse makes them.
Rulesets = Mapping[int, Ruleset]
Chains = Mapping[str, Tuple[str, ...]]

_CLASSIC = ("DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER-USER")
_FORWARDED = ("DOCKER", "DOCKER-BRIDGE", "DOCKER-CT", "DOCKER-FORWARD")
_MODERN = (*_FORWARDED, "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER-USER")
_LATEST = (*_FORWARDED, "DOCKER-INTERNAL", "DOCKER-USER")


class Layout(NamedTuple):
    """One way of arranging the rules.

    ``name`` is the range of versions that use it, "none" where no rules of an engine stand. ``chains``: the engine's
    own ones by table. ``raw``: what protects containers from being reached past their published ports in raw
    PREROUTING: "" nothing, "port" a rule for each port, "container" one for each address. ``user_returns``: DOCKER-USER
    ends in a RETURN. ``known``: its rules were compared with those of a real engine, so they may be written for it.
    """

    name: str
    first: Tuple[int, int, int]
    chains: Chains
    backend: str = ""
    families: Tuple[int, ...] = ()
    raw: str = ""
    user_returns: bool = False
    nat_returns: bool = False
    known: bool = False

    @property
    def forwards(self) -> bool:
        """Whether FORWARD holds two jumps only and the rules stand in DOCKER-FORWARD."""
        return "DOCKER-FORWARD" in self.chains.get("filter", ())


# Newest first. The boundaries are those of moby's sources.
LAYOUTS = (
    Layout("29", (29, 0, 0), {"filter": _LATEST, "nat": ("DOCKER",)}, raw="container"),
    Layout(
        "28.3-28.5",
        (28, 3, 0),
        {"filter": _MODERN, "nat": ("DOCKER",)},
        raw="container",
        nat_returns=True,
        known=True,
    ),
    Layout(
        "28.2",
        (28, 2, 0),
        {"filter": _MODERN, "nat": ("DOCKER",)},
        raw="container",
        user_returns=True,
        nat_returns=True,
    ),
    Layout(
        "28.0.1-28.1",
        (28, 0, 1),
        {"filter": _MODERN, "nat": ("DOCKER",)},
        raw="port",
        user_returns=True,
        nat_returns=True,
    ),
    Layout(
        "28.0.0",
        (28, 0, 0),
        {"filter": _CLASSIC, "nat": ("DOCKER",)},
        raw="port",
        user_returns=True,
        nat_returns=True,
    ),
    Layout(
        "20.10-27.5",
        (0, 0, 0),
        {"filter": _CLASSIC, "nat": ("DOCKER",)},
        user_returns=True,
        nat_returns=True,
        known=True,
    ),
)
NFTABLES = Layout("29-nftables", (29, 0, 0), {}, backend="nftables")
NONE = Layout("none", (0, 0, 0), {})
_BY_NAME = {layout.name: layout for layout in LAYOUTS}


def of_version(release: Tuple[int, ...]) -> Layout:
    """The layout that an engine of this version (three numbers) writes with iptables."""
    return next(layout for layout in LAYOUTS if release >= layout.first)


def recognise(
    rulesets: Rulesets, engine: Optional[Engine] = None, backend: str = "nft", nft_tables: Tuple[str, ...] = ()
) -> Layout:
    """The layout of the rules that stand there, whatever is missing; where the rules don't tell, the engine's.

    ``backend`` is nft or legacy, the one that the rules were read from; ``nft_tables`` the names of native tables, as
    "ip docker-bridges". Without rules and without an engine it is NONE.
    """
    families = tuple(family for family in sorted(rulesets) if _present(rulesets[family]))
    if (engine is not None and engine.firewall == "nftables") or (
        not families and any(name.endswith(" docker-bridges") for name in nft_tables)
    ):
        native = tuple(number for name, number in (("ip", 4), ("ip6", 6)) if f"{name} docker-bridges" in nft_tables)
        return NFTABLES._replace(families=native)
    if not families:
        return of_version(engine.release)._replace(backend=backend) if engine is not None else NONE
    found = _of_rules({family: rulesets[family] for family in families}, engine)
    return found._replace(backend=backend, families=families)


def _present(ruleset: Ruleset) -> bool:
    return any(name.startswith("DOCKER") for chains in ruleset.values() for name in chains)


def _of_rules(rulesets: Mapping[int, Ruleset], engine: Optional[Engine]) -> Layout:
    chains = {name for ruleset in rulesets.values() for name in ruleset.get("filter", {})}
    if "DOCKER-INTERNAL" in chains:
        return _BY_NAME["29"]
    if "DOCKER-FORWARD" in chains:
        return _BY_NAME[_of_28(rulesets, engine)]
    if any("docker-ext-bridges-" in line for ruleset in rulesets.values() for line in _lines(ruleset, "FORWARD")):
        return _BY_NAME["28.0.0"]
    if engine is not None and not chains & {"DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"}:
        return of_version(engine.release)
    if engine is not None and of_version(engine.release).name == "28.0.0":
        return _BY_NAME["28.0.0"]
    return _BY_NAME["20.10-27.5"]


def _of_28(rulesets: Mapping[int, Ruleset], engine: Optional[Engine]) -> str:
    """Which of the layouts of 28.0.1 to 28.5. They differ in two places only, both of which may be empty."""
    raw = [
        line
        for ruleset in rulesets.values()
        for line in ruleset.get("raw", {}).get("PREROUTING", ())
        if line.endswith(" -j DROP") and " ! -i lo " not in line and " ! -i " in line
    ]
    if any(" --dport " in line for line in raw):
        return "28.0.1-28.1"
    returns = any(
        line == "-A DOCKER-USER -j RETURN" for rules in rulesets.values() for line in _lines(rules, "DOCKER-USER")
    )
    if not raw and engine is not None and (28, 0, 1) <= engine.release < (29, 0, 0):
        return of_version(engine.release).name
    return "28.2" if returns else "28.3-28.5"


def _lines(ruleset: Ruleset, chain: str) -> Tuple[str, ...]:
    return tuple(ruleset.get("filter", {}).get(chain, ()))
