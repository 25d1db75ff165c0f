# SPDX-License-Identifier: GPL-3.0-or-later
"""One setting, one hand: the kernel settings that the engine has an opinion of, and what documents say of them. Pure.

| setting | the engine's | a document's word |
|---|---|---|
| ipv6 accept_ra of a link of ours | 0, on leased ends 2 | wins |
| ipv6 accept_ra of a router's uplinks | 2 instead of 1 | wins |
| ipv4 arp_ignore of a switch with guests | 1 or 8 | wins |
| ipv4 rp_filter where guests are in two networks | 2 | wins with 0, else it is refused |
| ipv4 route_localnet where a port at 127.0.0.1 leads out | 1 | refused with another value |
| ipv6 disable_ipv6 of a link with IPv6 addresses, or of all | 0 | refused with another value |
| ipv6 disable_ipv6 of new links (default) | none; 0 for links with IPv6 addresses | wins for the others |

The word may be the document's own or another's; what a document needs is refused to another's word likewise, whichever
of them comes first. Forwarding has a field of its own, and redirects follow it (see redirects.py).
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from ..document.containers import cables
from ..document.prefix import has_ipv6
from ..model import Bridge, End, Interface, LinkKey, Topology
from ..rows import NamedTuple
from .owned import SysctlKey
from .sheet import place

LOCALNET = "/route_localnet"
RP_FILTER = "/rp_filter"
DISABLE_IPV6 = "/disable_ipv6"
LOOSE = "2"  # of rp_filter: any interface will do as the way back; Documentation/networking/ip-sysctl.rst
NEEDED = (LOCALNET, RP_FILTER, DISABLE_IPV6)  # the ends of paths of which a document may need a value
NEW_LINKS, ALL_LINKS = (f"net/ipv6/conf/{which}{DISABLE_IPV6}" for which in ("default", "all"))


class Word(NamedTuple):
    """What a document says of a setting; ``document`` None is the one of this run."""

    value: str
    document: Optional[str] = None


class Need(NamedTuple):
    """The values that a setting may have, the best first, and why, for the document (None: the one of this run)."""

    values: Tuple[str, ...]
    why: str
    document: Optional[str] = None


def words_of(topology: Topology) -> Dict[SysctlKey, str]:
    """Every setting that a document says itself."""
    said: Dict[SysctlKey, str] = {(None, path): value for path, value in topology.sysctls}
    for namespace in topology.namespaces:
        if namespace.sysctls:
            said.update({(namespace.name, path): value for path, value in namespace.sysctls})
    return said


def needs_of(topology: Topology, implied: Iterable[SysctlKey], document: Optional[str] = None) -> Dict[SysctlKey, Need]:
    """What a document can't do without; ``implied``: the settings that its packet filters need."""
    found: Dict[SysctlKey, Need] = {}
    for key in implied:
        if key[1].endswith(LOCALNET):
            found[key] = Need(("1",), "a published port at 127.0.0.1 leads out there", document)
        elif key[1].endswith(RP_FILTER):
            found[key] = Need((LOOSE, "0"), "guests behind it answer for addresses of another network", document)
    for (netns, link), address in reversed(_ipv6_links(topology)):
        for which in (link, "all"):
            need = Need(("0",), f"{link} has {address}", document)
            found[(netns, f"net/ipv6/conf/{which}{DISABLE_IPV6}")] = need
    for (netns, link), to in ipv6_ways(topology).items():
        for which in (link, "all"):
            need = Need(("0",), f"the route {to} leads through {link}", document)
            found.setdefault((netns, f"net/ipv6/conf/{which}{DISABLE_IPV6}"), need)
    return found


def ipv6_ways(topology: Topology) -> Dict[LinkKey, str]:
    """The links by which the document's IPv6 routes go by name, each with where one of them leads."""
    found: Dict[LinkKey, str] = {}
    for route in topology.routes:
        if ":" in route.to:
            for dev in (route.dev, *(hop.dev for hop in route.nexthops)):
                if dev is not None:
                    found.setdefault((route.netns, dev), route.to)
    return found


def _ipv6_links(topology: Topology) -> List[Tuple[LinkKey, str]]:
    links: List[Union[Bridge, End, Interface]] = [*topology.bridges, *topology.interfaces]
    links += [end for veth in cables(topology) for end in veth]
    return [
        ((link.netns, link.name), address)
        for link in links
        if has_ipv6(link.addresses)
        for address in [one for one in link.addresses if ":" in one][:1]
    ]


def clashes(said: Mapping[SysctlKey, Word], needs: Mapping[SysctlKey, Need]) -> Iterator[str]:
    """A line for each word that takes from a document what it needs."""
    for key, need in needs.items():
        word = said.get(key)
        if word is not None and word.value not in need.values and None in (word.document, need.document):
            netns, path = key
            values = " or ".join(need.values)
            yield (
                f"{place(netns)}: sysctl {path}: {_whose(word.document)} says {word.value}, and "
                f"{'' if word.document == need.document else _whose(need.document) + ' '}needs {values}, "
                f"for {need.why}; leave one of the two out"
            )


def _whose(document: Optional[str]) -> str:
    return "the document" if document is None else f"the document {document!r}"
