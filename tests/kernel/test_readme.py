# SPDX-License-Identifier: GPL-3.0-or-later
"""What the README shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import engine

README = Path(__file__).resolve().parents[2] / "README.md"


def block(language: str) -> str:
    """The first fenced block in that language."""
    found = re.search(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_readmes_document_gives_the_readmes_plan(private_host: Path) -> None:
    [task] = yaml.safe_load(block("yaml"))
    document = task["hostwire.linux.topology"]

    predicted = engine.run(document, check=True)
    done = engine.run(document)
    assert predicted.plan == done.plan == tuple(block("text").splitlines())
    assert all(result.ok for result in done.reachability)
    assert engine.run(document).plan == ()
