# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each of dockerd's networking options stands on this host, and what it says there."""

from __future__ import annotations

import os
import stat
from typing import Any, Collection, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import InvalidValue, KernelRefused
from . import daemon_json, service, variables
from .arguments import Given, collected, read_arguments
from .options import BY_KEY, LIST, POOLS, TABLE_OF_OPTIONS, Option, plain, words
from .process import Process, working_directory
from .process import running as running_dockerd
from .units import Text, Unit, arguments_of, editable, is_dockerd, is_drop_in, read_unit
from .variables import Word

FLAG, DAEMON_JSON, DEFAULTS, DROP_IN = "flag", "daemon.json", "/etc/default/docker", "drop-in"
_MOST = 4 * 2**20  # bytes
_SYSVINIT_VARIABLE = "DOCKER_OPTS"  # /etc/init.d/docker


class Place(NamedTuple):
    """One place where an option stands: its kind (flag, daemon.json, /etc/default/docker, drop-in), file and line.

    ``spans`` are the words that say it in a file of words, as offsets into the file's text.
    """

    kind: str
    file: str
    line: int
    value: Any
    spans: Tuple[Word, ...] = ()

    @property
    def words(self) -> str:
        """The place for a person to read."""
        return f"{self.file}, line {self.line}"

    @property
    def editable(self) -> bool:
        """Whether it is the admin's file: a package's unit isn't."""
        return editable(self.file)


class Setting(NamedTuple):
    """An option with the value that is in force for dockerd's next start, and every place where it stands."""

    option: Option
    value: Any
    places: Tuple[Place, ...] = ()

    @property
    def given(self) -> bool:
        """Whether it stands anywhere; if not, ``value`` is dockerd's default."""
        return bool(self.places)

    @property
    def twice(self) -> bool:
        """Whether dockerd refuses to start, or takes just one of several values, because it stands in many places."""
        kinds = {place.kind == DAEMON_JSON for place in self.places}
        return len(kinds) > 1 or (len(self.places) > 1 and self.option.kind not in (LIST, POOLS))


class Configuration(NamedTuple):
    """All settings by their daemon.json key.

    ``init`` is "systemd" or "sysvinit"; ``texts`` holds the text of every file that was read, None for one that isn't
    there; ``command`` are dockerd's arguments; ``duplicates`` the keys that daemon.json itself holds repeatedly.
    ``program`` is what the unit starts, where that isn't known to be dockerd itself.
    """

    settings: Dict[str, Setting]
    init: str
    daemon_json: str
    texts: Dict[str, Optional[str]]
    command: Tuple[str, ...] = ()
    duplicates: Tuple[str, ...] = ()
    program: Optional[Word] = None

    @property
    def twice(self) -> Tuple[str, ...]:
        """A line for each option that stands in more places than one."""
        return self.twice_but(())

    def twice_but(self, leaving_out: Collection[str]) -> Tuple[str, ...]:
        """The same without the options of these keys."""
        lines = []
        for key, setting in self.settings.items():
            if setting.twice and key not in leaving_out:
                said = " and ".join(f"{words(place.value)} in {place.words}" for place in setting.places)
                lines.append(f"{key}: set twice, {said}; dockerd doesn't start like that: keep one of them")
        lines += [
            f"{key}: stands repeatedly in {self.daemon_json}; keep one"
            for key in self.duplicates
            if key not in leaving_out
        ]
        return tuple(lines)

    def value(self, key: str) -> Any:
        """The value of an option, dockerd's default where it stands nowhere."""
        return self.settings[key].value


def read_configuration(unit: Optional[service.UnitFiles] = None, running: Optional[Process] = None) -> Configuration:
    """Read all of it from this host. ``unit`` spares the question where systemd was asked already.

    ``running`` is the dockerd that runs, if it was looked for already: it knows what a specifier in a path stands for,
    and where the path begins.

    Raises InvalidValue for a daemon.json that is no JSON, KernelRefused for a file that can't be read.
    """
    init = service.detect()
    texts: Dict[str, Optional[str]] = {}

    def text_of(path: str) -> Optional[str]:
        if path not in texts:
            texts[path] = read_text(path)
        return texts[path]

    program: Optional[Word] = None
    if init == service.SYSTEMD:
        files = unit if unit is not None else service.unit_files()
        listed = [Text(path, text_of(path) or "") for path in files.paths]
        found = read_unit(listed, text_of, files.environment_files)
        arguments = arguments_of(found)
        running = running or running_dockerd(files.main_pid)
        program = next((word for word in found.command[:1] if not is_dockerd(word.text)), None)
    else:
        content = text_of(variables.PATH)
        held = variables.values(variables.assignments(content or "", variables.PATH))
        arguments = arguments_of(Unit(_sysvinit_command(), held))
    path = _config_file([word.text for word in arguments], running)
    return assemble(init, arguments, path, text_of(path), texts)._replace(program=program)


def _sysvinit_command() -> Tuple[Word, ...]:
    return tuple(Word(text, "/etc/init.d/docker", 0, 0, 1) for text in ("dockerd", f"${_SYSVINIT_VARIABLE}"))


def _config_file(arguments: Sequence[str], running: Optional[Process]) -> str:
    path, directory = _path_in(arguments), "/"
    if running is not None:
        directory = working_directory(running.pid)
        path = _path_in(running.arguments) if "%" in path else path  # one of systemd's specifiers
    return os.path.join(directory, path)


def _path_in(arguments: Sequence[str]) -> str:
    given = [str(one.value) for one in read_arguments(arguments) if one.option.key == "config-file"]
    return given[-1] if given else daemon_json.PATH


def assemble(
    init: str, arguments: Sequence[Word], path: str, content: Optional[str], texts: Dict[str, Optional[str]]
) -> Configuration:
    """The configuration that these arguments and this daemon.json make together; pure."""
    places: Dict[str, List[Place]] = {}
    for given in read_arguments([word.text for word in arguments]):
        places.setdefault(given.option.key, []).append(_flag_place(given, arguments))
    duplicates: Tuple[str, ...] = ()
    if content is not None and not daemon_json.is_blank(content):
        parsed = daemon_json.parse(content, path)
        duplicates = tuple(key for key in parsed.duplicates if key in BY_KEY)
        for member in {member.key: member for member in parsed.members}.values():
            if member.key in BY_KEY and (_says_something(member.value) or member.key in places):
                value = tuple(member.value) if isinstance(member.value, list) else member.value
                places.setdefault(member.key, []).append(Place(DAEMON_JSON, path, member.line, value))
    settings = {option.key: _setting(option, places.get(option.key, [])) for option in TABLE_OF_OPTIONS}
    return Configuration(settings, init, path, texts, tuple(word.text for word in arguments), duplicates)


def _says_something(value: Any) -> bool:
    """Whether dockerd hears a value of daemon.json: one like "" or 0, as templates leave it, is its default."""
    return isinstance(value, bool) or value not in (None, "", 0, [])


def _setting(option: Option, places: Sequence[Place]) -> Setting:
    if not places:
        return Setting(option, option.default)
    if places[-1].kind == DAEMON_JSON:
        return Setting(option, places[-1].value, tuple(places))
    return Setting(option, collected(option, [place.value for place in places]), tuple(places))


def _flag_place(given: Given, arguments: Sequence[Word]) -> Place:
    spans = tuple(arguments[given.first : given.last + 1])
    file = spans[0].file
    kind = DROP_IN if is_drop_in(file) else FLAG if file.endswith((".service", "/init.d/docker")) else DEFAULTS
    return Place(kind, file, spans[0].line, given.value, spans)


def change(configuration: Configuration, wanted: Mapping[str, Any]) -> Dict[str, Tuple[Optional[str], str]]:
    """The files that change when these options get these values: (text before, text after) by path.

    DELETE as a value takes an option out of every place. A value goes to daemon.json; flags that say the same option
    are taken out of the admin's files. An option that has its value at just one place stays there. Raises InvalidValue.
    """
    in_json: Dict[str, Any] = {}
    gone: Dict[str, List[Word]] = {}
    for key, value in wanted.items():
        setting = configuration.settings[key]
        settled = setting.given and not setting.twice
        if settled and value is not daemon_json.DELETE and plain(setting.value) == plain(value):
            continue
        in_json[key] = value if value is daemon_json.DELETE else plain(value)
        for place in setting.places:
            gone.setdefault(place.file, []).extend(place.spans)
    changed: Dict[str, Tuple[Optional[str], str]] = {}
    for path, spans in gone.items():
        text = configuration.texts.get(path)
        if spans and text is not None:
            changed[path] = (text, variables.cut(text, spans))
    before = configuration.texts.get(configuration.daemon_json)
    if before is None and all(value is daemon_json.DELETE for value in in_json.values()):
        return changed
    if in_json:
        after = daemon_json.merge(before, in_json, configuration.daemon_json)
        if after != before:
            changed[configuration.daemon_json] = (before, after)
    return changed


def read_text(path: str) -> Optional[str]:
    """A file's text with its line ends as they are, None if there is no file; a pipe is not waited for.

    Raises KernelRefused, InvalidValue.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            mode = os.fstat(fd).st_mode
            if stat.S_ISDIR(mode):
                raise InvalidValue(f"{path}: it is a directory, not a file")
            if not stat.S_ISREG(mode) and os.path.realpath(path) != os.devnull:  # by which a file is left out
                raise InvalidValue(f"{path}: it is a device or a pipe, not a file")
            content = _read(fd)
        finally:
            os.close(fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KernelRefused(f"file {path}: read", error.errno or 0) from error
    if len(content) > _MOST:
        raise InvalidValue(f"{path}: it is larger than {_MOST // 2**20} MiB, so it is no configuration of dockerd")
    return content.decode("utf-8", "surrogateescape")


def _read(fd: int) -> bytes:
    """What an open file holds, a little more than _MOST bytes at most."""
    found = b""
    while len(found) <= _MOST:
        piece = os.read(fd, 65536)
        if not piece:
            break
        found += piece
    return found


def real_path(path: str) -> str:
    """The file itself where ``path`` is a symbolic link: writing beside the link would replace it."""
    return os.path.realpath(path)
