# SPDX-License-Identifier: GPL-3.0-or-later
"""A block in any hosts file: what stands outside it is never touched, and a name never gets two addresses."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils import files
from ansible_collections.hostwire.linux.plugins.module_utils.errors import (
    Conflict,
    HostwireError,
    InvalidValue,
    MissingOnHost,
)
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file.run import Outcome, run, shown
from ansible_collections.hostwire.linux.plugins.module_utils.hosts_file.text import joined, split
from ansible_collections.hostwire.linux.plugins.module_utils.spot import LIMIT

ENTRIES = [
    {"address": "10.0.2.12", "names": ["localdb.example.com", "localdb"]},
    {"address": "fd00:2::12", "names": ["localdb"]},
    {"address": "10.0.2.4", "names": ["proxy"]},
]
BLOCK = ["10.0.2.4 proxy", "10.0.2.12 localdb.example.com localdb", "fd00:2::12 localdb"]
ENDS = st.sampled_from([b"\n", b"\r\n", b"\n", b"\r\n", b"\r\r\n"])
WORDS = st.sampled_from(
    [
        b"127.0.0.1 localhost",
        b"# caf\xe9 \xff",
        "# caf\u00e9 \u4e2d".encode(),
        b"",
        b"\t10.9.9.9\tprinter # upstairs",
        b"nonsense",
        b"::1 localhost",
        b"127.0.1.1 here",
        b"10.9.9.9 printer",
        b" # hostwire",
        b"fe80::1%eth0 neighbour",
        b"\x00\x01",
    ]
)
LINES = st.lists(st.tuples(WORDS, ENDS).map(b"".join), max_size=30)


@st.composite
def hosts_files(draw: st.DrawFn) -> bytes:
    """Files as people have them: odd bytes, a byte order mark, UTF-16, Windows' line ends or both, no last newline."""
    content = b"".join(draw(LINES)) * draw(st.sampled_from([1, 1, 1, 1, 400]))
    content += draw(st.sampled_from([b"", b"", b"10.8.8.8 last", b"# no end"]))
    kind = draw(st.sampled_from(["", "", "utf-8-sig", "utf-16-le", "utf-16-be"]))
    if kind == "utf-8-sig":
        return b"\xef\xbb\xbf" + content
    if kind:
        return {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}[kind] + content.decode("latin-1").encode(kind)
    return content


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@example(content=b"10.9.9.9 printer\r\n# caf\xe9\n10.9.9.9 printer\n" * 4000 + b"10.8.8.8 last", owner="guests")
@given(content=hosts_files(), owner=st.sampled_from(["tasks", "guests"]))
def test_any_file_comes_back_byte_for_byte(content: bytes, owner: str) -> None:
    with_block = joined(split(content, owner, "f"), owner, BLOCK)
    assert with_block is not None
    again = split(with_block, owner, "f")
    assert again.block == tuple(BLOCK)
    assert joined(again, owner, BLOCK) == with_block
    shorter = joined(again, owner, BLOCK[:1])
    assert shorter is not None
    assert joined(split(shorter, owner, "f"), owner, None) == content

    other = joined(split(with_block, "another", "f"), "another", BLOCK[1:])
    assert other is not None
    left = joined(split(other, owner, "f"), owner, None)
    assert left is not None
    gone = joined(split(left, "another", "f"), "another", None)
    assert gone is not None
    ended = content if not again.remembered else content + again.newline.encode(again.encoding.codec)
    assert gone in (content, ended)  # a newline that another block's first line needed stays


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=hosts_files())
def test_all_around_the_block_stays_where_it_is(content: bytes) -> None:
    with_block = joined(split(content, "tasks", "f"), "tasks", BLOCK)
    assert with_block is not None
    assert with_block.startswith(content)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1 localhost\r\n127.0.1.1 here\r\n\r\n10.0.2.99 printer # upstairs\r\n")
    path.chmod(0o640)
    return path


def edit(path: Path, *entries: dict[str, Any], **options: Any) -> Outcome:
    return run(str(path), "tasks", entries, state_dir=str(path.parent / "state"), **options)


def test_windows_line_ends_and_the_mode_stay(file: Path) -> None:
    before = file.read_bytes()
    predicted = edit(file, *ENTRIES, check=True)
    assert file.read_bytes() == before
    assert not (file.parent / "state").exists()
    done = edit(file, *ENTRIES)
    assert done.plan == predicted.plan == tuple(f"{file}: add {line}" for line in BLOCK)
    block = ["# hostwire begin tasks", *BLOCK, "# hostwire end tasks", ""]
    assert file.read_bytes() == before + "\r\n".join(block).encode()
    assert file.stat().st_mode & 0o777 == 0o640
    assert edit(file, *ENTRIES[::-1]).plan == ()
    assert edit(file, *ENTRIES[1:]).plan == (f"{file}: remove {BLOCK[1]}",)
    assert len(edit(file, present=False).plan) == 2
    assert file.read_bytes() == before


def test_a_file_made_for_the_block_knows_localhost_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    edit(path, *ENTRIES)
    lines = path.read_text().splitlines()
    assert lines[1:3] == ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    assert edit(path, *ENTRIES).plan == ()
    edit(path, present=False)
    assert not path.exists()


def refusal(kind: type[HostwireError], path: Path, *entries: Any) -> str:
    """What is said against it; nothing was changed."""
    before = path.read_bytes()
    with pytest.raises(kind) as raised:
        edit(path, *entries)
    assert path.read_bytes() == before
    return str(raised.value)


def test_a_name_with_another_address_is_a_conflict_that_names_both_lines(file: Path) -> None:
    said = refusal(Conflict, file, {"address": "10.0.2.7", "names": ["Printer"]})
    assert said == (
        f'{file}: "Printer" is to be 10.0.2.7 (line "10.0.2.7 Printer"), but line 4, which isn\'t ours, says 10.0.2.99;'
        " change or delete one of the two"
    )
    edit(file, {"address": "10.0.2.99", "names": ["printer"]}, {"address": "fd00::99", "names": ["printer"]})


@pytest.mark.parametrize("blank", ["\u00e0", "\u0085x", "\u3000", "\u00a0"])
def test_a_letter_with_a_byte_that_elsewhere_is_a_blank_ends_no_name(file: Path, blank: str) -> None:
    file.write_text(f"10.9.9.9 a{blank}localdb\n", encoding="utf-8")
    assert edit(file, *ENTRIES, check=True).plan
    file.write_bytes(b"10.9.9.9\v\tlocaldb\f\n")
    with pytest.raises(Conflict):
        edit(file, *ENTRIES, check=True)


def test_the_hosts_own_name_on_a_loopback_line_is_no_conflict(file: Path) -> None:
    edit(file, {"address": "10.0.2.1", "names": ["here"]})
    assert b"127.0.1.1 here\r\n" in file.read_bytes()


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"address": "10.0.2.1/24", "names": ["a"]}, "entries[1].address: 10.0.2.1/24 has a prefix length"),
        ({"address": "10.0.2", "names": ["a"]}, 'entries[1].address: "10.0.2" is no IPv4 or IPv6 address'),
        (
            {"address": "fe80::1%eth0\n10.6.6.6 bank", "names": ["a"]},
            "entries[1].address: 'fe80::1%eth0\\n10.6.6.6 bank'",
        ),
        ({"address": "10.0.2.1", "names": []}, "entries[1].names: has to be a list of at least one name"),
        ({"address": "10.0.2.1", "names": ["a b"]}, 'entries[1].names[0]: "a b" is no host name'),
        ({"address": "10.0.2.1", "names": ["b\u00fcro"]}, "write it as punycode"),
        ({"address": "10.0.2.1", "names": ["localhost"]}, '"localhost" is this host itself'),
        ({"address": "10.0.2.1", "names": ["LocalDB"]}, '"LocalDB" is 10.0.2.1 here and 10.0.2.12 in entries[0].names'),
        ({"address": "10.0.2.1", "nmaes": ["a"]}, 'entries[1].nmaes: unknown key; did you mean "names"?'),
        ("10.0.2.1 a", "entries[1]: has to be a mapping with address and names"),
    ],
)
def test_what_is_wrong_is_said_of_its_field(file: Path, entry: Any, problem: str) -> None:
    assert problem in refusal(InvalidValue, file, ENTRIES[0], entry)


@pytest.mark.parametrize("owner", ["", "our names", "x\n10.0.0.66 bank", "n" * 33])
def test_a_mark_that_the_next_run_would_not_find_is_refused(file: Path, owner: str) -> None:
    before = file.read_bytes()
    with pytest.raises(InvalidValue, match=r"^owner: "):
        run(str(file), owner, ENTRIES, state_dir=str(file.parent / "state"))
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        b"# hostwire end tasks\n",
        b"# hostwire begin tasks\n10.1.1.1 a\n",
        b"# hostwire begin tasks\n# hostwire begin tasks\n# hostwire end tasks\n",
    ],
)
def test_a_damaged_block_is_left_to_its_owner(file: Path, damage: bytes) -> None:
    file.write_bytes(damage)
    assert "are damaged (line" in refusal(Conflict, file, *ENTRIES)


def test_a_symbolic_link_is_refused(file: Path) -> None:
    link = file.parent / "link"
    link.symlink_to(file)
    assert f"is a symbolic link to {file}; say that path" in refusal(InvalidValue, link, *ENTRIES)


def test_where_there_is_no_directory_nothing_is_to_be_taken_away(tmp_path: Path) -> None:
    path, state = tmp_path / "drivers" / "hosts", str(tmp_path / "state")
    assert run(str(path), "tasks", (), present=False, state_dir=state).plan == ()
    with pytest.raises(MissingOnHost, match=f"there is no directory {path.parent}"):
        run(str(path), "tasks", ENTRIES, state_dir=state)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidValue, match="is a device, a pipe or a socket, not a file"):
        edit(tmp_path / "pipe", *ENTRIES)


def test_half_a_character_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfea")
    assert "it begins as utf-16-le but isn't" in refusal(InvalidValue, file, *ENTRIES)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32"])
def test_text_that_would_not_be_found_again_is_refused(file: Path, encoding: str) -> None:
    file.write_bytes("127.0.0.1 localhost\r\n".encode(encoding))
    assert "holds NUL characters, as UTF-16 without a byte order mark does" in refusal(InvalidValue, file, *ENTRIES)
    assert edit(file, present=False).plan == ()


def test_a_file_of_any_size_is_not_read(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(LIMIT + 1)  # a hole: it takes no room
    with pytest.raises(InvalidValue, match=f"path: {file} is larger than 16 MiB"):
        edit(file, *ENTRIES)
    assert file.stat().st_size == LIMIT + 1


def test_what_others_wrote_into_the_file_doesnt_steer_the_terminal(file: Path) -> None:
    block = "# hostwire begin tasks\n10.0.0.1 a\x1b[2Jb\n# hostwire end tasks\n"
    file.write_bytes(b"127.0.0.1 localhost\t# \x1b]0;title\x07\n" + block.encode())
    done = edit(file, *ENTRIES)
    assert done.plan[0] == f"{file}: remove 10.0.0.1 a\\x1b[2Jb"
    told = shown(done.content_before)
    assert told.splitlines()[0] == "127.0.0.1 localhost\t# \\x1b]0;title\\x07"
    assert b"\x1b]0;title\x07" in file.read_bytes()


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("# Your system has configured 'manage_etc_hosts' as True.\n", "cloud-init"),
        ("# [network]\r\n# generateHosts = false\r\n", "WSL"),
        ("10.0.0.9 manage_etc_hosts\n", ""),
        ("", ""),
    ],
)
def test_a_file_that_says_it_is_made_anew_is_warned_of(file: Path, said: str, names: str) -> None:
    file.write_bytes(said.encode() + b"127.0.0.1 localhost\n")
    warnings = edit(file, *ENTRIES).warnings
    assert len(warnings) == bool(names)
    assert all(names in warning for warning in warnings)
    assert edit(file, *ENTRIES).warnings == []
    assert edit(file, present=False).warnings == []


@pytest.mark.parametrize("call", ["fsync", "rename", "write"])
def test_a_kill_in_mid_write_never_tears_it(file: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    before = file.read_bytes()
    edit(file, *ENTRIES)
    after = file.read_bytes()
    file.write_bytes(before)
    child = os.fork()
    if child == 0:
        if call == "write":
            monkeypatch.setattr(files.os, "fchmod", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        else:
            monkeypatch.setattr(files.os, call, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        try:
            edit(file, *ENTRIES)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert file.read_bytes() == before
    edit(file, *ENTRIES)
    assert file.read_bytes() == after
    assert sorted(path.name for path in file.parent.iterdir()) == ["hosts", "state"]
