#!/usr/bin/env python3
"""Whether memory stays flat over hours: a studio of the demo whose pages are looked at, with edits and pictures, again and
again, and an atlas that goes on beside it.

    tools/endurance.py target/release/neuroinspect [--minutes 120] [--pause 0.2] [--json endurance.json]

Each process's resident memory is read from /proc every few seconds. Of the time after the first sixth, in which tables, pages and
thumbnails are read for the first time, the median of the last third is compared with that of the first: more than a tenth
above it, or an answer of the studio that is an error of its own, makes the exit code 1. An atlas that is complete is begun again
in another folder, by another process; the longest process counts.

Python's standard library alone; Linux.
"""

import argparse
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Of the demo's: classes, neurons of its last layer, and samples.
CLASSES, NEURONS, SAMPLES = 5, 64, 600
EVERY = 5
MOST_GROWTH = 0.10


class Watched:
    """A process, and its resident memory over time."""

    def __init__(self, name, words, work):
        self.name = name
        # Two of them share the cores, and each thread more would wait.
        environment = dict(os.environ, RAYON_NUM_THREADS="1")
        self.log = open(work / f"{name}.log", "a", encoding="utf-8")
        self.process = subprocess.Popen([str(word) for word in words], cwd=work, env=environment,
                                        stdout=subprocess.PIPE if name == "studio" else self.log, stderr=self.log, text=True)
        self.began = time.monotonic()
        self.readings = []

    def read(self):
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        if resident:
            self.readings.append((time.monotonic() - self.began, int(resident.group(1)) / 1024))

    def seconds(self):
        return self.readings[-1][0] if self.readings else 0

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def report(self):
        """Memory of the thirds of the time after the first sixth, in MiB, and its growth from the first to the last."""
        start = self.seconds() / 6
        third = (self.seconds() - start) / 3
        part = lambda index: [mib for second, mib in self.readings if start + index * third <= second <= start + (index + 1) * third]
        if len(self.readings) < 12:
            return {"process": self.name, "minutes": round(self.seconds() / 60, 1), "mib": [], "growth": 0.0}
        medians = [round(statistics.median(part(index)), 1) for index in range(3)]
        return {"process": self.name, "minutes": round(self.seconds() / 60, 1), "mib": medians,
                "most_mib": round(max(mib for _, mib in self.readings), 1),
                "growth": round(medians[2] / medians[0] - 1, 4)}


class Studio(Watched):
    """A studio of the demo, and somebody who looks at everything."""

    def __init__(self, program, work, seed):
        super().__init__("studio", [program, "studio", "--out", work / "studio", "--port", 0], work)
        self.random = random.Random(seed)
        self.asked = 0
        self.trouble = []
        self.edits = []
        address = None
        for line in self.process.stdout:
            if found := re.search(r"http://([^/\s]+)/\?token=(\S+)", line):
                address = found.groups()
                break
        if address is None:
            sys.exit(f"the studio printed no address: see {self.log.name}")
        self.host, token = address
        self.cookie = ""
        connection = http.client.HTTPConnection(self.host, timeout=120)
        connection.request("GET", f"/?token={token}")
        self.cookie = connection.getresponse().getheader("set-cookie").split(";")[0]
        while self.ask("GET", "/samples", refusal=503)[0] != 200:
            time.sleep(0.2)

    def ask(self, method, path, body=None, refusal=None):
        """Status and content. What is no success is noted, but for the refusal that a page may answer with."""
        connection = http.client.HTTPConnection(self.host, timeout=300)
        headers = {"Cookie": self.cookie, "Origin": f"http://{self.host}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.asked += 1
        if answer.status >= 400 and answer.status != refusal:
            self.trouble.append(f"{method} {path}: {answer.status} {content[:200]!r}")
        return answer.status, content

    def look(self):
        """A page, as somebody would open it, with what it asks for."""
        a = self.random
        row, neuron, label = a.randrange(SAMPLES), a.randrange(NEURONS), a.randrange(CLASSES)
        pages = [
            ["/"], ["/class", f"/class/{label}", f"/class/{label}/ranking"],
            ["/images", "/samples", *(f"/thumbnail/{(row + other) % SAMPLES}?k" for other in range(40))],
            [f"/image/{row}", f"/picture/{row}", f"/image/{row}/about"],
            ["/neuron", f"/neuron/{neuron}?class={label}", f"/neuron/{neuron}/pictures", f"/neuron/{neuron}/words",
             f"/neuron/{neuron}/place/{row}", f"/neuron/{neuron}/place/{row}/part"],
            ["/lab", "/lab/pictures"],
        ]
        for path in a.choice(pages):
            # Of a class without mistakes there is no ranking, and no part of an image in which none stands out.
            self.ask("GET", path, refusal={"part": 404, "ranking": 400}.get(path.rsplit("/", 1)[-1]))

    def mend(self):
        """An edit that was not tried before, and everything that the page says of it; every fifth is kept."""
        a = self.random
        neurons = ",".join(map(str, sorted(a.sample(range(NEURONS), 3))))
        method = a.choice(["probability_ratio", "retrain", "silence"])
        query = f"class={a.randrange(CLASSES)}&neurons={neurons}&method={method}&lambda={a.uniform(0.01, 3):.4f}&epochs=3"
        self.ask("GET", f"/mend?{query}")
        self.ask("GET", f"/mend/preview?{query}")
        status, content = self.ask("POST", f"/mend/try?{query}", {})
        name = json.loads(content).get("id") if status == 200 else None
        if not name:
            return
        for part in ("", "/more", "/flips", "/measured"):
            self.ask("GET", f"/mend/edit/{name}{part}")
        self.ask("GET", f"/export/{name}/edit")
        # Of a class without mistakes there is none.
        self.ask("GET", f"/export/{name}/report", refusal=400)
        self.edits.append(name)
        if len(self.edits) % 5 == 0:
            self.ask("POST", f"/mend/edit/{name}/keep", {"keep": True})
            self.ask("POST", f"/mend/edit/{name}/keep", {"keep": False})
        self.ask("GET", f"/mend/kept?now={name}")

    def picture(self):
        """A picture made in the background."""
        a = self.random
        self.ask("POST", f"/neuron/{a.randrange(NEURONS)}/pictures",
                 {"classes": [a.randrange(CLASSES)], "seed": a.randrange(1 << 30), "steps": 4})
        self.ask("POST", "/jobs/forget", {})

    def work(self):
        deed = self.random.random()
        if deed < 0.8:
            self.look()
        elif deed < 0.98:
            self.mend()
        else:
            self.picture()


def atlas(program, work, number):
    scenes = work / "scenes"
    return Watched(f"atlas-{number}", [
        program, "atlas", "--quiet", "--model", "cifar_resnet20", "--weights", scenes / "scenes_classifier.safetensors",
        "--classes", scenes / "classes.txt", "--top-classes", 10, "--iterations", 900, "--out", work / f"atlas-{number}",
    ], work)


def watch(given, studio, atlases, another, failed):
    """Works with the studio and reads memory until the time is over, or something ends that should not."""
    end = time.monotonic() + 60 * given.minutes
    next_reading = 0
    while time.monotonic() < end:
        if time.monotonic() >= next_reading:
            next_reading = time.monotonic() + EVERY
            studio.read()
            atlases[-1].read()
        if atlases[-1].process.poll() is not None:
            if atlases[-1].process.returncode:
                failed.append(f"{atlases[-1].name}: exit code {atlases[-1].process.returncode}")
                break
            atlases.append(another())
        if studio.process.poll() is not None:
            failed.append(f"the studio ended: exit code {studio.process.returncode}")
            break
        studio.work()
        time.sleep(given.pause)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between two pages of the studio")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    program = given.program.resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        subprocess.run([program, "demo", "--save-scenes", work / "scenes", "--quiet"], check=True)
        studio = Studio(program, work, given.seed)
        atlases = [atlas(program, work, 0)]
        failed = []
        try:
            watch(given, studio, atlases, lambda: atlas(program, work, len(atlases)), failed)
        finally:
            for process in (studio, atlases[-1]):
                process.end()
        reports = [studio.report(), max(atlases, key=Watched.seconds).report()]
        result = {"requests": studio.asked, "edits": len(studio.edits), "atlases": len(atlases), "processes": reports,
                  "failed": failed + studio.trouble[:20]}
        result["failed"] += [f"{it['process']} grew by {100 * it['growth']:.1f} %" for it in reports if it["growth"] > MOST_GROWTH]
        print(json.dumps(result, indent=2))
        if given.json:
            given.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.exit(1 if result["failed"] else 0)


if __name__ == "__main__":
    main()
