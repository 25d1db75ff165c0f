# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that a run works on: what is there is read when it is asked for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Collection, ContextManager, Dict, List, Optional, Sequence, Tuple

from . import firewall, sysctl
from . import netns as namespaces
from .apply.disk import Memory, Store
from .firewall import Tables
from .model import Guests, HostView
from .observe import Question, observe
from .plan.planner import Wish
from .rtnetlink.channel import Channel
from .rtnetlink.neighbours import Neighbour, read_lasting_neighbours
from .state_directory import locked
from .task import Task, asked_families, files_to_read, owners, questions

if TYPE_CHECKING:
    from .sockets import Listener


class Host:
    """The host as it is. ``store`` is what is remembered of its documents."""

    def __init__(self, state_dir: str, store: Optional[Store] = None) -> None:
        self._state_dir = state_dir
        self.store = Store(state_dir) if store is None else store

    def locked(self, who: str) -> ContextManager[None]:
        """Keep all other runs away; see :func:`.state_directory.locked`."""
        return locked(self._state_dir, who)

    def containers(self, wanted: Sequence[str], remembered: Sequence[str]) -> ContextManager[Guests]:
        """These containers, for as long as a run lasts; see :func:`.containers.opened`."""
        if not (wanted or remembered):
            return contextlib.nullcontext(Guests({}, set(), {}))
        from .containers import opened  # loaded when it is needed: few documents have containers

        return opened(wanted, remembered)

    def look(self, task: Task, memory: Memory) -> HostView:
        """All that has to be known to plan the task."""
        return observe(questions(task, memory), files_to_read(task, memory), owners(task))

    def around(self, view: HostView) -> HostView:
        """The same with all named namespaces, as far as one can look into them."""
        others: Dict[Optional[str], Question] = {name: Question() for name in view.names if name not in view.views}
        return view._replace(views={**view.views, **observe(others, glance=True).views})

    def tables(self, wish: Wish, view: HostView, memory: Memory) -> Dict[Optional[str], Tables]:
        """The packet filters of the namespaces in which we have rules or want some. Runs iptables-save."""
        return {
            netns: firewall.observe(netns, families) if netns in view.views else firewall.blank(netns, families)
            for netns, families in asked_families(wish, memory).items()
        }

    def listeners(self, netns: Optional[str], view: HostView, ports: Collection[Tuple[str, int]]) -> Sequence[Listener]:
        """Who listens on these (protocol, port) in a namespace."""
        if not (ports and _is_real(netns, view)):
            return ()
        from . import sockets  # loaded when it is needed: ports are published once

        return sockets.listeners(netns, ports)

    def native_tables(self, netns: Optional[str], view: HostView) -> Sequence[str]:
        """The tables of nftables that forwarded packets pass beside iptables', each as nft prints it."""
        return firewall.native_tables(netns) if _is_real(netns, view) else ()

    def neighbours(self, netns: Optional[str], view: HostView, links: Sequence[int]) -> Sequence[Neighbour]:
        """Whom somebody wrote down as a neighbour on these links of a namespace."""
        if not (links and _is_real(netns, view)):
            return ()
        with namespaces.inside(netns), Channel() as channel:
            return read_lasting_neighbours(channel, links)

    def setting(self, netns: Optional[str], path: str, view: HostView) -> Optional[str]:
        """A kernel setting that is only asked for where something depends on it."""
        if not _is_real(netns, view):
            return None
        with namespaces.inside(netns):
            return sysctl.read(path)

    def processes(self) -> Dict[int, List[namespaces.Process]]:
        """All processes, by the inode number of their network namespace."""
        return namespaces.processes()


def _is_real(netns: Optional[str], view: HostView) -> bool:
    """Whether a namespace is there, and not only on paper."""
    room = view.views.get(netns)
    return room is not None and room.inode > 0
