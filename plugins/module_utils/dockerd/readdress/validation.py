# SPDX-License-Identifier: GPL-3.0-or-later
"""What dockerd will have against the new daemon.json, asked before it is stopped: afterwards it wouldn't start at all.

From 23.0 on it tells itself; an older one is told by the names of its flags, as it does it (moby, daemon/config).
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Sequence, Tuple

from .. import service
from ..daemon_json import parse
from ..discretion import discreet, foreign_words
from .plan import Plan
from .situation import Situation

_VALIDATES = (23, 0)
# Keys that aren't called as their flag is (the flag can be given repeatedly), and keys without a flag.
_PLURALS = {
    "allow-nondistributable-artifacts": "allow-nondistributable-artifacts",
    "authorization-plugins": "authorization-plugin",
    "cluster-store-opts": "cluster-store-opt",
    "default-address-pools": "default-address-pool",
    "default-ulimits": "default-ulimit",
    "dns-opts": "dns-opt",
    "exec-opts": "exec-opt",
    "hosts": "host",
    "insecure-registries": "insecure-registry",
    "labels": "label",
    "log-opts": "log-opt",
    "node-generic-resources": "node-generic-resource",
    "registry-mirrors": "registry-mirror",
    "runtimes": "add-runtime",
    "storage-opts": "storage-opt",
}
_WITHOUT_FLAG = frozenset(("builder", "features"))
_HIDDEN = frozenset(("cluster-advertise", "cluster-store", "deprecated-key-path", "graph", "platform"))


def objections(now: Situation, plan: Plan) -> List[str]:
    """The problems, a line each; none where there is no daemon.json to judge."""
    path = now.configuration.daemon_json
    text = plan.forward.start.get(path, now.configuration.texts.get(path))
    if text is None:
        return []
    arguments = remaining(now, plan)
    if now.engine.release >= _VALIDATES:
        said = service.validate(text, arguments)
        if said is None:
            return []
        foreign = foreign_words(now.configuration.texts, path)
        return [f"{path}: dockerd won't take the new configuration: {discreet(said, foreign)}"]
    return old_objections(path, parse(text, path).values, arguments, service.flags())


def old_objections(path: str, keys: Dict[str, Any], arguments: Sequence[str], flags: FrozenSet[str]) -> List[str]:
    """What a dockerd before 23.0 doesn't start with: unknown keys, and options set in both places."""
    problems = []
    given = {word[2:].partition("=")[0] for word in arguments if word.startswith("--")}
    given |= {"host"} if any(word.startswith("-H") for word in arguments) else set()
    for key in keys:
        flag = _PLURALS.get(key, key)
        if key not in _WITHOUT_FLAG and flags and flag not in flags and key not in _HIDDEN:
            problems.append(f"{path}: dockerd doesn't know the key {key}, so it wouldn't start again; take it out")
        elif flag in given:
            problems.append(f"{path}: {key} is set here and by the flag --{flag}; dockerd wouldn't start again")
    return problems


def remaining(now: Situation, plan: Plan) -> Tuple[str, ...]:
    """dockerd's arguments without those that the plan takes out, and without --config-file, which is given anew."""
    places = [place for setting in now.configuration.settings.values() for place in setting.places]
    files = {path for path in plan.before if path != now.configuration.daemon_json}
    gone = [word.text for place in places if place.file in files and _ours(now, place) for word in place.spans]
    left: List[str] = []
    skip = False
    for word in now.arguments:
        if skip or word.startswith("--config-file"):
            skip = word == "--config-file"
        elif word in gone:
            gone.remove(word)
        else:
            left.append(word)
    return tuple(left)


def _ours(now: Situation, place: Any) -> bool:
    return any(
        setting.option.parameter is not None and place in setting.places
        for setting in now.configuration.settings.values()
    )
