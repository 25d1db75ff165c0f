# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.images [RELEASE...]``: builds the images that aren't there yet and prints where they are."""

from __future__ import annotations

import sys

from .build import BuildFailed, image
from .recipes import RECIPES


def main() -> int:
    """Builds one image after the other; 1 when one fails."""
    wanted = sys.argv[1:] or list(RECIPES)
    unknown = [suite for suite in wanted if suite not in RECIPES]
    if unknown:
        print(f"no recipe for {', '.join(unknown)}; there are: {', '.join(RECIPES)}", file=sys.stderr)
        return 1
    try:
        for suite in wanted:
            print(image(suite))
    except BuildFailed as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
