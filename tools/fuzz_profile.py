#!/usr/bin/env python3
"""Prints a configuration of cargo by which `fuzz` has third-party crates built as the workspace has them, so that they are
not built twice, and our own with the checks of a debug build.

Python's standard library alone, from version 3.11 on.
"""

import json
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKED = {"opt-level": 0, "debug": False, "debug-assertions": True, "overflow-checks": True}


def table(name, values):
    print(f"[{name}]")
    for key, value in values.items():
        # JSON's numbers, texts and truths are TOML's.
        print(f"{key} = {json.dumps(value)}")
    print()


def main():
    metadata = subprocess.run(["cargo", "metadata", "--format-version=1", "--manifest-path", ROOT / "fuzz/Cargo.toml"],
                              check=True, stdout=subprocess.PIPE, text=True).stdout
    packages = {package["name"] for package in json.loads(metadata)["packages"]}
    profile = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["profile"]["dev"]
    settings = profile.pop("package")
    table("profile.dev", {**profile, **CHECKED})
    for package in sorted(packages):
        # What the workspace optimises stays so: the studio's demo waits for it.
        if package.startswith("neuroinspect"):
            quick = settings.get(package, {}).get("opt-level", 0)
            settings[package] = {**CHECKED, "opt-level": quick}
    for package, values in settings.items():
        if package == "*" or package in packages:
            table(f'profile.dev.package."{package}"', values)


if __name__ == "__main__":
    main()
