# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark: our engine among its peers, as tables on standard output and, with --write, as a page.

bench.py [--repeats 5] [--counts 50,200,1000] [--only build,ports,packets] [--write FILE]
"""

from __future__ import annotations

import argparse
import sys
from typing import Callable, Dict, List, Sequence

import claims
import guests
import machine
import packet_claims
import packets
import peers
import rounds
from make_ready import make_ready
from measure import Time, median, ratios
from private_host import become_root, enter_outer_room, is_real_root

PAGE = """\
<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
# Benchmark

How long the same network takes by different means: N namespaces, each with a cable to one switch, an address and a
default route; and what a packet then pays for the filter. Made by `make bench` on {date}.

{machine}

Every measurement has a fresh network and mount namespace, and begins when the kernel has taken the one before down.
The peers take turns within a round; a ratio is the median over the rounds of the ratios within one round. "Call" is the
time of the work without the start of the interpreter and its imports, "process" is all of it; programs that are no
Python have only the latter, and it stands for both. The claims compare calls. The engine's time includes reading what
is there, the plan, the journal with its fsync, the marks, and the reading back; the floor is the bare messages and
nothing else.

{tables}"""


class Bench:
    """Measures group by group, and gathers the tables and the claims that go with them."""

    def __init__(self, repeats: int, counts: Sequence[int]) -> None:
        self.repeats = repeats
        self.counts = counts
        self.claims: List[claims.Claim] = []
        self.groups: Dict[str, Callable[[], str]] = {
            "build": self.build,
            "commands": self.commands,
            "read": self.read,
            "change": self.change,
            "removal": self.removal,
            "ports": self.ports,
            "packets": self.packets,
            "guests": self.guests,
            "tasks": self.tasks,
        }

    def build(self) -> str:
        rows = []
        measured: Dict[int, rounds.Times] = {}
        for count in self.counts:
            turns = [peers.FLOOR, peers.ENGINE, peers.IP_BATCH, peers.SHELL]
            times = measured[count] = rounds.build(count, turns, self.repeats)
            if count <= peers.SLOW_LARGEST:
                slow = rounds.build(count, [peers.FLOOR, peers.PYROUTE2, peers.IFSTATE], 1)
                slow_rows = [(peer, slow[peer.name], slow["floor"]) for peer in (peers.PYROUTE2, peers.IFSTATE)]
                if count == 200:
                    engine = median(claims.calls(times["engine"]))
                    self.claims.append(claims.against_ifstate(engine, slow["ifstate"]))
            else:
                slow_rows = []
            for peer, own, floor in [*((peer, times[peer.name], times["floor"]) for peer in turns), *slow_rows]:
                rows.append([str(count), peer.label, *_both(own), _ratio(own, floor)])
        if 200 in measured:
            self.claims[:0] = claims.building(measured[200])
        if 50 in measured and 1000 in measured:
            self.claims.append(claims.growing(measured[50], measured[1000]))
        note = "pyroute2 and ifstate: one round, and no more than 200 namespaces."
        return _table("Building", ["N", "by", "call", "process", "of the floor"], rows, note)

    def commands(self) -> str:
        few = 5
        took = rounds.build_once(peers.COMMANDS, few)
        each = sum(took.said["tasks"].values()) / few
        rows = [[str(few), _time(each * few), "measured"]]
        rows += [[str(count), _time(each * count), "**extrapolated** from N = 5"] for count in self.counts]
        return _table("The shell script's commands as ansible.builtin.command tasks", ["N", "tasks", ""], rows)

    def read(self) -> str:
        rows = []
        for count in self.counts:
            times = rounds.read(count, self.repeats)
            if count == 1000:
                self.claims += claims.reading(times)
            for name, label in (
                ("dump", "bare dump of links, addresses and routes"),
                ("nothing", "**a run of the engine with nothing to do**"),
                ("ip-batch", "one `ip -j -batch` per namespace"),
            ):
                rows.append([str(count), label, *_both(times[name]), _ratio(times[name], times["dump"])])
        return _table("A run that changes nothing", ["N", "what", "call", "process", "of the dump"], rows)

    def change(self) -> str:
        rows = []
        for count in self.counts:
            times = rounds.change(count, self.repeats)
            for name, label in (
                ("floor", "bare messages to that one namespace"),
                ("shell", "three `ip` calls for that one namespace"),
                ("nothing", "the engine with nothing to do"),
                ("engine", "**the engine**, which finds the one among N"),
            ):
                rows.append([str(count), label, *_both(times[name]), _ratio(times[name], times["nothing"])])
        head = ["N", "by", "call", "process", "of nothing to do"]
        return _table("One address among N changes", head, rows, "The first two are told which one it is.")

    def removal(self) -> str:
        rows = []
        for count in self.counts:
            times = rounds.removal(count, self.repeats)
            for name, label in (
                ("floor", "unmounting, and one message for the switch"),
                ("engine", "**the engine**"),
                ("shell", "shell script: `ip netns del`, `ip link del`"),
            ):
                rows.append([str(count), label, *_both(times[name]), _ratio(times[name], times["floor"])])
        note = "Until the kernel has taken the last cable from the host."
        return _table("Removal", ["N", "by", "call", "process", "of the floor"], rows, note)

    def ports(self) -> str:
        rows = []
        for backend in machine.backends() if is_real_root() else []:  # iptables-nft sends all in one message
            times = rounds.published_ports(backend, self.repeats)
            if backend == "nft":  # the claim is about what a Debian or Fedora uses; the table shows both
                self.claims.append(claims.publishing(times))
            for name, label in (("restore", "bare iptables-restore of the same rules"), ("engine", "**the engine**")):
                rows.append([backend, label, *_both(times[name]), _ratio(times[name], times["restore"])])
        return _table("1,000 published ports", ["backend", "by", "call", "process", "of iptables-restore"], rows)

    def packets(self) -> str:
        measured = packets.measure(machine.backends(), self.repeats) if is_real_root() else {}
        for backend, found in measured.items():
            # A rule costs much less with legacy: what can be saved there is no multiple of what anything else costs.
            claimed = packet_claims.packets if backend == "nft" else packet_claims.growing
            self.claims += claimed(backend, found)
        return "\n".join(_packets(backend, found) for backend, found in measured.items())

    def guests(self) -> str:
        rows = []
        for mode in guests.MODES:
            counts = (claims.FEW_GUESTS, claims.GUESTS, claims.MANY_GUESTS)
            times = rounds.guests(mode, counts, self.repeats)
            self.claims.append(claims.guests(mode, times))
            for count in counts:
                each = median(claims.calls(times[count])) / count
                rows.append([mode, str(count), "engine", *_both(times[count]), _time(each)])
            seconds = rounds.role(mode, claims.GUESTS, self.repeats)
            for name, label in (("first", "the role"), ("nothing", "the role with nothing to do")):
                took = median(seconds[name])
                cells = [_time(took), _time(took), _time(took / claims.GUESTS)]
                rows.append([mode, str(claims.GUESTS), label, *cells])
        note = (
            "The role `guest_network` with namespaces as guests: the engine on the documents that the role makes, and"
            " the role's tasks as a whole by the local connection. In mode nat each guest has a router of its own."
        )
        return _table("Guests on one network", ["mode", "guests", "by", "call", "process", "for each"], rows, note)

    def tasks(self) -> str:
        rows = []
        for way in ("ssh", "local") if is_real_root() else ("local",):
            seconds = rounds.tasks(200, self.repeats, by_ssh=way == "ssh")
            self.claims += claims.tasks(seconds) if way == "ssh" else []
            for place, other, name in (
                ("first use in its play", "first ping", "first topology"),
                ("later use", "later ping", "later topology"),
                ("nothing to do", "ping again", "topology with nothing to do"),
            ):
                pair = ratios(seconds[name], seconds[other])
                cells = [_time(median(seconds[other])), _time(median(seconds[name])), f"{median(pair):.2f}"]
                rows.append([way, place, *cells])
        note = (
            "On the controller's clock, with the project's ansible.cfg; over ssh to an sshd on the loopback of a"
            " private host, and by the local connection, which has no way to go."
        )
        return _table("Whole tasks, 200 namespaces", ["connection", "", "`ping`", "`topology`", "ratio"], rows, note)

    def verdict(self) -> str:
        rows = []
        for claim in self.claims:
            sign = "≤" if claim.at_most else "≥"
            spread = f"{min(claim.pairs):.2f} to {max(claim.pairs):.2f}"
            holds = "holds" if claim.holds() else "**broken**"
            rows.append([claim.text, f"{sign} {claim.bound:.3g}", f"{claim.ratio:.2f}", spread, holds])
        return _table("Claims", ["ratio", "bound", "median", "rounds", ""], rows)


def _packets(backend: str, found: packets.Measured) -> str:
    rows = []
    for name, label in found.labels.items():
        each = found.packets[name]
        many = f"{median(each):,.0f}", f"{median(ratios(each, found.packets['one'])):.2f}"
        times = [_short(median(kind[name])) for kind in (found.first_packets, found.connections)]
        stream = f"{median(found.streams[name]) * 8e-9:.1f} Gbit/s" if name in found.streams else ""
        rows.append([label, f"{found.rules[name][-1]:,}", *many, *times, stream])
    for name, took in found.ports.items():
        label = f"to the {name} of {packets.PORTS:,} published ports"
        rows.append([label, "", "", "", "", _short(median(took)), ""])
    head = ["host", "rules", "packets/s", "of one network", "first packet, answer", "TCP connection", "TCP stream"]
    note = (
        "From a guest through the host to a namespace behind its eth0: small UDP packets of one flow; a new flow's"
        " first packet and its answer; a TCP connection; one TCP stream. Connections to published ports come from"
        " there. Rules of both families are counted. Of many networks the first and the last are asked, and the worse"
        " counts. All hosts stand at the same time and are asked in turns; each figure of a round is the best of"
        " several tries of a few milliseconds."
    )
    if backend == "legacy":
        note += " The rules are those that the engine wrote for iptables-nft."
    return _table(f"What a packet pays for the filter ({backend})", head, rows, note)


def _both(times: List[Time]) -> List[str]:
    return [_time(median([took.call for took in times])), _time(median([took.whole for took in times]))]


def _ratio(above: List[Time], below: List[Time]) -> str:
    return f"{median(ratios(claims.calls(above), claims.calls(below))):.2f}"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _short(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs"


def _table(title: str, head: List[str], rows: List[List[str]], note: str = "") -> str:
    lines = [f"## {title}", "", *([note, ""] if note else [])]
    lines += ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def main() -> int:
    arguments = argparse.ArgumentParser(description="Measure the engine among its peers.")
    arguments.add_argument("--repeats", type=int, default=3, help="rounds")
    arguments.add_argument("--counts", default="50,200,1000", help="numbers of namespaces, with commas between")
    arguments.add_argument("--only", default="", help="groups, with commas between")
    arguments.add_argument("--write", default="", help="the page to write")
    options = arguments.parse_args()
    bench = Bench(options.repeats, [int(count) for count in options.counts.split(",")])
    make_ready()
    become_root()
    described = machine.describe()
    enter_outer_room()
    tables = []
    for name in options.only.split(",") if options.only else bench.groups:
        tables.append(bench.groups[name]())
        print(tables[-1], flush=True)
    if bench.claims:
        tables.insert(0, bench.verdict())
        print(tables[0])
    if options.write:
        with open(options.write, "w") as file:
            file.write(PAGE.format(date=machine.today(), machine=described, tables="\n".join(tables)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
