# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the engine once on a document (JSON) in this fresh process; print the seconds of the call, and what it did."""

from __future__ import annotations

import json
import os
import sys
import time

from private_host import ROOT

sys.path.insert(0, os.path.join(ROOT, "build"))


def main() -> None:
    with open(sys.argv[1]) as file:
        document = json.load(file)
    start = time.perf_counter()
    from ansible_collections.hostwire.linux.plugins.module_utils import engine

    if document.get("published_ports"):  # the engine loads these only where a document needs them
        from ansible_collections.hostwire.linux.plugins.module_utils.firewall import (  # noqa: F401
            conntrack,
            difference,
            programs,
        )

    imported = time.perf_counter()
    result = engine.run(document)
    ended = time.perf_counter()
    report = {"seconds": ended - imported, "import": imported - start, "changed": result.changed}
    print(json.dumps({**report, "timings": result.timings, "warnings": result.warnings}))


if __name__ == "__main__":
    main()
