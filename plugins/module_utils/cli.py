# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as a program of its own: python3 engine.pyz apply FILE."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from typing import Any, Callable, Dict, List, Optional, TextIO, Tuple

from . import document as documents
from .engine import Result, run
from .errors import HostwireError, InvalidValue, unexpected
from .info import info
from .interruption import answering
from .records import WRONG_SHAPE
from .state_directory import STATE_DIRECTORY
from .visible import visible_lines


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command; 0 for success, 1 for an error, which is told on standard error, 2 for a wrong call.

    The status says what was done, also where nobody can read what is said of it. A command that changes nothing has
    failed then.
    """
    streams = _Streams()
    arguments = _parser().parse_args(argv)
    changes = arguments.command != "info" and not arguments.check
    with answering() as attempt:
        status = 0
        try:
            attempt(lambda: _done(arguments))()
        except HostwireError as error:
            _say(f"hostwire: {error}", sys.stderr)
            status = 1
        except Exception as error:  # noqa: BLE001  a mistake of ours: still no traceback, but a place to look at
            _say(f"hostwire: {unexpected(error)}", sys.stderr)
            status = 1
        return status if streams.flushed() or changes else 1


def _done(arguments: argparse.Namespace) -> Callable[[], None]:
    """Do what is asked for, and give back what says it."""
    if arguments.command == "info":
        told = json.dumps(info(arguments.state_dir), indent=2)
        return lambda: _say(told)
    if arguments.command == "apply":
        document = _read(arguments.file)
        result = run(document, check=arguments.check, state_dir=arguments.state_dir, written=True)
    else:
        document = {"name": arguments.name, "state": "absent"}
        result = run(document, check=arguments.check, state_dir=arguments.state_dir)
    return lambda: _show(result, arguments.check)


class _Streams:
    """Standard input, output and error: open, so that no file or socket of the engine's gets their numbers."""

    def __init__(self) -> None:
        self._closed = sys.stdout is None
        for descriptor in range(3):
            try:
                os.fstat(descriptor)
            except OSError:
                os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)  # the lowest number that is free: mostly this one
        sys.stdin, sys.stdout, sys.stderr = (
            stream or os.fdopen(descriptor, mode, encoding="utf-8", closefd=False)
            for descriptor, (stream, mode) in enumerate(((sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w")))
        )

    def flushed(self) -> bool:
        """Whether all that was said on standard output has gone out."""
        _flush(sys.stderr)
        return _flush(sys.stdout) and not self._closed


def _flush(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError as error:
        _lose(stream, error)
    return stream not in _muted


_muted: List[TextIO] = []


def _lose(stream: TextIO, error: OSError) -> None:
    """What is still in the buffer goes nowhere: else the interpreter complains of it at its end."""
    _muted.append(stream)
    if stream is sys.stdout and error.errno != errno.EPIPE:
        _say(f"hostwire: standard output: {error.strerror}", sys.stderr)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="engine.pyz", description="Make this host's network what a document says.")
    parser.add_argument("--state-dir", default=STATE_DIRECTORY, help="where state, journal and lock live")
    commands = parser.add_subparsers(dest="command", required=True)
    apply = commands.add_parser("apply", help="make the host agree with a document")
    apply.add_argument("file", help="the document: JSON, or YAML where PyYAML is installed; - is standard input")
    apply.add_argument("--check", action="store_true", help="only show the plan")
    absent = commands.add_parser("absent", help="remove everything that a document made")
    absent.add_argument("name", help="the document's name")
    absent.add_argument("--check", action="store_true", help="only show the plan")
    commands.add_parser("info", help="print the truth about this host as JSON")
    return parser


def _read(path: str) -> Dict[str, Any]:
    try:
        if path == "-":
            text = sys.stdin.read()
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read()
    except OSError as error:
        raise InvalidValue(f"{path}: can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{path}: can't be read: {error}") from None
    try:
        document: Dict[str, Any] = json.loads(text, object_pairs_hook=_once)
        return document
    except _TwiceError as error:
        raise InvalidValue(f"{path}: {error}") from None
    except RecursionError:
        raise InvalidValue(f"{path}: {_TOO_DEEP}") from None
    except ValueError as error:
        return _read_yaml(path, text, str(error))


_TOO_DEEP = "lists and mappings are nested too deeply"


class _TwiceError(Exception):
    """A key is in a mapping twice. A parser takes the last, and what the first named would be removed."""

    def __init__(self, key: object, line: Optional[int] = None) -> None:
        where = "" if line is None else f", again in line {line}"
        super().__init__(f"the key {json.dumps(str(key))} is there twice{where}; put both into one")


def _once(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _TwiceError(key)
        found[key] = value
    return found


def _read_yaml(path: str, text: str, not_json: str) -> Dict[str, Any]:
    try:
        import yaml  # on the controller; a managed host need not have it
    except ImportError:
        raise InvalidValue(
            f"{path}: not JSON ({not_json}), and PyYAML isn't installed here to read it as YAML"
        ) from None
    try:
        _refuse_twice(yaml.compose(text, Loader=yaml.SafeLoader))
        document: Dict[str, Any] = yaml.safe_load(text)
        return document
    except _TwiceError as error:
        raise InvalidValue(f"{path}: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InvalidValue(f"{path}: neither JSON nor YAML: {place}{error.problem or error.context}") from None
    except RecursionError:
        raise InvalidValue(f"{path}: {_TOO_DEEP}") from None
    except (yaml.YAMLError, ValueError) as error:  # a day that no calendar has, a number of thousands of digits
        raise InvalidValue(f"{path}: neither JSON nor YAML: {error}") from None
    except WRONG_SHAPE:  # PyYAML looks at no value that has a tag before it takes it apart
        raise InvalidValue(
            f"{path}: neither JSON nor YAML: a tag (!!int, !!float, !!bool, !!timestamp) stands before a value that is"
            " no such one"
        ) from None


def _refuse_twice(root: Any) -> None:
    """Go through the nodes of a YAML text, each once: an alias leads to a node that was there already."""
    waiting, met = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in met or node is None or isinstance(node.value, str):
            continue
        met.add(id(node))
        keys = set()
        for entry in node.value:
            if not isinstance(entry, tuple):
                waiting.append(entry)
                continue
            key, value = entry
            waiting.append(value)
            name = (key.tag, key.value) if isinstance(key.value, str) else id(key)
            if name in keys and key.value != "<<":
                raise _TwiceError(key.value, key.start_mark.line + 1)
            keys.add(name)


def _say(line: str, stream: Optional[TextIO] = None) -> None:
    # ansible-test forbids print() below module_utils: there it would spoil a module's answer. Here is no module.
    _write(visible_lines(line) + "\n", stream or sys.stdout)


def _write(text: str, stream: TextIO) -> None:
    try:
        stream.write(text)
    except OSError as error:
        _lose(stream, error)


def _show(result: Result, check: bool) -> None:
    for warning in result.warnings:
        _say(f"warning: {warning}", sys.stderr)
    for line in result.plan:
        _say(line)
    changes = "1 change" if len(result.plan) == 1 else f"{len(result.plan)} changes"
    if not result.changed:
        _say("nothing to do")
    elif check:
        _say(f"{changes} would be made")
    else:
        _say(f"{changes} made and verified")
    if result.changed and check:
        _write(documents.to_yaml(result.after), sys.stdout)


if __name__ == "__main__":
    raise SystemExit(main())
