# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces that aren't ours: a run that takes all of a document away looks into each once, as far as it can."""

from __future__ import annotations

import errno
import os
from typing import List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import netns as namespaces
from ansible_collections.hostwire.linux.plugins.module_utils import observe
from ansible_collections.hostwire.linux.tests.kernel import lan
from ansible_collections.hostwire.linux.tests.kernel.steps import NOTHING, Document, apply

pytestmark = pytest.mark.usefixtures("private_host")

DOCUMENT: Document = {"namespaces": [{"name": "g"}], "bridges": [{"name": "sw0"}]}


def looks(monkeypatch: pytest.MonkeyPatch, others: int) -> List[int]:
    """How often the namespaces are listed, and how many are read, while a document goes beside so many others'."""
    lan.batch("\n".join(f"netns add x{number}" for number in range(others)))
    apply(DOCUMENT)
    listed, read = [0], [0]
    inodes, view = namespaces.inodes, observe._view

    def counted() -> object:
        listed[0] += 1
        return inodes()

    def counted_view(*args: object) -> object:
        read[0] += 1
        return view(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(namespaces, "inodes", counted)
        patch.setattr(observe, "_view", counted_view)
        assert len(apply(NOTHING).plan) == 2
    lan.batch("\n".join(f"netns del x{number}" for number in range(others)))
    return [listed[0], read[0]]


def test_each_of_many_costs_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = looks(monkeypatch, 2), looks(monkeypatch, 12)
    assert many[0] == few[0]
    assert many[1] == few[1] + 10


def test_one_that_cannot_be_entered_keeps_nobody_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lan.batch("netns add x0\nnetns add x1")
    apply(DOCUMENT)
    enter = namespaces.Tour.enter
    refused: List[str] = []

    def guarded(tour: namespaces.Tour, netns: Optional[str]) -> None:
        if netns == "x0":
            refused.append(netns)
            raise namespaces.NotEntered("namespace x0", PermissionError(errno.EPERM, os.strerror(errno.EPERM)))
        enter(tour, netns)

    monkeypatch.setattr(namespaces.Tour, "enter", guarded)
    assert len(apply(NOTHING).plan) == 2
    assert refused
    assert apply(NOTHING).plan == ()
