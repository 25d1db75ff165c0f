# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether dockerd would start with its files as they are by now, judged by what runs and by when they were written.

``dockerd --validate`` looks at names and types alone: a storage driver that isn't there, or a program that a unit runs
beforehand, shows at the start, when the old state is as bad as the new one.
"""

from __future__ import annotations

import os
import re
from typing import Any, Iterator, List, Optional, Sequence, Tuple

from ..daemon_json import is_blank, parse
from ..model import Engine
from ..options import BY_KEY, words
from ..service import SYSTEMD
from .situation import Situation

RESTART = "restart Docker with it (systemctl restart docker) or take that back, then run this again"
# Keys of daemon.json that keep no dockerd from starting once their names and types are right (moby, daemon/config).
_HARMLESS = frozenset(
    (
        *("allow-nondistributable-artifacts", "builder", "debug", "default-address-pools", "default-cgroupns-mode"),
        *("default-ipc-mode", "default-network-opts", "default-shm-size", "default-ulimits", "deprecated-key-path"),
        *("dns-opts", "dns-search", "exec-opts", "features", "host-gateway-ip", "host-gateway-ips", "http-proxy"),
        *("https-proxy", "init", "insecure-registries", "labels", "log-driver", "log-format", "log-level", "log-opts"),
        *("max-concurrent-downloads", "max-concurrent-uploads", "max-download-attempts", "mtu", "no-new-privileges"),
        *("no-proxy", "node-generic-resources", "oom-score-adjust", "proxies", "raw-logs", "registry-mirrors"),
        *("shutdown-timeout", "swarm-default-advertise-addr", "metrics-addr", "group"),
    )
)
_READS_BLANK = (23, 0)
_REMAPPED = re.compile(r"\d+\.\d+")
_SET_PROPERTY = "/systemd/system.control/"  # of systemctl set-property, which is in force at once
_UNIT = (".service", ".socket", ".conf")


def outdated(now: Situation) -> List[str]:
    """What in dockerd's files may keep it from starting again, or take its containers from it; a line each."""
    lines = [*_of_units(now), *_of_json(now), *_of_engine(now)]
    return list({line.partition(": ")[0]: line for line in reversed(lines)}.values())[::-1]


def _of_units(now: Situation) -> Iterator[str]:
    if now.stale:
        yield (
            "docker.service: its files, or docker.socket's, were changed, and systemd hasn't read them yet, so nobody"
            f" knows whether Docker starts with that; systemctl daemon-reload, then {RESTART}"
        )
    for path in now.changed:
        if path.endswith(_UNIT) and path != now.configuration.daemon_json and _SET_PROPERTY not in path:
            yield f"{path}: was changed after Docker's start, so nobody knows whether it starts with that; {RESTART}"


def _of_json(now: Situation) -> Iterator[str]:
    """The keys of a file written since, but for those that do no harm and those that the engine says of itself."""
    path = now.configuration.daemon_json
    text = now.configuration.texts.get(path)
    if path not in now.changed or text is None:
        return
    if is_blank(text):
        if now.engine.release < _READS_BLANK:
            yield f"{path}: is empty, and Docker {now.engine.version} doesn't start with that; write {{}} into it"
        return
    for member in parse(text, path).members:
        where = f"{member.key}: {path}, line {member.line}"
        known = _said(now.engine, member.key)
        if member.key == "exec-opts":
            known, values = now.engine.traits.get("cgroup-driver", ()), _cgroup_drivers(member.value)
        else:
            values = _listed(member.value)
        strange = [value for value in values if value not in known] if known else []
        if strange:
            runs = ", ".join(known)
            yield f"{where} says {words(strange)}, Docker runs with {runs}; {RESTART}"
        elif not known and member.key not in _HARMLESS and member.key not in BY_KEY:
            yield f"{where} was written after Docker's start, so nobody knows whether it starts with that; {RESTART}"


def _said(engine: Engine, key: str) -> Tuple[str, ...]:
    return (engine.storage,) if key == "storage-driver" and engine.storage else engine.traits.get(key, ())


def _listed(value: Any) -> Sequence[str]:
    if isinstance(value, (list, tuple, dict)):
        return [str(entry) for entry in value]
    return [str(value)]


def _cgroup_drivers(value: Any) -> Sequence[str]:
    pairs = [str(entry).partition("=") for entry in value] if isinstance(value, list) else []
    return [driver for name, _equals, driver in pairs if name == "native.cgroupdriver"]


def _of_engine(now: Situation) -> Iterator[str]:
    """What says nothing in any file by now, though the engine runs with it: its containers hang on it."""
    configuration, engine = now.configuration, now.engine
    if configuration.init != SYSTEMD or configuration.program is not None:
        return  # it may stand where we don't look
    root = configuration.settings["data-root"]
    if engine.root and not root.given and not same_root(engine.root, str(root.value)):
        yield f"data-root: Docker runs with {engine.root}, which none of its files says; {RESTART}"
    if engine.traits:
        asked = _asks_for(now, "userns-remap")
        runs = bool(engine.traits.get("userns-remap"))
        if asked is not None and asked != runs:
            with_, without = ("without", "says") if asked else ("with", "doesn't say any more")
            yield f"userns-remap: Docker runs {with_} it, {configuration.daemon_json} {without} it; {RESTART}"


def _asks_for(now: Situation, key: str) -> Optional[bool]:
    """Whether daemon.json has an option, None where it is one of the flags."""
    if any(word.startswith(f"--{key}") for word in now.arguments):
        return None
    text = now.configuration.texts.get(now.configuration.daemon_json)
    return bool(text and not is_blank(text) and parse(text).values.get(key))


def same_root(runs: str, said: str) -> bool:
    """Whether an engine's directory is the one that was said; with user namespaces it is UID.GID in there."""
    there, here = os.path.realpath(runs), os.path.realpath(said)
    return there == here or (os.path.dirname(there) == here and bool(_REMAPPED.fullmatch(os.path.basename(there))))
