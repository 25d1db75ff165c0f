# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's side of a task: parameters in, result or failure out.

Of the files that managed hosts get, only this one knows Ansible, and it knows nothing of what the modules are about.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import re
import sys
from typing import Any, Callable, Dict, Iterable, List, Mapping, NoReturn, Optional, Set

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.errors import UnsupportedError

# Before the engine, which it loads quicker.
from . import zip_source  # isort: skip
from .errors import HostwireError, InvalidValue, KernelRefused, unexpected
from .interruption import answering
from .suggestion import suggestion
from .visible import visible_lines

Spec = Dict[str, Dict[str, Any]]

# What a log line may hold of a module's parameters, in characters: a document of a thousand namespaces is no log line.
_SHOWN = ("plan", "diff")  # of a result
LOG_LENGTH = 1000


class _Objected(Exception):
    """Ansible objects to the parameters; what it says is in the module's ``validation_result``."""


class Module(AnsibleModule):
    """One task's parameters in, its answer out.

    What Ansible objects to is not reported at once: ``unknown`` and ``objections`` hold it until our reader had its
    say.
    """

    def __init__(self, argument_spec: Spec) -> None:
        self._checking = True
        with contextlib.suppress(_Objected):
            super().__init__(argument_spec=argument_spec, supports_check_mode=True)  # type: ignore[no-untyped-call]
        self._checking = False
        found = self.validation_result
        self.unknown = _unknown(found.unsupported_parameters, argument_spec, self._given)
        self.objections = [error.msg for error in found.errors.errors if not isinstance(error, UnsupportedError)]

    def reword(self) -> None:
        """Say what Ansible has against the parameters with the paths of the fields, and what it would have let pass."""
        from .parameters import wrong_values  # not for modules whose reader judges all of it

        self.objections = wrong_values(self.argument_spec, self._given) or self.objections

    @property
    def params(self) -> Dict[str, Any]:
        """The parameters, converted by Ansible as far as it could."""
        return self._params

    @params.setter
    def params(self, parameters: Dict[str, Any]) -> None:
        # Ansible assigns them once, before it checks. It drops list elements that aren't of the right type, which would
        # shift the paths of those after them: remember all.
        self._given = dict(parameters)
        self._params = parameters

    @property
    def given(self) -> Set[str]:
        """The parameters that the task says itself, by whichever way, and Ansible hasn't added."""
        return {name for name, value in self._given.items() if value is not None}

    def fail_json(self, msg: str, **result: Any) -> NoReturn:
        """Report a failure and end the task."""
        if self._checking and hasattr(self, "validation_result"):
            raise _Objected
        super().fail_json(msg, **result)

    def warn(self, warning: str, **options: Any) -> None:
        """Have a warning shown; what it tells of the host doesn't reach the terminal as it is."""
        super().warn(visible_lines(warning), **options)

    def log(self, msg: str, log_args: Optional[Dict[str, Any]] = None) -> None:
        """Write to the host's log, within LOG_LENGTH."""
        super().log(msg if len(msg) <= LOG_LENGTH else msg[:LOG_LENGTH] + " ...")  # type: ignore[no-untyped-call]

    def fields(self) -> Dict[str, Any]:
        """The known parameters that are set; if Ansible objects to any, those that hold objects as they were given."""
        fields = {name: self.params[name] for name in self.argument_spec if self.params.get(name) is not None}
        if self.objections:
            nested = [name for name in fields if "dict" in self.argument_spec[name].values()]
            fields.update((name, self._given[name]) for name in nested)
        return fields


def _unknown(found: Iterable[Any], spec: Spec, given: Mapping[str, Any]) -> List[str]:
    """A line for each option that isn't known; Ansible has nested ones as tuples, without their place in a list."""
    names = sorted(name for name in found if isinstance(name, str))
    nested = sorted(name for name in found if not isinstance(name, str))
    lines = [f"{name}: unknown option{suggestion(name, spec)}" for name in names]
    if nested:
        from .parameters import unknown_keys  # loaded when it is needed: most tasks are right

        lines += unknown_keys(spec, given) or [f"{'.'.join(map(str, name))}: unknown key" for name in nested]
    return lines


def run_task(spec: Spec, work: Callable[[Module], Dict[str, Any]]) -> NoReturn:
    """The whole of a module whose parameters Ansible alone judges: ``work`` makes its result out of them.

    Nothing is done where Ansible objects to a parameter.
    """
    module = Module(spec)
    module.reword()

    def checked() -> Dict[str, Any]:
        if module.unknown or module.objections:
            return {}
        result: Dict[str, Any] = readable(work(module))
        return result

    answer(module, checked)


def readable(value: Any) -> Any:
    """Plain values without the odd bytes of somebody's files and names (surrogates), which Ansible refuses to read."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {readable(key): readable(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [readable(entry) for entry in value]
    return value


def answer(module: Module, work: Callable[[], Dict[str, Any]], path: str = "") -> NoReturn:
    """End the task with what ``work`` returns, or with everything that is wrong, in words.

    ``work`` must change nothing where the module has unknown options or objections. ``path`` is what our reader puts
    before the field names of a module for a single object; its user never wrote it.
    """
    with answering() as attempt:
        try:
            _answer(module, lambda: attempt(work), path)
        finally:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody listens
                sys.stdout.flush()


def _answer(module: Module, work: Callable[[], Dict[str, Any]], path: str) -> NoReturn:
    problems, kind = module.unknown, InvalidValue.kind
    result: Dict[str, Any] = {}
    try:
        result = work()
        problems = problems + module.objections
    except HostwireError as error:
        if isinstance(error, KernelRefused) and error.errno in (errno.EACCES, errno.EPERM) and os.geteuid() != 0:
            error.append("run it as root (become: true)")
        problems = problems + [own_path(problem, path) for problem in error.problems]
        kind = error.kind
    except Exception as error:  # noqa: BLE001  a mistake of ours: still no traceback, but a place to look at
        problems, kind = [unexpected(error)], "unexpected"
    if not module.check_mode:
        zip_source.keep_bytecode()
    gc.freeze()  # the process ends here: Python needn't look through all that it holds for cycles first
    if problems:
        problems = [visible_lines(problem) for problem in dict.fromkeys(problems)]
        module.fail_json("\n".join(problems), problems=problems, kind=kind)
    module.exit_json(**{"changed": False, **result, **{key: _shown(result[key]) for key in _SHOWN if key in result}})


def _shown(value: Any) -> Any:
    """What a callback writes to the terminal as it is, without what would steer it: names and texts are foreign."""
    if isinstance(value, str):
        return visible_lines(value)
    if isinstance(value, dict):
        return {key: _shown(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(entry) for entry in value]
    return value


def own_path(problem: str, path: str) -> str:
    """The problem with the field that it begins with named as in a module for a single object.

    The reader calls its fields ``path`` and FIELD, and the owner the document's name.
    """
    if not path:
        return problem
    if problem.startswith(path):
        return problem[len(path) :]
    return re.sub(r"^name:", "owner:", problem)
