# SPDX-License-Identifier: GPL-3.0-or-later
"""What one run is asked to do, told from the document and from what is remembered of earlier ones."""

from __future__ import annotations

from typing import AbstractSet, Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple, Union

from . import document as documents
from . import firewall, model
from .apply.disk import Memory, Records
from .document import Reading, identity
from .document.containers import cables
from .document.prefix import has_ipv6
from .document.published import ANY
from .elsewhere import elsewhere
from .firewall import FirewallWant
from .observe import Question
from .plan.addresses import leased_ends
from .plan.around import Elsewhere
from .plan.claims import claimed_links, namespaces_in
from .plan.filters import (
    Situation,
    firewall_wants,
    implied_settings,
    on_host,
    settings_to_read,
    with_rules,
)
from .plan.hands import DISABLE_IPV6, NEW_LINKS, Word, clashes, ipv6_ways, needs_of, words_of
from .plan.links import no_ipv6
from .plan.owned import Owned, SysctlKey
from .plan.planner import Wish
from .plan.ports import wanted_isolation
from .plan.redirects import ACCEPT_REDIRECTS
from .plan.settings import default_of, is_switch, wanted_files, wanted_settings, ways_of
from .plan.sheet import Sheet
from .plan.uplinks import carriers


class Task(NamedTuple):
    """One run: ``target`` is to be there, ``taken`` to go, ``stored`` what the document is from then on.

    In ``target`` and ``taken`` the cables into containers are among the veths, in the others they are as the document
    has them.
    ``document`` is ``stored`` as a canonical dict; ``previous`` is the topology of the last run. ``wants`` and
    ``wants_before``: what these two ask of the packet filters, but for the guard. ``whole``: what is owned beyond the
    target goes too. ``elsewhere``: what other documents say that concerns this one.
    """

    target: model.Topology
    taken: model.Topology
    stored: model.Topology
    document: Dict[str, Any]
    previous: model.Topology
    wants: Dict[Optional[str], FirewallWant]
    wants_before: Dict[Optional[str], FirewallWant]
    whole: bool
    elsewhere: Elsewhere


def make_task(reading: Reading, memory: Memory, fragment: bool, records: Records) -> Task:
    """A whole document replaces the last one; a fragment is merged into it, or cut out of it."""
    topology = reading.topology
    nothing = model.Topology(name=topology.name)
    if not fragment:
        target = topology if topology.present else nothing
        document = documents.dump(target)
        previous = target if document == memory.document else _previous(memory, nothing)
        wants = firewall_wants(target)
        before = wants if previous is target else firewall_wants(previous)
        around = elsewhere(target, previous, records)
        return Task(_wired(target), nothing, target, document, previous, wants, before, True, around)
    previous = _previous(memory, nothing)
    if topology.present:
        stored, target, taken = merged(previous, topology), topology, nothing
    else:
        stored, target, taken = cut(previous, topology), nothing, named_by(topology, previous, memory.owned)
    wants, before = firewall_wants(stored), firewall_wants(previous)
    document, around = documents.dump(stored), elsewhere(stored, previous, records)
    return Task(_wired(target), _wired(taken), stored, document, previous, wants, before, False, around)


def _wired(topology: model.Topology) -> model.Topology:
    return topology._replace(veths=cables(topology), containers=()) if topology.containers else topology


def containers_wanted(topology: model.Topology) -> List[str]:
    """The containers that are to have cables, each as ``container:NAME``."""
    return [entry.netns for entry in topology.containers] if topology.present else []


def containers_remembered(owned: Owned) -> List[str]:
    """The containers in which there may be something of ours."""
    return sorted(
        {*owned.containers, *(key for key in namespaces_in(owned) if key and key.startswith(model.CONTAINER))}
    )


def _previous(memory: Memory, nothing: model.Topology) -> model.Topology:
    return documents.read(memory.document, rules=False).topology if memory.document is not None else nothing


def merged(whole: model.Topology, part: model.Topology) -> model.Topology:
    """``whole`` with the objects of ``part`` added or put in the place of what they are now."""
    lists: Dict[str, Any] = {
        section: identity.merged(section, getattr(whole, section), entries)
        for section, entries in identity.sections(part).items()
    }
    old, new = whole.forwarding, part.forwarding
    return whole._replace(
        present=True,
        forwarding=model.Forwarding(
            old.ipv4 if new.ipv4 is None else new.ipv4,
            old.ipv6 if new.ipv6 is None else new.ipv6,
            new.networks or old.networks,
        ),
        sysctls=tuple({**dict(whole.sysctls), **dict(part.sysctls)}.items()),
        **lists,
    )


def named_by(part: model.Topology, whole: model.Topology, owned: Owned) -> model.Topology:
    """What the entries of ``part``, with state absent, mean of a document and of what it owns."""
    lists: Dict[str, Any] = {
        section: identity.meant(section, getattr(whole, section), entries)
        for section, entries in identity.sections(part).items()
    }
    for section, entries in identity.sections(part).items():  # what isn't in the document may be owned all the same
        if section == "routes":
            lists[section] += identity.routes_meant(owned.routes, entries)
        elif section not in ("masquerade", "published_ports"):
            known, others = identity.namesakes(section, lists[section]), identity.of_other_kinds(section, whole)
            lists[section] += [
                entry for entry in entries if not known.of(entry) and identity.of(section, entry) not in others
            ]
    meant: Dict[str, Any] = {section: tuple(entries) for section, entries in lists.items()}
    return part._replace(**meant)


def cut(whole: model.Topology, part: model.Topology) -> model.Topology:
    """``whole`` without the objects that ``part`` means, and without what goes along with a namespace of them."""
    rooms = {namespace.name for namespace in part.namespaces}
    lists: Dict[str, Any] = {}
    for section, entries in identity.sections(whole).items():
        gone = {id(entry) for entry in identity.meant(section, entries, getattr(part, section))}
        kept = (entry for entry in entries if id(entry) not in gone)
        lists[section] = tuple(entry for entry in kept if not identity.standing_on(rooms, entry))
    forwarding = model.Forwarding(
        whole.forwarding.ipv4 if part.forwarding.ipv4 is None else None,
        whole.forwarding.ipv6 if part.forwarding.ipv6 is None else None,
        tuple(network for network in whole.forwarding.networks if network not in part.forwarding.networks),
    )
    named = dict(part.sysctls)
    sysctls = tuple((path, value) for path, value in whole.sysctls if path not in named)
    probes = tuple(probe for probe in whole.probes if probe.source not in rooms)
    return whole._replace(forwarding=forwarding, sysctls=sysctls, probes=probes, **lists)


def questions(task: Task, memory: Memory) -> Dict[Optional[str], Question]:
    """What to read, and in which namespaces, to plan this task."""
    tables: Dict[Optional[str], Set[int]] = {None: set()}
    for topology in (task.target, task.taken) if not task.whole else (task.target,):
        for netns in _places(topology):
            tables.setdefault(netns, set())
        for route in topology.routes:
            tables.setdefault(route.netns, set()).add(route.table)
    for netns in namespaces_in(memory.owned):
        tables.setdefault(netns, set())
    for netns, _to, table, _metric in memory.owned.routes:
        tables[netns].add(table)
    paths: Dict[Optional[str], Dict[str, None]] = {}
    for netns, path in _settings_to_read(task, memory):
        paths.setdefault(netns, {})[path] = None
    main = (model.TABLE_MAIN,)
    links: Dict[Optional[str], Dict[str, None]] = {}
    for netns, name in carriers(task.target, memory.owned):
        links.setdefault(netns, {})[name] = None
    going = _where_links_may_go(task, memory.owned)
    return {
        netns: Question(
            tuple(sorted({model.TABLE_MAIN, *extra})) if extra else main,
            tuple(paths.get(netns, ())),
            tuple(links.get(netns, ())),
            netns in going,
        )
        for netns, extra in tables.items()
    }


def _where_links_may_go(task: Task, owned: Owned) -> Set[Optional[str]]:
    """The namespaces in which something of ours may be taken away, or made anew."""
    again: Set[identity.LinkKey] = set()
    if task.previous is not task.stored:
        ends = {identity.link_key(end): {*map(identity.link_key, veth)} for veth in task.previous.veths for end in veth}
        again = {identity.link_key(end) for veth in task.target.veths for end in veth
                 if ends.get(identity.link_key(end), set()) - {*map(identity.link_key, veth)}}  # fmt: skip
    gone = owned.links.keys() - claimed_links(task.target) if task.whole else claimed_links(task.taken)
    rooms = set(owned.namespaces).difference(one.name for one in task.target.namespaces) if task.whole else set()
    return {netns for netns, _name in (*gone, *again)} | rooms | {one.name for one in task.taken.namespaces}


def _settings_to_read(task: Task, memory: Memory) -> Iterable[SysctlKey]:
    wanted = wanted_settings(task.target, implied_settings(task.wants))
    before = wanted_settings(task.previous, implied_settings(task.wants_before))
    yield from settings_to_read(task.wants, task.elsewhere.ports)
    yield from task.elsewhere.settings
    for key in (*wanted, *before, *memory.owned.sysctls):
        if not is_switch(key[1]):
            yield key
    for netns, path in words_of(task.target):
        yield netns, default_of(path)
    yield from (*ways_of(task.target), (None, ACCEPT_REDIRECTS))
    for namespace in (*task.target.namespaces, *task.previous.namespaces):
        if namespace.forwarding.ipv4:
            yield namespace.name, ACCEPT_REDIRECTS
    links: List[Union[model.Bridge, model.End, model.Interface]] = [*task.target.bridges, *task.target.interfaces]
    links += [end for veth in task.target.veths for end in veth]
    for link in links:
        if has_ipv6(link.addresses):
            yield link.netns, NEW_LINKS
            yield link.netns, no_ipv6(link)
    for netns, name in ipv6_ways(task.target):
        yield netns, NEW_LINKS
        yield netns, f"net/ipv6/conf/{name}{DISABLE_IPV6}"
    touched = {(interface.netns, interface.name): None for interface in task.target.interfaces}
    touched.update({key[:2]: None for key in memory.owned.addresses})
    for netns, name in touched:
        yield netns, f"net/ipv4/conf/{name}/promote_secondaries"


def _places(topology: model.Topology) -> Iterable[Optional[str]]:
    for namespace in topology.namespaces:
        yield namespace.name
    for veth in topology.veths:
        yield veth.a.netns
        yield veth.b.netns
    for name in ("bridges", "interfaces", "taps", "routes", "masquerade", "published_ports"):
        for entry in getattr(topology, name):
            yield entry.netns


def files_to_read(task: Task, memory: Memory) -> List[str]:
    """The paths of the files that the task may write or remove."""
    wanted = wanted_files(task.target.name, task.target.namespaces)
    return [*wanted, *(path for path in memory.owned.files if path not in wanted)]


def owners(task: Task) -> List[str]:
    """The users who are to own taps."""
    topologies = (task.target, task.stored, task.previous)
    return [tap.owner for topology in topologies for tap in topology.taps if tap.owner is not None]


def claimed_elsewhere(task: Task, records: Records) -> List[str]:
    """A line for each uplink and each published port that another document has, too: the two would undo each other."""
    wanted = task.target
    uplinks = {(bridge.netns, bridge.uplink): bridge for bridge in wanted.bridges if bridge.uplink is not None}
    found: List[str] = []
    for name in records.names() if uplinks or wanted.published_ports else ():
        document = records.load(name).document if name != task.stored.name else None
        if document is None or not (document.get("interfaces") or document.get("published_ports")):
            continue  # most have neither, and reading one takes a while
        other = documents.read(document, rules=False).topology
        for interface in other.interfaces:
            bridge = uplinks.get((interface.netns, interface.name))
            if bridge is not None and (interface.addresses or interface.bridge is not None):
                what = "addresses" if interface.addresses else f"bridge {interface.bridge}"
                found.append(
                    f"bridge {bridge.name}: uplink {bridge.uplink}: the document {name!r} gives it {what}; "
                    f"take that out of it first"
                )
        found += _published_elsewhere(wanted.published_ports, other)
    return found


def _published_elsewhere(ports: Iterable[model.PublishedPort], other: model.Topology) -> Iterator[str]:
    """A port of an address leads to one place; ``any`` is each address of the target's family."""
    taken: Dict[Tuple[Optional[str], str, bool, int], List[model.PublishedPort]] = {}
    for port in other.published_ports:
        for key in _each_port(port):
            taken.setdefault(key, []).append(port)
    for port in ports if taken else ():
        rivals = (rival for key in _each_port(port) for rival in taken.get(key, ()))
        rival = next((one for one in rivals if ANY in (one.address, port.address) or one.address == port.address), None)
        if rival is not None:
            number = port.port if port.port == port.port_last else f"{port.port}-{port.port_last}"
            yield (
                f"published port {port.protocol} {port.address}:{number}: the document {other.name!r} publishes "
                f"{rival.address}:{max(port.port, rival.port)} already; take it out of one of the two"
            )


def _each_port(port: model.PublishedPort) -> Iterator[Tuple[Optional[str], str, bool, int]]:
    for number in range(port.port, port.port_last + 1):
        yield port.netns, port.protocol, ":" in port.to_address, number


def namespaces_that_go(task: Task, memory: Memory, view: model.HostView) -> List[str]:
    """Those of ours that are there and that the plan takes away."""
    kept, taken = ({namespace.name for namespace in one.namespaces} for one in (task.target, task.taken))
    going = [name for name in memory.owned.namespaces if (name not in kept if task.whole else name in taken)]
    sheet = Sheet(view, memory.owned, "")
    return [name for name in going if sheet.is_our_namespace(name)]


def make_wish(
    task: Task, view: model.HostView, memory: Memory, inherited: Iterable[SysctlKey], elsewhere: AbstractSet[int]
) -> Wish:
    """The task in the planner's terms; ``elsewhere`` are the families of heirs.switched_on_elsewhere."""
    kept_for_others = frozenset(inherited)
    situation = Situation(view, memory.owned, elsewhere, task.wants_before, kept_for_others, task.elsewhere)
    seen = on_host(task.wants, task.stored, situation)
    filters = with_rules(seen, firewall.installed)
    implied = {**dict.fromkeys(task.elsewhere.settings, "1"), **implied_settings(filters)}
    theirs = task.elsewhere.said
    settings = wanted_settings(task.target, implied, theirs)
    kept = wanted_settings(task.stored, implied, theirs)
    own = {key: Word(value) for key, value in words_of(task.stored).items()}
    return Wish(
        topology=task.target,
        settings=settings,
        files=wanted_files(task.target.name, task.target.namespaces),
        whole=task.whole,
        taken=task.taken,
        taken_settings={key: value for key, value in _gone(task, situation).items() if key not in kept},
        taken_files=wanted_files(task.taken.name, task.taken.namespaces),
        firewall=filters,
        firewall_before=task.wants_before,
        unfiltered=seen.get(None) if None not in filters else None,
        inherited=kept_for_others,
        stored=task.stored,
        previous=task.previous,
        isolation=wanted_isolation(task.stored, task.previous),
        leased=leased_ends(task.stored, task.previous),
        said=kept,
        elsewhere=task.elsewhere,
        remembered=memory.document is not None and not memory.interrupted,
        certain=memory.certain,
        clashes=(*clashes({**theirs, **own}, needs_of(task.stored, implied)), *clashes(own, task.elsewhere.needed)),
    )


def _gone(task: Task, situation: Situation) -> Dict[SysctlKey, str]:
    """The settings that may go: what the task takes had them, or something that has changed implied them."""
    gone = wanted_settings(task.taken, {})
    if not task.whole:
        before = with_rules(on_host(task.wants_before, task.previous, situation), firewall.installed)
        gone.update(wanted_settings(task.previous, implied_settings(before)))
    return gone


def asked_families(wish: Wish, memory: Memory) -> Dict[Optional[str], Tuple[int, ...]]:
    """The namespaces in whose packet filters we have rules or want some, each with the families to read."""
    asked: Dict[Optional[str], Tuple[int, ...]] = {}
    for netns in {*wish.firewall, *memory.owned.firewall}:
        want = wish.firewall.get(netns)
        wanted = firewall.families(want) if want is not None else ()
        asked[netns] = tuple(sorted({*wanted, *memory.owned.firewall.get(netns, ())}))
    return asked


def may_delete_namespaces(task: Task, owned: Owned) -> bool:
    """Whether any namespace of the document may go."""
    kept = {namespace.name for namespace in task.target.namespaces}
    return any(name not in kept for name in owned.namespaces)
