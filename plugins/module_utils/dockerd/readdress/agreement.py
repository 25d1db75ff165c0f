# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether dockerd's files say what runs, and could be started again: else there is no way back. Pure.

A host whose Docker wouldn't survive a plain restart is none that may be changed, whoever is to blame.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, List, Sequence

from ..arguments import collected, read_arguments
from ..configuration import Configuration, Place, Setting
from ..model import DEFAULT_NETWORK
from ..options import BOOL, BY_KEY, INT, LIST, POOLS, plain, words
from ..service import SYSTEMD
from .since import RESTART, same_root
from .situation import Situation
from .wish import judged

OPTIONS_OF_NETWORK = {
    "icc": "com.docker.network.bridge.enable_icc",
    "ip-masq": "com.docker.network.bridge.enable_ip_masquerade",
    "mtu": "com.docker.network.driver.mtu",
}
_TYPES: Dict[str, Any] = {BOOL: bool, INT: int, LIST: (list, tuple), POOLS: (list, tuple)}
_NAMES = {BOOL: "true or false", INT: "a number", LIST: "a list", POOLS: "a list"}
# What the script of sysvinit, or a program that starts dockerd, may say in its own way: nothing here hangs on it.
_UNSEEN = ("hosts", "data-root", "metrics-addr", "experimental")


def bad_values(configuration: Configuration) -> List[str]:
    """What is wrong with the values in the files, each judged as a parameter of docker_bridge would be."""
    problems: List[str] = []
    for key, setting in configuration.settings.items():
        for place in setting.places:
            name = f"{place.words}: {key}"
            problem = _wrong_type(name, setting, place)
            if problem:
                problems.append(problem)
            elif setting.option.parameter is not None:
                value = [place.value] if setting.option.kind == POOLS and place.spans else plain(place.value)
                problems += judged(setting.option.parameter, name, value)
    return list(dict.fromkeys(problems))


def _wrong_type(name: str, setting: Setting, place: Place) -> str:
    kind = setting.option.kind
    if place.spans and kind in (LIST, POOLS):  # one element each
        right = kind == LIST or isinstance(place.value, dict)
    else:
        right = isinstance(place.value, _TYPES.get(kind, str)) and (kind != INT or not isinstance(place.value, bool))
    return "" if right else f"{name}: {place.value!r} is not {_NAMES.get(kind, 'a text')}"


def differences(now: Situation) -> List[str]:
    """Where what runs isn't what the files would start, a line each."""
    by_command = _of_command(now)
    return [*by_command, *(line for line in _of_engine(now) if not same_option(line, by_command))]


def same_option(line: str, lines: Sequence[str]) -> bool:
    """Whether something was said about the same option."""
    return any(other.partition(":")[0] == line.partition(":")[0] for other in lines)


def _of_command(now: Situation) -> List[str]:
    """dockerd's own command line beside what the unit's files make of it."""
    configuration, process = now.configuration, now.process
    program = configuration.program
    if process is None:
        if program is None or configuration.init != SYSTEMD:
            return []
        where = f"{program.file}, line {program.line}"
        return [
            f"ExecStart: {where} starts {program.text}, behind which no dockerd is seen; let it start dockerd itself"
        ]
    explained, actual = _by_key(configuration.command), _by_key(process.arguments)
    problems = []
    for key in sorted({*explained, *actual}):
        if key in _UNSEEN and (configuration.init != SYSTEMD or configuration.program is not None):
            continue
        file, runs = explained.get(key), actual.get(key)
        if file == runs or "%" in str(file):  # one of systemd's specifiers
            continue
        if file is None:
            problems.append(f"{key}: dockerd runs with {words(runs)}, which {_unexplained(configuration)}")
        else:
            place = next(place for place in configuration.settings[key].places if place.spans)
            with_ = "without it" if runs is None else f"with {words(runs)}"
            problems.append(f"{key}: {place.words} says {words(file)}, dockerd runs {with_}; {RESTART}")
    return problems


def _unexplained(configuration: Configuration) -> str:
    if configuration.program is None:
        return f"none of its files says; {RESTART}"
    program = configuration.program
    return (
        f"stands in none of its files: ExecStart ({program.file}, line {program.line}) starts it by {program.text};"
        f" take the option out there and put it into {configuration.daemon_json}"
    )


def _by_key(arguments: Sequence[str]) -> Dict[str, Any]:
    found: Dict[str, List[Any]] = {}
    for given in read_arguments(arguments):
        found.setdefault(given.option.key, []).append(given.value)
    return {key: plain(collected(BY_KEY[key], values)) for key, values in found.items()}


def _of_engine(now: Situation) -> List[str]:
    """What the engine says of itself beside what the files set: another value was written since its start."""
    problems = []
    for key, runs in _in_force(now).items():
        setting = now.configuration.settings[key]
        if setting.given and not setting.twice and runs and not _same(key, str(words(setting.value)), runs):
            place = setting.places[-1]
            problems.append(f"{key}: {place.words} says {words(setting.value)}, Docker runs with {runs}; {RESTART}")
    return problems


def _in_force(now: Situation) -> Dict[str, str]:
    """Those options of which the engine tells what it runs with, by daemon.json key."""
    found = {"data-root": now.engine.root}
    network = now.engine.network(DEFAULT_NETWORK)
    if network is None:
        return found
    for key, name in OPTIONS_OF_NETWORK.items():
        if key != "ip-masq" or now.configuration.value("iptables"):  # without iptables it never masquerades
            found[key] = network.options.get(name, "")
    own = [subnet for subnet in network.subnets if ":" not in subnet.subnet]
    if own:
        found["bip"] = now.address or own[0].subnet
        found["fixed-cidr"] = own[0].ip_range
    return found


def _same(key: str, said: str, runs: str) -> bool:
    if key == "data-root":
        return same_root(runs, said)
    if key == "bip":
        return ipaddress.ip_interface(said).network == ipaddress.ip_interface(runs).network
    if key == "fixed-cidr":
        return ipaddress.ip_interface(said).network == ipaddress.ip_interface(runs).network
    return said == runs
