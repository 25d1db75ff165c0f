# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the links, addresses, routes and forwarding of this network namespace and of every named one, as sorted JSON.

What differs from run to run (indexes, MAC addresses, timers, link-local addresses) is left out, so that two builds of
one network print the same text. Needs iproute2, on purpose: it looks with other eyes than the collection.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def ip(netns: str | None, *words: str) -> Any:
    command = ["ip", *(["-n", netns] if netns else []), "-j", *words]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out) if out.strip() else []


def sysctl(netns: str | None, path: str) -> str:
    command = [*(["ip", "netns", "exec", netns] if netns else []), "cat", "/proc/sys/" + path]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def room(netns: str | None) -> dict[str, Any]:
    links = {}
    for link in ip(netns, "-d", "addr", "show"):
        links[link["ifname"]] = {
            "kind": link.get("linkinfo", {}).get("info_kind"),
            "up": "UP" in link["flags"],
            "mtu": link["mtu"],
            "master": link.get("master"),
            "addresses": sorted(f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] != "link"),
        }
    routes = sorted(
        {
            " ".join(f"{k}={r[k]}" for k in ("dst", "gateway", "dev", "metric") if k in r)
            for family in ("-4", "-6")
            for r in ip(netns, family, "route", "show")
            if not r["dst"].startswith("fe80") and r.get("protocol") != "kernel"
        }
    )
    return {"links": links, "routes": routes, "ip_forward": sysctl(netns, "net/ipv4/ip_forward")}


if __name__ == "__main__":
    names = sorted(n["name"] for n in ip(None, "netns", "list"))
    json.dump({"": room(None), **{n: room(n) for n in names}}, sys.stdout, indent=1, sort_keys=True)
    print()
