# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in the document the objects of a topology stand."""

from __future__ import annotations

from typing import Dict, FrozenSet, NamedTuple, Optional, Tuple


class Where(NamedTuple):
    """The places of a topology's objects in its document.

    ``paths``: section to the path in the document of each object in the topology, in the topology's order.
    ``doubtful``: namespaces in which some address or route couldn't be read, so that nothing can be said there about
    what reaches what; ``doubtful_everywhere``: such a one whose namespace is unknown. ``spoken``: the texts in entries
    that couldn't be read; what one of them may be a name of, isn't missing.
    """

    paths: Dict[str, Tuple[str, ...]] = {}
    doubtful: FrozenSet[Optional[str]] = frozenset()
    doubtful_everywhere: bool = False
    spoken: FrozenSet[str] = frozenset()

    def path(self, section: str, position: int) -> str:
        """The path of the object at ``position`` in the topology's ``section``, like ``veths[2]``."""
        paths = self.paths.get(section)
        return paths[position] if paths else f"{section}[{position}]"

    def is_doubtful(self, netns: Optional[str]) -> bool:
        """Whether the addresses of this namespace are only partly known, because the document has them wrong."""
        return self.doubtful_everywhere or netns in self.doubtful
