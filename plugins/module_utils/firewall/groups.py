# SPDX-License-Identifier: GPL-3.0-or-later
"""Link groups (IFLA_GROUP): what a rule asks of all our links at once, however many there are (xt_devgroup).

A link's group is one number; each bit of its lower half answers a question about the network on the link.
"""

from __future__ import annotations

import os
from typing import Dict

from .want import FirewallWant, families, family_of, is_hidden, is_led_out, is_member, masqueraded

BASE = 0x68000000  # of our links only; 0 is the kernel's default, and others count from 1
_OURS = 0xFF000000
_MEMBER = {4: 0x1, 6: 0x2}  # new connections from and to it are looked at
_SOURCES = {4: 0x4, 6: 0x8}  # the network has prefixes of the family: whatever else comes from there is forged
_LEADS_OUT = {4: 0x10, 6: 0x20}  # guests may call whom the host reaches
_HIDDEN = 0x80  # masqueraded
_CLOSED = 0x40  # nothing is forwarded from or to it


def link_groups(want: FirewallWant) -> Dict[str, int]:
    """The group that each link of the document's has to be in, by name.

    On the host all of them are members of both families, also where this document needs no rules: those of another one,
    which makes the host forward, are asked about it then.
    """
    looked_at = (4, 6) if want.netns is None else families(want)
    member = BASE | sum(_MEMBER[family] for family in looked_at)
    sources = masqueraded(want)
    groups = {guest.interface: member if is_member(want, guest, sources) else BASE for guest in want.guests}
    for switch in want.switches:
        if switch.leads_out:
            continue
        groups[switch.interface] = member | (0 if switch.outside else _CLOSED)
    for guest in want.guests:
        if is_hidden(guest, sources):
            groups[guest.interface] |= _HIDDEN
        for family in {family_of(prefix) for prefix in guest.prefixes}:
            groups[guest.interface] |= _SOURCES[family]
            if not groups[guest.interface] & _CLOSED and is_led_out(want, guest, family, sources):
                groups[guest.interface] |= _LEADS_OUT[family]
    return groups


def doomed() -> int:
    """A group for links that are to be deleted together, which nobody else has: nothing is forwarded from or to them.

    The number's middle is left to chance; no rule asks for it. It is never 0, as it is with links that stay: whatever
    is in a group goes with it.
    """
    chance = 1 + int.from_bytes(os.urandom(2), "big") % 0xFFFF
    return BASE | chance << 8 | _MEMBER[4] | _MEMBER[6]


def is_ours(group: int) -> bool:
    """Whether a link's group says that it is one of ours."""
    return group & _OURS == BASE


def narrower(before: int, after: int) -> int:
    """The group between two: with what closes in either, and what opens in both."""
    if not is_ours(before):
        return after
    opens = _LEADS_OUT[4] | _LEADS_OUT[6]
    for member, sources in zip(_MEMBER.values(), _SOURCES.values()):
        if any(group & (member | sources) == member for group in (before, after)):
            opens |= sources  # all is shut where a network of ours has no prefixes
    return (before | after) & ~opens | before & after & opens


def ours(side: str, family: int) -> str:
    """What matches packets of a family from (``side`` src) or to (dst) a link of ours."""
    return _condition(side, _MEMBER[family])


def with_sources(side: str, family: int) -> str:
    """The same of those whose network has prefixes of the family."""
    return _condition(side, _SOURCES[family])


def without_sources(side: str, family: int) -> str:
    """The same of those whose network has none."""
    return _condition(side, _MEMBER[family], _SOURCES[family])


def closed(side: str, family: int) -> str:
    """The same of those that are closed to everything beyond the host."""
    return _condition(side, _MEMBER[family] | _CLOSED)


def hidden(side: str) -> str:
    """The same of those that are masqueraded."""
    return _condition(side, _HIDDEN)


def led_out(side: str, family: int) -> str:
    """The same of those whose guests may call whom the host reaches."""
    return _condition(side, _LEADS_OUT[family])


def _condition(side: str, on: int, off: int = 0) -> str:
    return f"--{side}-group {BASE | on:#x}/{_OURS | on | off:#x}"
