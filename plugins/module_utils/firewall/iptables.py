# SPDX-License-Identifier: GPL-3.0-or-later
"""Which iptables programs this host has, of which backend, and which legacy tables there are: told without running one,
where the names tell."""

from __future__ import annotations

import functools
import os
import re
import shutil
import tempfile
from typing import Dict, List, Optional

from ..errors import MissingOnHost
from ..search_path import search_path

BASE = {4: "iptables", 6: "ip6tables"}
# The tables of legacy iptables that exist in a namespace (linux/net/ipv4/netfilter/ip_tables.c). thread-self: the
# namespace of the calling thread, which may be another one than the process began in. Reading loads no module.
_LEGACY_NAMES = {4: "/proc/thread-self/net/ip_tables_names", 6: "/proc/thread-self/net/ip6_tables_names"}
_MULTI = re.compile(r"xtables-(nft|legacy)-multi")  # what all the names lead to, since iptables 1.8
_LOCK = "/run/xtables.lock"  # XT_LOCK_NAME, iptables/xshared.h
_VERSION_SECONDS = 10.0


def environment() -> Dict[str, str]:
    """What the programs are run with."""
    environment = {"LC_ALL": "C", "PATH": search_path()}
    lock = os.environ.get("XTABLES_LOCKFILE")
    if lock is None and not os.access(_LOCK if os.path.exists(_LOCK) else os.path.dirname(_LOCK), os.W_OK):
        # A user namespace sees /run but may not write there.
        lock = os.path.join(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir(), f"xtables.{os.getuid()}.lock")
    if lock is not None:
        environment["XTABLES_LOCKFILE"] = lock
    return environment


@functools.cache
def _backend_of(program: str) -> str:
    found = _MULTI.fullmatch(os.path.basename(os.path.realpath(program)))
    if found is not None:
        return found.group(1)
    from ..program import run  # loaded when it is needed: since iptables 1.8 the name tells

    version = run([program, "--version"], _VERSION_SECONDS, environment=environment())
    return "nft" if "nf_tables" in version.output else "legacy"


def _plain_program() -> Optional[str]:
    return shutil.which("iptables", path=search_path())


def installed() -> bool:
    """Whether this host has iptables at all."""
    return _plain_program() is not None


def default_backend() -> str:
    """The backend of the program that is plainly called ``iptables``. Raises MissingOnHost without one."""
    program = _plain_program()
    if program is None:
        raise MissingOnHost(
            "iptables: no such program on this host; masquerading, published ports, guests and protected networks need"
            " it (on most distributions the package is called iptables)"
        )
    return _backend_of(program)


def find(backend: str, family: int, verb: str) -> Optional[str]:
    """The path of e.g. ``iptables-nft-save``, or of ``iptables-save`` where that is the same; None if there is none."""
    path = search_path()
    exact = shutil.which(f"{BASE[family]}-{backend}-{verb}", path=path)
    if exact is None and default_backend() == backend:
        exact = shutil.which(f"{BASE[family]}-{verb}", path=path)
    return exact


def required(backend: str, family: int, verb: str) -> str:
    """What :func:`find` finds. Raises MissingOnHost."""
    program = find(backend, family, verb)
    if program is None:
        raise MissingOnHost(f"{BASE[family]}-{backend}-{verb}: no such program on this host (package iptables)")
    return program


def legacy_tables(family: int) -> Optional[List[str]]:
    """The legacy tables that exist here; None if the kernel doesn't let us see (a user namespace)."""
    try:
        with open(_LEGACY_NAMES[family], encoding="ascii") as names:
            return names.read().split()
    except FileNotFoundError:
        return []
    except PermissionError:
        return None
