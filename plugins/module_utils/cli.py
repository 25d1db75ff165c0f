# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as a program of its own: python3 engine.pyz apply FILE."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Dict, Iterable, List, Optional, TextIO, Tuple

from . import document as documents
from .engine import Result, run
from .errors import HostwireError, InvalidValue
from .info import info
from .state_directory import STATE_DIRECTORY
from .visible import visible_lines


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command; 0 for success, 1 for an error, which is told on standard error, 2 for a wrong call."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "info":
            _say(json.dumps(info(arguments.state_dir), indent=2))
        elif arguments.command == "apply":
            document = _read(arguments.file)
            _show(run(document, check=arguments.check, state_dir=arguments.state_dir), arguments.check)
        else:
            document = {"name": arguments.name, "state": "absent"}
            _show(run(document, check=arguments.check, state_dir=arguments.state_dir), arguments.check)
    except HostwireError as error:
        _say(f"hostwire: {error}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("hostwire: interrupted; what was begun was put back", sys.stderr)
        return 1
    return 0


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
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValue(f"{path}: can't be read: {error}") from None
    try:
        document: Dict[str, Any] = json.loads(text, object_pairs_hook=lambda pairs: _mapping(path, pairs))
        return document
    except ValueError as error:
        return _read_yaml(path, text, str(error))


def _mapping(path: str, pairs: Iterable[Tuple[Any, Any]]) -> Dict[Any, Any]:
    """A mapping of the file. Of a key that is there twice JSON and YAML take the last: the rest would go unseen."""
    found: Dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidValue(f"{path}: {key}: is there twice in the same mapping; make the two one")
        found[key] = value
    return found


def _read_yaml(path: str, text: str, not_json: str) -> Dict[str, Any]:
    try:
        import yaml  # on the controller; a managed host need not have it
    except ImportError:
        raise InvalidValue(
            f"{path}: not JSON ({not_json}), and PyYAML isn't installed here to read it as YAML"
        ) from None

    class Loader(yaml.SafeLoader):
        """As the safe one, but for keys that are there twice."""

        def compose_mapping_node(self, anchor: Any) -> Any:
            node = super().compose_mapping_node(anchor)
            _mapping(path, [(key.value, None) for key, _value in node.value if isinstance(key, yaml.ScalarNode)])
            return node

    try:
        document: Dict[str, Any] = yaml.load(text, Loader)
        return document
    except yaml.YAMLError as error:
        raise InvalidValue(f"{path}: neither JSON nor YAML: {error}") from None


def _say(line: str, stream: Optional[TextIO] = None) -> None:
    # ansible-test forbids print() below module_utils: there it would spoil a module's answer. Here is no module.
    (stream or sys.stdout).write(visible_lines(line) + "\n")


def _show(result: Result, check: bool) -> None:
    for warning in result.warnings:
        _say(f"warning: {warning}", sys.stderr)
    for line in result.plan:
        _say(line)
    if not result.changed:
        _say("nothing to do")
    elif check:
        _say(f"{len(result.plan)} changes would be made")
    else:
        _say(f"{len(result.plan)} changes made and verified")
    if result.changed and check:
        sys.stdout.write(documents.to_yaml(result.after))


if __name__ == "__main__":
    raise SystemExit(main())
