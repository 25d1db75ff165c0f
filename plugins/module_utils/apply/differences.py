# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a run is still to be seen after it was taken back. What other people did meanwhile is theirs."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..firewall.tables import MARK, OWN_CHAIN, Ruleset, Tables, own_lines
from ..model import Address, HostView, KernelRoute, Link, LinkKey, NamespaceView
from ..plan import actions as act
from ..plan.hands import DISABLE_IPV6
from ..plan.settings import link_in
from ..plan.sheet import devices, place
from ..rtnetlink.constants import IFA_F_PERMANENT, RT_SCOPE_LINK, RTPROT_KERNEL, RTPROT_RA
from ..sysctl import IPV4_FORWARDING, IPV6_FORWARDING, accept_ra
from .dragged import moved_settings
from .endangered import endangered

_Fact = Tuple[Optional[str], str]  # namespace, what it is about


def differences(before: HostView, after: HostView, steps: Sequence[act.Step]) -> List[str]:
    """What these steps touched and is not as it was, in words.

    Kernel-made addresses and routes, counters and indexes don't count.
    """
    done = [step.action for step in steps]
    made = {action.netns for action in done if isinstance(action, act.NetnsAdd)}
    taken = {action.netns for action in done if isinstance(action, act.NetnsDelete)}
    found = [f"namespace {name}: is gone" for name in before.names if name in taken and name not in after.names]
    found += [f"namespace {name}: is left over" for name in after.names if name in made and name not in before.names]
    lost = endangered(steps).there(before)
    links, things = touched_links(steps, before), {thing for action in done for thing in _made_by(action, before)}
    for netns, then in before.views.items():
        now = after.views.get(netns)
        if now is not None:
            here = {name for where, name in links if where == netns}
            named = {thing for where, thing in things if where == netns}
            moved = moved_settings(steps, netns)
            held = {family: names & here for family, names in lost.get(netns, {}).items()}
            was, there = (_facts(view, here, held, named, moved) for view in (then, now))
            found += _compare(place(netns), was, there, named)
    for path, text in before.files.items():
        if after.files.get(path) != text:
            found.append(f"file {path}: differs")
    return found


def rule_differences(before: Mapping[Optional[str], Tables], after: Mapping[Optional[str], Tables]) -> List[str]:
    """In which packet filters the collection's own rules are other ones than before, or stand otherwise, in words."""
    found: List[str] = []
    for netns, tables in before.items():
        now = after[netns].rulesets if netns in after else {}
        for key in sorted({*tables.rulesets, *now}):
            where = f"{place(netns)}: {'iptables' if key[1] == 4 else 'ip6tables'}-{key[0]}"
            found += [f"{where}: {line}" for line in _rules_changed(tables.rulesets.get(key, {}), now.get(key, {}))]
    return found


def _rules_changed(before: Ruleset, after: Ruleset) -> List[str]:
    was, there = own_lines(before), own_lines(after)
    then, now = (
        Counter(f"{table}: {line}" for (table, _chain), lines in rules.items() for line in lines)
        for rules in (was, there)
    )
    found = [*_told(now - then, "left over"), *_told(then - now, "gone")]
    for key in sorted(was.keys() ^ there.keys()):
        table, chain = key
        if OWN_CHAIN.fullmatch(chain):
            found.append(f"{table}: our chain {chain} is {'gone' if key in was else 'left over'}")
    for key in sorted(was.keys() & there.keys()):
        table, chain = key
        if sorted(was[key]) == sorted(there[key]) and was[key] != there[key]:
            found.append(f"{table}: the rules of ours in {chain} are in another order")
        elif not OWN_CHAIN.fullmatch(chain):
            moved = _misplaced(before[table][chain], after[table][chain])
            found += _told(Counter(f"{table}: {line}" for line in moved), "in another place among those of others")
    return found


def _misplaced(before: List[str], after: List[str]) -> List[str]:
    """The rules of ours in a chain of others that have another place than before among what the others have left as it
    was: what they took, gave or moved meanwhile says nothing of ours. Each list is the whole chain.
    """
    theirs = [[line for line in lines if not MARK.search(line)] for lines in (before, after)]
    stayed = Counter[str]()
    for first, _second, size in SequenceMatcher(None, theirs[0], theirs[1], autojunk=False).get_matching_blocks():
        stayed.update(theirs[0][first : first + size])
    then, now = (_places(lines, stayed) for lines in (before, after))
    return sorted(line for line in then if len(then[line]) == len(now.get(line, ())) and then[line] != now[line])


def _places(lines: List[str], stayed: Counter[str]) -> Dict[str, List[Tuple[str, ...]]]:
    """By each rule of ours, what of the others' stands before it, for each time that it is there."""
    found: Dict[str, List[Tuple[str, ...]]] = {}
    met: List[str] = []
    for line in lines:
        if MARK.search(line):
            found.setdefault(line, []).append(tuple(met))
        elif met.count(line) < stayed[line]:
            met.append(line)
    return found


def _told(lines: Counter[str], words: str) -> List[str]:
    count = sum(lines.values())
    if not count:
        return []
    rules = f"{count} rules of ours are" if count > 1 else "a rule of ours is"
    return [f"{rules} {words}: {min(lines)}" + (" and so on" if count > 1 else "")]


def touched_links(steps: Iterable[act.Step], view: HostView) -> Set[LinkKey]:
    """The links that steps, or what undoes them, speak of; ``view``: from before them."""
    return {link for step in steps for action in (step.action, *step.inverse) for link in _links_of(action, view)}


def _links_of(action: act.Action, view: HostView) -> List[LinkKey]:
    if isinstance(action, act.SysctlSet):  # one that takes a link's addresses and routes along, or those of each link
        room = view.views.get(action.netns)
        if room is None or not action.path.endswith(DISABLE_IPV6):
            return []
        link = link_in(action.path)
        return [(action.netns, name) for name in room.links if link in (name, "all")]
    names = [getattr(action, field, None) for field in ("name", "link", "dev")]
    found = [(action.netns, name) for name in names if name]
    if isinstance(action, act.VethAdd):
        found.append((action.peer_netns, action.peer))
    return found


def _made_by(action: act.Action, before: HostView) -> List[_Fact]:
    if isinstance(action, act.VethAdd):
        return [(action.netns, f"link {action.name}"), (action.peer_netns, f"link {action.peer}")]
    if isinstance(action, (act.BridgeAdd, act.TapAdd)):
        return [(action.netns, f"link {action.name}")]
    if isinstance(action, act.AddressAdd):
        return [(action.netns, f"address {action.address} on {action.link}")]
    if isinstance(action, (act.RouteAdd, act.RouteDelete)):
        return [(action.netns, _route_subject(action.to, action.table, action.metric))]
    if isinstance(action, (act.UplinkAttach, act.UplinkDetach)):
        attach = isinstance(action, act.UplinkAttach)
        source, target = (action.link, action.name) if attach else (action.name, action.link)
        room = before.views.get(action.netns)
        held = room.addresses.get(room.links[source].index, ()) if room and source in room.links else ()
        return [(action.netns, f"address {address.address} on {target}") for address in held]
    return []


def _compare(where: str, then: Dict[str, object], now: Dict[str, object], made: Set[str]) -> List[str]:
    gone = [subject for subject in then if subject not in now]
    found = [f"{where}: {subject}: is gone" for subject in gone if not subject.startswith("sysctl ")]  # its link is
    found += [f"{where}: {subject}: is left over" for subject in now if subject not in then and subject in made]
    for subject, value in then.items():
        if subject in now and now[subject] != value:
            found.append(f"{where}: {subject}: is {now[subject]}, was {value}")
    return found


def _facts(
    view: NamespaceView, links: Set[str], held: Dict[int, Set[str]], named: Set[str], moved: Callable[[str], bool]
) -> Dict[str, object]:
    """What there is of these links, of what they hold by family, and of what is named."""
    names = link_names(view)
    facts: Dict[str, object] = {}
    for name in links & view.links.keys():
        link = view.links[name]
        facts[f"link {name}"] = _link_facts(link, names)
        if link.accept_ra is not None:
            facts[f"sysctl {accept_ra(name)}"] = str(link.accept_ra)
        for address in view.addresses.get(link.index, ()):
            subject = f"address {address.address} on {name}"
            if is_made(address) and (subject in named or name in held.get(_family(address.address), ())):
                facts[subject] = True
    for route in view.routes:
        subject = _route_subject(route.to, route.table, route.metric)
        lost = held.get(_family(route.to), set()).intersection(names.get(index, "") for index in devices(route))
        if route.protocol not in (RTPROT_KERNEL, RTPROT_RA) and (lost or subject in named):
            facts[subject] = (*(facts.get(subject) or ()), route_facts(route, names))  # type: ignore[misc]
    if moved(IPV4_FORWARDING):
        facts["IPv4 forwarding"] = view.forwarding_ipv4
    if moved(IPV6_FORWARDING):
        facts["IPv6 forwarding"] = view.forwarding_ipv6
    settings = {f"sysctl {path}": value for path, value in view.sysctls.items() if value is not None and moved(path)}
    return {**facts, **settings}


def _family(text: str) -> int:
    return 6 if ":" in text else 4


def link_names(view: NamespaceView) -> Dict[int, str]:
    """The links of a namespace: index to name."""
    return {link.index: link.name for link in view.links.values()}


def _route_subject(to: str, table: int, metric: int) -> str:
    return f"route {to} table {table} metric {metric}"


def _link_facts(link: Link, names: Dict[int, str]) -> Tuple[object, ...]:
    """What of a link is a run's to put back: not what the kernel tells of its carrier, or has begun to check on it."""
    as_port = names.get(link.master or 0), link.isolated, link.hairpin, link.odd
    return (
        link.kind,
        link.up,
        link.mtu,
        link.alias,
        link.group,
        link.stp,
        link.vlan_filtering,
        link.owner,
        link.silent,
        link.mac if link.kind != "bridge" else None,  # one that nobody has set follows the ports
        *as_port,
    )


def is_made(address: Address) -> bool:
    """Whether somebody gave this address: not one that the kernel derived or an advertisement brought."""
    return address.scope != RT_SCOPE_LINK and bool(address.flags & IFA_F_PERMANENT)


def route_facts(route: KernelRoute, names: Dict[int, str]) -> Tuple[object, ...]:
    """What makes a route what it is, its links by name."""
    hops = tuple((via, names.get(dev or 0), weight) for via, dev, weight in route.nexthops)
    return (route.to, route.via, names.get(route.dev or 0), route.metric, route.table, route.type, route.protocol, hops)
