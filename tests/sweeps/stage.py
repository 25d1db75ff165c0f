# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which one run after the other is broken, and what has to hold after each."""

from __future__ import annotations

import os
import subprocess
import time
import zlib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Dict, Iterable, List, Optional, Type

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError
from ansible_collections.hostwire.linux.tests.kernel import lan, private, world
from ansible_collections.hostwire.linux.tests.kernel.children import Said, in_a_child
from ansible_collections.hostwire.linux.tests.kernel.docker_stand_in import docker_engine
from ansible_collections.hostwire.linux.tests.kernel.steps import JOURNAL, NOTHING, Document, apply
from ansible_collections.hostwire.linux.tests.sweeps import figures
from ansible_collections.hostwire.linux.tests.sweeps.subjects import is_about_records, untold
from ansible_collections.hostwire.linux.tests.sweeps.transitions import FOLLOWING, Transition

WHOLE = os.environ.get("HOSTWIRE_SWEEPS") == "all"
LOG = os.environ.get("HOSTWIRE_SWEEPS_LOG")  # a file to which violations are written as they are met
HOST = ("192.168.1.2", "2001:db8:1::2")
# What others have on an interface that runs give addresses to and take them from: things that no document can say.
ANOTHER_NIC = """
address add 192.168.7.2/24 dev eth1
address add 192.168.7.3/24 dev eth1 label eth1:x
address add 10.47.0.1/24 dev eth1 noprefixroute
address add 2001:db8:71::2/64 dev eth1 nodad noprefixroute
address add 2001:db8:72::2 peer 2001:db8:72::9/128 dev eth1 nodad
route add 198.51.120.0/24 via 192.168.7.1 mtu 1400 advmss 1200 initcwnd 20
route add 198.51.121.0/24 via 192.168.7.1 table 78 src 192.168.7.3
route add 2001:db8:73::/64 via fe80::9 dev eth1 pref high mtu 1400
neigh add 192.168.7.77 lladdr 02:00:00:00:01:77 dev eth1 nud permanent
neigh add 2001:db8:72::77 lladdr 02:00:00:00:01:78 dev eth1 nud permanent
"""
BEHAVIOUR = {  # of the interface that bridges do the work of: not as bridges behave by themselves
    "ipv4/conf/eth0/arp_announce": "2",
    "ipv4/conf/eth0/send_redirects": "0",
    "ipv4/conf/eth0/rp_filter": "2",
    "ipv6/conf/eth0/accept_redirects": "0",
}
UNREACHABLE = [{"to": "127.0.0.1", "expect": "unreachable"}]  # with it a run fails when all is done


def some(items: List[Any], most: int, salt: str) -> List[Any]:
    """All of them in the whole sweep, else so many, others for each test."""
    if WHOLE or len(items) <= most:
        return items
    stride = len(items) / most
    first = zlib.crc32(salt.encode()) % 1000 / 1000 * stride
    return [items[int(first + number * stride)] for number in range(most)]


def each_of(names: Iterable[str], share: int, turn: int = 0) -> pytest.MarkDecorator:
    """Parametrize with all names in the whole sweep, else with one of so many, ``turn`` of them later."""
    listed = list(names)
    return pytest.mark.parametrize("name", listed if WHOLE else listed[turn::share])


def on_the_way_back(begins: Callable[[], None]) -> None:
    """This is called where a run begins to undo what it did."""
    undo = engine.Run._undo

    def marked(*args: Any) -> BaseException:
        begins()
        return undo(*args)

    engine.Run._undo = marked  # type: ignore[method-assign]


class Stage:
    """The host of a transition. After something has gone wrong on it it is built anew. Use as a context manager."""

    def __init__(
        self, transition: Transition, monkeypatch: pytest.MonkeyPatch, directory: Path, *, killed: bool = False
    ) -> None:
        """``killed``: nothing is said of how the host is, so it needn't be known to the letter how it was."""
        self.transition = transition
        self._killed = killed
        self.violations: List[str] = []
        self._following: Dict[str, Document] = {
            "wanted": transition.wanted, "there": transition.there or NOTHING, "another": FOLLOWING, "nothing": NOTHING
        }  # fmt: skip
        self._stack = ExitStack()
        self._goals: Dict[str, Any] = {}
        self._points = 0
        self._before: Any = None
        for family in ("iptables", "ip6tables"):
            for verb in ("", "-save", "-restore"):
                (directory / f"{family}{verb}").symlink_to(f"/usr/sbin/{family}-{transition.backend}{verb}")
        monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")

    def __enter__(self) -> Stage:
        self._build()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._stack.close()

    def _build(self) -> None:
        self._stack.close()
        self._stack.enter_context(private.private_host())
        for which in ("all", "default"):  # nobody waits for anybody's objections to an address
            Path(f"/proc/sys/net/ipv6/conf/{which}/accept_dad").write_text("0")
        lan.build()
        lan.batch("link add eth1 type veth peer name eth1 netns lan\nlink set eth1 up")
        lan.batch("link set eth1 up", "lan")
        lan.connected((None, "eth1"), ("lan", "eth1"))
        lan.settled("eth1")
        lan.batch(ANOTHER_NIC)
        for path, value in BEHAVIOUR.items():
            Path("/proc/sys/net", path).write_text(value)
        if self.transition.docker:
            self._stack.enter_context(docker_engine()).start("web")
        apply(FOLLOWING)  # what comes with the first rules, and stays
        apply(NOTHING)
        if self.transition.beside is not None:
            apply(self.transition.beside)
        self._bare = self.image()
        self._begin()
        for name in self._following:
            if name not in self._goals:
                self._follow(name)
                self._goals[name] = _goal(self.image())
                apply(NOTHING)
                self._begin()

    def _begin(self) -> None:
        if self.transition.there is not None:
            apply(self.transition.there)
        if not self._killed:
            self._before = self._bare if self.transition.there is None else self.image()

    def counted(self, deed: Callable[[], Said]) -> List[Any]:
        """The ``counts`` that a run in a child comes to; the host is then as before, also if it didn't fail."""
        found: List[Any] = in_a_child(deed)["counts"]
        apply(NOTHING)
        self._begin()
        return found

    def image(self) -> Dict[str, Any]:
        """All that a run could leave on the host."""
        image = world.image()
        kept = {path: text for path, text in image["files"].items() if not path.endswith(".state")}
        looks = "rule show\nneighbour show nud permanent\nneighbour show proxy\nnexthop show"
        more = [sorted(_ip(["-batch", "-"], looks)), _ip(["-6", "rule", "show"])]
        return {**image, "files": kept, "more": more, "remembered": sorted(_remembered())}

    def wanted(self, document: Optional[Document] = None) -> engine.Result:
        """The run that is to be broken."""
        return engine.run(
            self.transition.wanted if document is None else document,
            fragment=self.transition.fragment,
            dad_seconds=0,
            written=True,
        )

    def failing(self) -> engine.Result:
        """The same, failing when all is done: it takes itself back."""
        document = self.transition.wanted
        return self.wanted({**({} if document is NOTHING else document), "probes": UNREACHABLE})

    def _follow(self, name: str, check: bool = False) -> engine.Result:
        document = self._following[name]
        fragment = self.transition.fragment and name == "wanted"
        return engine.run(document, check=check, fragment=fragment, dad_seconds=0)

    def point(
        self, kind: str, name: str, deed: Callable[[], object], *, fails: bool = False, lasting: bool = False
    ) -> Said:
        """Let a run that something happens to be done in a child, and look what has become of the host.

        ``fails``: the run can't end well. ``lasting``: nothing works any more, so the host may be cut off meanwhile.
        """
        said = in_a_child(deed)
        self._points += 1
        found = [f"{name}: {line}" for line in self._wrong(said, fails, lasting)]
        figures.count(kind, _end(said))
        if found:
            found[0] += f" [{said}]"
            figures.count(kind, "violations")
            self.violations += found
            if LOG:
                with open(LOG, "a", encoding="utf-8") as log:
                    log.writelines(f"{line}\n" for line in found)
            self._build()
        return said

    def _wrong(self, said: Said, fails: bool, lasting: bool) -> List[str]:
        try:
            found = self._untrue(said, fails)
            if not lasting and not self._reached():
                found.append("the host isn't reached")
            name = list(self._following)[self._points % len(self._following)]
            return found + self._next(name)
        except (HostwireError, subprocess.CalledProcessError, OSError) as error:
            return [f"afterwards: {error!r} {error}"]

    def _untrue(self, said: Said, fails: bool) -> List[str]:
        """What the run said, held against what is there."""
        kind, error = said.get("kind"), str(said.get("error", ""))
        if kind == "killed" and JOURNAL.exists():
            return []
        now = self.image()
        if self._killed:
            return self._half(now) if kind != "traceback" else ["traceback"]
        left = [line for line in _differences(self._before, now) if not _is_record(line)]
        if kind == "traceback":
            return ["traceback"]
        if kind == "killed":
            return self._half(now)
        if not said:
            if fails:
                return ["it says that all is well"]
            again = [f"said done: {line}" for line in self.wanted().plan]
            return again + [f"said done: {line}" for line in _differences(self._goals["wanted"], _goal(now))]
        if kind == "undo":
            _told, _sentence, after = error.partition("and not all could be put back")
            if not JOURNAL.exists() or len(after) <= 20:
                return [f"undo without journal or list, left: {left}"]
            found = [f"left without a word: {line}" for line in untold(self._before, now, after)]
            return found if left or is_about_records(after) else ["it says that something is left, and nothing is"]
        sentence = "put back" if "everything was put back as it was" in error else "nothing begun"
        return [f"said {sentence}: {line}" for line in left] + (
            [f"said {sentence}: a journal is there"] if JOURNAL.exists() else []
        )

    def _half(self, now: Any) -> List[str]:
        """What is neither as before nor as it was to be, where no journal tells of it."""
        looks = [self._goals[name] for name in ("there", "wanted")]
        left = [[line for line in _differences(look, _goal(now)) if not _is_record(line)] for look in looks]
        return [f"nothing tells of it: {line}" for line in left[0]] if all(left) else []

    def _reached(self) -> bool:
        return all(lan.reached(address) for address in HOST)

    def _next(self, name: str) -> List[str]:
        """The next run comes to its end, the one after finds nothing to do, and absent leaves nothing."""
        found = []
        foretold = self._follow(name, check=True).plan if self._points % 3 == 0 else None
        plan = self._follow(name).plan
        if foretold is not None and not set(plan) <= set(foretold):  # what ends with a namespace does so a little later
            found.append(f"next {name}: foretold {foretold}, done {plan}")
        found += [f"after {name}: {line}" for line in _differences(self._goals[name], _goal(self.image()))]
        found += [f"after {name}: still to do: {line}" for line in self._follow(name).plan]
        if not self._reached():
            found.append(f"after {name}: the host isn't reached")
        apply(NOTHING)
        found += [f"absent after {name}: {line}" for line in _differences(self._bare, self.image())]
        found += [f"absent after {name}: a process is left: {line}" for line in _processes()]
        if not found:
            self._begin()
        return found


def _ip(words: List[str], text: str = "") -> List[str]:
    return subprocess.run(["ip", *words], input=text, check=True, capture_output=True, text=True).stdout.splitlines()


def _goal(image: Dict[str, Any]) -> Dict[str, Any]:
    """An image without what differs between two builds of one network.

    On an interface that isn't the document's, which address of a subnet comes first is left as it is.
    """
    made = world.comparable(image)
    host = made["rooms"]["None"]
    eth0 = host["links"].get("eth0", {"addresses": []})
    addresses = sorted(address.replace(" secondary", "") for address in eth0["addresses"])
    links = {**host["links"], "eth0": {**eth0, "addresses": addresses}}
    routes = [route for route in host["routes"] if '"protocol": "kernel"' not in route]
    return {**made, "rooms": {**made["rooms"], "None": {**host, "links": links, "routes": routes}}}


def _end(said: Said) -> str:
    if said.get("kind") == "killed":
        return "killed"
    if not said:
        return "done"
    if said["kind"] == "undo":
        return "left"
    return "put back" if "everything was put back" in said.get("error", "") else "not begun"


def _differences(before: Any, after: Any) -> List[str]:
    return world.differences(before, after)


def _is_record(line: str) -> bool:
    return line.startswith(("/remembered", "/files//var/lib/hostwire/"))


def _remembered() -> List[str]:
    """The files of the document that the sweep applies."""
    directory = JOURNAL.parent
    names = os.listdir(directory) if directory.is_dir() else []
    return [name for name in names if "main" in name]


def _processes() -> List[str]:
    """Programs that runs have left behind on this host: those in this mount namespace that lost their parent."""
    deadline = time.monotonic() + 3
    while True:
        found = list(_orphans())
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def _orphans() -> List[str]:
    here = os.stat("/proc/self/ns/mnt").st_ino
    found = []
    for entry in os.listdir("/proc"):
        try:
            if not entry.isdigit() or int(entry) == os.getpid() or os.stat(f"/proc/{entry}/ns/mnt").st_ino != here:
                continue
            words = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if words and "sleep 600" not in words:  # a container's
                found.append(words)
        except OSError:
            continue
    return found
