# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges that somebody set down while they did the work of an interface.

The kernel forgets routes by a link that goes down, and its IPv6 addresses. They are the host's, and what the last run
noted of them comes back: on the bridge when it is up again, or on the interface when that gets its work back.
"""

from __future__ import annotations

from typing import List, Tuple

from ..model import Bridge, HostView, Link
from ..rtnetlink.constants import RTPROT_RA
from ..uplink_record import ADDRESS, NEIGHBOUR, ROUTE, Note, notes_of, written
from .actions import LinkChange, UplinkForfeit, UplinkReturn
from .lost_uplinks import Attachment, Notes, attachments, lacking, missing_on, named
from .owned import Owned
from .sheet import ATTACH, BY_HAND, DETACH, Sheet, place


def missed_warnings(owned: Owned, view: HostView) -> List[str]:
    """A line for each bridge that has lost what somebody gave it, or its interface, since the last run.

    It may be meant; what a lease or a router brought comes and goes. ``view``: from before the plan.
    """
    found: List[str] = []
    for one in attachments(owned):
        room, record = view.views.get(one.netns), owned.carried.get(one.carried)
        bridge = room.links.get(one.bridge) if room is not None else None
        if room is None or bridge is None or not (record and bridge.up):
            continue
        addresses = {entry.address for held in room.addresses.values() for entry in held}
        routes = {(route.to, route.table, route.metric) for route in (*room.routes, *room.beyond)}
        routes.update(route for baggage in room.baggage.values() for route in baggage.routes)
        lasting = [note for note in notes_of(record) if note.ends is None]
        gone = [note for note in lasting if note.kind == ADDRESS and note.name not in addresses]
        gone += [n for n in lasting if n.kind == ROUTE and n.protocol in BY_HAND and n.route not in routes]
        if gone:
            found.append(
                f"{place(one.netns)}: {one.bridge} no longer has {named(gone)}, which it had for {one.nic} at the last "
                "run; if nobody meant that, add it again"
            )
    return found


def raise_again(sheet: Sheet, one: Attachment, wanted: Bridge, bridge: Link) -> None:
    """A bridge that is to be up gets again what it lost when it went down."""
    missing, left = _lost(sheet, one, bridge)
    if wanted.up and missing:
        line = sheet.line(f"{place(one.netns)}: {bridge.name}: {_words(one, missing, left)}")
        _give(sheet, one, ATTACH, line, missing)


def give_back(sheet: Sheet, one: Attachment, bridge: Link) -> None:
    """An interface that is to have its work back gets that, too: from the bridge, which is set up for it."""
    missing, left = _lost(sheet, one, bridge)
    if missing:
        line = sheet.line(f"{place(one.netns)}: {one.nic}: {_words(one, missing, left)}")
        if not bridge.up:
            up = LinkChange(one.netns, bridge.name, up=True)
            sheet.do(DETACH, line, up, up._replace(up=False))
            room = sheet.view.views[one.netns]
            room = room._replace(links={**room.links, bridge.name: bridge._replace(up=True)})
            sheet.view = sheet.view._replace(views={**sheet.view.views, one.netns: room})  # as the rest finds it
        _give(sheet, one, DETACH, line, missing)


def _words(one: Attachment, missing: Notes, left: Notes) -> str:
    return f"gets back what {one.bridge} lost when it was set down: {named(missing)}{lacking(left)}"


def _give(sheet: Sheet, one: Attachment, stage: int, line: int, missing: Notes) -> None:
    told = (one.netns, one.bridge, one.bridge, ("", *map(written, missing)))
    sheet.do(stage, line, UplinkReturn(*told), UplinkForfeit(*told, ()))
    sheet.raised.add(one.carried)


def _lost(sheet: Sheet, one: Attachment, bridge: Link) -> Tuple[Notes, Notes]:
    record = sheet.owned.carried.get(one.carried)
    if not record or (bridge.up and sheet.remembered):
        return (), ()
    missing, left = missing_on(sheet, one, record, bridge)
    if bridge.up:  # a run was killed that has set it up, and may have given a part
        missing = _not_there(sheet, one, missing)
    return missing, left


def _not_there(sheet: Sheet, one: Attachment, missing: Notes) -> Notes:
    """Those of the notes of which neither link has anything like it. Routers are asked for what they advertise."""
    baggage = sheet.view.views[one.netns].baggage
    texts = [text for link in (one.nic, one.bridge) if link in baggage for text in baggage[link].notes]
    there = {_neighbour(note) for note in notes_of(("", *texts)) if note.kind == NEIGHBOUR}
    return tuple(note for note in missing if note.protocol != RTPROT_RA and _neighbour(note) not in there)


def _neighbour(note: Note) -> object:
    return note.kind, note.name, note.body
