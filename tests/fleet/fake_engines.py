# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker engines that only answer what a real one answered: one thread serves a socket in each of many lab hosts."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Optional, Type

# The answers of a real 26.1.5 with a container on docker0, one on a network of its own and one on an internal network.
RECORDED: Dict[str, Any] = json.loads(Path(__file__).with_name("engine.json").read_text(encoding="utf-8"))


class FakeEngines:
    """Serves the recorded answers at each of ``sockets`` while the context lasts."""

    def __init__(self, sockets: List[Path]) -> None:
        self._sockets = sockets
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._bodies = {path: json.dumps(answer).encode() for path, answer in RECORDED.items()}

    def __enter__(self) -> FakeEngines:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(timeout=60)
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._servers = [await asyncio.start_unix_server(self._answer, path) for path in self._sockets]

    async def _close(self) -> None:
        for server in self._servers:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        body = self._bodies.get(request.split(b" ", 2)[1].decode())
        status = b"200 OK" if body is not None else b"404 Not Found"
        body = body or b'{"message": "not recorded"}'
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        writer.write(head % (status, len(body)) + body)
        await writer.drain()
        writer.close()
