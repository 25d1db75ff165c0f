# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines: busybox under qemu, with NICs on taps that are there already, and commands run in them.

qemu emulates the processor (TCG), so it needs no privilege and no hardware; a machine boots in about 3 s. Its process
is in the network namespace of the one that starts it, and ends with that.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import os
import pwd
import select
import subprocess
import time
from pathlib import Path
from typing import IO, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

from .initramfs import initramfs
from .kernel import Kernel, kernel

BOOT_SECONDS = 240.0  # 3 s of work on a processor of one's own; a busy machine has taken 25
RUN_SECONDS = 120.0
MEMORY = 128  # MB
PORT = 4000  # on which a guest that serves answers
KERNEL_OPTIONS = (
    "console=ttyS0",
    "quiet",
    "panic=-1",
    # On a busy machine the processor's clock may be measured wrong, and a second be half a one; hpet has a known rate.
    "notsc",
    # Likewise the kernel may take the timer for unconnected, for its interrupts come late, and give up.
    "no_timer_check",
)
# In sh: peer.pl serves from now on. It ends with an error if that doesn't.
SERVE = f"""
perl -w /lib/peer.pl serve {PORT} >/dev/console 2>&1 &
until [ $(netstat -ltun | grep -c ':{PORT} ') = 2 ]; do
    kill -0 $! || exit 1
    sleep 0.1
done
"""
END_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")


class GuestError(Exception):
    """A virtual machine didn't do what it was to; the text holds the last it said."""


class Nic(NamedTuple):
    """A NIC of the machine: the tap that it is on, and the NIC's own MAC. The first is eth0 inside, and so on."""

    tap: str
    mac: str


class Ran(NamedTuple):
    """How a command ended, and what it printed, errors included."""

    status: int
    output: str


class Call(NamedTuple):
    """Whom a machine asks for an answer: ``protocol`` icmp, tcp or udp, the last two on ``port``."""

    address: str
    protocol: str
    port: int = PORT


class Guest:
    """A machine that runs. Made by ``booted``."""

    def __init__(self, process: subprocess.Popen[bytes], console: Path) -> None:
        self._process = process
        self._console = console
        self._number = 0
        self._heard = b""

    def run(self, script: str, seconds: float = RUN_SECONDS) -> Ran:
        """Run lines of sh in the machine and wait for their end. After a GuestError it is of no more use."""
        return self.begin(script, seconds)()

    def begin(self, script: str, seconds: float = RUN_SECONDS) -> Callable[[], Ran]:
        """Like ``run``, but others may begin, too, before what is returned waits for the end."""
        self._number += 1
        expected = str(self._number)
        self._send(f"{expected} {base64.b64encode(script.encode()).decode()}\n".encode())

        def end() -> Ran:
            number, status, *output = self._line(seconds, script).split(" ")
            if number != expected:
                raise GuestError(self._with_console(f"answer {number} came to request {expected}"))
            return Ran(int(status), base64.b64decode("".join(output)).decode(errors="replace"))

        return end

    def said(self, script: str, seconds: float = RUN_SECONDS) -> str:
        """What a script prints that must succeed."""
        ran = self.run(script, seconds)
        if ran.status:
            raise GuestError(f"{script}: ended with {ran.status}: {ran.output}")
        return ran.output.strip()

    def serve(self) -> None:
        """Answer TCP and UDP on PORT from now on, at all addresses."""
        self.said(SERVE)

    def reaches(self, address: str, protocol: str, port: int = PORT, seconds: int = 1) -> bool:
        """Whether ``address`` answers this machine within ``seconds``. ``protocol``: icmp, tcp, udp."""
        return self.asks([Call(address, protocol, port)], seconds)() == [True]

    def asks(self, calls: Sequence[Call], seconds: int) -> Callable[[], List[bool]]:
        """Make calls, all at once. What is returned waits, and tells which were answered within ``seconds``."""
        words = [f"{call.protocol}:{ipaddress.ip_address(call.address).packed.hex()}:{call.port}" for call in calls]
        end = self.begin(f"perl -w /lib/peer.pl ask {seconds} {' '.join(words)}")

        def answered() -> List[bool]:
            ran = end()
            if ran.status:
                raise GuestError(self._with_console(f"calls ended with {ran.status}: {ran.output}"))
            return [f"answered {number}" in ran.output.splitlines() for number in range(len(calls))]

        return answered

    def wait_until_ready(self) -> None:
        """Wait until the machine takes commands."""
        while self._line(BOOT_SECONDS, "boot").rstrip("\r") != "ready":
            pass

    def _send(self, request: bytes) -> None:
        control = self._process.stdin
        assert control is not None
        try:
            control.write(request)
            control.flush()
        except BrokenPipeError as error:
            raise GuestError(self._with_console("the machine is gone")) from error

    def _line(self, seconds: float, what: str) -> str:
        """The next line that the machine sends, within ``seconds``."""
        control = self._process.stdout
        assert control is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._heard:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([control], [], [], left)[0]:
                raise GuestError(self._with_console(f"no end within {seconds:g} s of: {what}"))
            heard = os.read(control.fileno(), 65536)
            if not heard:
                raise GuestError(self._with_console("the machine has ended"))
            self._heard += heard
        line, _newline, self._heard = self._heard.partition(b"\n")
        return line.decode(errors="replace")

    def _with_console(self, words: str) -> str:
        last = self._console.read_text(errors="replace").splitlines()[-20:]
        return "\n".join([words, "the last lines of its console and of qemu:", *last])


@contextlib.contextmanager
def booted(name: str, nics: Sequence[Nic], directory: Path, owner: Optional[str] = None) -> Iterator[Guest]:
    """A machine with these NICs that runs as the user ``owner`` (None: the caller), and is gone afterwards.

    ``directory`` is for its console's file. Raises NoKernel, GuestError.
    """
    with started(name, nics, directory, owner) as guest:
        guest.wait_until_ready()
        yield guest


@contextlib.contextmanager
def started(name: str, nics: Sequence[Nic], directory: Path, owner: Optional[str] = None) -> Iterator[Guest]:
    """Like ``booted``, but it may still be booting: several boot in the time of one."""
    found = kernel()
    ramdisk, console = directory / f"{name}.initramfs", directory / f"{name}.console"
    ramdisk.write_bytes(initramfs(found.modules))
    user: Dict[str, object] = {}
    with contextlib.ExitStack() as files:
        # Both may lie where the owner may not look; what is open to this process stays so.
        boot = Kernel(found.image, [ramdisk])
        opened = [files.enter_context(path.open("rb")) for path in (boot.image, ramdisk)]
        log = files.enter_context(console.open("ab"))
        if owner is not None:
            record = pwd.getpwnam(owner)
            user = {"user": record.pw_uid, "group": record.pw_gid, "extra_groups": []}
            os.fchown(log.fileno(), record.pw_uid, record.pw_gid)
        process = subprocess.Popen(  # type: ignore[call-overload]
            _command(name, nics, opened, console),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=[file.fileno() for file in opened],
            **user,
        )
    try:
        yield Guest(process, console)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def _command(name: str, nics: Sequence[Nic], opened: List[IO[bytes]], console: Path) -> List[str]:
    image, ramdisk = (f"/proc/self/fd/{file.fileno()}" for file in opened)
    words = [*END_WITH_PARENT, "qemu-system-x86_64", "-name", name, "-accel", "tcg", "-m", str(MEMORY), "-smp", "1"]
    words += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    words += ["-kernel", image, "-initrd", ramdisk, "-append", " ".join(KERNEL_OPTIONS)]
    words += ["-serial", f"file:{console}"]
    words += ["-chardev", "stdio,id=control,signal=off", "-device", "virtio-serial-pci"]
    words += ["-device", "virtserialport,chardev=control,name=control"]
    for number, nic in enumerate(nics):
        words += ["-netdev", f"tap,id=nic{number},ifname={nic.tap},script=no,downscript=no"]
        # Without a file for booting over the network, which is a package of its own.
        words += ["-device", f"virtio-net-pci,netdev=nic{number},mac={nic.mac},romfile="]
    return words
