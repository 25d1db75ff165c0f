# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document meets on a host: who has a port already, what shuts a way, and what is worth a warning."""

from __future__ import annotations

import contextlib
import functools
from typing import Dict, Iterator, List, Mapping, Optional, Sequence

from . import netns as namespaces
from .document import Reading, Where
from .document.published import still_published
from .errors import PUT_BACK, HostwireError, Interrupted, UndoFailed, VerificationFailed
from .firewall import FirewallWant, Tables
from .host import Host
from .model import HostView
from .plan import preflight
from .plan.circles import circle_warnings
from .plan.hands import words_of
from .plan.misled import kept_warnings, links_to_ask, misled_warnings
from .plan.mtus import mtu_warnings
from .plan.planner import Plan
from .plan.ports import apart_warnings, wanted_isolation
from .plan.settings import current
from .plan.sheet import BY_HAND
from .task import Task


def rivals(host: Host, task: Task, where: Where, view: HostView, tables: Mapping[Optional[str], Tables]) -> List[str]:
    """A line for each port that is published from now on and that somebody has already."""
    wanted, before = task.target.published_ports, task.previous.published_ports
    if not wanted or wanted == before:
        return []
    from . import sockets  # loaded when they are needed: ports are published once
    from .plan import rivals as ports

    new = ports.new_ports(wanted, before, where)
    return ports.rivals(new, view, tables, lambda netns, asked: host.listeners(netns, view, asked), sockets.holders)


def misnamed(task: Task, view: HostView) -> List[str]:
    """A line for each namespace to be made whose name something else has: a file with content, or a link."""
    new = {namespace.name for namespace in task.target.namespaces}.difference(view.names)
    return [
        f"namespace {name}: {path} is there and no namespace; remove it, or choose another name"
        for name, path in (namespaces.other_files() if new else {}).items()
        if name in new
    ]


def untaken(task: Task, view: HostView) -> List[str]:
    """A line for each value of a setting that the document says anew and the kernel won't take."""
    said = words_of(task.target)
    new = [(key, value, key[0] not in view.views) for key, value in said.items()
           if current(view.views.get(key[0]), key[1]) != value]  # fmt: skip
    if not new:
        return []
    from . import trial  # loaded when it is needed: most documents have no settings, and then they stay

    return trial.refused(new)


def unprotected(unfiltered: Optional[FirewallWant], view: HostView) -> List[str]:
    """A warning where packets are forwarded, and go on to be, and there is no packet filter to tell it which.

    ``unfiltered``: networks of which nothing is said and for which there are no rules.
    """
    here = view.views[None]
    if unfiltered is None or not unfiltered.forwards or not (here.forwarding_ipv4 or here.forwarding_ipv6):
        return []
    names = ", ".join(guest.interface for guest in unfiltered.guests)
    words = f"this host forwards packets and has no iptables: nothing keeps others away from who is on {names}"
    return [f"{words}; install iptables and run this again"]


def doubts(host: Host, reading: Reading, task: Task, view: HostView, unfiltered: Optional[FirewallWant]) -> List[str]:
    """Warnings about the document on this host: what it leaves open, or what can't work."""
    found = []
    if not reading.topology.present:
        left = still_published(reading.topology.published_ports, task.stored.published_ports)
        found += [f"{reading.where.path('published_ports', i)}.port: {words}" for i, words in left]
    if task.target.present:
        found += unprotected(unfiltered, view)
        found += preflight.warnings(task.target, view, reading.where)
        found += mtu_warnings(task.target, task.stored, view)
        found += circle_warnings(task.stored) if task.target.veths else []
        asked = links_to_ask(task.stored, view).items()
        written = {netns: host.neighbours(netns, view, indexes) for netns, indexes in asked}
        found += misled_warnings(task.stored, view, written) + kept_warnings(task.stored, view)
        found += apart_warnings(task.stored, wanted_isolation(task.stored, task.previous), view)
        if any(room.rules is not None for room in view.views.values()):
            from .plan.policy import policy_warnings  # loaded when it is needed: few hosts have policy rules

            found += policy_warnings(task.stored, view)
        if any(route[6] in BY_HAND for room in view.views.values() for route in room.routes):  # its protocol
            from .plan.strayed import strayed_warnings  # loaded when it is needed: in most rooms it is all ours

            found += strayed_warnings(task.stored, view)
    return found


def hindrances(
    host: Host,
    wants: Mapping[Optional[str], FirewallWant],
    tables: Dict[Optional[str], Tables],
    view: HostView,
    plan: Plan,
) -> Sequence[str]:
    """Warnings about what others' rules do to that which is to pass. ``view``, ``tables``: from before ``plan``."""
    if not wants:
        return ()
    from .plan.hindrances import hindrances as found  # loaded when it is needed: see firewall
    from .plan.outcome import outcome

    steps = plan.steps
    after = functools.lru_cache(None)(lambda: outcome(view, steps))
    setting = functools.partial(_setting, host, view)
    return found(wants, tables, steps, after, lambda netns: host.native_tables(netns, view), setting)


@contextlib.contextmanager
def explained(
    host: Host,
    wants: Mapping[Optional[str], FirewallWant],
    tables: Dict[Optional[str], Tables],
    view: HostView,
    plan: Plan,
) -> Iterator[None]:
    """What fails within says what else was seen that may be why, and whether anything had been changed."""
    try:
        yield
    except UndoFailed:
        raise
    except (VerificationFailed, Interrupted) as error:
        if not plan.steps:
            error.append("nothing was changed: the network is as the document says")
        elif PUT_BACK not in error.problems:
            error.append("nothing had been changed")
        with contextlib.suppress(HostwireError, OSError):  # the reason is told already
            for line in hindrances(host, wants, tables, view, plan):
                error.append(f"warning: {line}")
        raise


def _setting(host: Host, view: HostView, netns: Optional[str], path: str) -> Optional[str]:
    return host.setting(netns, path, view)
