# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the rules where the engine writes them: with the program that is plainly called iptables."""

from __future__ import annotations

import shutil
from typing import Dict, NamedTuple, Sequence, Tuple

from ...firewall.programs import READ_SECONDS, default_backend, find, legacy_tables, saved
from ...firewall.tables import Ruleset, parse
from ...program import run
from ...search_path import search_path


class Listing(NamedTuple):
    """What stands in the packet filter.

    ``backend``: nft or legacy; ``native``: nft tables, as "ip docker-bridges". ``elsewhere``: the other backend, where
    it is that one that holds Docker's rules.
    """

    backend: str
    rulesets: Dict[int, Ruleset]
    native: Tuple[str, ...] = ()
    elsewhere: str = ""


def read_listing(families: Sequence[int] = (4, 6), native: bool = False) -> Listing:
    """Read both families of the backend that the engine uses; nothing is written, no module loaded.

    ``native`` reads the names of nft's own tables too. Raises MissingOnHost without iptables or the right to use it.
    """
    backend = default_backend()
    rulesets = {family: parse(_saved(backend, family)) for family in families}
    elsewhere = "" if _docker(rulesets) else _elsewhere(backend)
    return Listing(backend, rulesets, _native_tables() if native else (), elsewhere)


def _docker(rulesets: Dict[int, Ruleset]) -> bool:
    return any("DOCKER" in chains for ruleset in rulesets.values() for chains in ruleset.values())


def _elsewhere(backend: str) -> str:
    """The other backend, if Docker's rules stand there: it was started before ``iptables`` became this one."""
    other = "nft" if backend == "legacy" else "legacy"
    if other == "legacy" and not legacy_tables(4):  # the program would load the kernel's module
        return ""
    if find(other, 4, "save") is None:
        return ""
    return other if _docker({4: parse(_saved(other, 4))}) else ""


def _saved(backend: str, family: int) -> str:
    if family == 6 and find(backend, family, "save") is None:  # a host may have none
        return ""
    return saved(backend, family)


def _native_tables() -> Tuple[str, ...]:
    program = shutil.which("nft", path=search_path())
    if program is None:
        return ()
    lines = run([program, "list", "tables"], READ_SECONDS, undecodable="replace").output.splitlines()
    return tuple(line[len("table ") :] for line in lines if line.startswith("table "))
