# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode and refused documents change nothing: no message that writes, no file; and they say the right words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from ansible_collections.hostwire.linux.plugins.module_utils import engine, rehearsal
from ansible_collections.hostwire.linux.plugins.module_utils.errors import InvalidValue
from ansible_collections.hostwire.linux.tests.bad_documents import BAD_DOCUMENTS
from ansible_collections.hostwire.linux.tests.kernel import world

BUILD = Path(__file__).resolve().parents[2] / "build"
SAMPLE = BAD_DOCUMENTS[:: len(BAD_DOCUMENTS) // 15]

# What a run may do to be counted as a reading one.
TRACED = (
    "trace=sendto,sendmsg,sendmmsg,write,pwrite64,writev,open,openat,openat2,creat,mkdir,mkdirat,rmdir,unlink,unlinkat,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,mount,umount2,unshare,setns,chmod,fchmod,fchmodat,"
    "chown,fchown,fchownat,truncate,ftruncate,fsync,mknod,mknodat,setxattr,ioctl,setsockopt"
)
ENGINE = f"""
import json, sys
sys.path.insert(0, {str(BUILD)!r})
sys.dont_write_bytecode = True
from ansible_collections.hostwire.linux.plugins.module_utils import engine, rehearsal
from ansible_collections.hostwire.linux.plugins.module_utils.errors import HostwireError
given, check = json.load(sys.stdin)
try:
    several = isinstance(given, list)
    results = rehearsal.run_all(given, check=check) if several else [engine.run(given, check=check)]
except HostwireError as error:
    print(json.dumps([type(error).__name__, *error.problems]))
else:
    lines = [line for result in results for line in result.plan]
    print(json.dumps([any(result.changed for result in results), *lines]))
"""

pytestmark = pytest.mark.usefixtures("private_host")


def traced(document: Any, check: bool, directory: Path) -> List[Any]:
    """What a run says; its system calls are in trace.PID for each of its processes."""
    options = ["-ff", "-qq", "-y", "-e", TRACED, "-e", "signal=none", "-o", str(directory / "trace")]
    command = ["strace", *options, sys.executable, "-c", ENGINE]
    text = json.dumps([document, check])
    done = subprocess.run(command, input=text, check=True, capture_output=True, text=True)
    said: List[Any] = json.loads(done.stdout)
    return said


def writes(directory: Path) -> List[str]:
    """The system calls of a trace that wrote something somewhere, but for settings that were tried.

    Those are set in a new namespace, which ends when the run comes home from it.
    """
    return [line for trace in sorted(directory.glob("trace.*")) for line in _writes(trace.read_text())]


def _writes(trace: str) -> Iterator[str]:
    trying = False
    for line in trace.splitlines():
        name, _parenthesis, _rest = line.partition("(")
        if name in ("unshare", "setns"):
            trying = name == "unshare" and "(CLONE_NEWNET)" in line
        elif trying and "/proc/sys/net/" in line:
            continue
        elif name in ("open", "openat", "openat2"):
            if re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", line) and "/dev/null" not in line:
                yield line
        elif name in ("write", "writev", "pwrite64"):
            if not re.search(r"\(\d+<(pipe|anon_inode|socket:|UNIX|/dev/null)", line):
                yield line
        elif name in ("sendto", "sendmsg", "sendmmsg"):
            if not all(reads(kind) for kind in re.findall(r"nlmsg_type=([^,]+),", line)):
                yield line
        elif name in ("setsockopt", "ioctl"):
            if re.search(r"IPT_SO_SET|IP6T_SO_SET|SO_SET_REPLACE|SIOCS|TUNSET|BRCTL", line):
                yield line
        elif "= -1" not in line:
            yield line


def reads(kind: str) -> bool:
    """Whether a netlink message of this type only asks. strace has names for some, and numbers for the rest."""
    if kind.startswith("0x"):
        number = int(kind.partition(" ")[0], 16)  # linux/rtnetlink.h: new, delete, get and set, four by four
        # NFNL_SUBSYS_NFT_COMPAT, linux/netfilter/nfnetlink.h: by which iptables asks which matches the kernel has.
        # NFNL_SUBSYS_NFTABLES, linux/netfilter/nf_tables.h: new, get and delete, three by three.
        asks = number >> 8 == 10 and number % 256 % 3 == 1
        return asks or (number < 256 and number % 4 == 2) or number >> 8 == 11
    return re.search(r"RTM_GET|_GET", kind) is not None


def test_the_trace_tells_a_run_that_writes(private_host: Path) -> None:
    document = {"bridges": [{"name": "v-net-0", "addresses": ["10.5.0.1/24"]}], "forwarding": {"ipv4": True}}
    traced(document, False, private_host)
    lines = "\n".join(writes(private_host))
    for word in ("mkdir", "main.journal", "main.state", "nlmsg_type=0x10 ", "NFT_MSG_NEWRULE", "ip_forward"):
        assert word in lines


@pytest.mark.parametrize(
    ("there", "wanted"),
    [(None, world.FIRST), (world.FIRST, world.FIRST), (world.FIRST, world.SECOND), (world.FIRST, {"state": "absent"})],
    ids=["makes", "has nothing to do", "changes", "removes"],
)
def test_check_mode_writes_nothing(private_host: Path, there: Any, wanted: Dict[str, Any]) -> None:
    world.build_surroundings()
    if there is not None:
        engine.run(there, dad_seconds=0)
    before, tree = world.image(), everything()
    changed, *plan = traced(wanted, True, private_host)
    assert writes(private_host) == []
    assert world.differences(before, world.image()) == []
    assert everything() == tree
    assert plan == list(engine.run(wanted, dad_seconds=0).plan)
    assert changed == bool(plan)


def test_check_mode_of_several_documents_writes_nothing(private_host: Path) -> None:
    world.build_surroundings()
    rooms = {"name": "rooms", "namespaces": world.FIRST["namespaces"]}
    cables = {"name": "cables", **{field: value for field, value in world.FIRST.items() if field != "namespaces"}}
    before, tree = world.image(), everything()
    _changed, *plan = traced([rooms, cables], True, private_host)
    assert writes(private_host) == []
    assert world.differences(before, world.image()) == []
    assert everything() == tree
    assert plan == [line for result in rehearsal.run_all([rooms, cables], dad_seconds=0) for line in result.plan]


@pytest.mark.parametrize("bad", SAMPLE, ids=lambda bad: bad.id)
def test_a_refused_document_writes_nothing(private_host: Path, bad: Any) -> None:
    Path("/var/lib/hostwire").mkdir(0o700)
    tree = everything()
    kind, *problems = traced(bad.document, False, private_host)
    assert (kind, tuple(problems[: len(bad.problems)])) == ("InvalidValue", bad.problems)
    assert [line for line in writes(private_host) if "/var/lib/hostwire/lock" not in line] == []
    assert everything() == tree


def test_every_bad_document_is_refused_by_the_engine_in_the_right_words() -> None:
    Path("/var/lib/hostwire").mkdir(0o700)
    before, tree = world.image(), everything()
    for bad in BAD_DOCUMENTS:
        with pytest.raises(InvalidValue) as raised:
            engine.run(bad.document)
        count = len(bad.problems)
        assert raised.value.problems[:count] == bad.problems, bad.id
        of_the_host = ("on the host", "no Docker engine answers")
        for problem in raised.value.problems[count:]:
            assert any(words in problem for words in of_the_host), problem
    assert world.differences(before, world.image()) == []
    assert everything() == tree


def everything() -> List[str]:
    """Each file that a run could have left, with the time of its last change."""
    found = []
    for top in ("/etc", "/run/netns", "/var/lib"):
        for path in sorted(Path(top).rglob("*")):
            status = path.lstat()
            found.append(f"{path} {status.st_mtime_ns} {status.st_size}")
    return [line for line in found if not line.startswith(("/var/lib/hostwire/lock ", "/var/lib/hostwire "))]
