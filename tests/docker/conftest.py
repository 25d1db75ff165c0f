# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests here run on real hosts with real engines: one of each Debian release, booted when the first test needs it.

A test that takes ``machine`` runs once on each release; ``releases("forky")`` as its mark says on which instead. Of the
files that are SAMPLED each test runs on one of them, unless HOSTWIRE_ENGINES is "all". The tests of one release stay in
one process (``pytest -n 3 --dist loadgroup``), which has a test bed of its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.hostwire.linux.tests.docker.machines import ENGINES, Machine, Machines

# What differs little from engine to engine.
SAMPLED = {
    "test_containers.py",
    "test_docker_bridge_faults.py",
    "test_docker_info.py",
    "test_guest_names.py",
    "test_hosts_file.py",
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "releases(*names): the Debian releases to run on")
    config.addinivalue_line("markers", "pairs(pairs): the Debian releases and names (of a case) to run with")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    pairs = metafunc.definition.get_closest_marker("pairs")
    if pairs:
        params = [pytest.param(*pair, marks=pytest.mark.xdist_group(pair[0])) for pair in pairs.args[0]]
        metafunc.parametrize(("machine", "name"), params, indirect=["machine"], scope="session")
    elif "machine" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("releases")
        names = mark.args if mark else tuple(ENGINES)
        if metafunc.definition.path.name in SAMPLED and not mark and os.environ.get("HOSTWIRE_ENGINES") != "all":
            names = (names[zlib.crc32(metafunc.definition.name.encode()) % len(names)],)
        marked = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names]
        metafunc.parametrize("machine", marked, indirect=True, scope="session")


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """The test bed; it goes away with all its hosts, however the tests end."""
    if os.getuid() != 0:
        pytest.skip("only root can start the Docker engine that the test hosts run on")
    directory = Path(tempfile.mkdtemp(prefix="hostwire-docker-"))
    booted = Machines(directory / "bed")
    try:
        yield booted
    finally:
        booted.down()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def machine(machines: Machines, request: pytest.FixtureRequest) -> Machine:
    """A host with Docker, as the test before left it; ``machine.reset()`` makes it as new."""
    return machines.get(request.param)
