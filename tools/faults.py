#!/usr/bin/env python3
"""What becomes of results when something goes wrong: long commands are killed at random moments, disks are full at
every write, images cannot be read or vanish, memory is short, two programs want one folder, times of files jump.

    tools/faults.py target/release/neuroinspect [--kills 100] [--json faults.json]
    tools/faults.py target/debug/neuroinspect --short

Each command works on the demo's scenes, and is started again after what befell it. What it leaves then has to be what
it leaves undisturbed, byte for byte but for the times that a run took, and nothing besides; whatever lies in the folder
meanwhile is whole; and who fails says so with the exit code and in the words that the documentation has. All that is
not so is printed, written to the JSON, and makes the exit code 1.

Python's standard library alone. Full disks are small file systems in memory (tmpfs), and want root.
"""

import argparse
import http.server
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

UNFINISHED = ".neuroinspect-unfinished-"
# Who holds a folder; what features were computed of, by times of files; and an optimiser's record, whose parameters
# Burn numbers otherwise in each process.
LEFT_OUT = re.compile(r"(^|/)(\.neuroinspect[^/]*\.lock|[^/]*\.origin\.json|[^/]*\.optimizer\.bpk)$")
LIMIT = 600


class Program:
    """The program, the folder that it works in, and what was found."""

    def __init__(self, path, work, seed):
        self.path = str(path.resolve())
        self.work = work
        # Always the same, as results have the command line that made them.
        self.out = work / "out"
        self.seed = seed
        self.findings = []
        self.parts = {}
        # Two of them share the cores, and each thread more would wait.
        self.environment = dict(os.environ, RAYON_NUM_THREADS="2")

    def random(self, *keys):
        return random.Random(":".join(map(str, (self.seed, *keys))))

    def start(self, words, memory=None):
        def limit():
            if memory:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        return subprocess.Popen([self.path, *map(str, words)], cwd=self.work, env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit)

    def run(self, words, memory=None):
        """Exit code (of a signal its negative) and messages; None where it does not end."""
        return self.end(self.start(words, memory))

    def end(self, process, within=LIMIT):
        try:
            _, messages = process.communicate(timeout=within)
            return process.returncode, messages
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return None, ""

    def find(self, part, what):
        self.findings.append(f"{part}: {what}")
        print(f"FOUND {part}: {what}", flush=True)

    def count(self, part, **numbers):
        counted = self.parts.setdefault(part, {})
        for name, number in numbers.items():
            counted[name] = counted.get(name, 0) + number


class Command:
    """A command, and what it leaves when nothing befalls it."""

    def __init__(self, program, name, words):
        self.program = program
        self.name = name
        self.words = words

    def line(self):
        return [*self.words, "--out", "out", "--quiet"]

    def undisturbed(self):
        """How long it takes alone; keeps what it leaves."""
        fresh(self.program.out)
        begin = time.monotonic()
        code, messages = self.program.run(self.line())
        assert code == 0, f"{self.name}: {messages}"
        self.seconds = time.monotonic() - begin
        self.alone = results(self.program.out)
        self.size = sum(path.stat().st_size for path in files(self.program.out))
        return self

    def compare(self, part):
        found = results(self.program.out)
        if found.keys() != self.alone.keys():
            more, fewer = sorted(found.keys() - self.alone.keys()), sorted(self.alone.keys() - found.keys())
            self.program.find(part, f"{self.name}: too many {more}, missing {fewer}")
        for name in sorted(found.keys() & self.alone.keys()):
            if found[name] != self.alone[name]:
                self.program.find(part, f"{self.name}: {name} differs from an undisturbed run's")

    def asks_to_move_away(self, code, messages):
        """Of `corrupt`, which writes no images where there are some."""
        return self.name == "corrupt" and code == 1 and "move it away" in messages

    def finish(self, part):
        """The same command once more, undisturbed."""
        code, messages = self.program.run(self.line())
        if self.asks_to_move_away(code, messages):
            return
        if code != 0:
            self.program.find(part, f"{self.name}, started again: exit code {code}: {messages.strip()}")
        else:
            self.compare(part)


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def without_times(value):
    """JSON without the times that a run took."""
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if key not in ("seconds", "written_at")}
    if isinstance(value, list):
        return [without_times(inner) for inner in value]
    return value


def results(folder):
    """What is in a folder, by name; of pages and JSON, times are left out."""
    found = {}
    for path in files(folder):
        name = str(path.relative_to(folder))
        if LEFT_OUT.search(name):
            continue
        content = path.read_bytes()
        if name.endswith(".json"):
            content = json.dumps(without_times(json.loads(content)))
        elif name.endswith(".html"):
            content = re.sub(rb'<dd id="timings">.*?</dd>', b"", content, flags=re.DOTALL)
        found[name] = content
    return found


def check_whole(program, part):
    """That whatever lies in the folder, but for what says that it is unfinished, is whole."""
    for path in files(program.out):
        name = str(path.relative_to(program.out))
        if UNFINISHED in name or LEFT_OUT.search(name):
            continue
        content = path.read_bytes()
        whole = True
        if path.suffix == ".json":
            try:
                json.loads(content)
            except ValueError:
                whole = False
        elif path.suffix == ".safetensors":
            whole = len(content) >= 8
            if whole:
                (length,) = struct.unpack("<Q", content[:8])
                try:
                    header = json.loads(content[8 : 8 + length])
                except ValueError:
                    whole = False
                else:
                    header.pop("__metadata__", None)
                    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
                    whole = len(content) == 8 + length + end
        elif path.suffix == ".png":
            whole = content[-8:-4] == b"IEND"
        elif path.suffix in (".html", ".svg"):
            whole = content.rstrip().endswith(f"</{path.suffix[1:]}>".encode())
        else:
            whole = len(content) > 0
        if not whole:
            program.find(part, f"{name} is half written")


def kills(program, command, count):
    """Killed, terminated or interrupted at random moments until it ends; as often as asked for."""
    part = "kills"
    draw = program.random(part, command.name)
    struck = ended = 0
    while struck < count:
        fresh(program.out)
        while True:
            process = program.start(command.line())
            try:
                process.wait(draw.uniform(0, command.seconds * 1.1))
            except subprocess.TimeoutExpired:
                by = draw.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
                process.send_signal(by)
            code, messages = program.end(process)
            if code == 0:
                ended += 1
                command.compare(part)
                break
            if command.asks_to_move_away(code, messages):
                break
            struck += 1
            # 130: Ctrl-C was understood; before the program listens, the signal ends it.
            if code not in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, 130):
                program.find(part, f"{command.name}: exit code {code}: {messages.strip()}")
                break
            check_whole(program, part)
    program.count(part, **{command.name: struck, "runs that came to their end": ended})


def says_why(messages, *words):
    lines = [line for line in messages.splitlines() if any(word in line for word in words)]
    return len(lines) >= 1 and "panicked" not in messages


def full_disks(program, command, count):
    """In file systems from nothing up to what it needs."""
    part = "full disks"
    if os.geteuid() != 0:
        program.parts[part] = "left out: mounting a small file system wants root"
        return
    draw = program.random(part, command.name)
    # In pages of 4 KiB.
    most = command.size // 4096 + 20
    sizes = [2, 5, 8, *(draw.randrange(2, most) for _ in range(count))][-count:]
    fresh(program.out)
    for pages in sizes:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={4 * pages}k", "tmpfs", program.out])
        if mounted.returncode != 0:
            program.parts[part] = "left out: file systems cannot be mounted here"
            return
        try:
            code, messages = program.run(command.line())
            if code == 0:
                command.compare(part)
                program.count(part, **{"large enough": 1})
                continue
            if code != 1 or "out/" not in messages or not says_why(messages, "No space left"):
                program.find(part, f"{command.name} in {4 * pages} KiB: exit code {code}: {messages.strip()}")
            check_whole(program, part)
            program.count(part, **{command.name: 1})
            subprocess.run(["mount", "-o", "remount,size=512m", program.out], check=True)
            command.finish(part)
        finally:
            subprocess.run(["umount", "--lazy", program.out], check=True)


def bad_images(program, words):
    """Images that cannot be read: an error that names them, or left out and listed."""
    part = "bad images"

    def truncated(path):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def replaced(make):
        def replace(path):
            path.unlink()
            make(path)

        return replace

    kinds = {
        "truncated": truncated,
        "empty": lambda path: path.write_bytes(b""),
        "a text": lambda path: path.write_text("no image\n"),
        "its head alone": lambda path: path.write_bytes(path.read_bytes()[:24]),
        "a link to nothing": replaced(lambda path: path.symlink_to("nothing")),
        "a link to itself": replaced(lambda path: path.symlink_to(path.name)),
        "a pipe": replaced(os.mkfifo),
        "a device without end": replaced(lambda path: path.symlink_to("/dev/zero")),
    }
    if os.geteuid() != 0:
        kinds["unreadable"] = lambda path: path.chmod(0)
    images = program.work / "images"
    for kind, spoil in kinds.items():
        shutil.rmtree(images, ignore_errors=True)
        shutil.copytree(program.work / "few", images)
        victim = images / "star" / sorted(os.listdir(images / "star"))[3]
        spoil(victim)
        fresh(program.out)
        code, messages = program.end(program.start([*words, "--out", "out", "--quiet"]), within=60)
        if code != 1 or victim.name not in messages or "panicked" in messages:
            program.find(part, f"{kind}: exit code {code}: {messages.strip()}")
        skip = [*words, "--out", "out", "--quiet", "--on-corrupt", "skip"]
        code, messages = program.end(program.start(skip), within=60)
        listed = victim.name in (program.out / "evaluation.json").read_text() if code == 0 else False
        if code != 0 or not listed:
            program.find(part, f"{kind}, to be left out: exit code {code}, listed {listed}: {messages.strip()}")
        program.count(part, **{kind: 1})


def vanishing_images(program, words, count):
    """Images that are removed while they are read, and are there again."""
    part = "vanishing images"
    shutil.rmtree(program.work / "images", ignore_errors=True)
    shutil.copytree(program.work / "few", program.work / "images")
    command = Command(program, "explain", words).undisturbed()
    draw = program.random(part)
    for _ in range(count):
        victim = draw.choice(sorted((program.work / "images").rglob("*.png")))
        aside = program.work / "aside.png"
        fresh(program.out)
        process = program.start(command.line())
        time.sleep(draw.uniform(0, command.seconds * 0.8))
        shutil.move(victim, aside)
        code, messages = program.end(process)
        # Before the folder was looked at, it was another data set, and after it was read, it is the same.
        if code == 1 and victim.name in messages:
            program.count(part, **{"named": 1})
        elif code == 0:
            program.count(part, **{"read or not seen": 1})
        else:
            program.find(part, f"{victim.name}: exit code {code}: {messages.strip()}")
        check_whole(program, part)
        # Moved there and back it has its old times.
        shutil.move(aside, victim)
        command.finish(part)


def short_of_memory(program, command, count):
    """With less and less address space, down to none that it can start with."""
    part = "memory"
    most = 4 << 30
    draw = program.random(part, command.name)
    for index in range(count):
        limit = int(most * 0.82 ** (20 * (index + 1) / count) * draw.uniform(0.95, 1.05))
        fresh(program.out)
        code, messages = program.run(command.line(), memory=limit)
        if code == 0:
            command.compare(part)
        elif code in (None, 101) or not messages.strip():
            program.find(part, f"{command.name} in {limit >> 20} MiB: exit code {code}: {messages.strip()!r}")
        check_whole(program, part)
        if code != 0:
            command.finish(part)
        ending = {0: "done", 1: "error", 101: "panic", -6: "aborted", 127: "not started"}.get(code, f"exit code {code}")
        program.count(part, **{ending: 1})


def two_in_a_folder(program, command, count):
    """Two at once: one works, the other is refused and says by whom, or comes after the first."""
    part = "two in a folder"
    draw = program.random(part, command.name)
    for _ in range(count):
        fresh(program.out)
        first = program.start(command.line())
        time.sleep(draw.choice([0, draw.uniform(0, command.seconds)]))
        second = program.start(command.line())
        ended = [program.end(second), program.end(first)]
        codes = sorted(str(code) for code, _ in ended)
        for code, messages in ended:
            refused = code == 1 and says_why(messages, "another", "held", "process")
            if code != 0 and not refused and not command.asks_to_move_away(code, messages):
                program.find(part, f"{command.name}: exit code {code}: {messages.strip()}")
        if "0" not in codes:
            program.find(part, f"{command.name}: both failed")
        command.compare(part)
        program.count(part, **{"one refused" if "1" in codes else "one after the other": 1})


def jumping_clock(program, command, count):
    """Times of what lies there jump far ahead and back between a kill and the next start; an image that is replaced by
    one of an earlier time is read anew."""
    part = "clock"
    draw = program.random(part, command.name)
    for _ in range(count):
        fresh(program.out)
        process = program.start(command.line())
        try:
            process.wait(draw.uniform(0.3, 1) * command.seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        program.end(process)
        for path in files(program.out):
            moment = draw.choice([0, 1, time.time() + 10 * 365 * 86400, time.time() - 86400])
            os.utime(path, (moment, moment))
        command.finish(part)
        program.count(part, **{command.name: 1})


def replaced_image(program, words):
    """An image that is replaced by one of an earlier time is read again."""
    part = "clock"
    images = program.work / "images"
    shutil.rmtree(images, ignore_errors=True)
    shutil.copytree(program.work / "few", images)
    victim, other = (sorted((images / name).iterdir())[0] for name in ("star", "circle"))
    original = victim.read_bytes()

    def replace():
        shutil.copyfile(other, victim)
        os.utime(victim, (86400, 86400))

    replace()
    command = Command(program, "explain", words).undisturbed()
    fresh(program.out)
    victim.write_bytes(original)
    code, messages = program.run(command.line())
    assert code == 0, messages
    replace()
    command.finish(part)
    program.count(part, **{"an image replaced": 1})


class Slowly(http.server.BaseHTTPRequestHandler):
    """Serves an archive piece by piece, from where it is asked for."""

    def do_GET(self):
        content = self.server.content
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.send_header("ETag", '"1"')
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        try:
            for start in range(begin, len(content), 20000):
                self.wfile.write(content[start : start + 20000])
                time.sleep(0.01)
        except OSError:
            pass

    def log_message(self, *_):
        pass


def downloads(program, count):
    """`data get`, killed; from a server on this machine."""
    code, messages = program.run(["data", "get", "imagenet", "nowhere"])
    if "--features hub" in messages:
        program.parts["downloads"] = "left out: this build downloads nothing"
        return
    archive = program.work / "archive.tar"
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted((program.work / "few").rglob("*.png")):
            tar.add(path, f"birds/{path.relative_to(program.work / 'few')}", filter=lambda entry: entry)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slowly)
    server.content = archive.read_bytes()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mirror = f"http://127.0.0.1:{server.server_port}/"

    command = Command(program, "data get", ["data", "get", "waterbirds", "out", "--mirror", mirror])
    kills(program, command.undisturbed(), count)
    server.shutdown()


PARTS = ("kills", "disks", "images", "memory", "two", "clock", "downloads")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--short", action="store_true", help="a little of each, within a minute")
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="of each command; 100 unless given")
    parser.add_argument("--rounds", type=int, default=20, metavar="N",
                        help="of each other fault, for each command; 20 unless given")
    parser.add_argument("--parts", default=",".join(PARTS), help="with commas between them; all unless given")
    parser.add_argument("--commands", default="", help="with commas between them; all unless given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="what was tried and found")
    given = parser.parse_args()
    if given.short:
        given.kills, given.rounds, given.commands = 2, 1, "explain,visualize"

    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        program = Program(given.program, Path(folder), given.seed)
        begin = time.monotonic()
        campaign(program, given)
        seconds = round(time.monotonic() - begin)
    for part, counted in program.parts.items():
        print(f"{part}: {counted}")
    print(f"{seconds} s, {len(program.findings)} found")
    if given.json:
        version = subprocess.run([program.path, "--version"], capture_output=True, text=True).stdout.strip()
        result = {"program": version, "seed": given.seed, "seconds": seconds, "parts": program.parts,
                  "findings": program.findings}
        given.json.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(1 if program.findings else 0)


def commands_of(program):
    """All that are tried, each a second or a few."""
    network = ["--model", "cifar_resnet20", "--weights", "scenes/scenes_classifier.safetensors",
               "--classes", "scenes/classes.txt"]
    few = [*network, "--data", "few"]
    train = ["--train", "scenes/test", "--images-per-class", 60]
    star = ["--class", "star"]
    pictures = ["--iterations", 24, "--config", "often.json", "--picture-batch", 1]
    commands = {
        "explain": [*few, *star],
        "debug": [*few, *train, *star, *pictures, "--count", 2, "--epochs", 3, "--unit", "layer2/channel:3"],
        "mend": [*few, *train, *star],
        "train": ["--model", "cifar_resnet20", "--data", "few", "--classes", "scenes/classes.txt", "--epochs", 4],
        "visualize": [*network, *star, *pictures, "--neurons", "3,5,7"],
        "atlas": [*network, "--top-classes", 1, "--iterations", 8, "--config", "often.json", "--picture-batch", 16],
        "edit": [*few, *train, *star, "--neurons", "3,5", "--epochs", 3],
        "check": [*few, "--fail-below", "average=0.1"],
        "label": [*network, "--data", "scenes/test", "--images-per-class", 30, "--clip-weights", "scenes/scenes_clip.safetensors", "--words",
                  "scenes/words.txt"],
        "corrupt": ["--data", "few", "--conflicting", 0.1],
    }
    return [Command(program, name, [name, *words]) for name, words in commands.items()]


def campaign(program, given):
    code, messages = program.run(["demo", "--save-scenes", "scenes", "--quiet"])
    assert code == 0, messages
    scenes, few = program.work / "scenes/test", program.work / "few"
    for shape in filter(Path.is_dir, scenes.iterdir()):
        (few / shape.name).mkdir(parents=True)
        for image in sorted(shape.iterdir())[::14]:
            shutil.copyfile(image, few / shape.name / image.name)
    (program.work / "often.json").write_text('{ "execution": { "checkpoint_every": 5 } }\n')

    parts, asked = given.parts.split(","), given.commands.split(",")
    commands = [command for command in commands_of(program) if asked == [""] or command.name in asked]
    for command in commands:
        command.undisturbed()
        print(f"{command.name}: {command.seconds:.1f} s undisturbed, {command.size >> 10} KiB", flush=True)
    of_each = {"kills": (kills, given.kills), "disks": (full_disks, given.rounds), "memory": (short_of_memory, given.rounds),
               "two": (two_in_a_folder, given.rounds), "clock": (jumping_clock, given.rounds)}
    for part, (try_part, count) in of_each.items():
        for command in commands if part in parts else []:
            try_part(program, command, count)
            print(f"{part}, {command.name}: {len(program.findings)} found so far", flush=True)
    network = ["--model", "cifar_resnet20", "--weights", "scenes/scenes_classifier.safetensors",
               "--classes", "scenes/classes.txt", "--data", "images"]
    if "images" in parts:
        bad_images(program, ["evaluate", *network])
        vanishing_images(program, ["explain", *network, "--class", "star"], given.rounds)
    if "clock" in parts:
        replaced_image(program, ["explain", *network, "--class", "star"])
    if "downloads" in parts:
        downloads(program, given.kills)


if __name__ == "__main__":
    main()
