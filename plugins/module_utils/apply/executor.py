# SPDX-License-Identifier: GPL-3.0-or-later
"""Doing: actions become netlink messages, sent in batches per namespace, and a few other deeds."""

from __future__ import annotations

import errno
import os
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Callable,
    Dict,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Set,
    Tuple,
    Type,
    Union,
    cast,
)

from .. import files, firewall, sysctl, tap
from .. import netns as namespaces
from ..errors import HostwireError, KernelRefused
from ..firewall.groups import doomed
from ..model import HostView, PublishedPort
from ..plan import actions as act
from ..plan.sheet import place
from ..rtnetlink import addresses, links
from ..rtnetlink.channel import BATCH, Channel, Refusal
from ..rtnetlink.wire import Message
from .endangered import endangered
from .messages import BUILDERS, Here
from .tolerance import ALREADY_SO, is_so_already
from .trade import Trade

if TYPE_CHECKING:
    from .keeping import Kept

# What something that is to go may meet: it went along with something else, as a route does with a link's last address.
_GONE = {
    act.LinkDelete: errno.ENODEV,
    act.AddressDelete: errno.EADDRNOTAVAIL,
    act.RouteDelete: errno.ESRCH,
}
_MANY = 3  # from this many links on, deleting them as a group is quicker


class Work(NamedTuple):
    """One action with the words that name it in an error."""

    action: act.Action
    subject: str


# Called with the index of a piece of work before and after it; tests use it to break runs in the middle.
Hook = Callable[[int, str], None]


class _NoLink(Exception):
    """There is no link of this name where the executor is."""


class _Pending(NamedTuple):
    position: int
    message: Message
    subject: str
    gone: Optional[int]  # the errno that says it is so already


class Executor(Here):
    """Does work in order. ``begun`` lists the positions of what has been done, wholly or perhaps, also after a failure;
    ``refused`` those that the kernel refused. ``before``: the host as it was read last.

    ``tolerant``: what is so already counts as done; ``trade`` does the deeds of a job. Use as a context manager: it
    holds sockets.
    """

    def __init__(
        self,
        tolerant: bool = False,
        hook: Optional[Hook] = None,
        check: Callable[[], None] = lambda: None,
        trade: Optional[Trade] = None,
    ) -> None:
        self.begun: List[int] = []
        self.refused: List[int] = []
        self.trade = trade
        self.endangered = endangered(())  # what is noted before anything is done
        self.before: Optional[HostView] = None
        self.kept: Kept = {}
        self._tolerant = tolerant
        self._hook = hook
        self._check = check  # called between steps: raises where the run is to stop
        self._tour = namespaces.Tour()
        self._where: Optional[str] = None
        self._channel: Optional[Channel] = None
        self._indexes: Dict[str, int] = {}
        self._in_flux: Set[str] = set()  # names of links that pending messages make or delete
        self._pending: List[_Pending] = []
        self._open: List[int] = []
        self._prepared = False  # whether namespaces can be made here, and be seen by others

    def __enter__(self) -> Executor:
        self._tour.__enter__()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if kind is not None:
            self._pending.clear()
        try:
            self._leave()
        finally:
            self._tour.__exit__(kind, value, trace)

    def run(self, work: Sequence[Work]) -> None:
        """Do all of it. Raises at the first failure what says which and why."""
        if self.endangered.places and self.before is not None:
            from .keeping import note  # loaded when it is needed: most runs only make what is theirs

            self.kept = note(self.endangered, self.before)
        position = 0
        while position < len(work):
            self._check()
            action = work[position].action
            if isinstance(action, act.LinkDelete) and self._hook is None:
                group = _run_of_deletes(work, position)
                if group >= _MANY:
                    self._delete_group(work[position : position + group], position)
                    position += group
                    continue
            self._one(position, work[position])
            position += 1
        self._flush()

    def _one(self, position: int, work: Work) -> None:
        if self._hook is not None:
            self._hook(position, "before")
        build = BUILDERS.get(type(work.action))
        if build is not None:
            self._enter(work.action.netns)
            try:
                message = build(self, work.action)  # may flush, so before the list is looked up
                self._pending.append(_Pending(position, message, work.subject, _GONE.get(type(work.action))))
                if isinstance(work.action, act.AddressAdd) and work.action.unchecked:
                    message = addresses.unmark_address(self.index(work.action.link), work.action.address)
                    self._pending.append(_Pending(position, message, work.subject, None))
            except _NoLink as missing:
                if not (self._tolerant or type(work.action) in _GONE):
                    self._flush()
                    raise KernelRefused(work.subject, errno.ENODEV, f"there is no link {missing}") from None
            if len(self._pending) >= BATCH or self._hook is not None:
                self._flush()
        else:
            self._flush()
            self._deed(position, work)
        if self._hook is not None:
            self._hook(position, "after")

    def _deed(self, position: int, work: Work) -> None:
        """What isn't netlink. It counts as begun before it is, for whoever fails may have done a part of it."""
        action = work.action
        says = isinstance(action, (act.NetnsAdd, act.FileEdit))  # itself when it has begun
        makes = isinstance(action, act.TapAdd)  # whole or not at all; what is there already isn't ours
        if not (says or makes):
            self.begun.append(position)
        try:
            if isinstance(action, act.FileEdit):
                _edit_file(action, self._tolerant, lambda: self.begun.append(position))
            elif isinstance(action, act.NetnsAdd):
                self._leave()
                self._create(action.netns, lambda: self.begun.append(position))
            elif isinstance(action, (act.TableSet, act.ChainsEdit, act.FlowsForget)):
                self._leave()
                _change_filter(action)
            else:
                self._set(action)
        except HostwireError as error:
            if self._tolerant and is_so_already(action, error):
                return
            raise
        if makes:
            self.begun.append(position)

    def _set(self, action: act.Action) -> None:
        if isinstance(action, act.SysctlSet):
            self._enter(action.netns)
            sysctl.write(action.path, action.value)
        elif isinstance(action, act.TapAdd):
            self._enter(action.netns)
            tap.create(action.name, action.owner)
            self._indexes.pop(action.name, None)
        elif isinstance(action, (act.UplinkAttach, act.UplinkDetach)):
            self._enter(action.netns)
            _move_uplink(action)
        elif isinstance(action, act.NetnsDelete):
            self._leave()
            namespaces.delete(action.netns)
        elif isinstance(action, act.FileSet):
            _set_file(action)
        elif isinstance(action, act.Deed) and self.trade is not None:
            self._leave()
            self.trade.do(action, self._tolerant)

    def _create(self, name: str, begun: Callable[[], None]) -> None:
        if not self._prepared:
            namespaces.prepare_directory()
        namespaces.create(name, begun)
        if not self._prepared:
            namespaces.check_visible(name)
            self._prepared = True

    def _enter(self, netns: Optional[str]) -> None:
        if self._channel is not None and self._where == netns:
            return
        self._leave()
        try:
            self._tour.enter(netns)
        except namespaces.NotEntered as error:
            if self._tolerant and error.is_gone:
                raise KernelRefused(f"namespace {netns}", errno.ENOENT) from None
            raise
        self._where = netns
        try:
            self._channel = Channel()
        except OSError as error:
            raise KernelRefused(f"{place(netns)}: open a netlink socket", error.errno or 0) from error

    def _leave(self) -> None:
        """Finish what is pending, come home."""
        try:
            self._flush()
        finally:
            if self._channel is not None:
                self._channel.close()
                self._channel = None
                self._indexes.clear()
                self._tour.enter(None)
                self._where = None

    def _flush(self) -> None:
        """Send what is pending. Every message that the kernel took counts as done, also behind one that it refused."""
        pending, self._pending = self._pending, []
        self._in_flux.clear()
        opened, self._open = self._open, []
        try:
            if not pending or self._channel is None:
                return
            answers = self._channel.transact([entry.message for entry in pending])
        except BaseException as error:  # nobody knows how much was done: all of it may have to be undone
            self.begun += [entry.position for entry in pending]
            if isinstance(error, OSError):
                raise KernelRefused(pending[0].subject, error.errno or 0, "it didn't answer") from error
            raise
        finally:
            for fd in opened:
                os.close(fd)
        failed: Optional[Tuple[_Pending, Refusal]] = None
        for entry, refusal in zip(pending, answers):
            if refusal is None or refusal.errno == entry.gone or (self._tolerant and refusal.errno in ALREADY_SO):
                self.begun.append(entry.position)
            else:
                self.refused.append(entry.position)
                failed = failed or (entry, refusal)
        if failed is not None:
            raise KernelRefused(failed[0].subject, failed[1].errno, failed[1].detail)

    def index(self, name: str) -> int:
        """The index of a link where the executor is."""
        found = self._indexes.get(name)
        if found is None:
            if name in self._in_flux:
                self._flush()
            try:
                found = self._channel.index_of(name) if self._channel is not None else 0
            except OSError as error:
                if error.errno != errno.ENODEV:  # it may be there
                    raise KernelRefused(f"{place(self._where)}: link {name}", error.errno or 0) from error
                raise _NoLink(name) from None
            self._indexes[name] = found
        return found

    def descriptor(self, netns: Optional[str]) -> Optional[int]:
        """An open namespace for a message that is about to go out; None for the one the executor is in."""
        if netns == self._where:
            return None
        fd = self._tour.open(netns)
        self._open.append(fd)
        return fd

    def forget(self, name: str) -> None:
        """The link is about to be made or deleted: its index is another from now on."""
        self._indexes.pop(name, None)
        self._in_flux.add(name)

    def _delete_group(self, work: Sequence[Work], first: int) -> None:
        """Give all the links a group number that nobody else uses, and delete the group."""
        self._enter(work[0].action.netns)
        self._flush()
        group = doomed()
        positions: List[int] = []
        for offset, (action, subject) in enumerate(work):
            name = cast(act.LinkDelete, action).name
            try:
                message = links.change_link(self.index(name), group=group)
            except _NoLink:
                continue
            positions.append(first + offset)
            self._pending.append(_Pending(first + offset, message, subject, errno.ENODEV))
            self.forget(name)
        self._flush()
        if not positions:
            return
        self.begun += positions  # from here on it may be that they are gone
        self._pending.append(_Pending(positions[0], links.delete_group(group), work[0].subject, errno.ENODEV))
        self._flush()


class Planned(Protocol):
    """What a run does: lines to read, and steps in the order of work."""

    @property
    def lines(self) -> Tuple[str, ...]:
        """A readable line per change."""

    @property
    def steps(self) -> Tuple[act.Step, ...]:
        """The steps, each with what undoes it."""


class Started:
    """A plan that a run is about to carry out."""

    def __init__(self, plan: Planned, executor: Executor, before: Optional[HostView] = None) -> None:
        self.plan = plan
        self.executor = executor
        executor.endangered = endangered(plan.steps)
        executor.before = before

    @property
    def begun(self) -> List[act.Step]:
        """The steps of which something may be done."""
        return [self.plan.steps[position] for position in sorted(set(self.executor.begun))]

    @property
    def tried(self) -> List[act.Step]:
        """The same, with changes of links that the kernel refused: it may have done the first half of one."""
        steps, refused = self.plan.steps, self.executor.refused
        halves = {position for position in refused if isinstance(steps[position].action, act.LinkChange)}
        return [steps[position] for position in sorted(halves.union(self.executor.begun))]


def _run_of_deletes(work: Sequence[Work], start: int) -> int:
    netns = work[start].action.netns
    end = start
    while end < len(work) and isinstance(work[end].action, act.LinkDelete) and work[end].action.netns == netns:
        end += 1
    return end - start


def _move_uplink(action: Union[act.UplinkAttach, act.UplinkDetach]) -> None:
    from .. import uplink  # loaded when it is needed: few bridges have one

    if isinstance(action, act.UplinkReturn):
        uplink.hand_back(action.link, action.addresses)
    elif isinstance(action, act.UplinkForfeit):
        uplink.take_again(action.link, action.addresses)
    elif isinstance(action, act.UplinkAttach):
        uplink.attach(action.name, action.link, action.addresses, action.settled)
    else:
        uplink.detach(action.name, action.link, action.addresses, action.routes)


def _change_filter(action: Union[act.TableSet, act.ChainsEdit, act.FlowsForget]) -> None:
    if isinstance(action, act.TableSet):
        firewall.restore(action.netns, action.backend, action.family, action.text)
    elif isinstance(action, act.ChainsEdit):
        firewall.lead(action.netns, action.backend, action.family, action.before, action.after)
    else:
        firewall.forget_flows(action.netns, [PublishedPort(*port) for port in action.ports])


def _edit_file(action: act.FileEdit, tolerant: bool, begun: Callable[[], None]) -> None:
    from . import file_edits  # loaded when it is needed: a document's files are its own

    file_edits.bring(action, tolerant, begun)


def _set_file(action: act.FileSet) -> None:
    if action.text is None:
        files.remove(action.path)
        files.remove_empty(os.path.dirname(action.path))
    else:
        files.make_directory(os.path.dirname(action.path))
        files.write(action.path, action.text)
