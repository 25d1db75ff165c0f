# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run does to Docker itself: it is stopped, started as it is to be, and its containers brought back.

These are deeds of a job (apply.trade): plain values that go to its journal.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, Type, Union

from ...apply import file_edits
from ...docker_api import Api
from ...errors import Conflict, HostwireError, KernelRefused, VerificationFailed
from ...plan.actions import Deed, FileEdit, Step
from .. import service
from ..clock import Clock
from ..configuration import read_configuration, read_text, real_path
from ..discretion import discreet, foreign_words
from ..facts import read_engine
from ..model import Container, Engine
from ..process import by_pid_file, identity
from . import bridge, containers
from .situation import docker0_addresses

# A file, its text while dockerd is started, and its text afterwards.
Said = Tuple[Tuple[str, Optional[str], Optional[str]], ...]


class Limits(NamedTuple):
    """Seconds: for dockerd's start and for everything to be right afterwards."""

    start: float = 120.0
    verify: float = 60.0


class Stop(NamedTuple):
    """Stop Docker, with its socket where it has one. ``daemon``: the dockerd that ran before, "" if it wasn't seen."""

    init: str
    socket: bool
    daemon: str


class Start(NamedTuple):
    """Start Docker.

    Before and after, docker0 loses the addresses ``gone``; before, it gets those of ``put``, and afterwards again those
    of ``kept``, which are somebody else's. ``units``: systemd reads its files first. ``said`` are the texts that make
    dockerd forget an address that it remembers (it does so wherever none is said, and whatever docker0 has).
    """

    init: str
    socket: bool
    units: bool
    gone: Tuple[str, ...]
    put: Tuple[str, ...]
    kept: Tuple[str, ...]
    said: Said


class Containers(NamedTuple):
    """Bring back the ``units`` that stopped with Docker and the containers that ran, (id, name), in this order.

    ``resting`` (ids) are stopped though Docker starts them with every start of its own; ``stopped`` are all those that
    didn't run.
    """

    units: Tuple[str, ...]
    ran: Tuple[Tuple[str, str], ...]
    resting: Tuple[str, ...]
    stopped: Tuple[str, ...]


Kind = Union[Stop, Start, Containers]
_KINDS: Dict[str, Type[Any]] = {cls.__name__: cls for cls in (Stop, Start, Containers)}


def deed(what: Kind) -> Deed:
    """As a step of a job."""
    return Deed(None, type(what).__name__, tuple(what))


def kind_of(found: Deed) -> Kind:
    """The opposite. Raises Conflict for what another version may have written."""
    try:
        kind: Kind = _KINDS[found.kind](*found.values)
    except (KeyError, TypeError):
        raise Conflict(f"docker_bridge: a run of another version was broken off, at {found.kind}; run that") from None
    return kind


def kinds(steps: Sequence[Step], of_inverses: bool = False) -> List[Kind]:
    """The deeds among these steps, or among what undoes them. Raises Conflict."""
    actions = [action for step in steps for action in (step.inverse if of_inverses else (step.action,))]
    return [kind_of(action) for action in actions if isinstance(action, Deed)]


class Docker:
    """Does these deeds.

    ``anew``: the new ids, by the old ones, of containers that units have made anew; ``went_back``: it was started, or
    was to be, as it was before. ``ran_now``: what runs, where a run is to be undone that was broken off in another life
    of the host, whose containers may have been stopped on purpose since.
    """

    def __init__(self, api: Api, limits: Limits, clock: Clock) -> None:
        self.api = api
        self.limits = limits
        self.clock = clock
        self.anew: Dict[str, str] = {}
        self.went_back = False
        self.ran_now: Optional[Containers] = None
        self._files: List[FileEdit] = []

    def do(self, deed: Deed, tolerant: bool) -> None:
        """Do it. On a way back Docker is started in every way there is. Raises a HostwireError."""
        what = kind_of(deed)
        if isinstance(what, Stop):
            self.clock.lap("prepare")
            service.prepare(what.init)
            self._stop(what, tolerant)
            self.clock.lap("stop")
        elif isinstance(what, Start):
            self.clock.lap("files")
            self.went_back = tolerant
            self._start(what, tolerant)
            self.clock.lap("start")
        else:
            self.bring_back(what)
            self.clock.lap("containers")

    def is_begun(self, steps: Sequence[Step], alive: bool) -> bool:
        """All is as it was where the same dockerd still runs; else Docker was stopped, and who knows what since.

        A mere restart leaves nothing in another life of the host, in which Docker may be stopped on purpose by now.
        """
        starts = [what for what in kinds(steps, of_inverses=True) if isinstance(what, Start)]
        if not alive and not any(start.put or start.gone or start.said for start in starts):
            return False
        stops = [what for what in kinds(steps) if isinstance(what, Stop)]
        return not all(one.daemon and running_daemon() == one.daemon and service.active(one.init) for one in stops)

    def left(self, deed: Deed) -> List[str]:
        """Whether it runs again, told once for all deeds."""
        if not isinstance(kind_of(deed), Stop) or self.api.answers():
            return []
        address = ", ".join(docker0_addresses()) or "no address"
        return [f"docker0 has {address}", "Docker doesn't answer; look at journalctl -u docker"]

    def settle(self, steps: Sequence[Step], alive: bool) -> None:
        """Files that hold what they do only while dockerd is started hold what they do afterwards."""
        self.note_files(steps)
        if not alive and self.is_begun(steps, alive):
            self.ran_now = self._what_runs()
        first = {file.path: file.before for file in self._files}
        for what in (*kinds(steps), *kinds(steps, of_inverses=True)):
            for path, text, afterwards in what.said if isinstance(what, Start) else ():
                real = real_path(path)
                if read_text(real) == text and first.get(real, afterwards) != text:
                    _bring(real, text, afterwards, tolerant=True)

    def note_files(self, steps: Sequence[Step]) -> None:
        """Know the files of a run, of which somebody else may write one meanwhile."""
        self._files = [step.action for step in steps if isinstance(step.action, FileEdit)]

    def is_anothers(self) -> bool:
        """Whether somebody else has written to one of them: then Docker is as he wants it, and isn't led anywhere."""
        try:
            return any(read_text(file.path) not in (file.before, file.after) for file in self._files)
        except HostwireError:  # a device, say
            return True

    def bring_back(self, what: Containers) -> None:
        """Start again what ran. Raises a HostwireError that names what doesn't come back."""
        service.start_units(what.units, self.limits.start)
        ran, names = [one for one, _name in what.ran], dict(what.ran)
        self.anew = containers.start_again(self.api, ran, names, self.limits.verify, by_units=bool(what.units))
        containers.stop_again(self.api, what.resting, what.stopped)

    def _what_runs(self) -> Containers:
        if not self.api.answers():
            return Containers((), (), (), ())
        engine = read_engine(self.api)
        units = service.unit_files().dependents if service.detect() == service.SYSTEMD else ()
        return brought_back(engine, sorted(engine.running(), key=lambda one: one.started), units)

    def _stop(self, what: Stop, insistent: bool) -> None:
        try:
            service.stop(what.init, what.socket)
        except KernelRefused:  # systemd took it back, say
            if not insistent:
                raise
            service.stop(what.init, what.socket)

    def _start(self, what: Start, insistent: bool) -> None:
        if insistent and self.is_anothers():
            what = what._replace(gone=(), put=(), kept=(), said=())
        failures: List[HostwireError] = []
        attempts = (bool(what.said), False) if insistent else (bool(what.said),)
        try:
            for is_said in attempts:
                try:
                    self._begin(what, is_said, insistent)
                    return
                except HostwireError as error:
                    failures.append(error)
                    service.prepare(what.init)
            raise failures[-1]
        finally:
            _say(what.said, False, insistent)

    def _begin(self, what: Start, is_said: bool, tolerant: bool) -> None:
        _say(what.said, is_said, tolerant)
        bridge.take_away(what.gone)
        bridge.put(what.put)
        if what.units:
            service.reload_units(what.init)
        with _discreet():
            began = service.start(what.init, what.socket, self.limits.start)
            self._await_api(what.init, began)
        bridge.take_away(what.gone)
        bridge.put(what.kept)

    def _await_api(self, init: str, began: float) -> None:
        deadline = time.monotonic() + self.limits.start
        while not self.api.answers():
            dead = init == service.SYSVINIT and not service.active(init)  # which doesn't wait for dockerd's own word
            if dead or time.monotonic() > deadline:
                reason = "doesn't start" if dead else f"doesn't answer after {self.limits.start:.0f} s"
                raise VerificationFailed(f"dockerd {reason}: {service.last_words(init, began)}")
            time.sleep(0.05)


def brought_back(engine: Engine, ran: Sequence[Container], units: Tuple[str, ...]) -> Containers:
    """What is there again after Docker's start: the units that stop with it, and the containers that ran."""
    others = [one for one in engine.containers if one not in ran]
    called = tuple((one.id, one.name) for one in ran)
    return Containers(units, called, tuple(one.id for one in others if one.rests), tuple(one.id for one in others))


def running_daemon() -> str:
    """Which dockerd runs now, as Stop notes it."""
    return identity(by_pid_file())


def _say(said: Said, is_said: bool, tolerant: bool) -> None:
    """Give the files the texts for a start, or those for afterwards."""
    for path, text, afterwards in said:
        texts = (afterwards, text) if is_said else (text, afterwards)
        _bring(real_path(path), *texts, tolerant)


def _bring(path: str, before: Optional[str], after: Optional[str], tolerant: bool) -> None:
    """A file that holds one text to another; on a way back one that holds neither is somebody else's by now."""
    edit = file_edits.planned(path, file_edits.content(before), file_edits.content(after), f"file {path}")
    if tolerant and read_text(path) not in (before, after):
        return
    file_edits.bring(edit, tolerant, lambda: None)


@contextlib.contextmanager
def _discreet() -> Iterator[None]:
    """What dockerd says of its end is told without passwords of files that aren't ours."""
    try:
        yield
    except VerificationFailed as error:
        hidden: Set[str] = set()
        with contextlib.suppress(HostwireError):
            configuration = read_configuration()
            hidden = foreign_words(configuration.texts, configuration.daemon_json)
        raise VerificationFailed([discreet(line, hidden) for line in error.problems]) from error
