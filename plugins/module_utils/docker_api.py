# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker Engine's API over its unix socket: JSON in, JSON out (docs.docker.com/engine/api)."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, Mapping, Optional

from .errors import MissingOnHost

DOCKER_SOCKET = "/var/run/docker.sock"
DOCKER_TIMEOUT = 10.0  # seconds for one request; a healthy engine answers in milliseconds


class NotFound(MissingOnHost):
    """The engine answers, but knows no such object."""


class EngineRefused(MissingOnHost):
    """The engine answers, and says no."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path
        self._seconds = timeout

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._seconds)
        self.sock.connect(self._path)


class Api:
    """An engine's API in the version that the engine itself takes for its newest.

    ``path`` is the socket's; ``timeout`` in seconds is for each request (starting a container may take longer).
    """

    def __init__(self, path: str = DOCKER_SOCKET, timeout: float = DOCKER_TIMEOUT) -> None:
        self.path = path
        self.timeout = timeout

    def get(self, path: str) -> Any:
        """The answer's JSON. Raises NotFound, EngineRefused, and MissingOnHost where no engine answers."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Optional[Mapping[str, Any]] = None, timeout: Optional[float] = None) -> Any:
        """As get, with a body; None where the answer has none. "Not modified" (304) is an answer like others."""
        return self._ask("POST", path, body, timeout)

    def delete(self, path: str) -> None:
        """Delete an object; as get."""
        self._ask("DELETE", path, None)

    def answers(self) -> bool:
        """Whether an engine is there and well."""
        connection = _Connection(self.path, self.timeout)
        try:
            connection.request("GET", "/_ping")
            response = connection.getresponse()
            return response.status == 200 and response.read() == b"OK"
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _ask(self, method: str, path: str, body: Optional[Mapping[str, Any]], timeout: Optional[float] = None) -> Any:
        connection = _Connection(self.path, self.timeout if timeout is None else timeout)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
            response = connection.getresponse()
            status, content = response.status, response.read()
            answer: Any = json.loads(content) if content.strip() else None
        except OSError as error:
            raise MissingOnHost(f"no Docker engine answers at {self.path}: {error.strerror or error}") from error
        except (http.client.HTTPException, ValueError) as error:
            raise MissingOnHost(f"what answers at {self.path} doesn't speak the Docker API") from error
        finally:
            connection.close()
        if status < 400:
            return answer
        said = answer.get("message") if isinstance(answer, dict) else None
        kind = NotFound if status == 404 else EngineRefused
        raise kind(f"the Docker engine says {str(said or status).strip()}")
