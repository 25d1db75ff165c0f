# SPDX-License-Identifier: GPL-3.0-or-later
"""Where dockerd's options stand, and taking them out or putting them in with every other byte left as it was."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.hostwire.linux.plugins.module_utils.dockerd import (
    configuration,
    daemon_json,
    service,
    units,
    variables,
)
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.arguments import read_arguments
from ansible_collections.hostwire.linux.plugins.module_utils.dockerd.daemon_json import DELETE, merge, parse
from ansible_collections.hostwire.linux.plugins.module_utils.errors import InvalidValue

DEBIAN_UNIT = """\
[Unit]
Description=Docker Application Container Engine
[Service]
Type=notify
EnvironmentFile=-/etc/default/docker
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS
"""


def test_a_value_is_replaced_in_its_place() -> None:
    text = '{\r\n\t"debug" : true,\r\n\t"bip":"172.30.0.1/24" ,\r\n\t"labels": ["a",  "b"]\r\n}'
    assert merge(text, {"bip": "10.0.0.1/24"}) == text.replace("172.30.0.1/24", "10.0.0.1/24")


def test_a_new_key_is_written_as_the_others_are() -> None:
    assert merge('{\n    "debug": true\n}\n', {"mtu": 1400}) == '{\n    "debug": true,\n    "mtu": 1400\n}\n'
    assert merge('{"debug":true}', {"mtu": 1400}) == '{"debug":true, "mtu":1400}'
    assert merge(None, {"bip": "10.0.0.1/24"}) == '{\n  "bip": "10.0.0.1/24"\n}\n'
    assert merge("", {"bip": "10.0.0.1/24"}) == '{\n  "bip": "10.0.0.1/24"\n}\n'


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{\n  "bip": "1.2.3.4/24"\n}\n', "{}\n"),
        ('{\n  "bip": "1.2.3.4/24",\n  "debug": true\n}\n', '{\n  "debug": true\n}\n'),
        ('{\n  "debug": true,\n  "bip": "1.2.3.4/24"\n}\n', '{\n  "debug": true\n}\n'),
        ('{"a": {"bip": 1}, "bip": 2, "b": 3}', '{"a": {"bip": 1}, "b": 3}'),
        ('{"bip": 1, "a": 0, "bip": 2}', '{"a": 0}'),
        ('{"a": 0}', '{"a": 0}'),
    ],
)
def test_a_key_goes_with_its_comma(text: str, left: str) -> None:
    assert merge(text, {"bip": DELETE}) == left


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{\n  "debug": true\n  "bip": "1.2.3.4/24"\n}\n',
            "line 3: broken JSON: a comma or } is missing (at",
        ),
        ('{\n  "debug": treu\n}\n', "line 2: broken JSON: Expecting value (at character 12)"),
        ('{\n  // comment\n  "debug": true\n}\n', "line 2: broken JSON"),
        ('{"debug": true,}', "line 1"),
        ('{"debug": true', "line 1"),
        ('{"mtu": NaN}', "NaN is not JSON"),
        ("[]", "dockerd wants an object"),
        ("{} {}", "behind the closing"),
        ('{"a":' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_of_broken_json_the_place_is_named(text: str, said: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse(text)
    assert "/etc/docker/daemon.json" in str(caught.value)
    assert said in str(caught.value)


def said_of(text: str) -> str:
    """What parse() has against a text, "" if nothing."""
    try:
        parse(text)
    except InvalidValue as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("more", ["", "?", '"', "{", ","])
def test_no_word_of_a_broken_file_is_quoted(more: str) -> None:
    text = '{"log-opts": {"splunk-token": "S3CRET-1"},\n "proxies": {"http-proxy": "http://svc:S3CRET-2@proxy:3128"}}'
    said = [said_of(text[:position] + more + text[position:] * bool(more)) for position in range(len(text))]
    assert sum(map(bool, said)) > 20
    assert not [line for line in said for word in ("S3CRET", "splunk", "svc") if word in line]


def test_duplicate_keys_are_noticed() -> None:
    assert parse('{"bip": 1, "a": 2, "bip": 3}').duplicates == ("bip",)
    assert merge('{"bip": 1, "a": 2, "bip": 3}', {"bip": 4}) == '{"a": 2, "bip": 4}'


KEYS = st.sampled_from(["bip", "mtu", "icc", "debug", "log-opts", 'ß"\\', "ä", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
BLANK = st.text(alphabet=" \t\r\n", max_size=3)


@st.composite
def daemon_json_texts(draw: st.DrawFn) -> str:
    members = draw(st.dictionaries(KEYS, VALUES, max_size=5))
    written = [
        draw(BLANK) + json.dumps(key) + draw(BLANK) + ":" + draw(BLANK) + json.dumps(value, indent=1) + draw(BLANK)
        for key, value in members.items()
    ]
    return draw(BLANK) + "{" + (",".join(written) or draw(BLANK)) + "}" + draw(BLANK)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(daemon_json_texts(), st.dictionaries(KEYS, VALUES | st.just(DELETE), max_size=4))
def test_a_merge_parses_to_what_was_asked_for(text: str, changes: Dict[str, Any]) -> None:
    expected = {**json.loads(text), **changes}
    expected = {key: value for key, value in expected.items() if value is not DELETE}
    assert json.loads(merge(text, changes)) == expected


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(daemon_json_texts(), st.dictionaries(KEYS, VALUES | st.just(DELETE), max_size=4))
def test_a_merge_keeps_every_byte_of_foreign_members(text: str, changes: Dict[str, Any]) -> None:
    def members(text: str) -> List[str]:
        return [text[member.start : member.end] for member in parse(text).members if member.key not in changes]

    assert members(merge(text, changes)) == members(text)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(daemon_json_texts(), st.dictionaries(KEYS, VALUES, max_size=3))
def test_a_merge_of_what_is_there_changes_nothing(text: str, changes: Dict[str, Any]) -> None:
    once = merge(text, changes)
    assert merge(once, changes) == once
    assert merge(text, {}) == text or not text.strip()


def test_arguments_in_every_spelling() -> None:
    words = ["-H", "fd://", "--bip=10.0.0.1/24", "--mtu", "1400", "--icc=false", "--ipv6", "-Htcp://::1", "--debug"]
    words += ["--default-address-pool", "base=10.9.0.0/16,size=24", "--storage-driver", "overlay2", "--", "--bip=1"]
    found = [(entry.option.key, entry.value, entry.first, entry.last) for entry in read_arguments(words)]
    assert found == [
        ("hosts", "fd://", 0, 1),
        ("bip", "10.0.0.1/24", 2, 2),
        ("mtu", 1400, 3, 4),
        ("icc", False, 5, 5),
        ("ipv6", True, 6, 6),
        ("hosts", "tcp://::1", 7, 7),
        ("default-address-pools", {"base": "10.9.0.0/16", "size": 24}, 9, 10),
    ]


def test_assignments_of_a_shell_file() -> None:
    text = "# DOCKER_OPTS=\"--bip=9.9.9.9/24\"\nexport DOCKER_OPTS='--icc=false'\n"
    text += 'DOCKER_OPTS="$DOCKER_OPTS \\\n --mtu 1"\n'
    words = variables.values(variables.assignments(text))["DOCKER_OPTS"]
    assert [word.text for word in words] == ["--icc=false", "--mtu", "1"]
    assert [word.line for word in words] == [2, 4, 4]
    assert variables.cut(text, words[1:]) == text.replace("--mtu 1", "")
    assert variables.cut(text, words[:1]) == text.replace("--icc=false", "")


def unit(*files: units.Text, environment: Optional[str] = None) -> List[str]:
    return [word.text for word in units.arguments_of(units.read_unit(files, lambda _path: environment))]


def test_the_units_command_with_its_variables() -> None:
    main = units.Text("/lib/systemd/system/docker.service", DEBIAN_UNIT)
    base = ["-H", "fd://", "--containerd=/run/containerd/containerd.sock"]
    assert unit(main) == base
    assert unit(main, environment='DOCKER_OPTS="--bip=10.0.0.1/24 --icc=false"\n') == [
        *base,
        "--bip=10.0.0.1/24",
        "--icc=false",
    ]
    name = "/etc/systemd/system/docker.service.d/bip.conf"
    reset = units.Text(
        name, '[Service]\nExecStart=\n# ExecStart=x \\\nExecStart=/usr/sbin/dockerd \\\n  --bip "10.1.0.1/24"\n'
    )
    assert unit(main, reset) == ["--bip", "10.1.0.1/24"]
    held = units.Text(name, '[Service]\nEnvironment="DOCKER_OPTS=--mtu 1400 --ipv6" A=b\n')
    assert unit(main, held) == [*base, "--mtu", "1400", "--ipv6"]


def build(
    *files: units.Text, defaults: Optional[str] = None, json_text: Optional[str] = None
) -> configuration.Configuration:
    texts: Dict[str, Optional[str]] = {file.path: file.text for file in files}
    texts["/etc/default/docker"] = defaults
    texts[daemon_json.PATH] = json_text
    arguments = units.arguments_of(units.read_unit(files, texts.get))
    return configuration.assemble(service.SYSTEMD, arguments, daemon_json.PATH, json_text, texts)


MAIN = units.Text("/lib/systemd/system/docker.service", DEBIAN_UNIT)
DROP_IN = units.Text(
    "/etc/systemd/system/docker.service.d/10-net.conf",
    "[Service]\n# ours\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --bip 10.3.0.1/24 --debug $DOCKER_OPTS\n",
)


def test_every_option_knows_its_place() -> None:
    found = build(MAIN, DROP_IN, defaults='A=1\nDOCKER_OPTS="--mtu=1400"\n', json_text='{\n"icc": false}')
    assert [(place.kind, place.line) for place in found.settings["bip"].places] == [("drop-in", 4)]
    assert [(place.kind, place.line) for place in found.settings["mtu"].places] == [("/etc/default/docker", 2)]
    assert [(place.kind, place.line) for place in found.settings["icc"].places] == [("daemon.json", 2)]
    assert found.settings["hosts"].value == ("fd://",)
    assert found.value("ip-masq") is True
    assert not found.settings["ip-masq"].given
    assert not found.twice


def test_an_option_in_two_places_is_named_with_both() -> None:
    found = build(MAIN, defaults='DOCKER_OPTS="--bip=10.0.0.1/24"\n', json_text='{"bip": "10.0.0.1/24"}')
    (line,) = found.twice
    assert "/etc/default/docker, line 1" in line
    assert "/etc/docker/daemon.json, line 1" in line


def test_an_option_moves_from_the_drop_in_to_daemon_json() -> None:
    found = build(MAIN, DROP_IN, json_text=None)
    changed = configuration.change(found, {"bip": "10.4.0.1/24", "icc": DELETE})
    assert changed[DROP_IN.path][1] == DROP_IN.text.replace(" --bip 10.3.0.1/24", "")
    assert changed[daemon_json.PATH] == (None, '{\n  "bip": "10.4.0.1/24"\n}\n')


def test_an_option_that_is_right_stays_where_it_is() -> None:
    assert configuration.change(build(MAIN, DROP_IN), {"bip": "10.3.0.1/24", "mtu": DELETE}) == {}


def test_an_option_goes_from_everywhere() -> None:
    found = build(MAIN, defaults='# c\nDOCKER_OPTS="--bip=1.2.3.4/24 --dns 8.8.8.8"\n', json_text='{"bip": "1"}\n')
    changed = configuration.change(found, {"bip": DELETE})
    assert changed["/etc/default/docker"][1] == '# c\nDOCKER_OPTS="--dns 8.8.8.8"\n'
    assert changed[daemon_json.PATH][1] == "{}\n"


def test_the_reason_of_a_failure_is_dockerds_own() -> None:
    lines = [
        'time="2026-01-01T00:00:00Z" level=info msg="Starting up"',
        'time="2026" level=error msg="first trouble"',
        'failed to start daemon: Error initializing network controller: bridge: bad "bip"',
        "docker.service: Main process exited, code=exited, status=1/FAILURE",
    ]
    assert service.explain(lines) == 'failed to start daemon: Error initializing network controller: bridge: bad "bip"'
    assert service.explain(lines[:2]) == "first trouble"
    assert service.explain([]) == ""
