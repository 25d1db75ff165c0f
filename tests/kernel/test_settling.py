# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put right only after it was read back is on disk before it is done, too: a kill there loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import pytest

from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.steps import JOURNAL, NOTHING, Document, apply

# What a document wants that is so already, and what somebody makes of it while it is applied.
_SYS = "/proc/sys/net"
KINDS: Dict[str, Tuple[Document, str, str]] = {
    "setting of IPv4": (
        {"sysctls": {"net.ipv4.conf.all.arp_ignore": 1}},
        f"echo 1 > {_SYS}/ipv4/conf/all/arp_ignore",
        f"echo 2 > {_SYS}/ipv4/conf/all/arp_ignore",
    ),
    "setting of IPv6": (
        {"sysctls": {"net.ipv6.conf.all.hop_limit": 70}},
        f"echo 70 > {_SYS}/ipv6/conf/all/hop_limit",
        f"echo 65 > {_SYS}/ipv6/conf/all/hop_limit",
    ),
    "IPv6 forwarding": (
        {"forwarding": {"ipv6": True}},
        f"echo 1 > {_SYS}/ipv6/conf/all/forwarding",
        f"echo 0 > {_SYS}/ipv6/conf/all/forwarding",
    ),
    "MTU": (
        {"interfaces": [{"name": "eth0", "mtu": 1400}]},
        "ip link set eth0 mtu 1400",
        "ip link set eth0 mtu 1300",
    ),
    "address": (
        {"interfaces": [{"name": "eth0", "addresses": ["192.168.1.77/24"]}]},
        "ip address add 192.168.1.77/24 dev eth0",
        "ip address flush to 192.168.1.77 dev eth0",
    ),
}
MADE: Document = {"bridges": [{"name": "sw7"}], "namespaces": [{"name": "red"}]}


def shell_from_here() -> Callable[[str], object]:
    """A shell in the namespace that the test is in now: a hook may be called in any."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    enter = ["nsenter", f"--net=/proc/self/fd/{home}", "sh", "-c"]
    return lambda words: subprocess.run([*enter, words], pass_fds=[home], check=True)


def second_round(deed: Callable[[str], None], somebody: Callable[[], object]) -> Callable[[int, str], None]:
    """A hook: ``somebody`` comes after the first step of the first plan, ``deed`` is done at that of the second."""
    seen: list[Tuple[int, str]] = []

    def hook(position: int, when: str) -> None:
        seen.append((position, when))
        if position == 0 and seen.count((0, when)) == 2:
            deed(when)
        elif (position, when) == (0, "after"):
            somebody()

    return hook


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("following", ["same", "absent"])
def test_a_run_that_is_killed_in_a_later_round_loses_no_value(
    private_host: Path, kind: str, when: str, following: str
) -> None:
    document, so, otherwise = KINDS[kind]
    world.build_surroundings()
    shell = shell_from_here()
    shell(otherwise)
    bare = world.image()
    shell(so)
    wanted = {**document, **MADE}

    def die(now: str) -> None:
        if now == when:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            apply(wanted, second_round(die, lambda: shell(otherwise)))
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    if following == "same":
        apply(wanted)
        assert apply(wanted).plan == ()
    apply(NOTHING)
    assert world.differences(bare["rooms"], world.image()["rooms"]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_a_run_does_is_in_its_journal_before_it_is_done(private_host: Path, kind: str) -> None:
    document, so, otherwise = KINDS[kind]
    world.build_surroundings()
    shell = shell_from_here()
    shell(so)
    noted: list[Any] = []
    first: list[Any] = []

    def look(now: str) -> None:
        if now == "before":
            noted.extend(json.loads(JOURNAL.read_text())["steps"])

    def somebody() -> None:
        first.extend(json.loads(JOURNAL.read_text())["steps"])
        shell(otherwise)

    apply({**document, **MADE}, second_round(look, somebody))
    assert first == noted[: len(first)]
    assert len(noted) > len(first) > 0
