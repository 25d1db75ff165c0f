# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as a program: what a file says twice is no way to lose the first of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import cli

TWICE = {
    "bridges: [{name: br0}]\nbridges: [{name: br1}]\n": "bridges",
    "bridges: [{name: br0, mtu: 1500, mtu: 1400}]\n": "mtu",
    '{"bridges": [{"name": "br0"}], "bridges": []}': "bridges",
    "namespaces: [{name: g, hosts: {a: 10.0.0.1, a: 10.0.0.2}}]\n": "a",
}


@pytest.mark.parametrize("text", TWICE)
def test_a_key_that_is_there_twice_is_an_error(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d.yml").write_text(text)
    assert cli.main(["--state-dir", str(tmp_path / "state"), "apply", str(tmp_path / "d.yml"), "--check"]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err) == (
        "",
        f"hostwire: {tmp_path}/d.yml: {TWICE[text]}: is there twice in the same mapping; make the two one\n",
    )


def test_what_is_merged_in_is_not_there_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "bridges: [&x {nme: b0, mtu: 1400}, {<<: *x, mtu: 1500}, {inner: {<<: [*x, {mtu: 1}]}}]\n"
    (tmp_path / "d.yml").write_text(text)
    cli.main(["--state-dir", str(tmp_path / "state"), "apply", str(tmp_path / "d.yml"), "--check"])
    told = capsys.readouterr().err
    assert "bridges[1].nme: unknown key" in told
    assert "twice" not in told
