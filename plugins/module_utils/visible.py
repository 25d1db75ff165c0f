# SPDX-License-Identifier: GPL-3.0-or-later
"""Foreign text for people: what a host, a guest or a file says may steer the terminal on which it is read."""

from __future__ import annotations


def visible(text: str, keep: str = "") -> str:
    r"""The text with all that is no visible character as an escape, like \x1b, save the characters ``keep``.

    Escaped are control characters, line ends, marks that turn the writing's direction, and bytes that were no text.
    """
    plain = text
    for each in keep:
        plain = plain.replace(each, "")
    if plain.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else ascii(each)[1:-1] for each in text)


def visible_lines(text: str) -> str:
    """The same of a text of several lines: their ends and tabs stay."""
    return visible(text.replace("\r\n", "\n"), keep="\n\t")
