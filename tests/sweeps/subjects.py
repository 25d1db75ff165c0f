# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of a run, as images of the host show it, held against what the run says is left."""

from __future__ import annotations

import json
import re
from typing import Any, Iterator, List, Tuple

UNSEEN = "what is there can't be seen"  # then what perhaps is left is told by the plan's lines
RECORDS = ("what is remembered", "journal", ".state", "/var/lib/hostwire")
_OF_RULES = ("iptables", "ip6tables", "rules", "masquerade", "publish", "packet filter", "protect")


def untold(before: Any, now: Any, message: str) -> List[str]:
    """What is left and has no subject in the message."""
    return [line for line, words in _left(before, now) if not any(word in message for word in words)]


def is_about_records(message: str) -> bool:
    """Whether a run that has left nothing on the host has a reason to say that not all could be put back."""
    return UNSEEN in message or any(word in message for word in RECORDS)


def _left(before: Any, now: Any) -> Iterator[Tuple[str, Tuple[str, ...]]]:
    """Each thing, and the words of which one is to be in the message."""
    for name in {**before["rooms"], **now["rooms"]}:
        then, there = before["rooms"].get(name), now["rooms"].get(name)
        where = "host" if name == "None" else name
        if then is None or there is None:
            yield f"namespace {name}", (f"namespace {name}", f"{name}:", f"/{name}/", f"{name}/")
            continue
        yield from _left_in_room(where, then, there)
    for kind in ("files", "directories", "plain"):
        for path in _changed(before[kind], now[kind]):
            if not str(path).startswith("/var/lib/hostwire/"):
                yield f"{kind} {path}", (str(path), str(path).rsplit("/", 1)[-1])
    for old, new in zip(before["more"], now["more"]):
        for line in _changed(old, new) if isinstance(old, list) else ():
            yield line, (line.split()[0], *(f" {link}" for link in re.findall(r"dev (\S+)", line)))


def _left_in_room(where: str, then: Any, there: Any) -> Iterator[Tuple[str, Tuple[str, ...]]]:
    links = set(_changed(then["links"], there["links"]))
    for name in sorted(links):
        yield (
            f"{where}: link {name}",
            (f" {name}:", f" {name} ", f"/{name} ", f"/{name}:", f"on {name}", f"cable {name}"),
        )
    for text in _changed(then["routes"], there["routes"]):
        route = json.loads(text)
        devices = [route.get("dev"), *(hop.get("dev") for hop in route.get("nexthops", ()))]
        to = {"default": "/0"}.get(route["dst"], route["dst"])
        if not links.intersection(devices):  # else it goes or stays with its link
            yield f"{where}: route {route['dst']}", (to, *(f" {dev}" for dev in devices if dev))
    for path in _changed(then["sysctls"], there["sysctls"]):
        link, name = [*path.split("/"), ""][-3:-1] if "/" in path else ("", path)
        if link not in links:
            words = (f" {link}", f"/{link}") if link else (name,)
            yield f"{where}: setting {path}", (*words, "forwarding", "publish")  # which set them
    if then["rules"] != there["rules"]:
        yield f"{where}: rules", _OF_RULES


def _changed(before: Any, now: Any) -> List[Any]:
    """What is in one of both only, or another: keys of mappings, entries of lists."""
    if isinstance(before, dict):
        return [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return [entry for entry in [*before, *now] if (entry in before) != (entry in now)]
