# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of interfaces and namespaces, wherever one stands."""

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.hostwire.linux.tests.bad_documents.model import BadDocument, Places

NAME_RULE = "use letters, digits, _ . and -, beginning with a letter or digit"


# Where a new interface gets its name: a document with that name in it, and the field's path.
NEW_NAMES: Places = {
    "bridges[0].name": lambda name: {"bridges": [{"name": name}]},
    "veths[0].name": lambda name: {"veths": [{"name": name, "peer": {"name": "b0"}}]},
    "veths[0].peer.name": lambda name: {"veths": [{"name": "a0", "peer": {"name": name}}]},
    "interfaces[0].name": lambda name: {"interfaces": [{"name": name}]},
    "containers[0].name": lambda name: {"containers": [{"container": "web", "name": name, "bridge": "br0"}]},
}


# Where an interface is spoken of.
NAMED_INTERFACES: Places = {
    "veths[0].bridge": lambda name: {"veths": [{"name": "a0", "bridge": name, "peer": {"name": "b0"}}]},
    "veths[0].peer.bridge": lambda name: {"veths": [{"name": "a0", "peer": {"name": "b0", "bridge": name}}]},
    "containers[0].bridge": lambda name: {"containers": [{"container": "web", "name": "lan0", "bridge": name}]},
    "interfaces[0].bridge": lambda name: {"interfaces": [{"name": "eth0", "bridge": name}]},
    "routes[0].dev": lambda name: {"routes": [{"to": "10.0.0.0/8", "dev": name}]},
    "routes[0].nexthops[0].dev": lambda name: {"routes": [{"to": "10.0.0.0/8", "nexthops": [{"dev": name}]}]},
    "masquerade[0].except_to": lambda name: {"masquerade": [{"source": "10.0.0.0/8", "except_to": name}]},
}


# A name that can't be one, and why (hazard 12).
BAD_NAMES: dict[str, tuple[Any, str]] = {
    "shell": ("$(id)", f'"$(id)" is no safe name for an interface; {NAME_RULE}'),
    "semicolon": ("a;b", f'"a;b" is no safe name for an interface; {NAME_RULE}'),
    "option": ("-x", f'"-x" is no safe name for an interface; {NAME_RULE}'),
    "accent": ("é", f'"é" is no safe name for an interface; {NAME_RULE}'),
    "pattern": ("a%d", f'"a%d" is no safe name for an interface; {NAME_RULE}'),
    "space": ("a b", f'"a b" is no safe name for an interface; {NAME_RULE}'),
    "slash": ("a/b", f'"a/b" is no safe name for an interface; {NAME_RULE}'),
    "dots": ("..", f'".." is no safe name for an interface; {NAME_RULE}'),
    "newline": ("eth0\n", f'"eth0\\n" is no safe name for an interface; {NAME_RULE}'),
    "nul": ("eth\0", f'"eth\\x00" is no safe name for an interface; {NAME_RULE}'),
    "alias": ("eth0:1", f'"eth0:1" is no safe name for an interface; {NAME_RULE}'),
    "arabic-digit": ("eth٣", f'"eth٣" is no safe name for an interface; {NAME_RULE}'),
    "sixteen": ("sixteen-letters-", '"sixteen-letters-" has 16 characters; an interface\'s name has at most 15'),
    "all": ("all", '"all" is reserved; choose another name'),
    "default": ("default", '"default" is reserved; choose another name'),
    "empty": ("", "is empty; say the name of an interface, or leave it out"),
    "number": (7, "7 is not text; say the name of an interface (YAML reads it as a number: quote it)"),
    "boolean": (
        False,
        "false is not text; say the name of an interface (YAML reads yes, no, on and off as booleans: quote it)",
    ),
    "fraction": (1.5, "1.5 is not text; say the name of an interface"),
    "list": (["eth0"], "a list is not text; say the name of an interface"),
    "mapping": ({"name": "eth0"}, "a mapping is not text; say the name of an interface"),
}


def interface_names() -> Iterator[BadDocument]:
    for path, document in NEW_NAMES.items():
        for case, (name, reason) in BAD_NAMES.items():
            yield BadDocument(f"name-{case}-{path}", document(name), (f"{path}: {reason}",))
    for path, document in NAMED_INTERFACES.items():
        for case in ("shell", "option", "sixteen", "all", "empty", "number", "list"):
            name, reason = BAD_NAMES[case]
            if case == "list" and path.endswith("except_to"):  # the only field that takes several
                continue
            yield BadDocument(f"names-{case}-{path}", document(name), (f"{path}: {reason}",))
    lo = '"lo" is reserved; choose another name'
    for path in ("bridges[0].name", "veths[0].name", "veths[0].peer.name"):
        yield BadDocument(f"name-lo-{path}", NEW_NAMES[path]("lo"), (f"{path}: {lo}",))
    for path in ("veths[0].bridge", "interfaces[0].bridge"):
        yield BadDocument(f"names-lo-{path}", NAMED_INTERFACES[path]("lo"), (f"{path}: {lo}",))


# Where a namespace is named.
NAMESPACES: Places = {
    "namespaces[0].name": lambda name: {"namespaces": [{"name": name}]},
    "bridges[0].netns": lambda name: {"bridges": [{"name": "br0", "netns": name}]},
    "veths[0].netns": lambda name: {"veths": [{"name": "a0", "netns": name, "peer": {"name": "b0"}}]},
    "veths[0].peer.netns": lambda name: {"veths": [{"name": "a0", "peer": {"name": "b0", "netns": name}}]},
    "interfaces[0].netns": lambda name: {"interfaces": [{"name": "eth0", "netns": name}]},
    "routes[0].netns": lambda name: {"routes": [{"to": "10.0.0.0/8", "dev": "eth0", "netns": name}]},
    "masquerade[0].netns": lambda name: {"masquerade": [{"source": "10.0.0.0/8", "netns": name}]},
    "published_ports[0].netns": lambda name: {"published_ports": [{"port": 80, "to": "10.0.0.1:80", "netns": name}]},
    "probes[0].from": lambda name: {"probes": [{"from": name, "to": "10.0.0.1"}]},
}


BAD_NAMESPACES: dict[str, tuple[Any, str]] = {
    "digits": ("12", '"12" is all digits, which other programs take for a process; add a letter'),
    "path": ("../x", f'"../x" is no safe name for a namespace; {NAME_RULE}'),
    "slash": ("a/b", f'"a/b" is no safe name for a namespace; {NAME_RULE}'),
    "option": ("-n", f'"-n" is no safe name for a namespace; {NAME_RULE}'),
    "empty": ("", "is empty; say the name of a namespace, or leave it out"),
    "number": (12, "12 is not text; say the name of a namespace (YAML reads it as a number: quote it)"),
    "list": (["red"], "a list is not text; say the name of a namespace"),
}


def namespace_names() -> Iterator[BadDocument]:
    for path, document in NAMESPACES.items():
        for case, (name, reason) in BAD_NAMESPACES.items():
            yield BadDocument(f"netns-{case}-{path}", document(name), (f"{path}: {reason}",))
    long = "x" * 256
    shown = '"' + "x" * 57 + '..."'
    yield BadDocument(
        "netns-long",
        {"namespaces": [{"name": long}]},
        (f"namespaces[0].name: {shown} has 256 characters; a namespace's name has at most 255",),
    )
    yield BadDocument(
        "netns-superscript-digits", {"namespaces": [{"name": "²"}]},
        (f'namespaces[0].name: "²" is no safe name for a namespace; {NAME_RULE}',),
    )  # fmt: skip
