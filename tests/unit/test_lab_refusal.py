# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the lab can't be made: the message names the setting that forbids it and the way with sudo."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.hostwire.linux.plugins.plugin_utils.lab.launch import refusal

PERMITTING = {
    "kernel/unprivileged_userns_clone": "1",
    "kernel/apparmor_restrict_unprivileged_userns": "0",
    "user/max_user_namespaces": "96365",
}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone is 0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns is 1"),
    ],
)
def test_a_setting_for_ordinary_users_is_named_and_sudo_is_a_way(path: str, value: str, said: str) -> None:
    message = refusal(OSError(errno.EPERM, "unshare"), {**PERMITTING, path: value})
    assert said in message
    assert f"sudo sysctl -w {path.replace('/', '.')}={PERMITTING[path]}`" in message
    assert "`sudo make lab`" in message


def test_a_limit_that_holds_for_root_too_can_only_be_raised() -> None:
    message = refusal(OSError(errno.ENOSPC, "unshare"), {**PERMITTING, "user/max_user_namespaces": "0"})
    assert "user.max_user_namespaces is 0" in message
    assert "sudo sysctl -w user.max_user_namespaces=10000" in message
    assert "sudo make lab" not in message


def test_without_a_setting_to_blame_the_kernels_words_are_given() -> None:
    message = refusal(OSError(errno.EPERM, "unshare"), PERMITTING)
    assert "Operation not permitted" in message
    assert "sudo" in message
