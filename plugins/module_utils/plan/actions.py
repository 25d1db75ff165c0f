# SPDX-License-Identifier: GPL-3.0-or-later
"""The deeds that a plan is made of: one small value each, of plain numbers and text so that it goes to the journal.

Names, not indexes: an index changes when a link is made again. ``netns`` None is the host.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Type, Union

from ..rows import NamedTuple

Hop = Tuple[Optional[str], Optional[str], int]  # gateway, link name, weight


class NetnsAdd(NamedTuple):
    """Make a named namespace."""

    netns: str


class NetnsDelete(NamedTuple):
    """Take a named namespace away."""

    netns: str


class BridgeAdd(NamedTuple):
    """Make a bridge, down."""

    netns: Optional[str]
    name: str
    mac: Optional[str]
    stp: bool
    vlan_filtering: bool


class VethAdd(NamedTuple):
    """Make a cable, both ends down, its first end on a bridge already if ``bridge`` is given."""

    netns: Optional[str]
    name: str
    mac: Optional[str]
    mtu: Optional[int]
    bridge: Optional[str]
    peer_netns: Optional[str]
    peer: str
    peer_mac: Optional[str]
    peer_mtu: Optional[int]


class TapAdd(NamedTuple):
    """Make a tap, down; ``owner`` is a user id."""

    netns: Optional[str]
    name: str
    owner: Optional[int]


class LinkDelete(NamedTuple):
    """Delete a link."""

    netns: Optional[str]
    name: str


class LinkChange(NamedTuple):
    """Set properties of a link; None leaves one alone, ``bridge`` "" takes it off its bridge."""

    netns: Optional[str]
    name: str
    up: Optional[bool] = None
    mac: Optional[str] = None
    mtu: Optional[int] = None
    bridge: Optional[str] = None
    alias: Optional[str] = None
    group: Optional[int] = None
    silent: Optional[bool] = None


class BridgeChange(NamedTuple):
    """Set options of a bridge; None leaves one alone."""

    netns: Optional[str]
    name: str
    stp: Optional[bool]
    vlan_filtering: Optional[bool]


class PortChange(NamedTuple):
    """Set whether a port of a bridge is isolated from the other isolated ones, whether it is given back the frames that
    came through it, its state (BR_STATE_*), and others of its flags by their names; None leaves one alone."""

    netns: Optional[str]
    name: str
    isolated: Optional[bool] = None
    hairpin: Optional[bool] = None
    state: Optional[int] = None
    flags: Tuple[Tuple[str, bool], ...] = ()


class AddressAdd(NamedTuple):
    """Give an address to a link; ``unchecked``: an IPv6 one that is usable at once, duplicates or not (hazard 28)."""

    netns: Optional[str]
    link: str
    address: str
    unchecked: bool = False


class AddressRenew(NamedTuple):
    """Make an address last, or as it was: seconds for which it is preferred, and valid; ``flags`` are IFA_F_*."""

    netns: Optional[str]
    link: str
    address: str
    lifetimes: Tuple[int, int] = (0xFFFFFFFF, 0xFFFFFFFF)
    flags: int = 0


class AddressDelete(NamedTuple):
    """Take an address from a link."""

    netns: Optional[str]
    link: str
    address: str


class RouteAdd(NamedTuple):
    """Add a route; ``type`` and ``protocol`` are the kernel's numbers."""

    netns: Optional[str]
    to: str
    via: Optional[str]
    dev: Optional[str]
    metric: int
    table: int
    type: int
    nexthops: Tuple[Hop, ...]
    protocol: int
    prefsrc: Optional[str] = None
    scope: Optional[int] = None


class RouteDelete(NamedTuple):
    """Delete a route."""

    netns: Optional[str]
    to: str
    via: Optional[str]
    dev: Optional[str]
    metric: int
    table: int
    type: int
    nexthops: Tuple[Hop, ...]
    protocol: int


class SysctlSet(NamedTuple):
    """Write a kernel setting (slash path)."""

    netns: Optional[str]
    path: str
    value: str


class FileSet(NamedTuple):
    """Give a file this text; None takes it away."""

    netns: Optional[str]  # always None: files are the host's
    path: str
    text: Optional[str]


class TableSet(NamedTuple):
    """One iptables-restore: ``backend`` nft or legacy, ``family`` 4 or 6, ``text`` its input."""

    netns: Optional[str]
    backend: str
    family: int
    text: str


class FileEdit(NamedTuple):
    """Make a file that may be somebody else's, too, hold another text, if it still holds this one; None: no file.

    ``label`` is what a plan calls it. ``mounted``: it is written in place, for it is mounted elsewhere. ``private``:
    where it is made, it is for its owner alone. ``uid``: the owner's number; another one's file is another file. With
    ``gid``, ``mode`` and ``labels`` (see files.Looks) it is how a file that is taken away comes back.
    """

    netns: Optional[str]  # always None, as above
    path: str
    before: Optional[str]
    after: Optional[str]
    label: str
    mounted: bool
    private: bool
    uid: Optional[int]
    gid: Optional[int] = None
    mode: Optional[int] = None
    labels: Tuple[Tuple[str, str], ...] = ()


class ChainsEdit(NamedTuple):
    """Change chains that may be others', too: each table, chain and its rules as they were and as they will be.

    None: there is no such chain.
    """

    netns: Optional[str]
    backend: str
    family: int
    before: Tuple[Tuple[str, str, Optional[Tuple[str, ...]]], ...]
    after: Tuple[Tuple[str, str, Optional[Tuple[str, ...]]], ...]


class Deed(NamedTuple):
    """What only the planner of a job knows how to do (apply.trade): the name of its kind, and plain values."""

    netns: Optional[str]  # always None
    kind: str
    values: Tuple[Any, ...]


class FlowsForget(NamedTuple):
    """Delete the connection tracking entries of published ports: (protocol, port, last port, address)."""

    netns: Optional[str]
    ports: Tuple[Tuple[Any, ...], ...]


class UplinkAttach(NamedTuple):
    """An interface becomes a port of the bridge ``name``, which takes over its work.

    ``addresses`` are the bridge's own. ``settled``: how the bridge behaves on the LAN is other steps' to see to.
    """

    netns: Optional[str]
    name: str
    link: str
    addresses: Tuple[str, ...]
    settled: bool = False


class UplinkDetach(NamedTuple):
    """The opposite. ``addresses`` stay on the bridge; ``routes`` (prefix, table, metric) go."""

    netns: Optional[str]
    name: str
    link: str
    addresses: Tuple[str, ...]
    routes: Tuple[Tuple[str, int, int], ...]


class UplinkReturn(UplinkAttach):
    """An interface, which is ``name`` and ``link``, gets back what went with its bridge: it does its work itself.

    ``addresses`` is the record of that (see uplink_record).
    """

    __slots__ = ()


class UplinkForfeit(UplinkDetach):
    """The opposite; no ``routes``."""

    __slots__ = ()


Action = Union[
    NetnsAdd,
    NetnsDelete,
    BridgeAdd,
    VethAdd,
    TapAdd,
    LinkDelete,
    LinkChange,
    BridgeChange,
    PortChange,
    AddressAdd,
    AddressRenew,
    AddressDelete,
    RouteAdd,
    RouteDelete,
    SysctlSet,
    FileSet,
    TableSet,
    FileEdit,
    ChainsEdit,
    Deed,
    FlowsForget,
    UplinkAttach,
    UplinkDetach,
    UplinkReturn,
    UplinkForfeit,
]

_CLASSES: Tuple[Type[Any], ...] = (
    NetnsAdd,
    NetnsDelete,
    BridgeAdd,
    VethAdd,
    TapAdd,
    LinkDelete,
    LinkChange,
    BridgeChange,
    PortChange,
    AddressAdd,
    AddressRenew,
    AddressDelete,
    RouteAdd,
    RouteDelete,
    SysctlSet,
    FileSet,
    TableSet,
    FileEdit,
    ChainsEdit,
    Deed,
    FlowsForget,
    UplinkAttach,
    UplinkDetach,
    UplinkReturn,
    UplinkForfeit,
)
_BY_NAME: Dict[str, Type[Any]] = {cls.__name__: cls for cls in _CLASSES}


def reversed_edit(edit: Union[FileEdit, ChainsEdit]) -> Action:
    """What takes it back. The tables of chains are in the other order then: what opens goes before what closes."""
    if isinstance(edit, FileEdit):
        return edit._replace(before=edit.after, after=edit.before)
    return edit._replace(before=edit.after[::-1], after=edit.before[::-1])


class Step(NamedTuple):
    """One deed of a plan, with what undoes it (in this order) and the number of the plan's line that it is part of.

    Steps are worked in the order of ``stage``; within one, namespace by namespace.
    """

    stage: int
    action: Action
    inverse: Tuple[Action, ...]
    line: int


def encode(action: Action) -> List[Any]:
    """An action as a JSON array: its class, then its fields."""
    return [type(action).__name__, *action]


def decode(values: List[Any]) -> Action:
    """The action that :func:`encode` wrote."""
    cls = _BY_NAME[values[0]]
    action: Action = cls(*(_frozen(value) for value in values[1:]))
    return action


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value
