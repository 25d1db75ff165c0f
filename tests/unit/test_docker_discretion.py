# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords and tokens in Docker's files: in no result, no diff and no message."""

from __future__ import annotations

import json
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.dockerd import daemon_json, service
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.discretion import discreet, foreign_words, told
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.options import BY_KEY
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.readdress.validation import objections
from ansible_collections.hostwire.linux.tests.unit.test_docker_readdress import planned, situation

OURS = {key for key, option in BY_KEY.items() if option.parameter}
DEFAULTS = """\
# DOCKER_OPTS="--bip=9.9.9.9/24"
export HTTPS_PROXY=http://svc:S3CRET-1@proxy:3128
DOCKER_OPTS="--bip=10.0.0.1/24 --icc=false --log-opt splunk-token=S3CRET-2 --dns 192.0.2.53"
OTHER=--mtu=1400
"""
UNIT = """\
[Unit]
Description=Docker Application Container Engine
Wants=containerd.service
[Service]
Environment="HTTP_PROXY=http://svc:S3CRET-1@proxy:3128" NO_PROXY=S3CRET-3
ExecStart=
ExecStart=/usr/sbin/dockerd --log-opt=splunk-token=S3CRET-2 --ipv6 \\
    --default-address-pool base=10.9.0.0/16,size=24 -H fd://
"""


@pytest.mark.parametrize(
    ("text", "is_json", "options"),
    [
        (None, True, None),
        ("", True, {}),
        ('{"bip": "10.0.0.1/24", "proxies": {"http-proxy": "http://u:S3CRET@p"}}', True, {"bip": "10.0.0.1/24"}),
        ('{"registry-mirrors": ["https://u:S3CRET@m"], "dns": ["192.0.2.1"]}', True, {}),
        (DEFAULTS, False, {"bip": "10.0.0.1/24", "icc": False, "mtu": 1400}),
        (UNIT, False, {"ipv6": True, "default-address-pools": [{"base": "10.9.0.0/16", "size": 24}]}),
    ],
)
def test_of_a_file_our_options_are_told(text: Optional[str], is_json: bool, options: Any) -> None:
    shown = told(text, is_json)
    assert (shown and shown["options"]) == options
    assert "S3CRET" not in json.dumps(shown)
    assert text is None or "kept" in (shown or {})


def test_how_much_is_kept_is_told() -> None:
    assert (told('{"bip": "10.0.0.1/24", "a": 1}', is_json=True) or {})["kept"] == "1 other key"
    assert (told('{"mtu": 1400, "a": 1, "dns": []}', is_json=True) or {})["kept"] == "2 other keys"


@given(st.dictionaries(st.sampled_from([*BY_KEY, "proxies", "log-opts", "x"]), st.just("S3CRET"), max_size=9))
def test_only_our_keys_of_a_daemon_json_are_told(members: dict[str, str]) -> None:
    shown = told(json.dumps(members), is_json=True) or {}
    assert set(shown["options"]) == set(members) & OURS


@pytest.mark.parametrize(
    "said",
    [
        "log-opts: (from flag: map[splunk-token:S3CRET-2], from file: map[splunk-token:S3CRET-4])",
        'Get "https://svc:S3CRET-9@proxy:3128/": connection refused',
        "invalid proxy http://svc:S3CRET-1@proxy:3128",
        "NO_PROXY S3CRET-3.",
    ],
)
def test_what_dockerd_says_is_told_without_them(said: str) -> None:
    content = {"log-opts": {"splunk-token": "S3CRET-4", "tags": ["S3CRET-5"]}, "bip": "10.0.0.1/24"}
    texts = {"/etc/default/docker": DEFAULTS, "/u/x.conf": UNIT, daemon_json.PATH: json.dumps(content)}
    words = foreign_words(texts, daemon_json.PATH)
    assert "S3CRET" not in discreet(said, words)
    assert "10.0.0.1/24" not in words


def test_what_dockerd_says_is_else_told_as_it_is() -> None:
    texts = {
        daemon_json.PATH: '{"data-root": "/srv", "exec-root": "/run/docker", "debug": true, "x": "yes"}',
        "/e": None,
    }
    words = foreign_words(texts, daemon_json.PATH)
    line = 'failed to start daemon: error creating "bridge" network: yes, /run/docker: no such file (10.0.0.1:2375)'
    assert discreet(line, words) == line
    assert foreign_words({daemon_json.PATH: "{broken"}, daemon_json.PATH) == set()


def test_so_is_what_it_has_against_a_new_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "log-opts: (from flag: map[splunk-token:S3CRET-1], from file: map[splunk-token:S3CRET-2])"
    monkeypatch.setattr(service, "validate", lambda _text, _arguments: said)
    text = json.dumps({"log-opts": {"splunk-token": "S3CRET-2"}})
    now = situation(json_text=text, defaults='DOCKER_OPTS="--log-opt splunk-token=S3CRET-1"\n')
    (line,) = objections(now, planned(now, mtu=1400))
    assert "log-opts: (from flag: map[splunk-token:***]" in line
    assert "S3CRET" not in line
