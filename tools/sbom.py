#!/usr/bin/env python3
"""What the program is built of, as a bill of materials in CycloneDX 1.5 (JSON), on standard output.

    tools/sbom.py [--features hub,tch] [--target x86_64-unknown-linux-gnu] > sbom.json

The packages are those that `cargo tree` names for the program with these features, those that only a build needs among
them, with their licences, and the checksums of Cargo.lock. Equal sources give equal bytes.
"""

import argparse
import json
import subprocess
import tomllib
from pathlib import Path

root = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", default="", help="of neuroinspect-cli, with commas between them")
    parser.add_argument("--target", help="the machine's own unless given")
    given = parser.parse_args()
    tree = ["cargo", "tree", "--locked", "--package", "neuroinspect-cli", "--edges", "normal,build",
            "--prefix", "none", "--format", "{p}\t{l}", "--features", given.features]
    if given.target:
        tree += ["--target", given.target]
    lines = subprocess.run(tree, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    locked = tomllib.loads((root / "Cargo.lock").read_text())["package"]
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in locked}

    def component(line):
        # Behind what was named before stands a mark.
        package, licence = line.removesuffix(" (*)").split("\t")
        name, version = package.split(" ")[:2]
        version = version.removeprefix("v")
        address = f"pkg:cargo/{name}@{version}"
        found = {"type": "library", "bom-ref": address, "name": name, "version": version, "purl": address}
        if licence:
            # As was written before there were expressions: `MIT/Apache-2.0`.
            found["licenses"] = [{"expression": " ".join(licence.replace("/", " OR ").split())}]
        if checksum := checksums[name, version]:
            found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        return found

    program, *parts = [component(line) for line in lines]
    parts = {part["bom-ref"]: part for part in parts}
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": program | {"type": "application"}},
        "components": [parts[address] for address in sorted(parts)],
    }
    print(json.dumps(bill, indent=2))


if __name__ == "__main__":
    main()
