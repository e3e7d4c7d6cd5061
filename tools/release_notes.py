#!/usr/bin/env python3
"""The section of a version in CHANGELOG.md, on standard output.

    tools/release_notes.py 0.1.0
"""

import re
import sys
from pathlib import Path


def section(changelog, version):
    """What stands under `## VERSION`, with or without a date behind it, up to the next version."""
    heading = re.compile(rf"^## {re.escape(version)}(?: .*)?$", re.MULTILINE)
    start = heading.search(changelog)
    if not start:
        sys.exit(f"CHANGELOG.md has no section '## {version}': call 'Unreleased' so, with the date")
    rest = changelog[start.end():]
    end = re.search(r"^## ", rest, re.MULTILINE)
    return rest[:end.start() if end else None].strip() + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    changelog = Path(__file__).resolve().parent.parent / "CHANGELOG.md"
    sys.stdout.write(section(changelog.read_text(), sys.argv[1]))
