# SPDX-License-Identifier: GPL-3.0-or-later
"""One network and one machine have one name each: what fails just now gives them no other."""

from __future__ import annotations

import builtins
import errno
import os
import socket
from typing import Any, Callable, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import whereabouts

ERRORS = sorted(errno.errorcode)
NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM}


def failing(what: Callable[..., Any], number: int, about: Callable[..., bool]) -> Callable[..., Any]:
    """The same function, but for what it is asked ``about``."""

    def fails(*args: Any, **options: Any) -> Any:
        if about(*args):
            raise OSError(number, os.strerror(number))
        return what(*args, **options)

    return fails


class Socket(socket.socket):
    """A socket whose options can't be had."""

    number = 0

    def getsockopt(self, *_args: Any) -> Any:
        raise OSError(self.number, os.strerror(self.number))


def kinds(name: Callable[[], Any], set_up: Callable[[int], None]) -> List[int]:
    """The errors, of all that there are, with which there is a name all the same."""
    found: List[int] = []
    for number in ERRORS:
        set_up(number)
        try:
            name()
            found.append(number)
        except OSError as error:
            if error.errno != number:
                raise
    return found


def test_only_a_kernel_that_knows_no_cookies_has_a_network_told_by_inodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", Socket)
    assert kinds(whereabouts.here, lambda number: monkeypatch.setattr(Socket, "number", number)) == [errno.ENOPROTOOPT]


def test_only_a_sysfs_that_is_not_there_says_nothing_of_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whereabouts, "_SO_NETNS_COOKIE", 9999)
    stat = os.stat

    def set_up(number: int) -> None:
        monkeypatch.setattr(os, "stat", failing(stat, number, lambda path: path == "/sys/class/net/lo"))

    assert set(kinds(whereabouts.here, set_up)) == NO_FILE


def test_only_a_machine_without_an_id_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its links would have other MAC addresses in that run."""
    really_open = builtins.open

    def set_up(number: int) -> None:
        there = failing(really_open, number, lambda path, *_args: path == "/etc/machine-id")
        monkeypatch.setattr(builtins, "open", there)

    assert set(kinds(whereabouts.machine_id, set_up)) == NO_FILE
