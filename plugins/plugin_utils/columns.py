# Copyright: the Hostwire authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How wide text is on a terminal, and text cut to a width; in time that doesn't grow with what is cut off."""

from __future__ import annotations

from ansible.utils.display import get_text_width


def columns(text: str) -> int:
    """The columns that text takes."""
    try:
        return int(get_text_width(text))
    except OSError:  # characters of which the system doesn't know a width
        return len(text)


def cut(text: str, width: int) -> str:
    """The text in at most ``width`` columns; of a longer one no more is looked at."""
    used = fitting = 0
    for place, character in enumerate(text, 1):
        used += columns(character)
        if used > width:
            return text[:fitting] + "…"
        if used < width:
            fitting = place
    return text


def fit(text: str, width: int) -> str:
    """The text cut or padded to exactly ``width`` columns."""
    kept = cut(text, width)
    return kept + " " * (width - columns(kept))
