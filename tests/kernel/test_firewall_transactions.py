# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading, deciding and writing with the real iptables programs, beside others' rules, on both backends."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import List, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils import firewall
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, KernelRefused, MissingOnHost
from ansible_collections.hostwire.linux.plugins.module_utils.firewall import FirewallWant, GuestNetwork, iptables
from ansible_collections.hostwire.linux.plugins.module_utils.firewall.difference import FirewallChange
from ansible_collections.hostwire.linux.plugins.module_utils.model import Masquerade, PublishedPort
from ansible_collections.hostwire.linux.tests.kernel.firewall_world import GUESTS, apply, port, saved, wanted

REPOSITORY = Path(__file__).resolve().parents[2]

# As Docker 20.10 and ufw write them, the parts that matter here.
OTHERS = """\
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8443 -j DNAT --to-destination 172.17.0.2:443
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:ufw-before-input - [0:0]
:ufw-before-forward - [0:0]
-A INPUT -j ufw-before-input
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -j ufw-before-forward
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 443 -j ACCEPT
-A DOCKER-USER -j RETURN
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-forward -p icmp -m icmp --icmp-type 8 -m comment --comment "a \\"quoted\\" word" -j ACCEPT
COMMIT
*raw
-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP
COMMIT
"""


def load(backend: str, text: str, family: str = "iptables") -> None:
    subprocess.run([f"{family}-{backend}-restore"], input=text, text=True, check=True)


def run(words: str) -> None:
    subprocess.run(words.split(), check=True)


def difference(want: Optional[FirewallWant], owner: str = "main") -> FirewallChange:
    return firewall.changes(firewall.observe(None), want, None, owner, None)


FULL = wanted(
    published_ports=(port(8080, "192.168.15.2", 80), port(53, "fd00:15::2", 53, protocol="udp", last=54)),
    let_through=("10.0.0.0/8", "10.1.0.0/16"),
    named=("v-net-0", "v-net-1", "eth0"),
)

_OWNERS = st.sampled_from(["main", "a", "x.y-z_1", "deadbeef0123", "a-name-that-is-longer-than-any-chain-may-be"])
_PREFIXES = ["192.168.15.0/24", "192.168.16.0/25", "10.0.0.0/8", "fd00:15::/64", "2001:db8::/32"]
_INTERFACES = ["v-net-0", "v-net-1", "eth0", "eth0.100"]


def _several(values: List[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True, max_size=3).map(tuple)


@st.composite
def _ports(draw: st.DrawFn) -> PublishedPort:
    six = draw(st.booleans())
    first = draw(st.integers(1, 65000))
    return PublishedPort(
        None,
        draw(st.sampled_from(["tcp", "udp"])),
        first,
        first + draw(st.sampled_from([0, 1, 99])),
        draw(st.sampled_from(["any", "2001:db8::1" if six else "127.0.0.1"])),
        draw(st.sampled_from(["fd00:15::2", "2001:db8:9::9"] if six else ["192.168.15.2", "203.0.113.7"])),
        draw(st.sampled_from([first, 80, 9000])),
        draw(st.sampled_from([(), ("2001:db8::/32", "::1/128") if six else ("10.0.0.0/8", "192.0.2.1/32")])),
    )


@st.composite
def _masquerades(draw: st.DrawFn) -> Masquerade:
    source = draw(st.sampled_from([*_PREFIXES, "0.0.0.0/0", "::/0"]))
    to_source = "2001:db8::1" if ":" in source else "203.0.113.1"
    excepted = tuple(sorted(draw(st.sets(st.sampled_from(_INTERFACES), max_size=2))))
    return Masquerade(None, source, excepted, draw(st.sampled_from([None, to_source])))


@st.composite
def _wants(draw: st.DrawFn, owner: str) -> FirewallWant:
    guests = st.lists(st.builds(GuestNetwork, st.sampled_from(_INTERFACES), _several(_PREFIXES)), max_size=2).map(tuple)
    families = st.sampled_from([(), (4,), (6,), (4, 6)])
    return FirewallWant(
        owner,
        None,
        draw(guests),
        draw(_several(_INTERFACES)),
        draw(st.lists(_masquerades(), unique=True, max_size=3).map(tuple)),
        draw(st.lists(_ports(), unique=True, max_size=3).map(tuple)),
        draw(_several(_PREFIXES)),
        draw(families),
        draw(families),
    )


@settings(
    max_examples=int(os.environ.get("HOSTWIRE_FIREWALL_EXAMPLES", "8")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawn=st.data())
def test_whatever_is_written_reads_back_as_wanted_and_comes_away_again(backend: str, drawn: st.DataObject) -> None:
    """hazards 33, 34, 37: and others' rules stay as they are, byte for byte."""
    if not saved(backend):
        load(backend, OTHERS)
    before = saved(backend)
    owner = drawn.draw(_OWNERS)
    first, second = drawn.draw(_wants(owner)), drawn.draw(_wants(owner))
    apply(first, owner)  # holds that nothing is left to do
    between = saved(backend)
    change = difference(second, owner)
    apply(second, owner)
    for swap in reversed(change.swaps):
        firewall.restore(None, swap.backend, swap.family, swap.undo)
    assert sorted(saved(backend)) == sorted(between)
    apply(None, owner)
    assert saved(backend) == before


def test_hazard_33_rules_that_others_write_meanwhile_are_kept(backend: str) -> None:
    load(backend, OTHERS)
    change = difference(FULL)
    meanwhile = [f"-A FORWARD -s 198.51.100.{number}/32 -j ACCEPT" for number in range(20)]
    load_more = "\n".join(["*filter", *meanwhile, "COMMIT", ""])
    subprocess.run([f"iptables-{backend}-restore", "--noflush"], input=load_more, text=True, check=True)
    for swap in change.swaps:
        firewall.restore(None, swap.backend, swap.family, swap.text)
    assert set(meanwhile) <= set(saved(backend))


def test_hazard_34_a_policy_is_never_changed_and_half_a_transaction_is_undone(backend: str) -> None:
    load(backend, OTHERS)
    before = saved(backend)
    change = difference(wanted())
    assert not any(line.startswith((":FORWARD", ":INPUT")) for swap in change.swaps for line in swap.text.splitlines())
    (swap,) = [swap for swap in change.swaps if swap.family == 4]
    broken = swap.text.replace("-j MASQUERADE", "-j NO-SUCH-CHAIN")
    with pytest.raises((KernelRefused, MissingOnHost), match="NO-SUCH-CHAIN"):
        firewall.restore(None, swap.backend, 4, broken)
    assert any("HW-FORGED-main" in line for line in saved(backend))  # raw stays committed though nat failed
    firewall.restore(None, swap.backend, 4, swap.undo)
    assert saved(backend) == before


def test_an_undo_fits_whatever_part_of_the_change_was_made(backend: str) -> None:
    change = difference(FULL)
    for _time in range(2):
        for swap in change.swaps:
            firewall.restore(None, swap.backend, swap.family, swap.text)
        for _again in range(2):
            for swap in reversed(change.swaps):
                firewall.restore(None, swap.backend, swap.family, swap.undo)
            assert saved(backend) == []
    apply(FULL)
    before = saved(backend)
    for swap in difference(None).swaps:  # as if the power went before the first of them
        firewall.restore(None, swap.backend, swap.family, swap.undo)
    assert saved(backend) == before


def test_hazard_35_a_held_lock_is_waited_for(private_host: object) -> None:
    change = difference(wanted())
    with open("/run/xtables.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        writer = threading.Thread(target=firewall.restore, args=(None, "legacy", 4, change.swaps[0].text))
        writer.start()
        writer.join(0.1)
        assert writer.is_alive()
        fcntl.flock(lock, fcntl.LOCK_UN)
        writer.join(10)
    assert any("HW-FORGED-main" in line for line in saved("legacy"))


def test_hazard_36_looking_makes_no_legacy_table(private_host: object) -> None:
    assert firewall.observe(None).backend in ("nft", "legacy")
    assert not Path("/proc/thread-self/net/ip_tables_names").read_text(encoding="ascii")


def test_hazard_36_the_backend_that_docker_uses_is_followed(backend: str) -> None:
    others = {"nft": "legacy", "legacy": "nft"}[backend]
    apply(wanted())
    assert firewall.observe(None).backend == backend
    load(others, OTHERS)
    assert firewall.observe(None).backend == others
    apply(wanted())
    assert any("-j MASQUERADE" in line and "hostwire" in line for line in saved(others))
    assert not any("hostwire" in line for line in saved(backend))


def test_hazard_36_a_mix_of_both_is_refused(private_host: object) -> None:
    load("nft", OTHERS)
    load("legacy", "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n")
    with pytest.raises(Conflict, match=r"iptables-legacy \(filter\) and iptables-nft \(filter, nat, raw\)"):
        firewall.observe(None)


def test_native_nft_rules_in_a_table_of_iptables_are_a_conflict(private_host: object) -> None:
    native = "table ip filter {\nchain FORWARD {\ntype filter hook forward priority 0;\nct mark set 5\n}\n}\n"
    subprocess.run(["nft", "-f", "-"], input=native, text=True, check=True)
    with pytest.raises(Conflict, match="native nft rules stand in iptables's table filter"):
        apply(wanted())


def test_hazard_37_the_same_again_changes_nothing_in_whatever_order_it_is_said(backend: str) -> None:
    apply(FULL)
    before = saved(backend)
    turned = FULL._replace(
        guests=FULL.guests[::-1], named=FULL.named[::-1], let_through=FULL.let_through[::-1],
        published_ports=FULL.published_ports[::-1],
    )  # fmt: skip
    assert difference(turned) == FirewallChange()
    assert saved(backend) == before


def test_hazard_38_what_a_flush_took_comes_back(backend: str) -> None:
    apply(FULL)
    run(f"iptables-{backend} -F")
    assert apply(FULL) != ()
    run(f"iptables-{backend} -t nat -F PREROUTING")
    assert apply(FULL) == ("host: firewall chains of main: put right",)
    assert apply(FULL) == ()


def test_hazard_38_what_others_did_to_our_chains_is_put_right(backend: str) -> None:
    apply(FULL)
    before = saved(backend)
    run(f"iptables-{backend} -t mangle -I HW-HIDDEN-main -j ACCEPT")
    run(f"iptables-{backend} -t mangle -I HOSTWIRE-TO -j ACCEPT")
    run(f"iptables-{backend} -t nat -D HOSTWIRE-PORTS 1")
    jump = next(line for line in before if line.startswith("-A POSTROUTING"))
    subprocess.run([f"iptables-{backend}-restore", "--noflush"], input=f"*nat\n{jump}\nCOMMIT\n", text=True, check=True)
    run(f"iptables-{backend} -A HOSTWIRE-OPEN -j ACCEPT")
    assert apply(FULL) == ("host: publish tcp any:8080 -> 192.168.15.2:80: add",)
    assert saved(backend) == before
    run(f"iptables-{backend} -A FORWARD -i eth7 -j ACCEPT")
    assert apply(FULL) == ("host: firewall chains of main: put right",)
    listed = subprocess.check_output([f"iptables-{backend}", "-S", "FORWARD"], text=True)
    assert "HOSTWIRE-OPEN" in listed.splitlines()[-1]  # what others open or close comes before it, and before its guard


def test_two_documents_live_side_by_side(backend: str) -> None:
    one, two = wanted(owner="one", guests=GUESTS[:1]), wanted(owner="two", guests=GUESTS[1:], masquerade=())
    apply(one, "one")
    alone = saved(backend)
    apply(two, "two")
    both = saved(backend)
    assert apply(one, "one") == ()
    for built_in, chain in (
        ("FORWARD", "HOSTWIRE-CLOSE"),
        ("FORWARD", "HOSTWIRE-OPEN"),
        ("PREROUTING", "HOSTWIRE-SOURCE"),
    ):
        jumps = [line for line in both if line.startswith(f"-A {built_in} ") and line.endswith(chain)]
        assert len(jumps) == 2, chain  # one in each family
    apply(None, "two")
    assert saved(backend) == alone


def test_a_removal_is_told_by_what_it_removes(private_host: object) -> None:
    apply(FULL)
    fewer = FULL._replace(published_ports=FULL.published_ports[:1], masquerade=())
    change = firewall.changes(firewall.observe(None), fewer, FULL, "main", None)
    assert change.lines == (
        "host: route between eth0 and the other interfaces of the document: add",  # which is routed from then on
        "host: masquerade 192.168.15.0/24 except to v-net-0: remove",
        "host: publish udp any:53-54 -> [fd00:15::2]:53-54: remove",
    )


def test_what_protects_comes_before_what_opens(private_host: object) -> None:
    """And a removal goes the other way."""
    protecting, opening = ["mangle", "raw"], ["filter", "nat"]
    added = difference(FULL)
    assert [swap.table.split(",") for swap in added.swaps] == [protecting + opening] * 2
    apply(FULL)
    assert [swap.table.split(",") for swap in difference(None).swaps] == [(protecting + opening)[::-1]] * 2


def test_describe_tells_ours_from_others(backend: str) -> None:
    load(backend, OTHERS)
    apply(FULL)
    tables = firewall.observe(None)
    told = firewall.describe(tables)
    assert told["backend"] == backend
    published = {(entry["port"], entry["to"], entry["owner"]) for entry in told["published_ports"]}
    assert published == {
        ("8443", "172.17.0.2:443", None), ("8080", "192.168.15.2:80", "main"), ("53:54", "fd00:15::2", "main"),
    }  # fmt: skip
    masquerades = {(entry["source"], entry["to_interface"], entry["owner"]) for entry in told["masquerade"]}
    assert masquerades == {
        ("172.17.0.0/16", "not docker0", None), ("192.168.15.0/24", "not v-net-0", "main"),
    }  # fmt: skip
    (warning,) = firewall.warnings(tables, FULL)
    assert "ufw" in warning


def test_without_iptables_the_error_names_the_program(private_host: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iptables, "search_path", lambda: "/nowhere")
    with pytest.raises(MissingOnHost, match="iptables: no such program"):
        firewall.observe(None)


@pytest.mark.parametrize("name", ["nft", "legacy"])
def test_without_root_in_a_user_namespace_it_works_as_well(name: str) -> None:
    program = """if True:
        from ansible_collections.hostwire.linux.tests.kernel.firewall_world import apply, saved, wanted
        want = wanted(guests=(), forwarding=(), guard=())
        protect, masquerade = apply(want)
        assert protect == "host: protect 192.168.15.0/24 on v-net-0: add"
        assert masquerade == "host: masquerade 192.168.15.0/24 except to v-net-0: add"
        assert apply(want) == ()
        apply(None)
    """
    with tempfile.TemporaryDirectory() as place:  # where somebody else may read
        os.chmod(place, 0o755)
        copy = Path(place, "ansible_collections", "hostwire", "linux")
        for part in ("plugins/module_utils", "tests/kernel"):
            shutil.copytree(REPOSITORY / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        Path(place, "iptables").symlink_to(f"/usr/sbin/xtables-{name}-multi")
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.getuid() == 0 else []
        done = subprocess.run(
            [*nobody, "unshare", "--user", "--map-root-user", "--net", "/usr/bin/python3", "-c", program],
            env={"PATH": f"{place}:/usr/sbin:/usr/bin:/bin", "PYTHONPATH": place, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
