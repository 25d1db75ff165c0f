# SPDX-License-Identifier: GPL-3.0-or-later
"""A hosts file as text: where a block of ours is, what stands around it, and the file with another block. Pure.

A file is bytes. Whatever isn't ours comes out as it went in: odd encodings, mixed line ends, a missing last newline.
"""

from __future__ import annotations

import codecs
import re
from typing import List, NamedTuple, Optional, Sequence, Tuple

from ..errors import Conflict, InvalidValue

_BEGIN = re.compile(r"#\s*hostwire begin ([A-Za-z0-9_.-]+)(?: \(([a-z ,]*)\))?\s*")
_END = re.compile(r"#\s*hostwire end ([A-Za-z0-9_.-]+)\s*")
_BLANK = re.compile(r"[ \t\r\n\f\v]+")  # isspace(3): a byte of a letter that Latin-1 has as a blank is none
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
# What the block's first line remembers, so that taking the block away leaves the file as it was.
MADE, JOINED = "made this file", "after a line without end"
# A new file must know these, or programs that ask for localhost fail.
LOCALHOST = ("127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback")


# Words by which a file tells that it is made anew, and what comes of that.
_REMADE = {
    b"manage_etc_hosts": "cloud-init makes this file anew at each boot, and the block is lost then: have the names in"
    " cloud-init's template too, or set manage_etc_hosts to false",
    b"generateHosts": "WSL makes this file anew at each start, and the block is lost then: set generateHosts = false in"
    " the section network of /etc/wsl.conf",
}


class Encoding(NamedTuple):
    """``codec`` decodes what follows the byte order mark ``mark``. Latin-1 stands for every superset of ASCII."""

    mark: bytes
    codec: str


class Line(NamedTuple):
    """A line that says something: its number from 1, its address as written, and its names."""

    number: int
    address: str
    names: Tuple[str, ...]


class HostsText(NamedTuple):
    """A file in pieces: the lines before our block, the block's own, and the lines after it, with their line ends."""

    encoding: Encoding
    newline: str
    before: Tuple[str, ...]
    block: Optional[Tuple[str, ...]]
    after: Tuple[str, ...]
    remembered: str = ""

    @property
    def exists_for_us(self) -> bool:
        """Whether the file was made for the block."""
        return self.remembered == MADE

    @property
    def is_no_text(self) -> bool:
        """Whether characters stand in it that no text has, as where it isn't read in the encoding it was written in."""
        return any("\0" in line for line in (*self.before, *self.after))


def encoding_of(content: bytes) -> Encoding:
    """By the byte order mark; without one any superset of ASCII, kept byte by byte."""
    for mark, codec in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if content.startswith(mark):
            return Encoding(mark, codec)
    return Encoding(codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b"", "latin-1")


def remade_by(content: Optional[bytes]) -> List[str]:
    """What a file says of who makes it anew, and with it loses what others wrote there: a sentence for each."""
    comments = b"\n".join(line for line in (content or b"").replace(b"\0", b"").splitlines() if line[:1] == b"#")
    return [sentence for mark, sentence in _REMADE.items() if mark in comments]


def split(content: Optional[bytes], owner: str, path: str) -> HostsText:
    """Take a file apart; None is a file that isn't there.

    Raises Conflict where the lines around the owner's block are damaged, InvalidValue for half a character.
    """
    encoding = encoding_of(content or b"")
    try:
        text = (content or b"")[len(encoding.mark) :].decode(encoding.codec, "surrogatepass")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{path}: it begins as {encoding.codec} but isn't: {error.reason}") from error
    lines = _LINE.findall(text)
    newline = _newline(lines)
    begin, end, remembered = _block(lines, owner, path)
    if begin is None or end is None:
        return HostsText(encoding, newline, tuple(lines), None, (), MADE if content is None else "")
    inner = tuple(line.rstrip("\r\n") for line in lines[begin + 1 : end])
    return HostsText(encoding, newline, tuple(lines[:begin]), inner, tuple(lines[end + 1 :]), remembered)


def joined(text: HostsText, owner: str, block: Optional[Sequence[str]]) -> Optional[bytes]:
    """The file with this block, or without it; None where the file is there for the block alone."""
    before, after = list(text.before), list(text.after)
    if block is None:
        if text.block is not None and text.remembered == JOINED and before and not after:
            before[-1] = before[-1].removesuffix(text.newline)
        content = "".join([*before, *after])
        return None if text.exists_for_us and not content.strip() else _encoded(text.encoding, content)
    remembered = text.remembered
    if before and not before[-1].endswith("\n"):
        before[-1] += text.newline
        remembered = JOINED
    ours = [*LOCALHOST, *block] if remembered == MADE else list(block)
    note = f" ({remembered})" if remembered else ""
    marked = [f"# hostwire begin {owner}{note}", *ours, f"# hostwire end {owner}"]
    return _encoded(text.encoding, "".join([*before, *(line + text.newline for line in marked), *after]))


def entries_in(lines: Sequence[str]) -> List[Line]:
    """The lines that give names to an address, as hosts(5) reads them."""
    found = []
    for number, line in enumerate(lines, 1):
        words = _BLANK.sub(" ", line.split("#", 1)[0]).strip(" ").split(" ")
        if len(words) > 1:
            found.append(Line(number, words[0], tuple(words[1:])))
    return found


def others(text: HostsText) -> List[Line]:
    """What stands outside our block, each with its number in the whole file."""
    between = [""] * (0 if text.block is None else len(text.block) + 2)
    return entries_in([*text.before, *between, *text.after])


def own(text: HostsText) -> List[Line]:
    """What stands in our block, without the lines that only a new file needs."""
    inner = text.block or ()
    return entries_in([line for line in inner if not (text.exists_for_us and line in LOCALHOST)])


def _newline(lines: Sequence[str]) -> str:
    """The line end that most lines have; "\\n" where none has any."""
    windows = sum(line.endswith("\r\n") for line in lines)
    return "\r\n" if windows * 2 > sum(line.endswith("\n") for line in lines) else "\n"


def _block(lines: Sequence[str], owner: str, path: str) -> Tuple[Optional[int], Optional[int], str]:
    """Where the owner's block begins and ends, and what its first line remembers."""
    begins = [(number, found) for number, found in _marks(lines, _BEGIN) if found.group(1) == owner]
    ends = [number for number, found in _marks(lines, _END) if found.group(1) == owner]
    if not begins and not ends:
        return None, None, ""
    if len(begins) != 1 or len(ends) != 1 or ends[0] < begins[0][0]:
        numbers = ", ".join(str(number + 1) for number in sorted([number for number, dummy in begins] + ends))
        raise Conflict(
            f'{path}: the lines around the block of "{owner}" are damaged (line {numbers}): there has to be one'
            f' "# hostwire begin {owner}" and below it one "# hostwire end {owner}"; mend or delete them'
        )
    number, found = begins[0]
    return number, ends[0], found.group(2) or ""


def _marks(lines: Sequence[str], pattern: re.Pattern[str]) -> List[Tuple[int, re.Match[str]]]:
    matches = [(number, pattern.fullmatch(line)) for number, line in enumerate(lines) if "hostwire" in line]
    return [(number, found) for number, found in matches if found]


def _encoded(encoding: Encoding, text: str) -> bytes:
    return encoding.mark + text.encode(encoding.codec, "surrogatepass")
