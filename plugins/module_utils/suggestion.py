# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody who mistyped a word may have meant."""

from __future__ import annotations

import re
from typing import Collection, Iterable, Optional

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}", re.ASCII)


def as_field(value: object, known: Collection[str]) -> str:
    """``; say {name: red}`` where a value stands for a mapping and is what one of its fields may have, else nothing.

    ``known``: the mapping's fields. A whole document isn't meant by its name.
    """
    if isinstance(value, str) and "name" in known and "namespaces" not in known and _NAME.fullmatch(value):
        return f"; say {{name: {value}}}"
    switch = next((key for key in ("enabled", "ipv4") if key in known), None)
    return f"; say {{{switch}: {str(value).lower()}}}" if isinstance(value, bool) and switch else ""


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
