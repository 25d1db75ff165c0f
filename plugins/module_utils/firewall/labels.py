# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule is for, in the words of a plan's line, where an entry of a document says it."""

from __future__ import annotations

from ..model import Masquerade, PublishedPort


def bracketed(address: str) -> str:
    """An address as it stands before a port."""
    return f"[{address}]" if ":" in address else address


def publish_label(port: PublishedPort) -> str:
    """``publish tcp any:8080 -> 192.168.15.2:80 from 10.0.0.0/8``."""
    more = port.port_last - port.port
    source = f"{bracketed(port.address)}:{port.port}"
    target = f"{bracketed(port.to_address)}:{port.to_port}"
    admitted = f" from {', '.join(sorted(port.sources))}" if port.sources else ""
    if more:
        return f"publish {port.protocol} {source}-{port.port_last} -> {target}-{port.to_port + more}{admitted}"
    return f"publish {port.protocol} {source} -> {target}{admitted}"


def masquerade_label(entry: Masquerade) -> str:
    """``masquerade 192.168.15.0/24 except to v-net-0``."""
    exempt = f" except to {', '.join(entry.except_to)}" if entry.except_to else ""
    return f"masquerade {entry.source}{exempt}{f' as {entry.to_source}' if entry.to_source else ''}"
