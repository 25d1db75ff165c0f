# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the engine on a document, or on a list of them (JSON), in this fresh process; print the seconds of the calls."""

from __future__ import annotations

import json
import os
import sys
import time

from private_host import ROOT

sys.path.insert(0, os.path.join(ROOT, "build"))


def main() -> None:
    with open(sys.argv[1]) as file:
        given = json.load(file)
    documents = given if isinstance(given, list) else [given]
    start = time.perf_counter()
    from ansible_collections.hostwire.linux.plugins.module_utils import engine

    if len(documents) > 1:
        from ansible_collections.hostwire.linux.plugins.module_utils import rehearsal

    # The engine loads these only where something changes, and the others only where a document needs them.
    from ansible_collections.hostwire.linux.plugins.module_utils.apply import announcing, runner  # noqa: F401
    from ansible_collections.hostwire.linux.plugins.module_utils.plan import present  # noqa: F401

    if any(document.get("published_ports") or document.get("masquerade") for document in documents):
        from ansible_collections.hostwire.linux.plugins.module_utils.firewall import (  # noqa: F401
            conntrack,
            difference,
            programs,
        )

    imported = time.perf_counter()
    results = rehearsal.run_all(documents) if len(documents) > 1 else [engine.run(documents[0])]
    ended = time.perf_counter()
    report = {"seconds": ended - imported, "import": imported - start, "changed": any(r.changed for r in results)}
    timings = {part: sum(result.timings[part] for result in results) for part in results[0].timings}
    warnings = [warning for result in results for warning in result.warnings]
    print(json.dumps({**report, "timings": timings, "warnings": warnings}))


if __name__ == "__main__":
    main()
