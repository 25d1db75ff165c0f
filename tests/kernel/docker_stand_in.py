# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers without a Docker engine: processes in network namespaces of their own, and the API that tells of them."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socketserver
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, Optional, Tuple, Type

SOCKET = "/run/docker.sock"  # on a tmpfs of the test; /var/run leads there


class Engine:
    """What the engine knows: by name, each container's process, or None once it has stopped."""

    def __init__(self) -> None:
        self.processes: Dict[str, Optional[subprocess.Popen[bytes]]] = {}
        self.asked = 0
        self._starts = 0
        self._started: Dict[str, int] = {}

    def start(self, name: str, *, like: Optional[str] = None, network: str = "none") -> int:
        """Start a container, in a namespace of its own, that of another (``like``), or the host's; its PID."""
        command = {"none": ["unshare", "--net"], "host": []}[network]
        if like is not None:
            command = ["nsenter", f"--net=/proc/{self.pid(like)}/ns/net"]
        process = subprocess.Popen([*command, "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.read(1)  # it is where it is to be
        self._starts += 1
        self.processes[name], self._started[name] = process, self._starts
        return process.pid

    def stop(self, name: str) -> None:
        """Stop a container; its namespace ends with it unless somebody else holds it."""
        process = self.processes[name]
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        self.processes[name] = None

    def restart(self, name: str) -> int:
        """Stop and start it; its new PID."""
        self.stop(name)
        return self.start(name)

    def pid(self, name: str) -> int:
        """The PID of a container that runs."""
        process = self.processes[name]
        assert process is not None
        return process.pid

    def answer(self, path: str) -> Tuple[int, bytes]:
        """What the API answers to a GET."""
        self.asked += 1
        name = path.split("/")[2]
        if name not in self.processes:
            return 404, b'{"message": "No such container"}'
        process = self.processes[name]
        state = {"Running": process is not None, "Status": "running" if process else "exited"}
        started = f"2026-01-01T00:00:{self._started[name]:02}.000000001Z"
        return 200, json.dumps(
            {"State": {**state, "Pid": process.pid if process else 0, "StartedAt": started}}
        ).encode()


def handler(answer: Callable[[str], Tuple[int, bytes]]) -> Type[http.server.BaseHTTPRequestHandler]:
    """What answers each GET with the status and body that ``answer`` gives for its path."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

        def address_string(self) -> str:
            return "unix"

    return Handler


@contextmanager
def docker_engine() -> Iterator[Engine]:
    """An engine that answers at its socket while the context lasts. In a thread: it sees what the test does."""
    engine = Engine()
    threads = len(os.listdir("/proc/self/task"))

    with socketserver.ThreadingUnixStreamServer(SOCKET, handler(engine.answer)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield engine
        finally:
            server.shutdown()
            thread.join()
            for name in [name for name, process in engine.processes.items() if process is not None]:
                engine.stop(name)
    os.unlink(SOCKET)
    # A joined thread is gone a moment later; until then the process can't go back to its mount namespace (setns(2)).
    while len(os.listdir("/proc/self/task")) > threads:
        time.sleep(0.01)
