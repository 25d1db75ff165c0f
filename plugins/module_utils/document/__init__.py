# SPDX-License-Identifier: GPL-3.0-or-later
"""The document: a plain dict into a Topology, every problem found, and a Topology back into a dict and YAML text."""

from __future__ import annotations

from .dump import canonical, dump
from .fragment import problems_with_earlier
from .reader import Reading, read
from .where import Where
from .yaml_text import to_yaml

__all__ = ["Reading", "Where", "canonical", "dump", "problems_with_earlier", "read", "to_yaml"]
