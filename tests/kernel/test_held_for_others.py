# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document that is gone holds for one whose record couldn't be used: the last that forwards turns it off."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, state_directory
from ansible_collections.hostwire.linux.plugins.module_utils.apply.disk import Store
from ansible_collections.hostwire.linux.plugins.module_utils.errors import KernelRefused
from ansible_collections.hostwire.linux.plugins.module_utils.rehearsal import run_all
from ansible_collections.hostwire.linux.tests.kernel import world
from ansible_collections.hostwire.linux.tests.kernel.steps import Document, apply

DIRECTORY = Path("/var/lib/hostwire")
MAIN, SECOND = DIRECTORY / "main.state", DIRECTORY / "second.state"
FILES = {4: Path("/proc/sys/net/ipv4/ip_forward"), 6: Path("/proc/sys/net/ipv6/conf/all/forwarding")}
ALONG = "/accept_redirects"  # changes along with forwarding; how it was before is only in the record
BOTH = pytest.mark.parametrize("family", [4, 6])
HELD = "the document 'second' was taken away, and "


def main(family: int, forwards: bool = True) -> Document:
    address, source = {4: ("10.1.0.1/24", "10.1.0.0/24"), 6: ("fd00:1::1/64", "fd00:1::/64")}[family]
    found: Document = {"name": "main", "bridges": [{"name": "sw0", "addresses": [address]}]}
    if forwards:
        found.update(masquerade=[{"source": source}], forwarding={f"ipv{family}": True})
    return found


def second(family: int, **more: Any) -> Document:
    return {"name": "second", "forwarding": {f"ipv{family}": True}, **more}


def absent(name: str) -> Document:
    return {"name": name, "state": "absent"}


def forwards(family: int) -> bool:
    return FILES[family].read_text().strip() == "1"


def image() -> Dict[str, Any]:
    found = world.image()
    found["files"] = {path: text for path, text in found["files"].items() if path.startswith("/etc")}
    return found


def differences(before: Any) -> List[str]:
    return [line for line in world.differences(before, image()) if ALONG not in line]


@pytest.fixture
def bare(private_host: Path) -> Dict[str, Any]:
    """A host on which rules have stood before; its value is an image of it."""
    world.build_surroundings()
    for family in FILES:
        apply(main(family))
        apply(absent("main"))
    return image()


def _unreadable(patch: pytest.MonkeyPatch) -> None:
    def open_file(name: str, directory: Optional[int] = None) -> Optional[int]:
        if name == MAIN.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return good(name, directory)

    good = state_directory.open_file
    patch.setattr(state_directory, "open_file", open_file)


def damage(_patch: Any = None) -> None:
    MAIN.write_text("garbage")


BROKEN: Dict[str, Callable[[pytest.MonkeyPatch], Any]] = {
    "lost": lambda _patch: MAIN.unlink(),
    "damaged": damage,
    "newer": lambda _patch: MAIN.write_text('{"version": 99}'),
    "unreadable": _unreadable,
}


@BOTH
@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("last", ["absent", "drops-forwarding"])
@pytest.mark.parametrize(
    ("main_first", "backwards"),
    [(False, False), (True, False), (False, True)],
    ids=["", "main-comes-first", "main-goes-first"],
)
def test_the_last_guard_does_not_go_without_what_it_guards(
    bare: Dict[str, Any],
    family: int,
    how: str,
    last: str,
    main_first: bool,
    backwards: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    documents = [second(family), main(family)]
    for document in documents[::-1] if main_first else documents:
        apply(document)
    going = [absent("second"), absent("main") if last == "absent" else main(family, forwards=False)]
    with monkeypatch.context() as patch:
        BROKEN[how](patch)
        if not backwards:
            apply(going.pop(0))
            assert forwards(family)
    if how in ("newer", "unreadable"):
        MAIN.rename("/var/lib/away")
    for number, document in enumerate(going[::-1]):
        foretold = engine.run(document, check=True).plan
        assert apply(document).plan == foretold
        assert forwards(family) == (number < len(going) - 1)
    assert apply(absent("other")).warnings == ()
    apply(absent("main"))
    assert differences(bare) == []
    assert os.listdir(DIRECTORY) == ["lock"]


@BOTH
@pytest.mark.parametrize("mended", ["applied-again", "put-back"])
def test_a_document_whose_record_is_mended_takes_over_what_was_held_for_it(
    bare: Dict[str, Any], family: int, mended: str
) -> None:
    apply(second(family))
    apply(main(family))
    kept = MAIN.read_bytes()
    damage()
    apply(absent("second"))
    assert SECOND.exists()
    if mended == "put-back":
        MAIN.write_bytes(kept)
    assert apply(main(family)).plan == ()
    assert not SECOND.exists()
    assert apply(main(family)).plan == ()
    apply(absent("main"))
    assert not forwards(family)
    assert differences(bare) == []


@BOTH
@pytest.mark.parametrize("damaged_again", [False, True], ids=["", "damaged-again"])
def test_a_document_that_stays_holds_no_forwarding_that_it_does_not_want(
    bare: Dict[str, Any], family: int, damaged_again: bool
) -> None:
    switch = [{"name": "sw1", "addresses": ["10.9.0.1/24"]}]
    apply(second(family, bridges=switch))
    apply(main(family))
    damage()
    apply({"name": "second", "bridges": switch})
    assert forwards(family)
    if not damaged_again:
        apply(main(family))
    apply(absent("main"))
    assert not forwards(family)
    apply(absent("second"))
    assert differences(bare) == []
    assert os.listdir(DIRECTORY) == ["lock"]


@BOTH
def test_forwarding_that_a_third_one_wants_stays_and_is_its_own(bare: Dict[str, Any], family: int) -> None:
    apply(second(family))
    apply(main(family))
    damage()
    apply(absent("second"))
    third = {**second(family), "name": "third"}
    apply(third)
    assert not SECOND.exists()
    apply(absent("main"))
    assert forwards(family)
    apply(absent("third"))
    assert not forwards(family)
    assert differences(bare) == []


@BOTH
def test_each_run_says_who_is_gone_and_still_holds_something(bare: Dict[str, Any], family: int) -> None:
    apply(second(family))
    apply(main(family))
    damage()
    apply(absent("second"))
    routes = [{"to": "203.0.113.0/24", "via": "192.168.1.3"}]
    for document in ({"name": "other", "routes": routes}, {"name": "other", "bridges": [{"name": "sw7"}]}):
        for check in (True, False):
            (line,) = (line for line in engine.run(document, check=check).warnings if line.startswith(HELD))
            assert line.startswith(f"{HELD}{SECOND} still holds what is to be put back (host: IPv{family} forwarding)")
            assert "absent second" in line
    MAIN.unlink()
    apply(absent("second"))  # main's own rules say that it forwards
    assert not SECOND.exists()
    assert apply(absent("other")).warnings == ()
    apply(absent("main"))
    assert not forwards(family)


@BOTH
def test_several_documents_at_once_turn_it_off_too(bare: Dict[str, Any], family: int) -> None:
    apply(second(family))
    apply(main(family))
    damage()
    apply(absent("second"))
    run_all([absent("other"), main(family, forwards=False), absent("main")], dad_seconds=0)
    assert not forwards(family)
    assert differences(bare) == []
    assert os.listdir(DIRECTORY) == ["lock"]


@BOTH
def test_where_the_run_fails_the_holder_still_holds_it(
    bare: Dict[str, Any], family: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(second(family))
    apply(main(family))
    damage()
    apply(absent("second"))
    before = {path.name: path.read_bytes() for path in DIRECTORY.glob("*.state")}
    good = Store.release

    def release(self: Store, name: str, keys: Any) -> None:
        good(self, name, keys)
        assert not SECOND.exists()
        raise KernelRefused(f"file {SECOND}: remove", errno.EIO)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "release", release)
        with pytest.raises(KernelRefused):
            apply(absent("main"))
    assert forwards(family)
    assert {path.name: path.read_bytes() for path in DIRECTORY.glob("*.state")} == before
    assert json.loads(SECOND.read_text())["document"] == {"name": "second"}
    apply(absent("main"))
    assert not forwards(family)
