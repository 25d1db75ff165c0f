# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.testbed``: hosts for tests from the command line.

up                  start the Docker engine of the test bed, and print what DOCKER_HOST has to be
run NAME=RELEASE…   boot hosts (bookworm, trixie, forky), and print them as JSON
docker ARGUMENT…    the docker client against that engine: ``docker exec web1 ip route``
down                take the engine, all hosts and everything of theirs away
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from ..images.build import BuildFailed, cache_directory
from ..images.recipes import RECIPES
from .engine import TestbedError
from .hosts import Testbed


def main() -> int:
    """Does what the command line says; 1, with the reason on standard error, if it can't."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.testbed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=cache_directory() / "testbed",
        help="where the engine's files are (%(default)s)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up")
    commands.add_parser("run").add_argument("hosts", nargs="+", metavar="NAME=RELEASE")
    commands.add_parser("docker").add_argument("arguments", nargs=argparse.REMAINDER)
    commands.add_parser("down")
    arguments = parser.parse_args()
    testbed = Testbed(arguments.directory)
    try:
        if arguments.command == "up":
            testbed.engine.start()
            print(testbed.engine.socket)
        elif arguments.command == "run":
            wanted = dict(entry.partition("=")[::2] for entry in arguments.hosts)
            if unknown := sorted(set(wanted.values()) - set(RECIPES)):
                parser.error(f"no recipe for {', '.join(map(repr, unknown))}; there are {', '.join(RECIPES)}")
            print(json.dumps([host._asdict() for host in testbed.run(wanted)]))
        elif arguments.command == "docker":
            os.execvp("docker", ["docker", "--host", testbed.engine.socket, *arguments.arguments])
        else:
            testbed.engine.stop()
    except (TestbedError, BuildFailed, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
