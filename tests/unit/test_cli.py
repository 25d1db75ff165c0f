# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as a program: what it says of a file that holds no document."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import cli

SAID = [
    ("namespaces: [{name: red}]\nnamespaces: [{name: blue}]\n",
     'the key "namespaces" is there twice, again in line 2; put both into one'),
    ("bridges:\n  - {name: v-net-0, mtu: 1400, mtu: 1500}\n",
     'the key "mtu" is there twice, again in line 2; put both into one'),
    ('{"namespaces": [{"name": "red"}], "namespaces": []}', 'the key "namespaces" is there twice; put both into one'),
    ("namespaces: [{name: red\n",
     "neither JSON nor YAML: line 2, column 1: expected ',' or '}', but got '<stream end>'"),
    ("namespaces:\n\t- name: red\n",
     "neither JSON nor YAML: line 2, column 1: found character '\\t' that cannot start any token"),
    ("name: 2026-13-01\n", "neither JSON nor YAML: month must be in 1..12"),
    ('{"bridges": ' + "[" * 100000, "lists and mappings are nested too deeply"),
    ("bridges: " + "[" * 5000, "lists and mappings are nested too deeply"),
]  # fmt: skip


def refusal(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said on standard error about a file, without the file's name."""
    state = path.parent / "state"
    assert cli.main(["--state-dir", str(state), "apply", "--check", str(path)]) == 1
    assert not state.exists()
    said = capsys.readouterr()
    assert said.out == ""
    before = f"hostwire: {path}: "
    assert said.err.startswith(before)
    return said.err[len(before) :]


@pytest.mark.parametrize(("text", "said"), SAID, ids=range(len(SAID)))
def test_one_sentence_says_what_is_wrong_with_a_file(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "document.yml"
    file.write_text(text)
    assert refusal(file, capsys) == said + "\n"


def test_a_file_that_is_not_there_and_one_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(tmp_path / "nowhere.yml", capsys) == "can't be read: No such file or directory\n"
    assert refusal(tmp_path, capsys) == "can't be read: Is a directory\n"
    file = tmp_path / "document.yml"
    file.write_bytes(b"\xff\xfe")
    assert refusal(file, capsys).startswith("can't be read: 'utf-8' codec can't decode byte 0xff")


def test_merged_keys_and_aliases_are_no_keys_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "document.yml"
    file.write_text("namespaces: &all\n  - &red {name: red}\n  - {<<: *red, name: blue}\nbridges: *all\nnamspace: 1\n")
    assert cli.main(["--state-dir", str(tmp_path / "state"), "apply", "--check", str(file)]) == 1
    assert "namspace: unknown key" in capsys.readouterr().err


def test_what_is_merged_in_is_not_there_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "bridges: [&x {nme: b0, mtu: 1400}, {<<: *x, mtu: 1500}, {inner: {<<: [*x, {mtu: 1}]}}]\n"
    (tmp_path / "d.yml").write_text(text)
    cli.main(["--state-dir", str(tmp_path / "state"), "apply", str(tmp_path / "d.yml"), "--check"])
    told = capsys.readouterr().err
    assert "bridges[1].nme: unknown key" in told
    assert "twice" not in told


# What makes PyYAML raise something of Python's own, and words of which some are said.
TAGGED = {
    "name: !!timestamp x\n": "a tag",
    'name: !!int ""\n': "a tag",
    'name: !!float ""\n': "a tag",
    "name: !!bool abc\n": "a tag",
    "name: !!int abc\n": "invalid literal",
    "name: !!float abc\n": "could not convert",
    "? !!bool abc\n: 1\n": "a tag",
    "!!bool abc": "a tag",
}


@pytest.mark.parametrize("text", TAGGED)
def test_a_tag_before_what_is_no_such_value_is_said(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "document.yml"
    file.write_text(text)
    said = refusal(file, capsys)
    assert said.startswith("neither JSON nor YAML: ")
    assert TAGGED[text] in said
    assert said.count("\n") == 1


ODD = [
    "!!set {a}", "name: !!binary aGk=\n", "name: !!set {a}\n", "name: 2020-01-01\n", "bridges: !!omap [a: 1]\n",
    "1: 2\n", "null: 1\n", "2020-01-01: 1\n", "&a [*a]", "bridges: &a [*a]\n", "bridges: [&b {name: *b}]\n", "a",
    "", "- a\n", ".nan: 1\n", "name: .inf\n", "bridges: [{name: b, mtu: .nan}]\n", "? !!binary aGk=\n: 1\n",
    "!!pairs [a: 1]", "name: &n {n: *n}\n",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_values_that_only_yaml_has_are_refused_in_words(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "d.yml").write_text(text)
    assert cli.main(["--state-dir", str(tmp_path / "state"), "apply", "--check", str(tmp_path / "d.yml")]) == 1
    said = capsys.readouterr().err
    assert "mistake in hostwire.linux" not in said
    assert said.startswith("hostwire: ")


def test_a_mistake_of_ours_is_a_line_and_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise LookupError("odd\nwords")

    for name, words in (("info", ["info"]), ("run", ["absent", "main"]), ("run", ["absent", "main", "--check"])):
        with monkeypatch.context() as patch:
            patch.setattr(cli, name, fail)
            assert cli.main(["--state-dir", str(tmp_path), *words]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(
            "hostwire: This is a mistake in hostwire.linux, not in your document: LookupError: odd"
        )
        assert said.err.count("\n") == 1


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.EMFILE])
def test_what_can_not_be_read_for_info_is_said(
    number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", fail)
    assert cli.main(["--state-dir", str(tmp_path), "info"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"hostwire: reading what is there: the kernel refused: {os.strerror(number)}")
    assert said.err.count("\n") == 1
