# SPDX-License-Identifier: GPL-3.0-or-later
"""What docker_bridge and guest_names have written down, and the journals of jobs, may be of any shape, too."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.apply import jobs, journals
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress import memory
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict
from ansible_collections.hostwire.linux.plugins.module_utils.guest_names import places as guest_places
from ansible_collections.hostwire.linux.plugins.module_utils.guest_names.places import Place
from ansible_collections.hostwire.linux.plugins.module_utils.plan.actions import ChainsEdit, Deed, FileEdit, Step
from ansible_collections.hostwire.linux.tests.unit.test_records import OTHERS, exchanged, places

ORIGIN = memory.Origin({"/etc/docker/daemon.json": "{}"}, ("172.17.0.1/16",), "", {}, {"bip": "172.17.0.1/16"})

EDIT = FileEdit(None, "/etc/hosts", "before\n", "after\n", "/etc/hosts", mounted=False, private=False, uid=0)
CHAINS = ChainsEdit(None, "nft", 4, (("nat", "DOCKER", None),), (("nat", "DOCKER", ("-A DOCKER -j RETURN",)),))
STOP = Step(0, Deed(None, "Stop", ("systemd", True, "1 2 3")), (Deed(None, "Start", ("systemd", None, ("a",))),), 0)
JOB = journals.Job(
    "hosts.1", "hosts file /etc/hosts", ("a",), (jobs.step(EDIT), jobs.step(CHAINS), STOP), {"ran": {"w": "web"}}
)


def names_of(directory: Path) -> Any:
    return guest_places.left_over([], "names", str(directory))


READERS = pytest.mark.parametrize(
    ("file", "read"),
    [
        ("docker/origin.json", lambda directory: memory.Store(str(directory / "docker")).origin()),
        ("names.names", names_of),
        ("hosts.1.steps", lambda directory: journals.Journals(str(directory)).unfinished("hosts.1", ())),
    ],
    ids=["origin", "names", "steps"],
)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    store = memory.Store(str(tmp_path / "docker"))
    with store.locked(write=True):
        path, before, text = store.texts(ORIGIN)
        assert before is None
        Path(path).write_text(text)
        Path(path).chmod(0o600)
        noted = guest_places.noted([Place("/a/hosts", "hosts", "web: /etc/hosts", mounted=True)])
        assert noted is not None
        names = tmp_path / "names.names"
        names.write_bytes(noted)
        names.chmod(0o600)
        journals.Journals(str(tmp_path)).write(JOB, journals.DOING)
    return tmp_path


@READERS
def test_cut_off_after_any_byte_it_is_said(written: Path, file: str, read: Callable[[Path], Any]) -> None:
    path = written / file
    whole = path.read_bytes()
    read(written)
    for length in range(len(whole.rstrip())):
        path.write_bytes(whole[:length])
        with pytest.raises(Conflict, match=f"^{path} is .*, then run this again$"):
            read(written)


@READERS
@pytest.mark.parametrize("other", OTHERS, ids=map(repr, OTHERS))
def test_with_any_value_of_another_kind_it_is_used_or_said(
    written: Path, file: str, read: Callable[[Path], Any], other: Any
) -> None:
    path = written / file
    whole = json.loads(path.read_text())
    for place in places(whole):
        path.write_text(json.dumps(exchanged(whole, place, other)))
        said = f"{path} "
        with contextlib.suppress(Conflict):
            read(written)
            said = ""
        if said:
            with pytest.raises(Conflict, match=f"^{said}"):
                read(written)


@READERS
def test_another_versions_is_left_to_it(written: Path, file: str, read: Callable[[Path], Any]) -> None:
    path = written / file
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "format": 99, "version": 99}))
    with pytest.raises(Conflict, match=f"^{path} was written by another version of the collection"):
        read(written)
