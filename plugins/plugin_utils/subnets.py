# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A supernet cut into equal slots: the n-th one, one for each host, and which subnets overlap.

A slot is a subnet of the wanted prefix length, numbered from 0 from the beginning of the supernet. Both families.
"""

from __future__ import annotations

import contextlib
import hashlib
from bisect import bisect_right
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

# The check that every plugin can be imported has no netaddr; what uses it says so where it is missing.
with contextlib.suppress(ImportError):
    import netaddr

WIDTH = {4: 32, 6: 128}  # bits of an address
LONGEST = {4: 30, 6: 126}  # a bridge and at least one container


class SubnetError(ValueError):
    """An argument can't be right; the text names it and says what would be."""


class Named(NamedTuple):
    """A subnet and whose it is."""

    name: str
    subnet: str


class Slots(NamedTuple):
    """A supernet cut up: ``number`` subnets of ``prefix``; ``blocked`` are slots not to use, as (first, last)."""

    supernet: Any
    prefix: int
    number: int
    blocked: Tuple[Tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Addresses in a slot."""
        return 1 << (WIDTH[self.supernet.version] - self.prefix)

    def network(self, slot: int) -> str:
        """The subnet of a slot."""
        return f"{self._address(slot, 0)}/{self.prefix}"

    def bridge(self, slot: int) -> str:
        """The first address of a slot, with its prefix length."""
        return f"{self._address(slot, 1)}/{self.prefix}"

    def _address(self, slot: int, offset: int) -> Any:
        number = self.supernet.first + slot * self.size + offset
        return netaddr.IPAddress(number, self.supernet.version)  # type: ignore[no-untyped-call]

    def slot_of(self, address: str, argument: str) -> Optional[int]:
        """The slot of which ``address`` (with a prefix length) is part; None if it is of none, or of another size."""
        network = parse(address, argument)
        if network.version != self.supernet.version or network.prefixlen != self.prefix:
            return None
        slot, remainder = divmod(network.first - self.supernet.first, self.size)
        return slot if not remainder and 0 <= slot < self.number else None

    def free(self) -> int:
        """How many slots are not blocked."""
        return self.number - sum(last - first + 1 for first, last in self.blocked)

    def end_of_block(self, slot: int) -> Optional[int]:
        """The last slot of the blocked range in which ``slot`` lies; None if it isn't blocked."""
        place = bisect_right(self.blocked, (slot, self.number)) - 1
        if place >= 0 and self.blocked[place][0] <= slot <= self.blocked[place][1]:
            return self.blocked[place][1]
        return None


def parse(text: Any, argument: str) -> Any:
    """An address or subnet, as netaddr's IPNetwork. Raises SubnetError naming ``argument``."""
    try:
        if not isinstance(text, str):
            raise ValueError
        return netaddr.IPNetwork(text)  # type: ignore[no-untyped-call]
    except NameError:
        raise SubnetError("netaddr: this Python package is missing on the controller (pip install netaddr)") from None
    except (ValueError, netaddr.AddrFormatError):
        raise SubnetError(f"{argument}: {text!r} is no address or subnet, like 10.200.0.0/16 or fd00::/48") from None


def _whole(number: Any, argument: str, least: int) -> int:
    if isinstance(number, bool) or not isinstance(number, (int, str)) or not str(number).isdecimal():
        raise SubnetError(f"{argument}: {number!r} is no whole number")
    if int(number) < least:
        raise SubnetError(f"{argument}: {number} is less than {least}")
    return int(number)


def slots(supernet: Any, prefix: Any, avoid: Any = ()) -> Slots:
    """Cut ``supernet`` into subnets of ``prefix``; those that overlap a subnet of ``avoid`` are blocked."""
    whole = parse(supernet, "supernet")
    if "/" not in supernet or whole.ip != whole.cidr.ip:
        raise SubnetError(f"supernet: {supernet!r} is no network; {whole.cidr} would be")
    length = _whole(prefix, "prefix", 0)
    longest = LONGEST[whole.version]
    if not whole.prefixlen <= length <= longest:
        raise SubnetError(
            f"prefix: /{length} can't be cut out of {supernet}; from /{whole.prefixlen} to /{longest} can"
            if whole.prefixlen <= longest
            else f"supernet: {supernet} is too small for a bridge and a container; /{longest} is the smallest"
        )
    cut = Slots(whole, length, 1 << (length - whole.prefixlen), ())
    if isinstance(avoid, str) or not isinstance(avoid, Iterable):
        raise SubnetError(f"avoid: {avoid!r} is no list of subnets")
    ranges = []
    for place, entry in enumerate(avoid):
        other = parse(entry, f"avoid[{place}]")
        if other.version == whole.version and other.first <= whole.last and other.last >= whole.first:
            first = max(0, (other.first - whole.first) // cut.size)
            ranges.append((first, min(cut.number - 1, (other.last - whole.first) // cut.size)))
    return cut._replace(blocked=_merged(ranges))


def _merged(ranges: List[Tuple[int, int]]) -> Tuple[Tuple[int, int], ...]:
    merged: List[Tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def nth(cut: Slots, index: Any) -> int:
    """The slot with number ``index`` among those that aren't blocked."""
    number = _whole(index, "index", 0)
    if number >= cut.free():
        raise SubnetError(
            f"index: {number} is past the end: {cut.supernet} has {cut.free()} subnets of /{cut.prefix} to give,"
            " counted from 0"
        )
    for first, last in cut.blocked:
        if first > number:
            break
        number += last - first + 1
    return number


def allocate(cut: Slots, hosts: Sequence[str], recorded: Mapping[str, Any]) -> Dict[str, int]:
    """A slot for each host.

    A host that is recorded with a slot that is still fit keeps it; what is recorded of hosts that aren't asked for
    stays theirs. Any other host gets the slot that a hash of its name says or, where that one is taken, the next free
    one.
    Raises SubnetError if there are more hosts than slots, or if two are recorded with the same one.
    """
    wanted = sorted(set(hosts))
    owners = _owners(cut, recorded, frozenset(wanted))
    given = {host: slot for slot, host in owners.items()}
    used: Set[int] = set(owners)
    missing = [host for host in wanted if host not in given]
    free = cut.free() - sum(1 for slot in used if cut.end_of_block(slot) is None)
    if len(missing) > free:
        raise SubnetError(
            f"hosts: {len(missing)} still need a subnet, but {cut.supernet} has only {free} of /{cut.prefix} left;"
            " take a larger supernet or a longer prefix"
        )
    for host in missing:
        slot = int.from_bytes(hashlib.sha256(host.encode()).digest(), "big") % cut.number
        given[host] = _next_free(cut, slot, used)
        used.add(given[host])
    return {host: given[host] for host in wanted}


def _owners(cut: Slots, recorded: Mapping[str, Any], wanted: frozenset[str]) -> Dict[int, str]:
    """Who holds which slot by record. Of a wanted host a blocked slot is forgotten."""
    if not isinstance(recorded, Mapping):
        raise SubnetError(f"recorded: {recorded!r} is no dictionary of hosts and their subnets")
    owners: Dict[int, str] = {}
    for host in sorted(recorded):
        slot = cut.slot_of(recorded[host], f"recorded.{host}")
        if slot is None or (host in wanted and cut.end_of_block(slot) is not None):
            continue
        other = owners.setdefault(slot, host)
        if other != host:
            raise SubnetError(f"recorded: {other} and {host} both have {cut.network(slot)}; take one of them out")
    return owners


def _next_free(cut: Slots, slot: int, used: Set[int]) -> int:
    """``slot`` or the next one after it, from the start again at the end; there must be a free one."""
    while True:
        end = cut.end_of_block(slot)
        if end is None and slot not in used:
            return slot
        slot = ((slot if end is None else end) + 1) % cut.number


def named(subnets: Any, argument: str) -> List[Named]:
    """Understand what a user calls named subnets: {name: subnet or list}, or a list of {name, subnet} or of subnets."""
    if isinstance(subnets, Mapping):
        return [
            Named(str(name), subnet)
            for name, of_it in subnets.items()
            for subnet in ([of_it] if isinstance(of_it, str) else _listed(of_it, f"{argument}.{name}"))
        ]
    found = []
    for place, entry in enumerate(_listed(subnets, argument)):
        if isinstance(entry, str):
            found.append(Named(entry, entry))
        elif isinstance(entry, Mapping) and {"name", "subnet"} <= set(entry):
            found.append(Named(str(entry["name"]), entry["subnet"]))
        else:
            raise SubnetError(f"{argument}[{place}]: {entry!r} is neither a subnet nor a dictionary of name and subnet")
    return found


def _listed(value: Any, argument: str) -> List[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise SubnetError(f"{argument}: {value!r} is no list of subnets")
    return list(value)


def overlaps(subnets: Sequence[Named], others: Optional[Sequence[Named]] = None) -> List[Tuple[Named, Named]]:
    """Each pair that shares an address, those of one name left out; with ``others`` only pairs of one of each list.

    Subnets are nested or apart, never half over each other: one pass over them in order, with those open that contain
    the current one, finds all pairs.
    """
    entries = [(named_subnet, 0) for named_subnet in subnets] + [(named_subnet, 1) for named_subnet in others or ()]
    ranges = []
    for place, (entry, side) in enumerate(entries):
        network = parse(entry.subnet, f"subnet of {entry.name}")
        ranges.append((network.version, network.first, -network.last, place, side))
    found: List[Tuple[int, int]] = []
    around: List[Tuple[int, int, int, int, int]] = []
    for current in sorted(ranges):
        while around and (around[-1][0] != current[0] or -around[-1][2] < current[1]):
            around.pop()
        for outer in around:
            apart = others is not None and outer[4] == current[4]
            if not apart and entries[outer[3]][0].name != entries[current[3]][0].name:
                found.append((min(outer[3], current[3]), max(outer[3], current[3])))
        around.append(current)
    return [(entries[a][0], entries[b][0]) for a, b in sorted(found)]
