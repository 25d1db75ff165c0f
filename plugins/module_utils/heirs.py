# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the host that several documents want: they stay for as long as one does, and the last puts them back.

Which document turned the host's forwarding on is also told by its rules: each that relies on it guards it there.
"""

from __future__ import annotations

import contextlib
from typing import Dict, FrozenSet, Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from . import document as documents
from . import firewall, sysctl
from . import netns as namespaces
from .apply.disk import Memory, Records, Store
from .errors import MissingOnHost
from .firewall import Tables, leads_loopback_out
from .model import HostView
from .plan.filters import SWITCHES, firewall_wants, implied_settings, switched_on
from .plan.hands import LOCALNET
from .plan.owned import Change, Owned, SysctlKey, copy, inherit
from .plan.redirects import switch_of
from .plan.settings import current, link_in, name_of_setting, wanted_settings
from .plan.sheet import place
from .task import Task

_Guards = Mapping[int, Set[str]]
_Holding = Tuple[str, SysctlKey]  # a document, and a setting that it is to put back
_FAMILIES: Dict[SysctlKey, int] = {(None, path): family for family, path in SWITCHES}


class Heirs(NamedTuple):
    """What a document lets go and others want: it stays.

    ``named``: settings, each with the document that is to put it back one day. ``perhaps``: those of which it isn't
    known whether a document wants them, for its record can't be used. ``guarded``: those that a document wants whose
    record is lost: its own rules say so, and will tell it. ``taken``: what this document takes over from others.
    """

    named: Dict[SysctlKey, str]
    perhaps: Dict[SysctlKey, str]
    guarded: Dict[SysctlKey, str]
    taken: FrozenSet[_Holding] = frozenset()

    @property
    def settings(self) -> FrozenSet[SysctlKey]:
        """All that stays."""
        return frozenset((*self.named, *self.perhaps, *self.guarded))


NOBODY = Heirs({}, {}, {})


def adopted(task: Task, memory: Memory, records: Records) -> Tuple[Memory, FrozenSet[_Holding]]:
    """What is remembered, with settings that this document wants or wanted and others hold who don't want them.

    They held them for the sake of a document whose record couldn't be used then: it may have been this one. Without it
    the one that goes last would leave them, for it has never changed them itself.
    """
    if not any(name != task.stored.name for name in records.names()):
        return memory, frozenset()
    wanted = wanted_settings(task.stored, implied_settings(task.wants))
    if task.previous is not task.stored:
        wanted.update(wanted_settings(task.previous, implied_settings(task.wants_before)))
    return _taking(memory, _held(records, task.stored.name, wanted), records)


def _held(records: Records, name: str, wanted: Iterable[SysctlKey]) -> FrozenSet[_Holding]:
    """Who else holds these, and what came along with them, and doesn't want them."""
    keys = frozenset(wanted)
    return frozenset(
        (other, key)
        for other in (records.names() if keys else ())
        if other != name
        for key in _idle(other, records.load(other))
        if key in keys or switch_of(key) in keys
    )


def _idle(name: str, memory: Memory) -> Iterator[SysctlKey]:
    """The settings that a document holds only because another one may want them.

    A document that is there may hold others for the sake of somebody's ports, but not the host's forwarding.
    """
    if not memory.living or memory.interrupted or memory.document is None:
        return
    if memory.document == {"name": name}:
        yield from memory.owned.sysctls
        return
    said = memory.document.get("forwarding") or {}
    for (_family, path), flag in zip(SWITCHES, ("ipv4", "ipv6")):
        switch = (None, path)
        if switch in memory.owned.sysctls and said.get(flag) is None and not _names(memory.document, switch):
            yield from (key for key in memory.owned.sysctls if switch in (key, switch_of(key)))


def _names(document: Mapping[str, object], switch: SysctlKey) -> bool:
    return switch in wanted_settings(documents.read(document, rules=False).topology, {})


def _taking(memory: Memory, held: FrozenSet[_Holding], records: Records) -> Tuple[Memory, FrozenSet[_Holding]]:
    if not held:
        return memory, held
    owned = copy(memory.owned)
    for holder, key in sorted(held, key=str):
        inherit(owned, {key: records.load(holder).owned.sysctls[key]})
    return memory._replace(owned=owned), held


def find_heirs(task: Task, memory: Memory, records: Records, lost: Optional[_Guards] = None) -> Heirs:
    """Who wants what this document lets go.

    ``lost``: who guards the host's forwarding beside those of whom all is known; None where that wasn't looked at.
    """
    kept = {**task.elsewhere.settings, **wanted_settings(task.stored, implied_settings(task.wants))}
    # What came along with a switch goes with it.
    switches = {key: switch_of(key) or key for key in memory.owned.sysctls if key not in kept}
    going = {key: switch for key, switch in switches.items() if switch not in kept}
    if not going:
        return NOBODY
    found = Heirs({}, {}, {})
    for name in records.names():
        other = records.load(name) if name != task.stored.name else None
        if other is not None and other.document is not None and other.living:
            found.named.update(dict.fromkeys(_wanted_by(other.document, going), name))
        elif other is not None and other.document is None and other.broken:
            may = (key for key, switch in going.items() if _may_want(name, key, switch, memory, lost))
            found.perhaps.update(dict.fromkeys(may, name))
    for key, switch in going.items():
        owners = lost.get(_FAMILIES.get(switch, 0)) if lost else None
        if owners and key not in found.perhaps:
            found.guarded[key] = min(owners)
    return found


def _may_want(name: str, key: SysctlKey, switch: SysctlKey, memory: Memory, lost: Optional[_Guards]) -> bool:
    """Whether a document whose record can't be used may want a setting; nobody does of another one's own link."""
    if lost is not None and switch in _FAMILIES:
        return name in lost.get(_FAMILIES[switch], ())
    return (key[0], link_in(key[1])) not in memory.owned.links


def _wanted_by(document: Mapping[str, object], going: Mapping[SysctlKey, SysctlKey]) -> Iterator[SysctlKey]:
    topology = documents.read(document, rules=False).topology
    wants = firewall_wants(topology)
    wanted = wanted_settings(topology, implied_settings(wants))
    lead_out = {netns for netns, want in wants.items() if leads_loopback_out(want)}  # by some link
    for key, switch in going.items():
        if key in wanted or switch in wanted or (key[0] in lead_out and key[1].endswith(LOCALNET)):
            yield key


def heeding_guards(
    task: Task, memory: Memory, view: HostView, tables: Optional[Tables], records: Records, heirs: Heirs
) -> Optional[Tuple[Memory, Heirs]]:
    """What is remembered, and who wants what goes, once the guards of forwarding were heeded; None if it is the same.

    They say something beyond the records where those of a document that has one are lost.
    """
    going = _lets_switches_go(task, memory)
    if memory.certain and not (going or heirs.perhaps):
        return None
    if tables is None and going and firewall.installed():  # few have made a host forward and have no rules
        tables = firewall.observe(None)
    if tables is None:
        return None
    guards = firewall.guards(tables)
    name = task.stored.name
    lost = {
        family: {owner for owner in owners - {name} if not records.load(owner).certain}
        for family, owners in guards.items()
    }
    ours = [family for family, owners in guards.items() if name in owners]
    known, taken = memory, heirs.taken
    if not memory.certain:
        switches = [key for key, family in _FAMILIES.items() if family in ours]
        known, more = _taking(memory, _held(records, name, switches) - taken, records)
        taken |= more
        known = _with_guarded(task, known, view, ours, records)
    if known is memory and not (any(lost.values()) or heirs.perhaps):
        return None
    return known, find_heirs(task, known, records, lost)._replace(taken=taken)


def _lets_switches_go(task: Task, memory: Memory) -> bool:
    going = _FAMILIES.keys() & memory.owned.sysctls.keys()
    return bool(going) and not going <= wanted_settings(task.stored, {}).keys()


def _with_guarded(task: Task, memory: Memory, view: HostView, ours: Sequence[int], records: Records) -> Memory:
    """What is remembered, with the switches of the families in which the guard is ``ours``; the same if that is so."""
    others = [records.load(name).owned for name in records.names() if name != task.stored.name]
    elsewhere = {family for owned in others for family in switched_on(owned)}
    owned = copy(memory.owned)
    for family, path in SWITCHES:
        if family in ours and family not in elsewhere and current(view.views.get(None), path) == "1":
            owned.sysctls.setdefault((None, path), Change("0", "1"))
    return memory if owned == memory.owned else memory._replace(owned=owned)


def doubts(heirs: Heirs, memory: Memory, view: HostView) -> Iterator[str]:
    """A sentence for each setting that stays because of a document of which too little is known."""
    for netns, path in (*heirs.perhaps, *heirs.guarded):
        change = memory.owned.sysctls.get((netns, path))
        told = (netns, path) in heirs.named or switch_of((netns, path)) is not None  # it is told of the switch
        if told or change is None or not change.explains(current(view.views.get(netns), path)):
            continue
        words = f"{place(netns)}: {name_of_setting(path)} stays {change.after}, for the document"
        if (netns, path) in heirs.guarded:
            yield f"{words} {heirs.guarded[netns, path]!r} has rules here that go with it, though no record says so"
        else:
            yield f"{words} {heirs.perhaps[netns, path]!r} may want it, too; run this again once its record is mended"


def switched_on_elsewhere(task: Task, records: Records) -> Set[int]:
    """The families in which another document made the host forward."""
    forwarding = task.stored.forwarding
    others = (
        (name for name in records.names() if name != task.stored.name) if forwarding.ipv4 or forwarding.ipv6 else ()
    )
    return {family for name in others for family in switched_on(records.load(name).owned)}


def hand_over(store: Store, task: Task, before: Owned, owned: Owned, heirs: Heirs) -> Owned:
    """What is owned once the settings that are there for other documents' sake are theirs: they put those back one day.

    ``before`` is what was owned. What nobody can take over stays with this document, for as long as it is so.
    """
    kept = dict(owned.sysctls)
    for key, heir in task.elsewhere.settings.items():
        if key in kept and store.bequeath(heir, {key: kept[key]}):
            del kept[key]
    for key in {**heirs.named, **heirs.perhaps}:
        change = before.sysctls.get(key)
        if change is None or key in kept:
            continue
        taken = key in heirs.named and store.bequeath(heirs.named[key], {key: change})
        if not taken and change.explains(_now(key)):
            kept[key] = change
    return owned._replace(sysctls=kept)


def remember(store: Store, task: Task, memory: Memory, owned: Owned, heirs: Heirs) -> None:
    """Note what the document owns from now on, and what others no longer do."""
    owned = hand_over(store, task, memory.owned, owned, heirs)
    document, name = task.document, task.stored.name
    nothing_left = document == {"name": name} and not any(owned[1:])
    changed = document != memory.document or owned != memory.owned or memory.interrupted or bool(heirs.taken)
    if changed and not (nothing_left and memory.document is None and not memory.interrupted):
        store.settle(name, None if nothing_left else document, owned)
    for holder in sorted({holder for holder, _key in heirs.taken}):  # only now: a kill leaves it with both
        store.release(holder, [key for one, key in heirs.taken if one == holder])


def left_over(store: Store, records: Records, task: Task, heirs: Heirs) -> Iterator[str]:
    """A sentence for each document beside this one that was taken away and whose record still holds settings."""
    for name in records.names():
        if name == task.stored.name or not records.may_be_absent(name):
            continue
        memory = records.load(name)
        idle = _idle(name, memory) if memory.document == {"name": name} else ()
        keys = [key for key in idle if (name, key) not in heirs.taken and switch_of(key) is None]
        if keys:
            words = ", ".join(f"{place(netns)}: {name_of_setting(path)}" for netns, path in keys)
            yield (
                f"the document {name!r} was taken away, and {store.paths(name)[0]} still holds what is to be put back "
                f"({words}): take it away again (absent {name}), once the records of the others can be used"
            )


def _now(key: SysctlKey) -> Optional[str]:
    """What a setting is; None where it is gone, with its link or its namespace."""
    with contextlib.suppress(MissingOnHost), namespaces.inside(key[0]):
        return sysctl.read(key[1])
    return None
