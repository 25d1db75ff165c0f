# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers after a restart of dockerd: those that ran run again, those that were stopped stay stopped."""

from __future__ import annotations

import time
from typing import Dict, List, Mapping, Sequence

from ...docker_api import Api, NotFound
from ...errors import HostwireError, VerificationFailed
from ..discretion import discreet
from ..facts import read_container

_INTERVAL = 0.1  # seconds between two looks
_START_SECONDS = 60.0
_BY_ENGINE = ("always", "unless-stopped")
_AFTER_FAILURE = ("always", "on-failure")
_GRACE = 10.0  # seconds that Docker has to start those with a policy before we do


def start_again(
    api: Api, ran: Sequence[str], names: Mapping[str, str], seconds: float, by_units: bool = False
) -> Dict[str, str]:
    """Start again those that ran, by id and in this order; Docker's own are awaited.

    ``by_units``: units stopped and started with Docker, which may make their containers anew. Returns the new ids of
    those, by the old ones. Raises VerificationFailed that names each one that doesn't come back, and why.
    """
    problems: List[str] = []
    anew: Dict[str, str] = {}
    deadline = time.monotonic() + seconds
    for name in ran:
        try:
            until = min(deadline, time.monotonic() + _GRACE)
            try:
                _start(api, name, until)
            except NotFound:
                if not by_units:
                    raise
                anew[name] = _made_anew(api, names.get(name, name), until)
        except HostwireError as error:
            problems.append(f"container {names.get(name, name)}: ran, and doesn't come back: {discreet(str(error))}")
    if problems:
        raise VerificationFailed(problems)
    return anew


def _made_anew(api: Api, name: str, deadline: float) -> str:
    """The id of the container that has this name by now, once it runs. Raises NotFound where there is none in time."""
    while True:
        try:
            found = read_container(api, name)
            if found.running or time.monotonic() > deadline:
                return found.id
        except NotFound:
            if time.monotonic() > deadline:
                raise
        time.sleep(_INTERVAL)


def _start(api: Api, name: str, deadline: float) -> None:
    """Start one, unless Docker does it within the time."""
    while True:
        found = read_container(api, name)
        if found.running or found.status == "restarting":
            return
        if found.policy not in _BY_ENGINE or time.monotonic() > deadline:
            break
        time.sleep(_INTERVAL)
    api.post(f"/containers/{name}/start", timeout=_START_SECONDS)


def stop_again(api: Api, resting: Sequence[str], stopped: Sequence[str]) -> None:
    """Stop those of ``stopped``, which didn't run before, that Docker started by their policy with its own start.

    It does that with the ``resting`` for sure, maybe a while after it serves: those are awaited for a moment.
    """
    deadline = time.monotonic() + _GRACE
    waiting = dict.fromkeys(resting)
    while True:
        for entry in api.get("/containers/json"):
            name = str(entry["Id"])
            if name in stopped and (name in waiting or read_container(api, name).policy in _AFTER_FAILURE):
                waiting.pop(name, None)
                api.post(f"/containers/{name}/stop", timeout=_START_SECONDS)
        if not waiting or time.monotonic() > deadline:
            return
        time.sleep(_INTERVAL)
