# SPDX-License-Identifier: GPL-3.0-or-later
"""A run counts for nothing until what it made has been read back."""

from __future__ import annotations

import subprocess
from typing import Any, Dict

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import VerificationFailed
from ansible_collections.hostwire.linux.tests.kernel import world

ADDRESS = "10.50.0.1/24"
DOCUMENT: Dict[str, Any] = {
    "namespaces": [{"name": "red"}],
    "bridges": [{"name": "v-net-0", "addresses": [ADDRESS]}],
    "veths": [{"name": "to-red", "bridge": "v-net-0", "peer": {"name": "eth0", "netns": "red"}}],
}


class Somebody:
    """Takes the address away again as soon as it is there, so and so many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, _step: int, _when: str) -> None:
        if self.times and there():
            subprocess.run(["ip", "address", "delete", ADDRESS, "dev", "v-net-0"], check=True)
            self.times -= 1


def there() -> bool:
    shown = subprocess.run(["ip", "address", "show", "dev", "v-net-0"], check=False, capture_output=True, text=True)
    return ADDRESS in shown.stdout


def test_what_was_lost_during_the_run_is_put_back(private_host: object) -> None:
    somebody = Somebody(1)
    engine.run(DOCUMENT, hook=somebody, dad_seconds=0)
    assert (somebody.times, there()) == (0, True)
    assert engine.run(DOCUMENT).plan == ()


def test_what_is_not_so_when_it_is_read_back_fails_and_all_is_taken_back(private_host: object) -> None:
    world.build_surroundings()
    before = world.image()
    with pytest.raises(VerificationFailed) as failed:
        engine.run(DOCUMENT, hook=Somebody(1000), dad_seconds=0)
    assert failed.value.problems == (
        "read back after the changes, this is still to do:",
        f"host: v-net-0: address {ADDRESS}: add",
        "everything was put back as it was",
    )
    assert world.differences(before, world.image()) == []
