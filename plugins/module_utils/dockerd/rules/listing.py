# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the rules where the engine writes them: with the program that is plainly called iptables."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Dict, List, NamedTuple, Sequence, Tuple

from ...errors import KernelRefused, MissingOnHost
from ...firewall.programs import default_backend, find
from ...firewall.tables import Ruleset, parse

# Modules are to use AnsibleModule.run_command, says ansible-test; the engine knows no Ansible.
# pylint: disable=ansible-bad-function

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
_LEGACY_NAMES = "/proc/thread-self/net/ip_tables_names"  # the legacy tables that exist (ip_tables.c)
_ENVIRONMENT = {"LC_ALL": "C", "PATH": _PATH}


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
    if other == "legacy":  # the program would load the kernel's module
        try:
            with open(_LEGACY_NAMES, encoding="ascii") as names:
                if not names.read().strip():
                    return ""
        except OSError:
            return ""
    if find(other, 4, "save") is None:
        return ""
    return other if _docker({4: parse(_saved(other, 4))}) else ""


def _saved(backend: str, family: int) -> str:
    program = find(backend, family, "save")
    if program is None:
        if family == 6:  # a host may have none
            return ""
        raise MissingOnHost(f"iptables-{backend}-save: no such program on this host (package iptables)")
    done = _run([program])
    if done.returncode == 0:
        return done.stdout
    detail = done.stderr.strip().replace("\n", "; ") or f"exit code {done.returncode}"
    if "ermission denied" in detail or "not permitted" in detail:
        raise MissingOnHost(f"{os.path.basename(program)}: not allowed; reading rules needs CAP_NET_ADMIN ({detail})")
    raise KernelRefused(os.path.basename(program), 22, detail)


def _native_tables() -> Tuple[str, ...]:
    program = shutil.which("nft", path=_PATH)
    if program is None:
        return ()
    lines: List[str] = _run([program, "list", "tables"]).stdout.splitlines()
    return tuple(line[len("table ") :] for line in lines if line.startswith("table "))


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=_ENVIRONMENT,
        check=False,
        encoding="utf-8",
        errors="surrogateescape",
    )
