# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of the packet filter are whole, or an error; a fault is no empty one."""

from __future__ import annotations

import errno
import os
import re
import struct
from typing import Any, Callable, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils.firewall import nfnetlink, programs

ERRORS = sorted(errno.errorcode)
# A kernel without nftables or without that family, and somebody who may not ask.
NOTHING_THERE = {errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EPERM, errno.EACCES, errno.ENOENT, errno.EINVAL}
INTERRUPTED = 0x10  # NLM_F_DUMP_INTR, linux/netlink.h
OURS = re.compile("HOSTWIRE-.*")


def message(kind: int, body: bytes, flags: int = 0) -> bytes:
    text = struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body
    return text + b"\0" * (-len(text) % 4)


def chain(name: str, flags: int = 0) -> bytes:
    """A chain of the table "filter" for IPv4."""
    attributes = b""
    for number, value in ((1, b"filter\0"), (3, name.encode() + b"\0")):
        attributes += struct.pack("=HH", 4 + len(value), number) + value + b"\0" * (-len(value) % 4)
    return message(0xA03, struct.pack(">BBH", 2, 0, 0) + attributes, flags)


def done(flags: int = 0, status: int = 0) -> bytes:
    return message(3, struct.pack("=i", status), flags)


class Kernel:
    """Answers each question with the next of some listings, the last of them again and again."""

    def __init__(self, *listings: List[bytes]) -> None:
        self.listings = list(listings)
        self.asked = 0
        self._parts: List[bytes] = []

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_exc: object) -> None:
        return

    def send(self, _question: bytes) -> None:
        assert not self._parts, "a listing wasn't heard out"
        self._parts = list(self.listings[min(self.asked, len(self.listings) - 1)])
        self.asked += 1

    def recv(self, _size: int) -> bytes:
        return self._parts.pop(0)


CUT: Any = {
    "said at its beginning": [chain("A", INTERRUPTED), done()],
    "said in its midst": [chain("A") + chain("B", INTERRUPTED) + chain("C"), done()],
    "said at its end": [chain("A"), done(INTERRUPTED)],
    "said in one part": [chain("A") + done(INTERRUPTED)],
    "with nothing in it": [done(INTERRUPTED)],
}


@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize("how", CUT)
def test_a_listing_during_which_something_changed_is_asked_for_again(
    how: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(*[CUT[how]] * times, [chain("A"), chain("HOSTWIRE-F") + done()])
    monkeypatch.setattr(nfnetlink, "_connected", lambda: kernel)
    assert nfnetlink.families_of(OURS) == {"ip"}
    assert kernel.asked == times + 1


@pytest.mark.parametrize("how", CUT)
def test_a_listing_that_never_comes_whole_is_none(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nfnetlink, "_connected", lambda: Kernel(CUT[how]))
    with pytest.raises(InterruptedError):
        nfnetlink.families_of(OURS)


@pytest.mark.parametrize("ends", [message(2, struct.pack("=i", -errno.ENOMEM)), done(status=-errno.ENOMEM)])
def test_a_listing_that_ends_in_an_error_is_none(ends: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nfnetlink, "_connected", lambda: Kernel([chain("A"), ends]))
    with pytest.raises(OSError, match="listing refused"):
        nfnetlink.families_of(OURS)


def refusing(number: int) -> Callable[..., Any]:
    def refuse(*_args: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("number", ERRORS)
def test_only_what_says_that_there_is_nothing_is_taken_for_nothing(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nfnetlink, "_connected", refusing(number))
    silent = programs.Done(0, "", "")
    failure = programs._unread(None, ("nft", 4), ["iptables-save"], silent)
    if number in NOTHING_THERE:
        assert failure is None
    else:
        assert failure is not None
        assert os.strerror(number) in str(failure)
