# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the values of a role's variables, all at once, each line with the variable's path.

Ansible's own check of a role's arguments would come before, stop at the first kind of mistake and speak of Python's
types; the roles let it pass everything.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterable, List, Mapping, Sequence

from ansible_collections.hostwire.linux.plugins.module_utils.document import read as read_document
from ansible_collections.hostwire.linux.plugins.module_utils.document.fields import Fields, open_mapping
from ansible_collections.hostwire.linux.plugins.module_utils.document.reader import KEYS
from ansible_collections.hostwire.linux.plugins.plugin_utils import subnets
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.model import GuestNetworkError
from ansible_collections.hostwire.linux.plugins.plugin_utils.guest_network.setup import read as read_guest_networks
from ansible_collections.hostwire.linux.plugins.plugin_utils.name_service.names import (
    NamesError,
    records_of,
    server_lines,
)

Get = Callable[[str], Any]  # the value of a variable, or of what the role makes of several
Judge = Callable[[Get], List[str]]

STATES = ("present", "absent")
_DOCKER_STATES = ("present", "absent", "restored")
_ROUTER_LISTS = ("interfaces", "routes", "masquerade", "published_ports")


def judged(role: str, get: Get, so_far: Sequence[str] = ()) -> List[str]:
    """All that is wrong with the role's variables, after ``so_far``, which is said already."""
    problems = [*so_far, *_JUDGES[role](get)]
    if problems and role in _LATER:
        problems += _LATER[role](get)
    return list(dict.fromkeys(problems))


def _topology(get: Get) -> List[str]:
    """What the module can't see: the document as a whole. The rest is said by it, with what the host knows to add."""
    problems: List[str] = []
    document = get("topology_document")
    if document is not None:
        open_mapping(document, "topology_document", KEYS, problems)
    return problems


def _topology_later(get: Get) -> List[str]:
    """What the module would say afterwards."""
    return list(read_document({key: get(f"topology_{key}") for key in sorted(KEYS)}).problems)


def _router(get: Get) -> List[str]:
    problems: List[str] = []
    fields = Fields({key: get(key) for key in ("router_state", "router_ipv4", "router_ipv6")}, "", problems)
    state = fields.choice("router_state", STATES, "present")
    fields.boolean("router_ipv4")
    fields.boolean("router_ipv6")
    document: Dict[str, Any] = {key: get(f"router_{key}") for key in _ROUTER_LISTS}
    document["forwarding"] = {"networks": get("router_networks")}
    found = read_document(document).problems if state == "present" else ()
    lines = [line.replace("forwarding.networks", "networks", 1) for line in found]
    return problems + list(_renamed("\n".join(lines), {key: f"router_{key}" for key in ("networks", *_ROUTER_LISTS)}))


def _guest_network(get: Get) -> List[str]:
    problems: List[str] = []
    networks, guests = get("guest_network_networks"), get("guest_network_guests")
    try:
        read_guest_networks([] if networks is None else networks, guests)
    except GuestNetworkError as error:
        problems += _renamed(error, {"networks": "guest_network_networks", "guests": "guest_network_guests"})
    return problems


def _name_service(get: Get) -> List[str]:
    problems: List[str] = []
    names = (
        *("state", "mode", "host", "port", "namespaces", "containers", "lines", "netns"),
        *("nameservers", "from_inventory", "network"),
    )
    fields = Fields({f"name_service_{name}": get(f"name_service_{name}") for name in names}, "", problems)
    state = fields.choice("name_service_state", STATES, "present")
    mode = fields.choice("name_service_mode", ("hosts", "dns"), "hosts")
    fields.boolean("name_service_host")
    port = fields.integer("name_service_port", 1, 65535)
    for name in ("namespaces", "containers", "lines"):
        list(fields.text_items(f"name_service_{name}", "[linux, localdb]"))
    fields.netns("name_service_netns")
    fields.text("name_service_from_inventory", "a group of the inventory")
    fields.text("name_service_network", "the name of a network of the guests")
    if state == "present":
        domain = get("name_service_domain")
        records = _records(get, domain, problems)
        if mode == "dns" and port is not None:
            listen, upstream = get("name_service_listen"), get("name_service_upstream")
            _tried(lambda: server_lines(records, listen, domain, upstream, port), _NAMES, problems)
    return problems


_NAMES = {
    "records": "name_service_records",
    "guests": "name_service_from_guests",
    "networks": "name_service_from_networks",
    "network": "name_service_network",
    "inventory": "name_service_from_inventory",
    "document": "name_service_document",
    "domain": "name_service_domain",
    "listen": "name_service_listen",
    "upstream": "name_service_upstream",
    "port": "name_service_port",
}


def _records(get: Get, domain: Any, problems: List[str]) -> List[Dict[str, Any]]:
    """The records of all sources but for a group that isn't there, of which the role itself speaks."""
    group = get("name_service_from_inventory")
    inventory: Dict[Any, Any] = {}
    if isinstance(group, str) and group in get("groups"):
        inventory = dict(zip(get("name_service_hosts"), get("name_service_addresses")))
    found: List[Dict[str, Any]] = []

    def collect() -> None:
        sources = (get(_NAMES[source]) for source in ("records", "guests", "networks", "network"))
        records, guests, networks, network = sources
        made = records_of(records, guests, networks, network, inventory, get("name_service_document"), domain)
        found.extend(record.plain() for record in made)

    _tried(collect, _NAMES, problems)
    return found


def _docker_bridge(get: Get) -> List[str]:
    problems: List[str] = []
    names = ("state", "ipv6", "icc", "ip_masq", "rehearsal")
    fields = Fields({f"docker_bridge_{name}": get(f"docker_bridge_{name}") for name in names}, "", problems)
    state = fields.choice("docker_bridge_state", _DOCKER_STATES, "present")
    for name in names[1:]:
        fields.boolean(f"docker_bridge_{name}")
    if state != "present":
        return problems
    before = len(problems)
    _tried(lambda: subnets.named(get("docker_bridge_taken"), "docker_bridge_taken"), {}, problems)
    if len(problems) == before:
        for family in ("", "_v6"):
            _supernet(get, family, problems)
    return problems


def _supernet(get: Get, family: str, problems: List[str]) -> None:
    """The network of one family out of which each host gets its own, where its address isn't said."""
    supernet = get(f"docker_bridge_supernet{family}")
    if not supernet or get("docker_bridge_bip6" if family else "docker_bridge_bip") is not None:
        return
    names = {
        "supernet": f"docker_bridge_supernet{family}",
        "prefix": f"docker_bridge_prefix{family}",
        "hosts": f"docker_bridge_supernet{family}",  # there are too many: it is the network that can be changed
        "recorded": f"docker_bridge_recorded{family}",
        "avoid": "docker_bridge_taken",
    }

    def allocate() -> None:
        cut = subnets.slots(supernet, get(names["prefix"]), get("docker_bridge_taken_subnets"))
        subnets.allocate(cut, get("docker_bridge_hosts"), get(names["recorded"]))

    _tried(allocate, names, problems)


def _dnsmasq(get: Get) -> List[str]:
    problems: List[str] = []
    names = ("name", "state", "netns", "lines", "program", "user")
    fields = Fields({f"dnsmasq_{name}": get(f"dnsmasq_{name}") for name in names}, "", problems)
    fields.required("dnsmasq_name", "which server is meant")
    fields.text("dnsmasq_name", "which server is meant")
    fields.choice("dnsmasq_state", STATES, "present")
    fields.netns("dnsmasq_netns")
    list(fields.text_items("dnsmasq_lines", "[interface=office, port=0]"))
    fields.text("dnsmasq_program", "where the program is, like /usr/sbin/dnsmasq")
    fields.text("dnsmasq_user", "the user that it runs as, like dnsmasq")
    return problems


def _tried(work: Callable[[], object], names: Mapping[str, str], problems: List[str]) -> None:
    """What a reader has to say, with the names of the role's variables in the place of its own."""
    try:
        work()
    except (NamesError, subnets.SubnetError) as error:
        problems += _renamed(error, names)


def _renamed(error: object, names: Mapping[str, str]) -> Iterable[str]:
    """Each line of an error, with the field's name replaced by that of the variable: of the field that it is about, and
    of one that it compares it with."""
    words = "|".join(names)
    field = re.compile(rf"^({words})(?=[:\[.])|(?<=\bin )({words})(?=\[)")
    for line in str(error).splitlines():
        yield field.sub(lambda found: names[found[0]], line) if names else line


_JUDGES: Dict[str, Judge] = {
    "topology": _topology,
    "router": _router,
    "guest_network": _guest_network,
    "name_service": _name_service,
    "docker_bridge": _docker_bridge,
    "dnsmasq": _dnsmasq,
}
_LATER: Dict[str, Judge] = {"topology": _topology_later}
ROLES = tuple(_JUDGES)
