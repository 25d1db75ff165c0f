# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that Docker 28 writes for as many networks, each with one container that publishes nothing."""

from __future__ import annotations

from typing import Callable, Iterable, List

from packet_networks import bridge, guest, subnet


def rules(count: int) -> str:
    """Input for iptables-restore."""
    numbers = range(count)
    return "\n".join([*_raw(numbers), *_filter(numbers), *_nat(numbers), ""])


def masquerade_alone(number: int = 0) -> str:
    """One rule, and nothing else: what an own network can't do without."""
    return "\n".join(["*nat", f"-A POSTROUTING -s {subnet(number)} ! -o {bridge(number)} -j MASQUERADE", "COMMIT", ""])


def _raw(numbers: Iterable[int]) -> List[str]:
    return ["*raw", *[f"-A PREROUTING -d {guest(n)}/32 ! -i {bridge(n)} -j DROP" for n in numbers], "COMMIT"]


def _filter(numbers: Iterable[int]) -> List[str]:
    names = ("", "-FORWARD", "-CT", "-BRIDGE", "-ISOLATION-STAGE-1", "-ISOLATION-STAGE-2", "-USER")

    def each(rule: Callable[[str], str]) -> List[str]:
        return [rule(bridge(number)) for number in numbers]

    return [
        "*filter",
        ":FORWARD DROP [0:0]",
        *[f":DOCKER{name} - [0:0]" for name in names],
        "-A FORWARD -j DOCKER-USER",
        "-A FORWARD -j DOCKER-FORWARD",
        "-A DOCKER-FORWARD -j DOCKER-CT",
        "-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1",
        "-A DOCKER-FORWARD -j DOCKER-BRIDGE",
        *each(lambda name: f"-A DOCKER-FORWARD -i {name} -j ACCEPT"),
        *each(lambda name: f"-A DOCKER-CT -o {name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
        *each(lambda name: f"-A DOCKER-ISOLATION-STAGE-1 -i {name} ! -o {name} -j DOCKER-ISOLATION-STAGE-2"),
        *each(lambda name: f"-A DOCKER-ISOLATION-STAGE-2 -o {name} -j DROP"),
        *each(lambda name: f"-A DOCKER-BRIDGE -o {name} -j DOCKER"),
        *each(lambda name: f"-A DOCKER ! -i {name} -o {name} -j DROP"),
        "COMMIT",
    ]


def _nat(numbers: Iterable[int]) -> List[str]:
    return [
        "*nat",
        ":DOCKER - [0:0]",
        "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
        *[f"-A POSTROUTING -s {subnet(n)} ! -o {bridge(n)} -j MASQUERADE" for n in numbers],
        *[f"-A DOCKER -i {bridge(n)} -j RETURN" for n in numbers],
        "COMMIT",
    ]
