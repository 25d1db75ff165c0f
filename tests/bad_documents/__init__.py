# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad documents, each with exactly the problems that it has: what the reader and the preflight must say, and say alone.

Every document is plain enough for JSON. ``empty_host``: the problem shows only against a host, here one with nothing
but lo; all other problems show without looking at any host.
"""

from __future__ import annotations

from ansible_collections.hostwire.linux.tests.bad_documents import (
    names,
    objects,
    routes,
    rules,
    shapes,
    translation,
    values,
)
from ansible_collections.hostwire.linux.tests.bad_documents.model import BadDocument

__all__ = ["BAD_DOCUMENTS", "BadDocument"]

BAD_DOCUMENTS: tuple[BadDocument, ...] = (
    *names.interface_names(),
    *names.namespace_names(),
    *values.addresses(),
    *values.field_values(),
    *shapes.shapes(),
    *shapes.unknown_keys(),
    *shapes.top_level(),
    *objects.containers(),
    *objects.sysctls(),
    *routes.routes(),
    *routes.gateways(),
    *translation.masquerades(),
    *translation.published_ports(),
    *translation.published_twice(),
    *objects.probes(),
    *rules.between_objects(),
    *rules.several_at_once(),
    *rules.unknown_on_an_empty_host(),
)
