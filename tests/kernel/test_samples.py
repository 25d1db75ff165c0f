# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module's page shows as a sample of its answer is what it answers: plan, result and problems."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, Dict

import pytest
import yaml

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.tests.in_process import call
from ansible_collections.hostwire.linux.tests.kernel.test_examples import GIVEN, NEIGHBOURS, ROOMS, SWITCH, add_cards

Options = Dict[str, Any]

# What the samples take as given, made by a document of another name.
BEFORE: Dict[str, Options] = {
    **GIVEN,
    "veth": ROOMS,
    "masquerade": SWITCH,
    "guest_names": {"namespaces": [{"name": "linux"}]},
}
# The task of which the page shows the answer.
TASKS: Dict[str, Options] = {
    "netns": {"name": "red"},
    "bridge": {"name": "v-net-0", "addresses": ["192.168.15.5/24"]},
    "veth": {"name": "veth-red", "netns": "red", "peer": {"name": "veth-blue", "netns": "blue"}},
    "interface": {"name": "eth0", "addresses": ["192.168.1.10/24"]},
    "route": {"netns": "blue", "to": "default", "via": "192.168.15.5"},
    "forwarding": {"ipv4": True},
    "masquerade": {"source": "192.168.15.0/24", "except_to": "v-net-0"},
    "published_port": {"port": 8080, "to": "192.168.15.2:80"},
    "topology": {
        "namespaces": [{"name": "red"}],
        "bridges": [{"name": "v-net-0", "addresses": ["192.168.15.5/24"]}],
    },
    "hosts_file": {"entries": [{"address": "10.0.2.12", "names": ["localdb"]}]},
    "guest_names": {"namespaces": ["linux"], "entries": [{"address": "10.0.2.12", "names": ["localdb"]}]},
}
# What has to be changed in that task for the problem that the page shows.
MISTAKES: Dict[str, Options] = {
    "netns": {"name": "1234"},
    "bridge": {"addresses": ["192.168.15.0/24"]},
    "veth": {"addresses": ["192.168.15.1"]},
    "interface": {"name": "eht0"},
    "route": {"via": "192.168.99.5"},
    "forwarding": {"ipv4": "maybe"},
    "masquerade": {"source": "192.168.15.1/24"},
    "published_port": {"port": 80800},
    "topology": {
        "namespaces": [{"name": "blue"}],
        "veths": [
            {"name": f"veth{number}", "peer": {"name": "eth0", "netns": name}}
            for number, name in enumerate(("blue", None, "blu"))
        ],
    },
    "hosts_file": {"entries": [{"address": "10.0.2.12/24", "names": ["localdb"]}]},
}


def samples(module: str) -> Dict[str, Any]:
    """The samples of a page by the name of the value."""
    page = importlib.import_module(f"ansible_collections.hostwire.linux.plugins.modules.{module}")
    returned = yaml.safe_load(page.RETURN)
    return {name: value["sample"] for name, value in returned.items() if "sample" in value}


@pytest.fixture(autouse=True)
def place(private_host: Path) -> None:
    add_cards()


@pytest.mark.parametrize("module", TASKS)
def test_a_task_answers_as_its_page_shows(module: str) -> None:
    if module in BEFORE:
        engine.run({"name": "office", **BEFORE[module]})
    sample = samples(module)
    predicted = call(module, check=True, **TASKS[module])
    done = call(module, **TASKS[module])
    assert predicted["plan"] == done["plan"]
    assert [line for line in done["plan"] if line in sample["plan"]] == sample["plan"], "a page may leave lines out"
    for name in {"before", "after"} & set(sample):
        assert done[name] == sample[name]
    assert set(sample.get("timings", ())) <= set(done.get("timings", ()))


@pytest.mark.parametrize("module", MISTAKES)
def test_a_mistake_is_answered_as_the_page_shows(module: str) -> None:
    if module in BEFORE:
        engine.run({"name": "office", **BEFORE[module]})
    answer = call(module, **{**TASKS[module], **MISTAKES[module]})
    sample = samples(module)
    assert set(sample["problems"]) <= set(answer["problems"])


def test_several_documents_answer_as_the_page_shows() -> None:
    (sample,) = samples("topologies")["documents"]
    done = call("topologies", documents=[sample["after"]])
    (told,) = done["documents"]
    assert {name: told[name] for name in ("name", "changed", "plan", "before", "after")} == {
        name: sample[name] for name in ("name", "changed", "plan", "before", "after")
    }
    wrong = call("topologies", documents=[{"name": "guest-wire", "bridges": [{"name": "w0", "uplink": "eth9"}]}])
    assert wrong["problems"] == samples("topologies")["problems"]


def test_probes_answer_as_the_page_shows() -> None:
    engine.run({"name": "office", **NEIGHBOURS})
    sample = samples("reachability")
    (row,) = sample["matrix"][:1]
    answer = call("reachability", probes=[{"from": "blue", "to": "192.168.15.1"}])
    assert set(answer["matrix"][0]) == set(row)
    shown = sample["results"][0].replace("192.168.1.3", "192.168.15.1").split(" in ")[0]
    assert answer["results"][0].startswith(shown)
    wrong = call("reachability", timeout=0.1, attempts=1, probes=[{"from": "blue", "to": "192.168.1.3"}])
    (problem,) = wrong["problems"]
    assert re.sub(r"[0-9.]+ ms", "0.0 ms", problem) == sample["problems"][0]
