# SPDX-License-Identifier: GPL-3.0-or-later
"""Names out of several sources: one list, no name with two addresses, and forms that real programs read."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.filter.names import FilterModule
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file.entries import read_entries

FILTERS = FilterModule().filters()
name_records = FILTERS["name_records"]
name_entries = FILTERS["name_entries"]
name_server_lines = FILTERS["name_server_lines"]

NETWORKS: List[Dict[str, Any]] = [{"name": "office", "mode": "nat_network"}, {"name": "out", "mode": "nat"}]
GUESTS: List[Dict[str, Any]] = [
    {"name": "linux", "kind": "namespace", "nics": [{"network": "office", "address": "10.0.2.4/24"}]},
    {
        "name": "localdb",
        "kind": "container",
        "nics": [
            {"network": "out", "address": "10.0.2.15/24"},
            {"network": "office", "address": "10.0.2.12/24", "address6": "fd00:2::12/64"},
            {"network": "backup", "address": "192.168.56.3/24"},
        ],
    },
    {"name": "roaming", "kind": "vm", "nics": [{"network": "office", "address": None}]},
]


def record(name: str, *addresses: str, aliases: tuple[str, ...] = ()) -> Dict[str, Any]:
    return {"name": name, "addresses": list(addresses), "aliases": list(aliases)}


def refusal(*arguments: Any, work: Any = name_records, **options: Any) -> str:
    with pytest.raises(AnsibleFilterError) as raised:
        work(*arguments, **options)
    return str(raised.value).removeprefix(f"{work.__name__}: ")


def test_every_source_adds_to_one_list() -> None:
    document = {
        "namespaces": [{"name": "red"}, {"name": "silent"}],
        "bridges": [{"name": "v-net-0", "addresses": ["192.168.15.5/24"]}],
        "veths": [
            {"name": "a", "peer": {"name": "b", "netns": "red", "addresses": ["fe80::7/64", "192.168.15.1/24"]}},
            {"name": "c", "peer": {"name": "d", "netns": "red", "addresses": ["10.9.9.9/24", "fd00:15::1/64"]}},
        ],
        "containers": [{"container": "web", "name": "eth1", "addresses": ["192.168.15.80/24"]}],
    }
    assert name_records(
        [{"name": "proxy", "address": "10.0.2.9", "aliases": ["cache"]}],
        guests=GUESTS,
        networks=NETWORKS,
        inventory={"web1.lab.example": "192.0.2.1", "web2": ["192.0.2.2", "2001:db8::2"]},
        document=document,
        domain="lab.example",
    ) == [
        record("proxy", "10.0.2.9", aliases=("cache",)),
        record("linux", "10.0.2.4"),
        record("localdb", "10.0.2.12", "fd00:2::12"),
        record("web1", "192.0.2.1"),
        record("web2", "192.0.2.2", "2001:db8::2"),
        record("red", "192.168.15.1", "fd00:15::1"),
        record("web", "192.168.15.80"),
    ]


def test_names_of_one_network_alone() -> None:
    assert name_records([], guests=GUESTS, networks=NETWORKS, network="backup") == [record("localdb", "192.168.56.3")]


def test_what_two_sources_both_say_is_one_record() -> None:
    told = [{"name": "LocalDB", "address": "10.0.2.12", "aliases": ["db"]}]
    assert name_records(told, guests=GUESTS[:2], networks=NETWORKS) == [
        record("LocalDB", "10.0.2.12", "fd00:2::12", aliases=("db",)),
        record("linux", "10.0.2.4"),
    ]


@pytest.mark.parametrize(
    ("sources", "problem"),
    [
        (
            {"records": [{"name": "localdb", "address": "10.0.2.13"}], "guests": GUESTS, "networks": NETWORKS},
            'guests[1] (localdb): "localdb" is 10.0.2.12 here and 10.0.2.13 in records[0]; keep one of them',
        ),
        (
            {"records": [{"name": "a", "address": "10.0.2.1", "aliases": ["WEB1"]}], "inventory": {"web1": "10.0.2.2"}},
            'inventory[web1]: "web1" is 10.0.2.2 here and 10.0.2.1 in records[0]; keep one of them',
        ),
        (
            {"records": [{"name": "a", "addresses": ["10.0.2.1", "10.0.2.2"]}]},
            'records[0]: "a" is 10.0.2.2 here and 10.0.2.1 in records[0]; keep one of them',
        ),
        (
            {
                "records": [],
                "inventory": {"red.lab.example": "10.0.2.1"},
                "document": {"veths": [{"peer": {"netns": "red", "addresses": ["10.0.2.2/24"]}}]},
                "domain": "lab.example",
            },
            'document (namespace red): "red" is 10.0.2.2 here and 10.0.2.1 in inventory[red.lab.example]; keep one',
        ),
        ({"records": [{"name": "a", "addres": "10.0.2.1"}]}, 'records[0].addres: unknown key; did you mean "address"?'),
        ({"records": [{"name": "a"}]}, "records[0].addresses: needs at least one address"),
        ({"records": [{"name": "a", "address": "10.0.2"}]}, 'records[0].address: "10.0.2" is no IPv4 or IPv6 address'),
        ({"records": [{"name": "a", "address": "fe80::1%x\nuser=root"}]}, "is no IPv4 or IPv6 address"),
        ({"records": [{"name": "a", "address": 12}]}, "records[0].address: 12 is no IPv4 or IPv6 address"),
        ({"records": [{"name": "a b", "address": "10.0.2.1"}]}, 'records[0]: name: "a b" is no host name'),
        ({"records": [{"name": "a,b", "address": "10.0.2.1"}]}, 'records[0]: name: "a,b" is no host name'),
        ({"records": [{"name": "bücher", "address": "10.0.2.1"}]}, "say punycode (xn--...)"),
        ({"records": [{"name": "localhost", "address": "10.0.2.1"}]}, "is each host itself and can't be 10.0.2.1"),
        ({"records": {"a": "10.0.2.1"}}, "records: has to be a list"),
        ({"records": [7]}, "records[0]: has to be a mapping with name and addresses"),
        ({"records": [], "guests": [{"name": "a", "nics": ["office"]}]}, "guests[0].nics[0]: has to be a mapping"),
        ({"records": [], "guests": "linux"}, "guests: has to be a list"),
        ({"records": [], "networks": [{"mode": "nat"}]}, "networks[0]: has to be a mapping with name and mode"),
        (
            {"records": [], "guests": GUESTS, "networks": NETWORKS, "network": "backups"},
            'network: no guest is in a network "backups"; did you mean "backup"?',
        ),
        ({"records": [], "inventory": {"web1": None}}, "inventory[web1]: this host has no address there"),
        ({"records": [], "inventory": {"web1": "web1.local"}}, 'inventory[web1]: "web1.local" is no IPv4 or IPv6'),
        ({"records": [], "document": []}, "document: has to be a mapping of fields"),
        ({"records": [], "document": {"veths": ["x"]}}, "document.veths[0]: has to be a mapping of fields"),
        ({"records": [], "domain": "lab example"}, 'domain: "lab example" is no domain; lab.example would be one'),
    ],
)
def test_what_is_wrong_is_said_of_its_source(sources: Dict[str, Any], problem: str) -> None:
    assert problem in refusal(**sources)


def test_all_problems_at_once() -> None:
    wrong = [{"name": "a b", "address": "10.0.2.1"}, {"name": "c"}, {"name": "d", "address": "x"}]
    assert len(refusal(wrong).splitlines()) == 3


def test_entries_have_the_full_name_first() -> None:
    records = [record("localdb", "10.0.2.12", "fd00:2::12", aliases=("db",)), record("a.example.org", "10.0.2.4")]
    names = ["localdb.lab.example", "localdb", "db.lab.example", "db"]
    assert name_entries(records, "lab.example") == [
        {"address": "10.0.2.12", "names": names},
        {"address": "fd00:2::12", "names": names},
        {"address": "10.0.2.4", "names": ["a.example.org"]},
    ]
    assert name_entries(records[:1])[0]["names"] == ["localdb", "db"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"listen": []}, "listen: needs at least one address"),
        ({"listen": ["10.0.2.15/24"]}, 'listen[0]: "10.0.2.15/24" is no address; say 10.0.2.15'),
        ({"listen": ["fe80::1%x\nuser=root"]}, "is no address"),
        ({"listen": ["eth0"]}, 'listen[0]: "eth0" is no address'),
        ({"listen": ["10.0.2.15"], "upstream": ["dns.example"]}, 'upstream[0]: "dns.example" is no address'),
        ({"listen": ["10.0.2.15"], "upstream": ["fe80::1%x\nuser=root"]}, "say it like fe80::1%eth0"),
        ({"listen": ["10.0.2.15"], "upstream": ["192.0.2.1#dns"]}, 'upstream[0]: "dns" is no port'),
        ({"listen": ["10.0.2.15"], "port": 0}, "port: 0 is out of range"),
        ({"listen": ["10.0.2.15"], "domain": "a/b"}, 'domain: "a/b" is no domain'),
    ],
)
def test_a_server_that_cannot_be_is_refused(options: Dict[str, Any], problem: str) -> None:
    assert problem in refusal([], work=name_server_lines, **options)


NAME = st.lists(st.from_regex(r"[a-z_][a-z0-9_-]{0,20}[a-z0-9]", fullmatch=True), min_size=1, max_size=3).map(".".join)


@st.composite
def good_records(draw: st.DrawFn) -> List[Dict[str, Any]]:
    """Records in which no name comes twice."""
    names = draw(st.lists(NAME, max_size=12, unique=True))
    addresses = st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=6, network="fd00::/16")
    return [
        record(name, str(draw(addresses)), aliases=tuple(names[number + 6 : number + 7]))
        for number, name in enumerate(names[:6])
    ]


@given(records=good_records(), domain=st.sampled_from([None, "lab.example"]))
def test_records_make_a_good_hosts_file(records: List[Dict[str, Any]], domain: str | None) -> None:
    accepted = name_records(records, domain=domain)
    assert name_records(accepted, domain=domain) == accepted
    entries, problems = read_entries(name_entries(accepted, domain))
    assert problems == []
    told = {(name, entry.address) for entry in entries for name in entry.names}
    assert {(one["name"], one["addresses"][0]) for one in records} <= told


def test_dnsmasq_takes_the_lines(tmp_path: Path) -> None:
    aliases = tuple(f"a-rather-long-alias-number-{number}" for number in range(60))
    records = [record("localdb", "10.0.2.12", "fd00:2::12", aliases=aliases), record("under_score", "10.0.2.4")]
    lines = name_server_lines(records, ["10.0.2.15", "fd00:2::15"], "lab.example", ["192.0.2.53", "fe80::53%lo#5353"])
    file = tmp_path / "dnsmasq.conf"
    file.write_text("\n".join(lines) + "\n")
    ran = subprocess.run(
        ["dnsmasq", "--test", f"--conf-file={file}"], check=False, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert max(map(len, lines)) < 1024


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_each_filter_has_a_page_that_names_its_options(name: str) -> None:
    page = Path(__file__).parents[2] / "plugins" / "filter" / f"{name}.yml"
    options = yaml.safe_load(page.read_text())["DOCUMENTATION"]
    assert [*options["options"]][1:] == options["positional"].split(", ")
