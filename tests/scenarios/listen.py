# SPDX-License-Identifier: GPL-3.0-or-later
"""listen.py NETNS ADDRESS PORT: accept TCP connections inside a namespace until killed; prints 'listening'."""

from __future__ import annotations

import os
import socket
import sys

if __name__ == "__main__":
    netns, address, port = sys.argv[1:4]
    if netns and os.environ.get("LISTEN_INSIDE") != "1":
        os.environ["LISTEN_INSIDE"] = "1"
        os.execvp("ip", ["ip", "netns", "exec", netns, sys.executable, *sys.argv])
    with socket.create_server((address, int(port))) as server:
        print("listening", flush=True)
        while True:
            server.accept()[0].close()
