# SPDX-License-Identifier: GPL-3.0-or-later
"""After a way back: Docker runs as it did, and so do its containers, or what doesn't is said."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator, List, Optional, Tuple

from ...apply.journals import Job
from ...errors import PUT_BACK, HostwireError, UndoFailed
from . import verify
from .deeds import Containers, Docker, kinds
from .memory import Expected

_ALL_ELSE = "everything else was put back as it was, but"


class ComingBack:
    """What a job does beside its steps' inverses. ``lost``: containers that don't come back, a line each.

    Another try wouldn't bring them back either, so no later run is kept from its work by them.
    """

    def __init__(self, docker: Docker) -> None:
        self.docker = docker
        self.lost: List[str] = []

    def mend(self, job: Job, expected: Expected, steady: Tuple[str, ...]) -> Optional[List[str]]:
        """Bring back the containers, and look whether all is as ``expected``: what isn't, a line each.

        ``steady`` (ids) are those that stay up. None where Docker was never touched.
        """
        docker = self.docker
        if not docker.went_back:
            return None
        if not docker.api.answers():
            return []  # it is told of as left already
        try:
            for what in (docker.ran_now,) if docker.ran_now else kinds(job.steps):
                if isinstance(what, Containers):
                    problems = _problems(docker.bring_back, what) and _problems(docker.bring_back, what)
                    if problems and not docker.api.answers():
                        return list(problems)
                    self.lost += problems
            verify.await_right(docker.api, expected, verify.Before(), docker.limits.verify)
            if not (self.lost or docker.ran_now):
                stay = verify.Before(steady=tuple(docker.anew.get(one, one) for one in steady))
                self.lost += _problems(verify.await_right, docker.api, Expected(), stay, docker.limits.verify)
        except HostwireError as error:
            return list(error.problems)
        docker.clock.lap("back")
        return []

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """What a run raises within says what is lost, too."""
        try:
            yield
        except UndoFailed as error:
            for line in self.lost:
                error.append(line)
            raise
        except HostwireError as error:
            if not self.lost:
                raise
            reasons = [line for line in error.problems if line != PUT_BACK]
            raise UndoFailed([*reasons, _ALL_ELSE, *self.lost]) from error


def _problems(look: Callable[..., None], *arguments: Any) -> Tuple[str, ...]:
    """What a look finds wrong, a line each."""
    try:
        look(*arguments)
    except HostwireError as error:
        return error.problems
    return ()
