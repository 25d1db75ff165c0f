# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges that somebody deleted while they did the work of an interface: what went with them is the host's.

The kernel has forgotten it. What the last run noted of it goes back to the interface, as far as it isn't there by now;
from there a bridge may take it over again. What nothing tells any more is said before anything is done.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Set, Tuple

from ..document.prefix import is_link_local, known_ip, known_prefix
from ..model import Baggage, Link, LinkKey, NamespaceView
from ..rtnetlink.constants import RTPROT_KERNEL
from ..uplink_record import (
    ADDRESS,
    NEIGHBOUR,
    OVER,
    ROUTE,
    Mark,
    Note,
    Record,
    alike,
    marks_among,
    notes_of,
    read_mark,
    written,
)
from .actions import UplinkForfeit, UplinkReturn
from .owned import UPLINK, Owned, SettingKey
from .sheet import DETACH, Sheet, place

Notes = Tuple[Note, ...]
_ALONE = ("/32", "/128")
_NOTHING = Baggage((), (), (), 0, ())


class Attachment(NamedTuple):
    """An interface and the bridge that does its work."""

    netns: Optional[str]
    nic: str
    bridge: str

    @property
    def key(self) -> SettingKey:
        """What it is remembered under."""
        return self.netns, self.nic, UPLINK

    @property
    def carried(self) -> LinkKey:
        """What is noted under this."""
        return self.netns, self.nic


def attachments(owned: Owned) -> List[Attachment]:
    """All that the document has made, or was about to make when a run was killed."""
    settings = owned.settings.items()
    return [Attachment(key[0], key[1], change.after) for key, change in settings if key[2] == UPLINK]


def mark_of_uplink(nic: Link) -> Optional[Mark]:
    """Whose uplink an interface says that it is."""
    marks = marks_among(nic.altnames)
    return read_mark(marks[0]) if marks else None


def baggage_in(record: Record) -> Baggage:
    """What a record tells of, as a link would hold it."""
    notes = notes_of(record)
    given = [note for note in notes if note.kind == ADDRESS and ":" not in note.name]
    given += [note for note in reversed(notes) if note.kind == ADDRESS and ":" in note.name]  # as the kernel lists them
    return Baggage(
        tuple(note.name for note in given),
        tuple(note.name for note in given if note.ends is not None),
        tuple(note.route for note in notes if note.kind == ROUTE and note.protocol != RTPROT_KERNEL),
        sum(note.kind == NEIGHBOUR for note in notes),
        (),
        tuple(record[1:]),
    )


def together(one: Baggage, other: Baggage) -> Baggage:
    """What two links hold, on one."""
    return Baggage(
        (*one.addresses, *(address for address in other.addresses if address not in one.addresses)),
        (*one.leases, *(address for address in other.leases if address not in one.leases)),
        (*one.routes, *(route for route in other.routes if route not in one.routes)),
        one.neighbours + other.neighbours,
        (*one.obstacles, *other.obstacles),
        (*one.notes, *(note for note in other.notes if note not in one.notes)),
    )


def hand_back(sheet: Sheet, one: Attachment, again: bool) -> None:
    """If the bridge is gone, the interface gets back what went with it. ``again``: a bridge will do its work then."""
    view, nic = sheet.view.views.get(one.netns), sheet.link(one.netns, one.nic)
    if view is None or nic is None or not _is_lost(sheet, one, nic):
        return
    where, marks = place(one.netns), marks_among(nic.altnames)
    record = sheet.owned.carried.get(one.carried)
    missing, left = missing_on(sheet, one, record or ("",), nic)
    holder = sheet.names(one.netns).get(nic.master or 0)
    needy = holder is None and not _is_served(view.baggage.get(one.nic, _NOTHING))
    if missing and record and record[0] and not marks:  # the memory is of another life of the interface
        if needy:
            sheet.conflicts.append(
                f"{where}: {one.nic} doesn't bear the mark of {one.bridge} any more, so it doesn't get back what that "
                f"had: {named(missing)}; give it what it is to have first"
            )
    elif missing and holder is not None:
        sheet.conflicts.append(f"{where}: {one.nic} is a port of {holder} by now; take it out there first")
    elif needy and any(note.ends == OVER for note in left) and not any(note.kind == ADDRESS for note in missing):
        sheet.conflicts.append(
            f"{where}: {one.nic} was the uplink of {one.bridge}, which is gone, and the time of what it had is over: "
            f"{named(left)}; have {one.nic} ask for a lease first{_beside(missing)}"
        )
    elif missing:
        _plan(sheet, one, marks[:1], missing, left)
    elif _stands_somewhere(sheet, one):
        return
    elif record is None and needy:
        sheet.conflicts.append(
            f"{where}: {one.nic} was the uplink of {one.bridge}, which is gone with its addresses and routes; nothing "
            f"tells them any more, so give {one.nic} its addresses and routes again first"
        )
    elif marks and not again:
        _plan(sheet, one, marks[:1], (), left)


def take_stray_marks(sheet: Sheet) -> None:
    """The document's marks on links that aren't its uplinks."""
    for room in sheet.view.views.values():
        for link in room.links.values():
            marks = marks_among(link.altnames) if link.altnames else ()
            mark = read_mark(marks[0]) if marks else None
            stray = mark is not None and mark.document == sheet.owned.name
            if mark is not None and stray and (room.netns, link.name, UPLINK) not in sheet.owned.settings:
                words = f"{link.name}: no longer marked as the uplink of {mark.bridge}, which it isn't"
                line = sheet.line(f"{place(room.netns)}: {words}")
                told = (room.netns, link.name, link.name, marks[:1])
                sheet.do(DETACH, line, UplinkReturn(*told), UplinkForfeit(*told, ()))


def _beside(missing: Notes) -> str:
    return f", then it gets back {named(missing)}" if missing else ""


def _plan(sheet: Sheet, one: Attachment, marks: Sequence[str], missing: Notes, left: Notes) -> None:
    record = ("".join(marks), *map(written, missing))
    words = f"no longer the uplink of {one.bridge}, which is gone"
    if missing:
        words = f"gets back what {one.bridge} had, which is gone: {named(missing)}"
    line = sheet.line(f"{place(one.netns)}: {one.nic}: {words}{lacking(left)}")
    told = (one.netns, one.nic, one.nic, record)
    sheet.do(DETACH, line, UplinkReturn(*told), UplinkForfeit(*told, ()))
    sheet.given_back[one.carried] = baggage_in(record)


def lacking(left: Notes) -> str:
    """What doesn't come back, and why, as the end of a plan's line."""
    over = [note for note in left if note.ends == OVER]
    stray = [note for note in left if note.ends != OVER and note.protocol != RTPROT_KERNEL]
    words = f"; not {named(over)}, whose time is over" if over else ""
    return words + (f"; not {named(stray)}, whose way or source isn't there any more" if stray else "")


def named(notes: Sequence[Note]) -> str:
    """What notes tell of, by name, but for what the kernel makes of addresses."""
    words = {ADDRESS: "", ROUTE: "route ", NEIGHBOUR: "neighbour "}
    return ", ".join(f"{words[note.kind]}{_name(note)}" for note in notes if note.protocol != RTPROT_KERNEL)


def _name(note: Note) -> str:
    name = "default" if note.name in ("0.0.0.0/0", "::/0") else note.name
    return f"{name} via {note.via}" if note.via is not None else name


def words_of(baggage: Baggage) -> str:
    """What a link holds, in a plan's words."""
    parts = list(baggage.addresses)
    for count, noun in ((len(baggage.routes), "route"), (baggage.neighbours, "fixed neighbour")):
        if count:
            parts.append(f"{count} {noun}{'' if count == 1 else 's'}")
    return ", ".join(parts)


def _stands_somewhere(sheet: Sheet, one: Attachment) -> bool:
    """Whether there is a bridge of ours of this name."""
    bridge = sheet.view.views[one.netns].links.get(one.bridge)
    return bridge is not None and sheet.is_ours(one.netns, bridge)


def _is_lost(sheet: Sheet, one: Attachment, nic: Link) -> bool:
    """Whether the bridge that did the work isn't there any more; one that a run made since may be."""
    bridge = sheet.view.views[one.netns].links.get(one.bridge)
    if bridge is None or not sheet.is_ours(one.netns, bridge):
        return True
    known = sheet.owned.links.get((one.netns, one.bridge), bridge.index)
    return nic.master != bridge.index and known != bridge.index


def _is_served(baggage: Baggage) -> bool:
    """Whether somebody gave the interface an address since: one that a router advertises comes by itself."""
    return any(":" not in address or address not in baggage.leases for address in baggage.addresses)


def missing_on(sheet: Sheet, one: Attachment, record: Record, heir: Link) -> Tuple[Notes, Notes]:
    """What is on no link any more and can be given to ``heir``, and what can't; nothing if it is only what comes by
    itself."""
    view, nic = sheet.view.views[one.netns], sheet.view.views[one.netns].links[one.nic]
    addresses = _there(view, one, nic)
    held = [view.baggage[name] for name in (one.nic, one.bridge) if name in view.baggage]
    routes = {route for baggage in held for route in baggage.routes}
    routes.update((route.to, route.table, route.metric) for route in (*view.routes, *view.beyond))
    noted = notes_of(record)
    gone = [
        n
        for n in noted
        if n.kind == NEIGHBOUR or (n.name not in addresses if n.kind == ADDRESS else n.route not in routes)
    ]
    lasting = [note for note in gone if note.ends != OVER]
    given = {note.name for note in lasting if note.kind == ADDRESS}
    on_it = given.union(entry.address for entry in view.addresses.get(heir.index, ()))
    sources = {address.split("/")[0] for address in addresses | given}
    straight = [note for note in lasting if note.kind == ROUTE and note.via is None]
    ways = _Ways(
        {link.index for link in view.links.values()},
        sources,
        {known_prefix(address).network for address in on_it}
        # Those of the kernel lead to subnets, and to the other ends of addresses that say one.
        | {note.name for note in straight if note.source is None or note.source in sources},
    )
    able = [note for note in lasting if note.kind != ROUTE or ways.admit(note)]
    along = _along([note for note in noted if note.kind == ADDRESS], able)
    left = tuple(note for note in gone if note not in able)
    return (() if all(note.protocol == RTPROT_KERNEL for note in along) else along), left


def _there(view: NamespaceView, one: Attachment, nic: Link) -> Set[str]:
    """The addresses that are there by now. One without a subnet may be on lo, or on any other link, all along."""
    near = {nic.master, *(link.index for link in view.links.values() if link.name in (one.nic, one.bridge))}
    return {
        entry.address
        for index, held in view.addresses.items()
        for entry in held
        if index in near or not entry.address.endswith(_ALONE)
    }


class _Ways(NamedTuple):
    """What routes can lead by and from: the links there are, the host's addresses, and what the interface reaches."""

    links: Set[int]
    sources: Set[str]
    reached: Set[str]

    def admit(self, route: Note) -> bool:
        """Whether the kernel would take the route."""
        if not self.links.issuperset(route.others) or (route.source is not None and route.source not in self.sources):
            return False
        via = known_ip(route.via) if route.via is not None else None
        if via is None or route.reaches or is_link_local(via.family, via.number):
            return True
        homes = (known_prefix(home) for home in self.reached)
        return any(home.family == via.family and home.first <= via.number <= home.last for home in homes)


def _along(addresses: Sequence[Note], missing: Sequence[Note]) -> Notes:
    """These notes without the kernel's routes to subnets of which there is no address to be given."""
    all_homes, homes = (
        {known_prefix(note.name).network for note in notes if note.kind == ADDRESS} for notes in (addresses, missing)
    )
    return tuple(
        note
        for note in missing
        if note.kind != ROUTE
        or note.protocol != RTPROT_KERNEL
        or note.name in homes
        or (":" in note.name and note.name not in all_homes)  # a router advertised it
    )


def take_note(sheet: Sheet, one: Attachment) -> None:
    """Remember what the bridge does for the interface, or what the interface does that it is about to take over."""
    view, nic = sheet.view.views.get(one.netns), sheet.link(one.netns, one.nic)
    if view is None or nic is None:
        return
    bridge = view.links.get(one.bridge)
    stands = bridge is not None and nic.master == bridge.index
    there = view.baggage.get(one.bridge if stands else one.nic)
    if there is None or not (stands or one.key not in sheet.owned.settings or one.carried in sheet.given_back):
        return
    if not stands:
        there = together(there, sheet.given_back.get(one.carried, _NOTHING))
    mark = next(iter(marks_among(nic.altnames)), "")
    own = _Own(sheet.after, one)
    record = (mark, *(written(note) for note in notes_of(("", *there.notes)) if not own.has(note)))
    known = sheet.owned.carried.get(one.carried)
    if known is not None and stands and bridge is not None and (not bridge.up or one.carried in sheet.raised):
        record = known  # the kernel has forgotten a part of it
    sheet.after.carried[one.carried] = known if known is not None and alike(known, record) else record


class _Own:
    """What on a bridge is the document's."""

    def __init__(self, owned: Owned, one: Attachment) -> None:
        where = one.netns, one.bridge
        self._addresses = {address for *link, address in owned.addresses if tuple(link) == where}
        self._homes = {known_prefix(address).network for address in self._addresses}
        self._routes: Set[Tuple[str, int, int]] = {key[1:] for key in owned.routes if key[0] == one.netns}

    def has(self, note: Note) -> bool:
        """Whether the note tells of such a thing."""
        if note.kind == ADDRESS:
            return note.name in self._addresses
        if note.kind != ROUTE:
            return False
        return note.route in self._routes or (note.protocol == RTPROT_KERNEL and note.name in self._homes)
