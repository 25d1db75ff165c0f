# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document owns on this host: from its record, and where that is lost, damaged or of another life, by marks.

What only a record can hold (how settings, and interfaces of others, were before) stays unknown then, and is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from . import firewall, sysctl
from . import netns as namespaces
from .apply.disk import Memory, Store
from .errors import Conflict, HostwireError
from .model import HostView, Topology
from .plan.filters import says_nothing
from .plan.hands import LOCALNET
from .plan.owned import Change, Owned, copy
from .plan.recalled_uplinks import recall_uplinks
from .stopwatch import seconds_since_boot

if TYPE_CHECKING:
    from .document.identity import RouteKey
    from .host import Host
    from .marks import Rooms
    from .records import Unusable
    from .task import Task

_UNKNOWN = (
    "what it made is known by its marks; how kernel settings, and interfaces that aren't ours, were before is not, so "
    "they stay as they are"
)
_UNMARKED = "what a run that was cut short had made but not yet marked can't be told from others' things, and stays"


def recalled(store: Store, topology: Topology, fragment: bool = False) -> Memory:
    """What is known of the document ``topology``; what a person has to know of that is in ``store.remarks``.

    Raises Conflict for a record that is somebody else's or another version's, and where a ``fragment`` would be taken
    for the whole of a document that is lost.
    """
    memory = store.load(topology.name)
    if memory.certain or memory.told:
        return memory
    broken = [store.unusable[path] for path in store.paths(topology.name) if path in store.unusable]
    _refuse(broken, topology.name, fragment and memory.document is None)
    return _by_marks(store, topology, memory, broken)


def _refuse(broken: List[Unusable], name: str, lacking: bool) -> None:
    for one in broken:
        if not one.mendable:
            raise Conflict(one.problems)
        if lacking:
            raise Conflict(
                f"{one.path} {one.reason}: what earlier tasks made for {name!r} isn't known, and would be taken for "
                "unwanted; apply the whole document, or move the file away to begin anew"
            )


def _by_marks(store: Store, topology: Topology, memory: Memory, broken: List[Unusable]) -> Memory:
    from . import marks  # loaded when it is needed: most runs have a record

    name, rooms = topology.name, marks.look()
    spaces, links = marks.marked_namespaces(rooms, name), marks.marked_links(rooms, name)
    lost = memory.document is None and not memory.interrupted
    if lost and topology.present and not (spaces or links):
        return memory  # the first run, as it seems
    owned = copy(memory.owned)
    owned.namespaces.update(spaces)
    owned.links.update(links)
    owned.files.clear()
    owned.files.update(dict.fromkeys(marks.marked_files(name)))
    others = {other: store.load(other) for other in store.names() if other != name}
    marked = marks.owners(rooms) | _add_rules(owned, rooms)
    # Whether nothing here can be a document's of which nothing is known.
    alone = marked <= {name, *others} and all(memory.certain for memory in others.values())
    was_here = not lost or any(owned.parts)
    owned.routes.update(dict.fromkeys(_routes(owned, rooms, others, alone and was_here)))
    for netns, link in links if alone else ():
        path = f"net/ipv4/conf/{link}{LOCALNET}"
        if (netns, path) not in owned.sysctls and netns not in owned.namespaces and _is_on(netns, path):
            owned.sysctls[netns, path] = Change("0", "1")  # as it is with a new link
    for one in broken:
        store.remarks[f"{one}: {_UNKNOWN}{f'; {_UNMARKED}' if store.is_journal(one.path) else ''}"] = None
    if memory.certain:
        store.remarks[f"{store.paths(name)[0]} is older than what it tells of: {_UNKNOWN}"] = None
    elif lost and any(owned.parts):
        store.remarks[f"{store.paths(name)[0]} is missing: {_UNKNOWN}"] = None
    return memory._replace(owned=owned, certain=False, told=True)


def _is_on(netns: Optional[str], path: str) -> bool:
    with namespaces.inside(netns):
        return sysctl.read(path) == "1"


def recollected(host: Host, task: Task, memory: Memory) -> Tuple[Memory, HostView]:
    """What is remembered, with what marks add to it; and all that has to be known to plan."""
    view = host.look(task, memory)
    there = host.around(view) if is_farewell(task) else view
    more = with_marks(host.store, task, memory, there)
    return (memory, view) if more is memory else (more, host.look(task, more))


def is_farewell(task: Task) -> bool:
    """Whether all that the document's name stands for is to go."""
    return task.whole and task.document.keys() <= {"name"}


def with_marks(store: Store, task: Task, memory: Memory, view: HostView) -> Memory:
    """What is remembered, with what marks in the view tell beyond it; the same object if that is nothing.

    Uplinks are looked for whatever the record says: what is on them is the host's.
    """
    if memory.certain and _is_overtaken(memory.owned, view):
        memory = _by_marks(store, task.target, memory, [])
    owned = recall_uplinks(memory.owned, view, task.target, seconds_since_boot())
    owned = _with_marked_rules(owned, task, view)
    return memory if owned is memory.owned else memory._replace(owned=owned)


def _with_marked_rules(owned: Owned, task: Task, view: HostView) -> Owned:
    """What is owned, with rules that somebody brought back from an older save; the same object if there are none.

    They are looked for on the host, and in namespaces that forward, where no others of the document are read anyway.
    """
    again: Dict[Optional[str], Tuple[int, ...]] = {}
    for netns, room in view.views.items():
        if room.inode > 0 and (netns is None or room.forwarding_ipv4 or room.forwarding_ipv6):  # else on paper only
            want = task.wants.get(netns)
            forwards = room.forwarding_ipv4 or room.forwarding_ipv6
            read = want is not None and (forwards or not says_nothing(want))  # see filters.with_rules
            known = {*owned.firewall.get(netns, ()), *(firewall.families(want) if want is not None and read else ())}
            found = firewall.families_marked(netns, owned.name, [family for family in (4, 6) if family not in known])
            if found:
                again[netns] = (*owned.firewall.get(netns, ()), *found)
    return owned._replace(firewall={**owned.firewall, **again}) if again else owned


def _is_overtaken(owned: Owned, view: HostView) -> bool:
    """Whether something has the document's mark that its record knows not of: somebody has put back an older one."""
    mark = owned.mark
    for netns, room in view.views.items():
        for link in room.links.values():
            known = netns in owned.namespaces if link.name == "lo" else (netns, link.name) in owned.links
            if link.alias == mark and not known:
                return True
    return False


def _routes(owned: Owned, rooms: Rooms, others: Mapping[str, Memory], alone: bool) -> Iterator[RouteKey]:
    """Those of the collection's routes that must be this document's.

    They lead through a link of its own, or are in a namespace of its own, and no other document says that they are its;
    or no other one can have made them, for it is ``alone``.
    """
    from . import marks

    claimed = {key for memory in others.values() for key in memory.owned.routes}
    for key, ways in marks.routes(rooms).items():
        netns = key[0]
        evident = netns in owned.namespaces or any((netns, way) in owned.links for way in ways)
        if key not in claimed and (evident or alone):
            yield key


def _add_rules(owned: Owned, rooms: Rooms) -> Set[str]:
    """The packet filters in which rules of the document stand; the names of all documents that have some, anywhere.

    Where somebody else's namespace can't be looked into there may be anybody's: "", which is no document's name.
    """
    from . import marks

    owners: Set[str] = set()
    for netns, room in rooms.items() if firewall.installed() else ():
        if netns is None or room.forwards:
            try:
                found = marks.rules(netns, owned.name)
            except HostwireError:
                if netns is None or netns in owned.namespaces:
                    raise
                found = marks.Rules((), {""})
            owners |= found.owners
            if found.families:
                owned.firewall[netns] = found.families
    return owners
