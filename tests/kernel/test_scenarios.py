# SPDX-License-Identifier: GPL-3.0-or-later
"""For each of the five scenarios the document gives what the plain commands give, and takes it away again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.kernel import private, scenarios

BRIDGED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
BACKENDS = ("nft", "legacy")


def programs(backend: str, directory: Path) -> str:
    """A PATH on which ``iptables`` is the one of this backend, as a distribution's alternatives choose it."""
    for family in ("iptables", "ip6tables"):
        for verb in ("", "-save", "-restore"):
            (directory / f"{family}{verb}").symlink_to(f"/usr/sbin/{family}-{backend}{verb}")
    return f"{directory}:{os.environ['PATH']}"


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, private_host: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    directory = private_host / request.param
    directory.mkdir()
    monkeypatch.setenv("PATH", programs(request.param, directory))
    return request.param


@pytest.fixture(params=["0", "1"], ids=["plain bridging", "bridge-nf-call-iptables"])
def bridged(request: pytest.FixtureRequest, private_host: Path) -> None:
    BRIDGED.write_text(request.param)


@pytest.mark.parametrize("name", scenarios.NAMES)
def test_document_gives_what_the_commands_give(name: str, backend: str, bridged: None) -> None:
    with private.private_host():
        scenarios.build_by_commands(name)
        by_commands = scenarios.snapshot()
    scenarios.build_surroundings(name)
    untouched = scenarios.snapshot()
    rules_untouched = saved_rules()
    document = scenarios.document(name)

    predicted = engine.run(document, check=True)
    assert scenarios.snapshot() == untouched
    done = engine.run(document)
    assert done.changed
    assert (done.plan, done.after) == (predicted.plan, predicted.after)
    assert scenarios.snapshot() == by_commands
    scenarios.probe(name)
    again = engine.run(document)
    assert (again.changed, again.plan) == (False, ())

    gone = engine.run({**document, "state": "absent"})
    assert gone.changed
    assert scenarios.snapshot() == untouched
    assert saved_rules() == rules_untouched
    assert os.listdir("/var/lib/hostwire") == ["lock"]


def saved_rules() -> str:
    """Every rule of every backend and family; chains that iptables makes on being asked are no rules."""
    commands = [f"/usr/sbin/{family}-{backend}-save" for backend in BACKENDS for family in ("iptables", "ip6tables")]
    texts = [subprocess.run([command], check=True, capture_output=True, text=True).stdout for command in commands]
    lines = [line for text in texts for line in text.splitlines()]
    return "\n".join(line for line in lines if line.startswith("-A") or (line.startswith(":") and " - " in line))


def test_forwarding_off_makes_the_far_side_unreachable_and_on_brings_it_back(private_host: Path) -> None:
    document = scenarios.document("5-host-as-router")
    far = [{"from": "A", "to": "192.168.2.5"}, {"from": "C", "to": "192.168.1.5"}]
    for forwarding, expect in ((True, "reachable"), (False, "unreachable"), (True, "reachable")):
        document["namespaces"][1]["forwarding"] = {"ipv4": forwarding}
        document["probes"] = [{**probe, "expect": expect} for probe in far]
        result = engine.run(document)
        assert result.changed
        assert [probe.ok for probe in result.reachability] == [True, True]


def test_rules_are_written_to_the_backend_in_use(backend: str) -> None:
    scenarios.build_surroundings("3-out-to-the-lan")
    engine.run(scenarios.document("3-out-to-the-lan"))
    other = {"nft": "legacy", "legacy": "nft"}[backend]
    texts = {
        name: subprocess.run([f"/usr/sbin/iptables-{name}-save"], check=True, capture_output=True, text=True).stdout
        for name in BACKENDS
    }
    assert "hostwire:main" in texts[backend]
    assert "hostwire:main" not in texts[other]
