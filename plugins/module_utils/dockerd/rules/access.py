# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's rules for who may reach published ports: read, judged and written as iptables rules. Pure.

They stand in a chain of ours that DOCKER-USER leads to. DNAT has happened when a packet comes there, so a published
port is told by the connection's original destination (iptables-extensions(8), conntrack). Answers are not looked at.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ...errors import InvalidValue
from ...firewall.rules import Rule, make_rule

OWNER = "docker_chains"  # what the marks in comments begin with
CHAIN = "HOSTWIRE-USER"
_TARGETS = {"allow": "RETURN", "deny": "DROP"}
_PORT = re.compile(r"(\d{1,5})(?:[-:](\d{1,5}))?")
_INTERFACE = re.compile(r"[^\s/!\"]{1,15}")  # IFNAMSIZ is 16 with the final zero


class Access(NamedTuple):
    """One rule of the user's. ``ports``: first and last; ``sources`` and ``destination`` with prefix length."""

    action: str
    protocol: str = ""
    ports: Optional[Tuple[int, int]] = None
    sources: Tuple[str, ...] = ()
    interface: str = ""
    destination: str = ""

    @property
    def words(self) -> str:
        """The rule for a person."""
        parts = [self.action]
        if self.protocol:
            parts.append(self.protocol)
        if self.ports:
            parts.append(f"port {_range(self.ports, '-')}")
        parts += [f"at {self.destination}"] if self.destination else []
        parts += [f"from {', '.join(self.sources)}"] if self.sources else []
        parts += [f"by way of {self.interface}"] if self.interface else []
        return " ".join(parts)


def parse(entries: Sequence[Mapping[str, Any]]) -> Tuple[Access, ...]:
    """The rules out of a module's parameter ``rules``. Raises InvalidValue with every problem."""
    problems: List[str] = []
    found = tuple(_access(entry, f"rules[{index}]", problems) for index, entry in enumerate(entries))
    if problems:
        raise InvalidValue(problems)
    return found


def _access(entry: Mapping[str, Any], where: str, problems: List[str]) -> Access:
    ports = _ports(entry.get("port"), f"{where}.port", problems)
    protocol = entry.get("protocol") or ("tcp" if ports else "")
    sources = tuple(
        _subnet(source, f"{where}.sources[{index}]", problems)
        for index, source in enumerate(entry.get("sources") or ())
    )
    destination = entry.get("destination") or ""
    if destination:
        destination = _subnet(destination, f"{where}.destination", problems)
    interface = entry.get("interface") or ""
    if interface and not _INTERFACE.fullmatch(interface):
        problems.append(f'{where}.interface: "{interface}" can\'t be a link\'s name: 1 to 15 characters without "/"')
    found = Access(str(entry["action"]), str(protocol), ports, sources, str(interface), destination)
    if not any(entry.get(field) for field in ("port", "protocol", "sources", "interface", "destination")):
        problems.append(f"{where}: says nothing of what to {found.action}; give a port, sources, an interface or so")
    elif not any(_fits(found, family) for family in (4, 6)) and "" not in (*sources, *[destination or "-"]):
        problems.append(f"{where}: sources and destination are of different families, so it would match nothing")
    return found


def _ports(value: Any, where: str, problems: List[str]) -> Optional[Tuple[int, int]]:
    if value in (None, ""):
        return None
    match = _PORT.fullmatch(str(value))
    first, last = (int(match.group(1)), int(match.group(2) or match.group(1))) if match else (0, 0)
    if not 0 < first <= last <= 65535:
        problems.append(f'{where}: "{value}" is no port; say 8080, or 8000-8010, within 1 to 65535')
        return None
    return first, last


def _subnet(value: Any, where: str, problems: List[str]) -> str:
    try:
        return str(ip_network(str(value)))
    except ValueError as error:
        problems.append(f"{where}: {error}; say an address, or a network like 192.0.2.0/24")
        return ""


def _range(ports: Tuple[int, int], sign: str) -> str:
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}{sign}{ports[1]}"


def _family(network: str) -> int:
    return 6 if ":" in network else 4


def _of_family(access: Access, family: int) -> Tuple[str, ...]:
    return tuple(source for source in access.sources if _family(source) == family)


def _fits(access: Access, family: int) -> bool:
    if access.destination and _family(access.destination) != family:
        return False
    return not access.sources or bool(_of_family(access, family))


def needs(rules: Sequence[Access], family: int) -> List[int]:
    """The indices of the rules that speak of addresses of this family."""
    return [
        index
        for index, access in enumerate(rules)
        if (access.destination and _family(access.destination) == family) or _of_family(access, family)
    ]


def rendered(rules: Sequence[Access], family: int) -> Tuple[Rule, ...]:
    """The rules in one family, in the user's order; one for each source."""
    made = [
        make_rule(OWNER, "filter", CHAIN, access.words, matches, _TARGETS[access.action])
        for access in rules
        if _fits(access, family)
        for matches in _matches(access, family)
    ]
    return tuple({rule.mark: rule for rule in made}.values())


def _matches(access: Access, family: int) -> List[str]:
    tail = [f"-i {access.interface}"] if access.interface else []
    tail += [f"-p {access.protocol}"] if access.protocol else []
    tail.append("-m conntrack")
    if access.ports:  # of a published port only, not of what containers send to the same port elsewhere
        tail.append("--ctstate DNAT")
    tail += [f"--ctorigdst {access.destination}"] if access.destination else []
    tail += [f"--ctorigdstport {_range(access.ports, ':')}"] if access.ports else []
    tail.append("--ctdir ORIGINAL")
    sources = _of_family(access, family)
    return [" ".join([f"-s {source}", *tail]) for source in sources] if sources else [" ".join(tail)]
