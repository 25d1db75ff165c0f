# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter says all that is wrong with a task in one message, in the user's own words, without a traceback."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.hostwire.linux.plugins.module_utils import ansible_module, ansible_readers, engine
from ansible_collections.hostwire.linux.plugins.module_utils.ansible_adapter import difference
from ansible_collections.hostwire.linux.plugins.module_utils.ansible_module import LOG_LENGTH, own_path
from ansible_collections.hostwire.linux.plugins.module_utils.ansible_readers import sentence
from ansible_collections.hostwire.linux.plugins.module_utils.document import dump, read
from ansible_collections.hostwire.linux.plugins.module_utils.errors import Conflict, unexpected
from ansible_collections.hostwire.linux.tests.in_process import call


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The documents and options that reach the engine, which itself does nothing."""
    calls: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def note(document: dict[str, Any], **options: Any) -> engine.Result:
        calls.append((document, options))
        return engine.Result(True, ("bridge v-net-0: add",), {}, document, ("ufw is active",), {"read": 0.1}, ())

    monkeypatch.setattr(engine, "run", note)
    return calls


def test_all_that_is_wrong_with_a_document_is_in_one_message() -> None:
    answer = call(
        "topology",
        nmae="main",
        namespaces=["red", {"name": "1234"}, {"name": "blue", "forwading": {}}],
        veths=[{"name": "a", "addresses": ["192.168.15.1"]}],
        masquerade="192.168.15.0/24",
    )
    problems = answer["problems"]
    assert answer["failed"]
    assert answer["kind"] == "invalid"
    assert answer["msg"] == "\n".join(problems)
    assert 'nmae: unknown option; did you mean "name"?' in problems
    for path in (
        "namespaces[0]:",  # what Ansible would have dropped, so that the next one were the first
        "namespaces[1].name:",
        "namespaces[2].forwading:",
        "veths[0].peer:",
        "masquerade",
    ):
        assert any(problem.startswith(path) for problem in problems), path


def test_a_module_for_one_object_names_its_own_options() -> None:
    answer = call("veth", name="veth-red", owner="a b", adresses=["192.168.15.1/24"], peer={"name": "x", "adress": []})
    assert [problem.split(":")[0] for problem in answer["problems"]] == ["adresses", "peer.adress", "owner"]


def test_an_option_that_is_missing_is_said_by_our_reader() -> None:
    assert call("netns")["problems"] == ["name: is missing; say how the namespace is called"]


def test_an_object_without_a_name_is_judged_all_the_same() -> None:
    answer = call("veth", addresses=["192.168.15.1"], peer={"mtu": 1})
    assert [problem.split(":")[0] for problem in answer["problems"]] == [
        "name",
        "addresses[0]",
        "peer.name",
        "peer.mtu",
    ]


def test_what_only_ansible_objects_to_fails_too(asked: list[Any]) -> None:
    answer = call("veth", name="a", up="perhaps", peer={"name": "b"})
    assert answer["failed"]
    assert "perhaps" in answer["msg"]
    assert [options["check"] for _document, options in asked] == [True], "a task that fails changes nothing"


def test_no_option_but_the_documents_own_reaches_the_engine(asked: list[Any]) -> None:
    call("topology", namespaces=[{"name": "red", "forwarding": None}], sysctls=None)
    call("bridge", name="v-net-0", mtu="9000", check=True)
    assert asked == [
        (
            {"name": "main", "state": "present", "namespaces": [{"name": "red", "forwarding": None}]},
            {"check": False, "fragment": False},
        ),
        (
            {
                "name": "tasks",
                "state": "present",
                "bridges": [{"name": "v-net-0", "mtu": 9000, "up": True, "stp": False, "vlan_filtering": False}],
            },
            {"check": True, "fragment": True},
        ),
    ]


@pytest.mark.parametrize(
    ("said", "closed"), [({}, {}), ({"among": False}, {"among": False}), ({"to_host": "no"}, {"to_host": False})]
)
def test_what_a_task_says_of_guests_is_what_the_document_means(asked: list[Any], said: Any, closed: Any) -> None:
    call("bridge", name="v-net-0", guests=said)
    ((document, _options),) = asked
    assert dump(read(document).topology)["bridges"] == [{"name": "v-net-0", "guests": closed}]


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the module warns of, wherever Ansible puts that: elsewhere once a test has loaded its controller's side."""
    told: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, warning, **_more: told.append(warning))
    return told


def test_the_answer_has_the_plan_both_documents_and_the_warnings(asked: list[Any], warned: list[str]) -> None:
    answer = call("topology", bridges=[{"name": "v-net-0"}])
    assert answer["changed"]
    assert answer["plan"] == ["bridge v-net-0: add"]
    assert answer["before"] == {}
    assert answer["after"]["bridges"] == [{"name": "v-net-0"}]
    assert "v-net-0" in answer["diff"]["after"]
    assert "ufw is active" in str(warned)
    assert (answer["timings"], answer["reachability"]) == ({"read": 0.1}, [])


def test_forwarding_without_any_family_is_a_question(asked: list[Any]) -> None:
    assert call("forwarding")["problems"] == ["say ipv4, ipv6 or both"]
    call("forwarding", state="absent")
    assert [document["forwarding"] for document, _options in asked] == [{"ipv4": False, "ipv6": False}]


def test_probes_and_their_limits_are_judged_together() -> None:
    answer = call("reachability", probes=[{"to": "192.168.15.300"}], timeout="soon", attempt=3)
    assert [problem.split(":")[0] for problem in answer["problems"][:2]] == ["attempt", "probes[0].to"]
    assert "timeout" in answer["problems"][2]


@pytest.mark.parametrize("start", ["nowhere", None])
def test_a_namespace_that_isnt_there_is_named_with_its_field(
    monkeypatch: pytest.MonkeyPatch, warned: list[str], start: str | None
) -> None:
    monkeypatch.setattr(ansible_readers.namespaces, "names", lambda: ["red"])
    probes = [{"to": "127.0.0.1"}, {"to": "192.0.2.1", "from": start or "rde"}]
    answer = call("reachability", probes=probes)
    hint = "" if start else '; did you mean "red"?'
    assert answer["problems"] == [f'probes[1].from: no namespace named "{start or "rde"}"{hint}']
    assert answer["kind"] == "missing"
    assert not call("reachability", probes=probes, check=True).get("failed")  # the run may make it before


@pytest.mark.parametrize("documents", [{}, {"name": "a"}, "a", True])
def test_documents_that_are_no_list(documents: Any) -> None:
    (problem,) = call("topologies", documents=documents)["problems"]
    assert problem.startswith("documents: ")
    assert "not a list" in problem


def test_check_mode_sends_no_probe(warned: list[str]) -> None:
    answer = call("reachability", probes=[{"to": "192.0.2.1"}], check=True)
    assert (answer["changed"], answer["matrix"], answer["results"]) == (False, [], [])
    assert "Nothing was sent" in str(warned)


def test_an_error_of_the_engine_is_its_words_and_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_document: Any, **_options: Any) -> engine.Result:
        raise Conflict(["bridges[0]: somebody else's", "bridges[1]: likewise"])

    monkeypatch.setattr(engine, "run", refuse)
    answer = call("topology")
    assert answer["msg"] == "bridges[0]: somebody else's\nbridges[1]: likewise"
    assert answer["kind"] == "conflict"


def test_a_mistake_of_ours_names_its_place_and_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_document: Any, **_options: Any) -> engine.Result:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(engine, "run", stumble)
    answer = call("topology")
    assert answer["kind"] == "unexpected"
    assert "ZeroDivisionError: oops at test_ansible_adapter.py:" in answer["msg"]
    assert "in stumble" in answer["msg"]
    assert "Traceback" not in json.dumps(answer)


def test_what_a_callback_writes_as_it_is_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    foreign = "a\x1b[2J\u202eb\r\n\tc"
    told = {"plan": [foreign], "diff": {"before": foreign, "after": [{"x": foreign}]}, "before": {"name": foreign}}
    with patch_module_args({}), pytest.raises(SystemExit):
        ansible_module.run_task({}, lambda _module: told)
    answer = json.loads(capsys.readouterr().out)
    shown = "a\\x1b[2J\\u202eb\n\tc"
    assert answer["plan"] == [shown]
    assert answer["diff"] == {"before": shown, "after": [{"x": shown}]}
    assert answer["before"] == {"name": foreign}  # a value to go on with


def test_the_hosts_log_gets_a_line_not_a_document(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, msg, log_args=None: logged.append(msg))
    call("topology", namespaces=[{"name": f"room{number}"} for number in range(1000)])
    assert [line[:12] for line in logged] == ["Invoked with"]
    assert len(logged[0]) < LOG_LENGTH + 10


@pytest.mark.parametrize(
    ("problem", "path", "told"),
    [
        ("veths[0].peer.name: is missing", "veths[0].", "peer.name: is missing"),
        ("name: is no name for a document", "veths[0].", "owner: is no name for a document"),
        ("state: is neither", "veths[0].", "state: is neither"),
        ("veths[0].peer.name: is missing", "", "veths[0].peer.name: is missing"),
    ],
)
def test_paths_are_those_of_the_modules_options(problem: str, path: str, told: str) -> None:
    assert own_path(problem, path) == told


def test_a_difference_is_yaml() -> None:
    after = {"name": "main", "namespaces": [{"name": "red"}]}
    shown = difference({}, after)
    assert (shown["before"], shown["after"]) == ("{}\n", "name: main\nnamespaces:\n  - name: red\n")
    assert difference(after, after) == {}


ROW = {
    "from": "blue",
    "to": "192.168.1.3",
    "protocol": "tcp",
    "port": 80,
    "expect": "reachable",
    "got": "reachable",
    "ok": True,
    "milliseconds": 0.08,
    "detail": "connected",
}


def test_a_result_is_a_sentence() -> None:
    assert sentence(ROW) == "blue to 192.168.1.3 (tcp port 80): reachable in 0.1 ms, as expected"
    refused = {"got": "unreachable", "ok": False, "milliseconds": None, "detail": "port closed"}
    assert sentence({**ROW, "from": None, **refused}) == (
        "the host to 192.168.1.3 (tcp port 80): unreachable, but reachable was expected (port closed)"
    )


def test_a_mistake_without_a_place_is_told_all_the_same() -> None:
    assert "ValueError: odd. Please report" in unexpected(ValueError("odd"))
