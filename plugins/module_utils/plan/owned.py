# SPDX-License-Identifier: GPL-3.0-or-later
"""What one document owns on a host: the memory that lets what it no longer names go away, and nothing else."""

from __future__ import annotations

from typing import Any, Container, Dict, Mapping, Optional, Tuple

from ..document.identity import RouteKey
from ..model import Life, LinkKey
from ..rows import NamedTuple
from ..uplink_record import Record, record_of

AddressKey = Tuple[Optional[str], str, str]  # namespace, link, address
SettingKey = Tuple[Optional[str], str, str]  # namespace, link, property
SysctlKey = Tuple[Optional[str], str]  # namespace, slash path

# A namespace or link that was about to be made when the run was killed: its number was never learned.
UNKNOWN = 0
_MARK = "hostwire:"
UPLINK = "uplink"  # the property of an interface that isn't ours: which bridge of ours does its work


class Change(NamedTuple):
    """What a setting was before we touched it, and what we made of it.

    ``perhaps``: what a run that was killed may have made of it since.
    """

    before: str
    after: str
    perhaps: Optional[str] = None

    def explains(self, now: Optional[str]) -> bool:
        """Whether it was us who made the setting what it is now, and there is something to put back."""
        return now is not None and now != self.before and now in (self.after, self.perhaps)


class Owned(NamedTuple):
    """Everything that a document made or changed.

    ``namespaces`` maps to inode numbers, ``links`` to indexes; UNKNOWN for one that a killed run may have made.
    ``addresses`` are those we gave to interfaces that aren't ours; ``settings`` is what we changed of such interfaces.
    ``containers`` are the lives of the containers in whose namespaces there is something: it ends with them.
    ``carried``: for interfaces that are uplinks, what their bridges do for them.
    ``sysctls`` covers what existed before us (host and foreign namespaces): our own namespaces take theirs with them.
    """

    name: str
    namespaces: Dict[str, int]
    links: Dict[LinkKey, int]
    addresses: Dict[AddressKey, None]
    routes: Dict[RouteKey, None]
    settings: Dict[SettingKey, Change]
    sysctls: Dict[SysctlKey, Change]
    files: Dict[str, None]
    firewall: Dict[Optional[str], Tuple[int, ...]]  # the families (4, 6) in which there are rules of ours
    containers: Dict[str, Life]
    carried: Dict[LinkKey, Record]

    @property
    def mark(self) -> str:
        """The alias that our links carry."""
        return mark_of(self.name)

    @property
    def keyed(self) -> Tuple[Dict[Any, Any], ...]:
        """The parts whose keys begin with a namespace."""
        return self.links, self.addresses, self.routes, self.settings, self.sysctls, self.carried

    @property
    def parts(self) -> Tuple[Dict[Any, Any], ...]:
        """What is owned, kind by kind."""
        return self[1:]


def mark_of(name: str) -> str:
    """The alias of links that belong to the document of this name."""
    return _MARK + name


def owner_of(alias: str) -> Optional[str]:
    """The name of the document whose mark this alias is, None if it is no mark."""
    return alias[len(_MARK) :] if alias.startswith(_MARK) else None


def nothing(name: str) -> Owned:
    """A document that owns nothing yet."""
    return Owned(name, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})


def copy(owned: Owned) -> Owned:
    """The same, free to be changed."""
    return Owned(owned.name, *(dict(part) for part in owned.parts))


def merge(owned: Owned, other: Owned) -> Owned:
    """Both together; what ``owned``, the older memory, says of a thing counts, unless it was to be made again."""
    owned = living(owned, other.containers, ())
    merged = copy(other)
    for mine, theirs in zip(merged.parts, owned.parts):
        for key, value in theirs.items():
            known = mine.get(key)
            if isinstance(known, Change):
                mine[key] = value._replace(perhaps=known.perhaps or known.after)
            elif known != UNKNOWN or value is None:  # one that was to be made again has a new number
                mine[key] = value
    for netns, families in other.firewall.items():  # either run may have written in either family
        merged.firewall[netns] = tuple(sorted({*families, *owned.firewall.get(netns, ())}))
    merged.carried.update(other.carried)
    return merged


def inherit(owned: Owned, sysctls: Mapping[SysctlKey, Change]) -> None:
    """Own these settings from now on: what they were before counts, and what was made of them since."""
    for key, change in sysctls.items():
        mine = owned.sysctls.get(key)
        owned.sysctls[key] = change if mine is None else mine._replace(before=change.before)


def living(owned: Owned, lives: Mapping[str, Life], ended: Container[str]) -> Owned:
    """The same without what went along with a container's life; ``lives`` are lives of containers as they are now.

    ``ended`` have none any more; those in neither stay as they are.
    """
    if not (lives or owned.containers):
        return owned
    kept = copy(owned)
    over = {key for key, life in owned.containers.items() if key in ended or lives.get(key, life) != life}
    for part in kept.keyed:
        for key in [key for key in part if key[0] in over]:
            del part[key]
    for netns in over:
        del kept.containers[netns]
    kept.containers.update(lives)
    return kept


def to_plain(owned: Owned) -> Dict[str, Any]:
    """As JSON knows it."""
    plain: Dict[str, Any] = {"name": owned.name, "namespaces": owned.namespaces}
    plain["links"] = [[*key, index] for key, index in owned.links.items()]
    for field in ("addresses", "routes"):
        plain[field] = [list(key) for key in getattr(owned, field)]
    for field in ("settings", "sysctls"):
        plain[field] = [[*key, *change] for key, change in getattr(owned, field).items()]
    plain["files"] = list(owned.files)
    plain["firewall"] = [[netns, *families] for netns, families in owned.firewall.items()]
    plain["containers"] = [[netns, *life] for netns, life in owned.containers.items()]
    plain["carried"] = [[*key, *record] for key, record in owned.carried.items()]
    return plain


def from_plain(plain: Dict[str, Any]) -> Owned:
    """What :func:`to_plain` wrote; what is of another shape raises something, or gives values of another kind."""
    return Owned(
        plain["name"],
        dict(plain["namespaces"]),
        {(netns, name): index for netns, name, index in plain["links"]},
        dict.fromkeys((netns, link, address) for netns, link, address in plain["addresses"]),
        dict.fromkeys((netns, to, table, metric) for netns, to, table, metric in plain["routes"]),
        {(netns, link, field): Change(*change) for netns, link, field, *change in plain["settings"]},
        {(netns, path): Change(*change) for netns, path, *change in plain["sysctls"]},
        dict.fromkeys(plain["files"]),
        {netns: tuple(families) for netns, *families in plain["firewall"]},
        {netns: Life(*life) for netns, *life in plain.get("containers", ())},  # version 0.1.0 has none
        {(netns, link): record_of(record) for netns, link, *record in plain.get("carried", ())},  # nor these
    )
