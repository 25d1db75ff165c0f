# SPDX-License-Identifier: GPL-3.0-or-later
"""What a virtual machine boots into: busybox, modules, and a loop that runs commands; all of it in memory."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple

_HERE = Path(__file__).parent
EMPTY_DIRECTORIES = ("dev", "proc", "sys", "tmp", "root", "run")


class Entry(NamedTuple):
    """A file of the archive: mode with its type, content (a link's target), and the numbers of a device."""

    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def initramfs(modules: Iterable[Path]) -> bytes:
    """The archive, unpacked: the kernel takes it as it is, and a small one is not worth the guest's time to unpack."""
    entries: Dict[str, Entry] = {name: Entry(stat.S_IFDIR | 0o755) for name in EMPTY_DIRECTORIES}
    entries["dev/console"] = Entry(stat.S_IFCHR | 0o600, device=(5, 1))  # what /init has open from the start
    entries["init"] = _program(_HERE / "init.sh")
    entries["etc/udhcpc/default.script"] = _program(_HERE / "udhcpc.sh")
    entries["lib/peer.pl"] = _program(_HERE / "peer.pl")
    busybox = _path("busybox")
    entries["bin/busybox"] = _program(busybox)
    for applet in subprocess.check_output([busybox, "--list"], text=True).split():
        entries.setdefault(f"bin/{applet}", Entry(stat.S_IFLNK | 0o777, b"busybox"))
    for file in [_path("perl"), *_libraries(_path("perl"))]:
        entries[str(file).lstrip("/")] = _program(file)
    for module in modules:
        entries[f"modules/{module.name}"] = Entry(stat.S_IFREG | 0o644, module.read_bytes())
    return archive(entries)


def _path(program: str) -> Path:
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(f"the guest of a virtual machine needs the program {program}, and it isn't here")
    return Path(found)


def _program(file: Path) -> Entry:
    return Entry(stat.S_IFREG | 0o755, file.read_bytes())


def _libraries(program: Path) -> List[Path]:
    """The shared libraries of a program and what loads them, each by the path under which it is looked for."""
    printed = subprocess.check_output(["ldd", program], text=True)
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", printed)]


def archive(entries: Dict[str, Entry]) -> bytes:
    """An archive in cpio's format newc (initramfs-buffer-format in the kernel's documentation)."""
    whole = dict(entries)
    for name in entries:
        for parent in Path(name).parents:
            if str(parent) != ".":
                whole.setdefault(str(parent), Entry(stat.S_IFDIR | 0o755))
    # A directory sorts before what is in it, as it must.
    parts = [_record(number, name, whole[name]) for number, name in enumerate(sorted(whole), 1)]
    return b"".join([*parts, _record(0, "TRAILER!!!", Entry(0))])


def _record(inode: int, name: str, entry: Entry) -> bytes:
    path = name.encode() + b"\0"
    fields = (
        inode,
        entry.mode,
        0,  # owner
        0,  # group
        1,  # links
        0,  # time
        len(entry.content),
        0,  # the archive's own device, major
        0,  # and minor
        *entry.device,
        len(path),
        0,  # no checksum in this format
    )
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + path) + _padded(entry.content)


def _padded(record: bytes) -> bytes:
    """``record``, filled up to a multiple of four bytes."""
    return record + b"\0" * (-len(record) % 4)
