# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's network built with pyroute2's own objects, as its documentation shows: IPRoute and NetNS."""

from __future__ import annotations

import json
import sys
import time

from network import BRIDGE, GATEWAY, PREFIX_LENGTH, address, cable, namespace
from pyroute2 import IPRoute, NetNS  # type: ignore[import-not-found]  # in a venv of its own


def build(count: int) -> None:
    with IPRoute() as host:
        host.link("add", ifname=BRIDGE, kind="bridge", state="up")
        (switch,) = host.link_lookup(ifname=BRIDGE)
        host.addr("add", index=switch, address=GATEWAY, prefixlen=PREFIX_LENGTH)
        for number in range(count):
            name = namespace(number)
            with NetNS(name) as inside:
                peer = {"ifname": "eth0", "net_ns_fd": name}
                host.link("add", ifname=cable(number), kind="veth", peer=peer, master=switch, state="up")
                inside.link("set", index=1, state="up")
                inside.link("set", index=2, state="up")
                inside.addr("add", index=2, address=address(number), prefixlen=PREFIX_LENGTH)
                inside.route("add", dst="default", gateway=GATEWAY)


def main() -> None:
    start = time.perf_counter()
    build(int(sys.argv[1]))
    print(json.dumps({"seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
