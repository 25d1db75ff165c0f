# SPDX-License-Identifier: GPL-3.0-or-later
"""A netlink socket in one namespace: batches with an acknowledgement per message, and dumps that are whole or fail."""

from __future__ import annotations

import errno
import fcntl
import itertools
import socket
import struct
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, TypeVar

from .constants import (
    NETLINK_CAP_ACK,
    NETLINK_EXT_ACK,
    NETLINK_GET_STRICT_CHK,
    NETLINK_ROUTE,
    NLM_F_ACK,
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSGERR_ATTR_MSG,
    SOL_NETLINK,
)
from .wire import HEADER_SIZE, Message, attributes, c_string, frame, unpack_header

# An acknowledgement takes about 800 bytes of the receive buffer (default 208 KiB) whatever its length, so this many
# messages can be on their way before their answers are fetched.
BATCH = 64
_DUMP_ATTEMPTS = 20
_TIMEOUT = struct.pack("@ll", 30, 0)  # struct timeval: a kernel that does not answer for 30 s never will

A = TypeVar("A")
T = TypeVar("T")

_I32 = struct.Struct("=i")
_SIOCGIFNAME = 0x8910  # linux/sockios.h
_SIOCGIFINDEX = 0x8933  # every socket answers it for its own namespace
_IFREQ = struct.Struct("=16si20x")  # struct ifreq: a name, and here an index
_EARLY = 16  # most channels send few messages, and the same ones: these are put together once
_requests: Dict[Tuple[int, bytes, int], bytes] = {}
_buffer = bytearray(1 << 18)
_seen = memoryview(_buffer)
_DONE_SIZE = HEADER_SIZE + 4  # of the message at the end of a dump


class Bundle:
    """Requests that go out together: a dump so small that the kernel is done with it at once, requests with one answer
    each of which there are few, and another dump. (A socket has one dump at a time.)"""

    def __init__(self, small: Message, asked: Sequence[Message], last: Message) -> None:
        self._messages = (small, *asked, last)
        self._sent: Dict[int, bytes] = {}
        self.heard: Dict[bytes, Any] = {}  # what answers mean that come again and again
        self.size = len(self._messages)

    def beginning_with(self, first: int) -> bytes:
        """The bundle as it goes out, its messages numbered from ``first`` on."""
        sent = self._sent.get(first)
        if sent is None:
            numbered = enumerate(self._messages, first)
            sent = b"".join(frame(message, number, NLM_F_REQUEST) for number, message in numbered)
            if first < _EARLY:
                self._sent[first] = sent
        return sent


class Refusal(NamedTuple):
    """The kernel's no to one message: a positive errno and, where the kernel gave any, its own words."""

    errno: int
    detail: Optional[str]


class DumpInterrupted(OSError):
    """The kernel's tables changed during every attempt to read them (hazard 10)."""


class Channel:
    """One rtnetlink socket. It stays in the namespace the thread was in when it was made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        # Not settimeout(): Python would poll before each call, and a host with 1000 namespaces takes 10,000 of them.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT)
        self._sequence = itertools.count(1)
        self._explains = False
        self._set_option(NETLINK_GET_STRICT_CHK)

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _set_option(self, option: int) -> None:
        try:
            self._socket.setsockopt(SOL_NETLINK, option, 1)
        except OSError:  # a kernel before 4.20: fewer words, wider dumps, same meaning
            return

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def index_of(self, name: str) -> int:
        """The index of a link in the channel's namespace; OSError (ENODEV) if there is none.

        Another link's altname doesn't count, though the kernel answers to it.
        """
        wanted = name.encode()
        found = fcntl.ioctl(self._socket.fileno(), _SIOCGIFINDEX, _IFREQ.pack(wanted, 0))
        if fcntl.ioctl(self._socket.fileno(), _SIOCGIFNAME, found).partition(b"\0")[0] != wanted:
            raise OSError(errno.ENODEV, "it is another link's altname")
        index: int = _IFREQ.unpack_from(found)[1]
        return index

    def transact(self, messages: Sequence[Message]) -> List[Optional[Refusal]]:
        """Send all messages, in order, BATCH at a time; one entry per message: None, or why the kernel refused it.

        The kernel works on through a batch after a refusal.
        """
        if not self._explains:
            self._explains = True
            self._set_option(NETLINK_CAP_ACK)
            self._set_option(NETLINK_EXT_ACK)
        results: List[Optional[Refusal]] = []
        for start in range(0, len(messages), BATCH):
            results += self._transact_batch(messages[start : start + BATCH])
        return results

    def _transact_batch(self, batch: Sequence[Message]) -> List[Optional[Refusal]]:
        first = next(self._sequence)
        frames = [frame(batch[0], first, NLM_F_REQUEST | NLM_F_ACK)]
        frames += [frame(message, next(self._sequence), NLM_F_REQUEST | NLM_F_ACK) for message in batch[1:]]
        self._socket.send(b"".join(frames))
        results: List[Optional[Refusal]] = [None] * len(batch)
        waiting = len(batch)
        while waiting:
            for kind, flags, sequence, start, end in self._receive():
                if kind == NLMSG_ERROR and first <= sequence < first + len(batch):
                    results[sequence - first] = _refusal(flags, start, end)
                    waiting -= 1
        return results

    def dump(self, kind: int, body: bytes, parse: Callable[[bytearray, int, int], T]) -> List[T]:
        """Every object the kernel lists, each through ``parse`` (buffer, start, end of what is behind the header).

        The buffer is used again, so ``parse`` takes copies. An interrupted dump is read again (hazard 10); raises
        OSError for a refusal, DumpInterrupted if no attempt came through whole.
        """
        for _attempt in range(_DUMP_ATTEMPTS):
            found = self._dump_once(kind, body, parse)
            if found is not None:
                return found
        raise DumpInterrupted(errno.EINTR, "netlink dump interrupted")

    def _dump_once(self, kind: int, body: bytes, parse: Callable[[bytearray, int, int], T]) -> Optional[List[T]]:
        wanted = next(self._sequence)
        request = _requests.get((kind, body, wanted))
        if request is None:
            request = frame(Message(kind, NLM_F_DUMP, body), wanted, NLM_F_REQUEST)
            if wanted < _EARLY:
                _requests[kind, body, wanted] = request
        self._socket.send(request)
        return self._listed(wanted, parse)

    def _listed(self, wanted: int, parse: Callable[[bytearray, int, int], T]) -> Optional[List[T]]:
        """What a dump lists; None if it was interrupted."""
        interrupted = 0
        found: List[T] = []
        receive, buffer = self._socket.recv_into, _buffer
        while True:
            size = receive(buffer)
            start = 0
            while start < size:
                length, message, flags, sequence, _port = unpack_header(buffer, start)
                if sequence == wanted:
                    interrupted |= flags & NLM_F_DUMP_INTR
                    if message == NLMSG_DONE or message == NLMSG_ERROR:
                        number = _I32.unpack_from(buffer, start + HEADER_SIZE)[0] if length > HEADER_SIZE else 0
                        if number < 0:
                            raise OSError(-number, "netlink dump refused")
                        return None if interrupted else found
                    found.append(parse(buffer, start + HEADER_SIZE, start + length))
                start += (length + 3) & ~3

    def dump_along(
        self,
        bundle: Bundle,
        hear: Callable[[bytes], A],
        parse: Callable[[bytearray, int, int], T],
    ) -> Optional[Tuple[bytes, List[Optional[A]], List[T]]]:
        """What a bundle asks for: the small dump as it came, the answers (None for a refusal), and the other dump.

        None if that can't be had together, or changed meanwhile: then each is to be asked for by itself.
        """
        first = next(self._sequence)
        self._socket.send(bundle.beginning_with(first))
        self._sequence = itertools.count(first + bundle.size)
        receive, buffer = self._socket.recv_into, _buffer
        size = receive(buffer)
        came = bytes(_seen[:size])
        whole = size > _DONE_SIZE and unpack_header(buffer, size - _DONE_SIZE)[1] == NLMSG_DONE
        answers: List[Optional[A]] = []
        for _number in range(bundle.size - 2) if whole else ():
            answer = bytes(_seen[: receive(buffer)])
            known = bundle.heard.get(answer, bundle)
            if known is bundle:
                known = None if unpack_header(answer)[1] == NLMSG_ERROR else hear(answer)
                if first < _EARLY:
                    bundle.heard[answer] = known
            answers.append(known)
        if not whole:
            self._drain({first, first + bundle.size - 1}, size)
            return None
        found = self._listed(first + bundle.size - 1, parse)
        return None if found is None else (came, answers, found)

    def _drain(self, waiting: Set[int], size: int) -> None:
        """Hear dumps out; ``size``: of what has come of them already."""
        while True:
            start = 0
            while start < size:
                length, kind, _flags, sequence, _port = unpack_header(_buffer, start)
                if kind == NLMSG_DONE or kind == NLMSG_ERROR:
                    waiting.discard(sequence)
                start += (length + 3) & ~3
            if not waiting:
                return
            size = self._socket.recv_into(_buffer)

    def ask(self, messages: Sequence[Message]) -> Iterator[Optional[Tuple[bytearray, int, int]]]:
        """Send requests that have one object as their answer each: (buffer, start, end), or None for a refusal."""
        first = next(self._sequence)
        frames = [frame(messages[0], first, NLM_F_REQUEST)]
        frames += [frame(message, next(self._sequence), NLM_F_REQUEST) for message in messages[1:]]
        self._socket.send(b"".join(frames))
        waiting = len(messages)
        while waiting:
            for kind, _flags, sequence, start, end in self._receive():
                if sequence >= first:
                    waiting -= 1
                    yield None if kind == NLMSG_ERROR else (_buffer, start, end)

    def _receive(self) -> Iterator[Tuple[int, int, int, int, int]]:
        size = self._socket.recv_into(_buffer)
        start = 0
        while start + HEADER_SIZE <= size:
            length, kind, flags, sequence, _port = unpack_header(_buffer, start)
            yield kind, flags, sequence, start + HEADER_SIZE, start + length
            start += (length + 3) & ~3


def _refusal(flags: int, start: int, end: int) -> Optional[Refusal]:
    number = _I32.unpack_from(_buffer, start)[0]
    if number == 0:
        return None
    detail = None
    if flags & NLM_F_ACK_TLVS:
        echoed = unpack_header(_buffer, start + 4)[0] if not flags & NLM_F_CAPPED else HEADER_SIZE
        for kind, begin, stop in attributes(_buffer, start + 4 + ((echoed + 3) & ~3), end):
            if kind == NLMSGERR_ATTR_MSG:
                detail = c_string(_buffer, begin, stop)
    return Refusal(-number, detail)
