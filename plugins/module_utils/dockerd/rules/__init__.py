# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet filter rules of the Docker engine: what its version writes, what stands there, what is damaged."""

from __future__ import annotations

from .reading import Asked, Reading, asked, read

__all__ = ["Asked", "Reading", "asked", "read"]
