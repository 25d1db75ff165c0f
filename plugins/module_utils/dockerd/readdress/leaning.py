# SPDX-License-Identifier: GPL-3.0-or-later
"""What leans on docker0's old address or subnet, wherever that is written: pure.

What keeps dockerd from starting once they are gone is a conflict, all the rest a warning. Values are foreign and may be
secret: only the address that was found in one is told.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..arguments import option_of
from ..daemon_json import is_blank, parse
from ..facts import SWARM_POOL
from ..options import BY_KEY
from .memory import Switch
from .situation import Situation

Interface = Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]

# dockerd itself listens there, or hands that address to the bridge's allocator: without it, it doesn't start.
_STOPS = ("hosts", "metrics-addr", "default-gateway", "default-gateway-v6")
_V4 = re.compile(r"(?<![\w.:])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?![\w.])")
_V6 = re.compile(r"(?<![\w.:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F.]*(?:/\d{1,3})?(?![\w:])")


class Leaning(NamedTuple):
    """``conflicts`` keep dockerd from starting, ``warnings`` are to be changed by somebody; a line each."""

    conflicts: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()


class Move(NamedTuple):
    """docker0's address of one family, as it was and as it will be; ``new`` is None where it will have none."""

    old: Interface
    new: Optional[Interface]

    def found_in(self, text: str) -> str:
        """What of the old address or subnet a text names, and what that is, in words; "" if nothing."""
        pattern = _V4 if self.old.version == 4 else _V6
        for match in pattern.finditer(text):
            try:
                named = ipaddress.ip_interface(match.group())
            except ValueError:
                continue
            words = self._about(named, whole="/" in match.group())
            if words:
                return f"{match.group()}, {words}"
        return ""

    def _about(self, named: Interface, whole: bool) -> str:
        if self.new is not None and named.ip in self.new.network and named.ip != self.old.ip:
            return ""
        if named.ip == self.old.ip and not (whole and named.network.prefixlen < self.old.network.prefixlen):
            gone = self.new is None or self.new.ip != self.old.ip
            return "docker0's old address, which nobody will have any more" if gone else ""
        if named.ip not in self.old.network or (whole and named.network.prefixlen < self.old.network.prefixlen):
            return ""
        if whole and self.new is not None and named.network == self.new.network:
            return ""
        return "which is in docker0's old subnet" if not whole else "docker0's old subnet or a part of it"


def moves(now: Situation, forward: Switch) -> List[Move]:
    """The families in which docker0's address changes."""
    found = []
    for old, new in (
        (now.address, forward.expected.address),
        (now.address6, forward.expected.address6 or ("" if now.address6 in forward.gone else now.address6)),
    ):
        if old and old != new:
            found.append(Move(ipaddress.ip_interface(old), ipaddress.ip_interface(new) if new else None))
    return found


def leaning(now: Situation, forward: Switch) -> Leaning:
    """All that leans on what docker0 loses on its way ``forward``."""
    conflicts: List[str] = []
    warnings: List[str] = []
    for move in moves(now, forward):
        for where, value, stops in (*_of_daemon(now), *_of_others(now)):
            words = move.found_in(value)
            if words:
                line = f"{where}: names {words}; change that first"
                (conflicts if stops else warnings).append(line)
        for one in now.sockets if move.new is None or move.new.ip != move.old.ip else ():
            if ipaddress.ip_address(one.address) != move.old.ip:
                continue
            line = f"{one.words}: listens at {one.address}, docker0's old address, "
            if one.part:
                conflicts.append(f"{one.part}: {line}without which it doesn't start again; change that first")
            else:
                warnings.append(f"{line}where nobody will reach it")
    warnings += _of_swarm(now, forward)
    return Leaning(tuple(dict.fromkeys(conflicts)), tuple(dict.fromkeys(warnings)))


def _of_swarm(now: Situation, forward: Switch) -> List[str]:
    """A worker isn't told the ranges of its swarm."""
    new = forward.expected.address
    if now.engine.swarm != "worker" or not new or new == now.address:
        return []
    network = ipaddress.ip_interface(new).network
    if not network.overlaps(ipaddress.ip_network(SWARM_POOL)):
        return []
    said = "out of which Swarm takes subnets unless another pool was given when it was made"
    return [f"bip: {network} lies in {SWARM_POOL}, {said}; docker info on a manager tells"]


def _of_daemon(now: Situation) -> Iterator[Tuple[str, str, bool]]:
    """(where, value, whether it stops dockerd) of the options of dockerd and of its socket."""
    configuration = now.configuration
    path = configuration.daemon_json
    text = configuration.texts.get(path)
    for member in parse(text, path).members if text and not is_blank(text) else ():
        if not _ours(member.key):
            for name, value in strings(member.key, member.value):
                yield f"{name} ({path}, line {member.line})", value, member.key in _STOPS
    for key, flag, value in flags(now.arguments):
        if not _ours(key):
            yield f"{key} (dockerd's flag {flag})", value, key in _STOPS
    for address in now.listens:
        yield "docker.socket, ListenStream", address, True


def _ours(key: str) -> bool:
    return key in BY_KEY and BY_KEY[key].parameter is not None


def _of_others(now: Situation) -> Iterator[Tuple[str, str, bool]]:
    for one in now.engine.containers:
        for name, value in one.settings:
            yield f"container {one.name}, {name}", value, False


def strings(name: str, value: Any) -> Iterator[Tuple[str, str]]:
    """Every text in a value, with its path."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from strings(f"{name}.{key}", entry)
    elif isinstance(value, list):
        for entry in value:
            yield from strings(name, entry)


def flags(arguments: Sequence[str]) -> Iterator[Tuple[str, str, str]]:
    """(key in daemon.json or the flag's name, flag, value) of a command line, whatever dockerd's version knows."""
    for number, word in enumerate(arguments):
        if not word.startswith("-"):
            continue
        flag, equals, value = word.partition("=")
        if not word.startswith("--") and len(word) > 2:
            flag, value, equals = word[:2], word[2:].lstrip("="), "="
        if not equals:
            value = next(iter(arguments[number + 1 : number + 2]), "")
        option = option_of(flag)
        yield option.key if option is not None else flag.lstrip("-"), flag, value
