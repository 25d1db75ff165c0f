# SPDX-License-Identifier: GPL-3.0-or-later
"""All probes at once: every socket is opened first, each in its namespace, then one loop waits for all the answers."""

from __future__ import annotations

import selectors
import time
from contextlib import ExitStack, contextmanager
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .. import containers, netns
from ..errors import HostwireError, InvalidValue, MissingOnHost
from ..model import CONTAINER, Probe
from .attempt import Answer, Try, new_try

# Sockets open at a time: Linux 6.18 serves 256 raw sockets of a namespace, a process may have 1024 open files.
AT_ONCE = 200
# Of the timeout, from the start of one round to the next: a network that was just built settles meanwhile.
RETRY_AFTER = 0.25


class ProbeResult(NamedTuple):
    """What became of a probe. ``milliseconds`` from sending to the answer that was got, None if there was none.

    ``detail`` says in words what answered or what stood in the way.
    """

    probe: Probe
    reachable: bool
    milliseconds: Optional[float]
    detail: str

    @property
    def ok(self) -> bool:
        """Whether it came out as the probe claims."""
        return self.reachable == self.probe.reachable


class _Sent(NamedTuple):
    """A try under way, and when it was sent (monotonic seconds)."""

    attempt: Try
    at: float


Results = Dict[Probe, ProbeResult]


def run(probes: Sequence[Probe], timeout: float = 2.0, attempts: int = 2) -> Tuple[ProbeResult, ...]:
    """Send every probe, all in parallel, and return a result for each, in the same order.

    ``timeout``: seconds that one try waits, above 0. ``attempts``: how often, at least once, a probe is tried until it
    comes out as it claims; so a claim of unreachable is decided after one timeout, and a whole run lasts at most
    ``timeout * attempts`` for each 200 probes. Raises InvalidValue or MissingOnHost if a probe can't be made at all: no
    such namespace or container, no address as target, no privilege.
    """
    if not 0 < timeout < float("inf") or attempts < 1:
        raise InvalidValue("probes: timeout must be above 0 seconds and attempts at least 1")
    results: Results = {}
    pending = list(dict.fromkeys(probes))
    for turn in range(attempts):
        started = time.monotonic()
        for first in range(0, len(pending), AT_ONCE):
            results.update(_round(pending[first : first + AT_ONCE], timeout))
        pending = [probe for probe in pending if not results[probe].ok]
        if not pending:
            break
        if turn + 1 < attempts:
            time.sleep(max(0.0, started + timeout * RETRY_AFTER - time.monotonic()))
    return tuple(results[probe] for probe in probes)


def _round(probes: Sequence[Probe], timeout: float) -> Results:
    """One try of each of ``probes``."""
    with ExitStack() as cleanup:
        return _wait(_open(probes, cleanup), timeout)


def _open(probes: Sequence[Probe], cleanup: ExitStack) -> List[Try]:
    """A socket for each probe, in its namespace, each entered once. Raises with one problem for each namespace."""
    by_source: Dict[Optional[str], List[Probe]] = {}
    for probe in probes:
        by_source.setdefault(probe.source, []).append(probe)
    tries: List[Try] = []
    problems: List[HostwireError] = []
    for source, from_there in by_source.items():
        try:
            with _inside(source):
                for probe in from_there:
                    tries.append(new_try(probe))
                    cleanup.callback(tries[-1].close)
        except HostwireError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise MissingOnHost(line for error in problems for line in error.problems)
    return tries


@contextmanager
def _inside(source: Optional[str]) -> Iterator[None]:
    """The thread is where the probe starts: a namespace, ``container:NAME``, or None, the host."""
    if source is not None and source.startswith(CONTAINER):
        name = source[len(CONTAINER) :]
        with containers.namespace_of(name) as there, netns.inside_path(f"/proc/self/fd/{there.descriptor}"):
            yield
    else:
        with netns.inside(source):
            yield


def _wait(tries: Sequence[Try], timeout: float) -> Results:
    """Send all, then collect answers until each try has ended or ``timeout`` seconds have passed since."""
    results: Results = {}
    with selectors.DefaultSelector() as selector:
        for attempt in tries:
            sent = _Sent(attempt, time.monotonic())
            answer = attempt.start()
            if answer is None:
                selector.register(attempt.socket, attempt.wants, sent)
            else:
                results[attempt.probe] = _result(sent, answer)
        deadline = time.monotonic() + timeout
        while selector.get_map() and time.monotonic() < deadline:
            for key, _events in selector.select(max(0.0, deadline - time.monotonic())):
                answer = key.data.attempt.look()
                if answer is not None:
                    selector.unregister(key.fileobj)
                    results[key.data.attempt.probe] = _result(key.data, answer)
        for key in selector.get_map().values():
            silent = key.data.attempt.probe
            results[silent] = ProbeResult(silent, False, None, f"no answer within {timeout:g} s")
    return results


def _result(sent: _Sent, answer: Answer) -> ProbeResult:
    """The result of a try that has just ended with ``answer``."""
    milliseconds = round((time.monotonic() - sent.at) * 1000, 3)
    return ProbeResult(sent.attempt.probe, answer.reachable, milliseconds, answer.detail)
