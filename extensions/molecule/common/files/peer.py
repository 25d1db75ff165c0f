# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at the other end of a TCP connection?

``peer.py serve NAME PORT`` tells everyone who connects "NAME ADDRESS", ADDRESS being where the connection came from; it
is a systemd service of the type notify.
``peer.py ask ADDRESS PORT`` prints what it is told; ends with 1 when nobody answers within two seconds.
"""

from __future__ import annotations

import os
import socket
import sys


def serve(name: str, port: int) -> None:
    """Answers both families until ended."""
    with socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])  # sd_notify(3)
        while True:
            connection, (address, *dummy) = server.accept()
            with connection:
                connection.sendall(f"{name} {address.replace('::ffff:', '')}\n".encode())


def ask(address: str, port: int) -> int:
    """One connection; the answer is printed as it came."""
    try:
        with socket.create_connection((address, port), timeout=2) as connection:
            print(connection.makefile().read(), end="")
    except OSError as problem:
        print(f"{address} port {port}: {problem}", file=sys.stderr)
        return 1
    return 0


if sys.argv[1] == "serve":
    serve(sys.argv[2], int(sys.argv[3]))
else:
    sys.exit(ask(sys.argv[2], int(sys.argv[3])))
