# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody who mistyped a word may have meant."""

from __future__ import annotations

from typing import Iterable, Optional


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean "blue"?`` where a known word is close to ``word``, else nothing."""
    close = closest(word, known)
    return "" if close is None else f'; did you mean "{close}"?'


def closest(word: str, known: Iterable[str]) -> Optional[str]:
    """The known word that is close to ``word``, None if there is none."""
    from difflib import get_close_matches  # loaded when it is needed: most documents have no mistakes

    choices = list(known)
    close = get_close_matches(word, choices, 1, 0.6) if len(word) <= 64 else []
    if not close:
        close = [choice for choice in choices if choice.lower() == word.lower()]
    return close[0] if close else None
