#!/usr/bin/env python3
"""Compares pictures of neurons by Lucent, Horama, NeuroInspect's published code and neuroinspect.

    cargo build --release -p neuroinspect-cli
    tools/compare_pictures.py --program target/release/neuroinspect --data cifar10 --clip mini_clip_cifar10.safetensors \\
        --original NeuroInspect --networks 20=resnet20-12fca82f.th,56=resnet56-4bfd9763.th --out compared \\
        --page docs/pictures-compared.md

needs a Python with torch, torchvision, numpy, pillow, safetensors, open_clip_torch, timm, torch-lucent (with kornia
0.4.1) and horama (with einops); `--original` is a checkout of the published code, which is none of this project.
Nothing is downloaded. The networks are He et al.'s for CIFAR, by depth and checkpoint, as is `--clip`'s in size.

Pictures are of the neurons of largest weight of each class, `--neurons` of them. All sides have the same time a picture:
seconds of one thread's processor, of optimisation alone, in `--seconds`. How many steps that is, is measured first,
sides in turn. Each side's parameters are chosen of a few (`SETTINGS` of `picture_sides.py`, and of `OURS` here) by the
pictures of other neurons, those that come next by weight, after the middle one of `--seconds`: by the judge's recognition
and the path's likeness, both in [0, 1], added. Then all pictures are made, at the most seconds those of each class's first
neuron from `--seeds` seeds, and `neuroinspect trust` measures those of all sides in one way. No judge has a part in any
picture; that CLIP was trained on the same images as the judge is.

Each of the two networks is pictured, and judged by the other. Written into a folder of `--out` for each: `compared.json`,
`sheet.png` and all pictures; into `--page` the tables, beside it, in a folder of its name, the sheets and the JSON. What
stands in the page from the heading "Looked at" on is kept. What was made is not made again.
"""
import argparse, json, os, pathlib, resource, shutil, statistics, subprocess, sys, time

# Before torch is imported: one thread, for each side.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["TQDM_DISABLE"] = "1"

import numpy, torch
from PIL import Image

import picture_page, picture_sides

torch.set_num_threads(1)
LOW, HIGH = 4, 24  # steps of the two runs whose difference is timed


class Ours:
    """The program, once for each class. What it is given is a part of its recipe."""

    MILD = {"rotation": 5, "shift": 0.06, "scale": [0.9, 1.1]}
    RATES = [
        {"learning_rate": 9e-3},
        {"learning_rate": 3e-2},
        {"learning_rate": 1e-1},
        {"learning_rate": 3e-2, "augmentation": MILD},
        {"learning_rate": 3e-2, "size": 64},
        {"learning_rate": 3e-2, "size": 64, "augmentation": MILD},
    ]

    def __init__(self, context, settings):
        self.context, self.settings = context, settings

    def make(self, pairs, seed, steps):
        context, out = self.context, pathlib.Path("ours")
        config = pathlib.Path("ours.json")
        config.write_text(json.dumps({"recipe": self.settings}))
        pictures = []
        for class_ in dict.fromkeys(class_ for _, class_ in pairs):
            neurons = [neuron for neuron, other in pairs if other == class_]
            shutil.rmtree(out, ignore_errors=True)
            command = [
                context.program, "visualize", "--model", context.model, "--weights", context.weights, "--config", config,
                "--classes", "classes.txt", "--class", class_, "--neurons", ",".join(map(str, neurons)),
                "--iterations", steps, "--other-seeds", 0, "--seed", seed, "--out", out, "--quiet", *self.options(),
            ]
            subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
            for neuron in neurons:
                image = numpy.asarray(Image.open(out / f"neuron-{neuron}-class-{class_}.png").convert("RGB"))
                pictures.append(numpy.moveaxis(image, 2, 0) / 255)
        return pictures

    def options(self):
        raise NotImplementedError


class OursFeature(Ours):
    SETTINGS = Ours.RATES

    def options(self):
        return ["--objective", "feature"]


class OursClass(OursFeature):
    def options(self):
        return ["--objective", "class"]


class OursClip(OursFeature):
    def options(self):
        return ["--objective", "clip", "--clip-weights", self.context.clip]


class OursMaco(Ours):
    SETTINGS = [
        {"learning_rate": 0.3},
        {"learning_rate": 1.0},
        {"learning_rate": 0.1},
        {"learning_rate": 0.3, "augmentation": Ours.MILD},
    ]

    def __init__(self, context, settings):
        super().__init__(context, settings)
        self.file = pathlib.Path("spectra/magnitudes.json").absolute()
        if not self.file.exists():
            command = [context.program, "magnitudes", "--data", context.data / "train", "--images-per-class", 200]
            command += ["--size", 32, "--out", "spectra", "--quiet"]
            subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)

    def options(self):
        return ["--objective", "class", "--parameter", "maco", "--magnitudes", self.file]


OURS = {
    "ours FV": OursFeature,
    "ours without CLIP": OursClass,
    "ours CLIP-Illusion": OursClip,
    "ours MACO": OursMaco,
}


class Context:
    """What pictures are made with."""

    def __init__(self, args, network, judge):
        self.program, self.data, self.clip, self.original = args.program, args.data, args.clip, args.original
        (depth, weights), (judge, judge_weights) = network, judge
        self.depth, self.weights = int(depth), weights
        self.model, self.judge = f"cifar_resnet{depth}", f"cifar_resnet{judge}"
        self.judge_weights = judge_weights
        self.classes = sorted(path.name for path in (self.data / "train").iterdir())
        self.network = None

    def fresh(self):
        self.network = picture_sides.load_resnet(self.depth, self.weights)
        return self

    def images(self, count, part="train"):
        """So many images, as many of each class: `[N, 3, S, S]` in `[0, 1]`."""
        images = []
        for class_ in self.classes:
            files = sorted((self.data / part / class_).iterdir())[: count // len(self.classes)]
            images += [numpy.asarray(Image.open(file).convert("RGB"), numpy.float32) / 255 for file in files]
        return numpy.moveaxis(numpy.stack(images), 3, 1)

    def pairs(self, first, count):
        weights = picture_sides.load_resnet(self.depth, self.weights).linear.weight
        order = weights.argsort(dim=1, descending=True)
        return [(int(n), c) for c in range(len(self.classes)) for n in order[c, first : first + count]]


def processor_seconds():
    """Of this process and of those that it has waited for."""
    of = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in of)


def timed(side, pairs, seed, steps):
    start = processor_seconds()
    pictures = side.make(pairs, seed, steps)
    return pictures, processor_seconds() - start


class Work:
    def __init__(self, args, network, judge):
        self.args, self.context = args, Context(args, network, judge)
        self.sides = {**picture_sides.SIDES, **OURS}
        if args.sides:
            self.sides = {name: self.sides[name] for name in args.sides}
        self.out = pathlib.Path(args.out) / f"{network[0]}-judged-by-{judge[0]}"
        self.out.mkdir(parents=True, exist_ok=True)
        # Sides write into the folder that they are in.
        os.chdir(self.out)
        pathlib.Path("classes.txt").write_text("".join(f"{name}\n" for name in self.context.classes))
        self.record = json.loads(pathlib.Path("compared.json").read_text()) if pathlib.Path("compared.json").exists() else {}
        self.made = {}

    def keep(self):
        pathlib.Path("compared.json.new").write_text(json.dumps(self.record, indent=1))
        os.replace("compared.json.new", "compared.json")

    def side(self, name, settings):
        key = name, json.dumps(settings)
        if key not in self.made:
            self.made[key] = self.sides[name](self.context.fresh(), settings)
        return self.made[key]

    def all_settings(self, names):
        return [(name, settings) for name in names for settings in self.sides[name].SETTINGS]

    def rates(self, wanted):
        """Steps a second of one picture, by side and settings: the median of rounds, sides in turn."""
        rates = self.record.setdefault("rates", {})
        wanted = {rate_key(*one): one for one in wanted if rate_key(*one) not in rates}.values()
        pairs = self.context.pairs(0, self.args.neurons)[: self.args.neurons]
        found = {}
        for round_ in range(self.args.rounds + 1):
            for name, settings in wanted:
                side = self.side(name, settings)
                (_, low), (_, high) = (timed(side, pairs, 0, steps) for steps in (LOW, HIGH))
                # What the first round compiles or loads is not of its steps.
                if round_:
                    rate = (HIGH - LOW) * len(pairs) / max(high - low, 1e-3)
                    found.setdefault(rate_key(name, settings), []).append(rate)
        for key, values in found.items():
            rates[key] = {"median": statistics.median(values), "least": min(values), "most": max(values)}
            print("steps a second of a picture:", key, round(rates[key]["median"], 1), flush=True)
        self.keep()

    def steps(self, name, settings, seconds):
        return max(2, round(self.record["rates"][rate_key(name, settings)]["median"] * seconds))

    def pictures(self, folder, name, settings, pairs, seeds, steps):
        """Makes those that are missing, by a side with settings; the pictures of a class together."""
        folder.mkdir(parents=True, exist_ok=True)
        # Pictures that are there were made so, or they are of another comparison.
        made_so, note = {"settings": settings, "steps": steps}, folder / "settings.json"
        known = json.loads(note.read_text()) if note.exists() else None
        if known != json.loads(json.dumps(made_so)) and any(folder.glob("*.png")):
            sys.exit(f"{folder} has pictures made by {known or 'nobody knows what'}, not by {made_so}: remove it, or take another --out")
        note.write_text(json.dumps(made_so))
        took, made = 0, 0
        for seed in seeds:
            by_class = {}
            for pair in pairs:
                by_class.setdefault(pair[1], []).append(pair)
            for own in by_class.values():
                files = [folder / f"neuron-{n}-class-{c}-seed-{seed}.png" for n, c in own]
                if all(file.exists() for file in files):
                    continue
                images, seconds = timed(self.side(name, settings), own, seed, steps)
                took, made = took + seconds, made + len(own)
                for file, image in zip(files, images):
                    levels = numpy.rint(numpy.clip(image, 0, 1) * 255).astype("uint8")
                    Image.fromarray(numpy.moveaxis(levels, 0, 2)).save(file)
        if made:
            print(f"{folder}: {steps} steps, {took / made:.2f} s a picture, with what comes before them", flush=True)

    def measure(self, folder):
        """What `trust` measures of each way's pictures in a folder."""
        context, out = self.context, pathlib.Path("trust") / folder
        command = [
            context.program, "trust", "--model", context.model, "--weights", context.weights,
            "--judge", context.judge, "--judge-weights", context.judge_weights, "--data", context.data / "test",
            "--pictures", folder, "--out", out, "--quiet",
        ]
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
        return json.loads((out / "trust.json").read_text())

    def agreement(self, folder, firsts):
        """Of the pictures of several seeds, which are so few that they would count too much beside the others."""
        for name in self.sides:
            own, place = pathlib.Path(folder) / name, pathlib.Path("agreement") / name
            place.mkdir(parents=True, exist_ok=True)
            for file in [own / f"neuron-{n}-class-{c}-seed-0.png" for n, c in firsts] + list((own / "seeds").iterdir()):
                shutil.copy(file, place)
        keys = ("agreement", "agreement_by_chance")
        return {way["name"]: {key: way["mean"].get(key) for key in keys} for way in self.measure("agreement")["ways"]}

    def choose(self):
        args, chosen = self.args, self.record.setdefault("chosen", {})
        todo = [name for name in self.sides if name not in chosen]
        every = self.all_settings(todo)
        self.rates(every)
        pairs, seconds = self.context.pairs(args.neurons, 1), args.seconds[len(args.seconds) // 2]
        numbered = lambda name, settings: f"{name} {self.sides[name].SETTINGS.index(settings)}"
        for name, settings in every:
            folder = pathlib.Path("choosing") / numbered(name, settings)
            steps = self.steps(name, settings, seconds)
            self.pictures(folder, name, settings, pairs, [0], steps)
        if every:
            means = {way["name"]: way["mean"] for way in self.measure("choosing")["ways"]}
            score = lambda name, settings: (m := means[numbered(name, settings)])["recognised"] + m["path"]
            for name in todo:
                best = max(self.sides[name].SETTINGS, key=lambda settings: score(name, settings))
                tried = [{"settings": s, "score": score(name, s)} for s in self.sides[name].SETTINGS]
                chosen[name] = {"settings": best, "tried": tried}
        self.keep()

    def run(self):
        args = self.args
        if args.until == "rates":
            return self.rates(self.all_settings(self.sides))
        self.choose()
        if args.until == "choice":
            return
        pairs, most = self.context.pairs(0, args.neurons), max(args.seconds)
        self.record["pairs"], results = pairs, self.record.setdefault("results", {})
        # One of each class: agreement takes more than one seed, and fewer neurons.
        firsts = pairs[:: args.neurons]
        for seconds in args.seconds:
            folder = f"pictures-{seconds:g}"
            steps = {name: self.steps(name, self.record["chosen"][name]["settings"], seconds) for name in self.sides}
            for name in self.sides:
                settings, place = self.record["chosen"][name]["settings"], pathlib.Path(folder) / name
                self.pictures(place, name, settings, pairs, [0], steps[name])
                if seconds == most:
                    self.pictures(place / "seeds", name, settings, firsts, range(1, args.seeds), steps[name])
            trust = self.measure(folder)
            results[f"{seconds:g}"] = {
                way["name"]: {**way["mean"], "steps": steps[way["name"]], "pictures": each(way)} for way in trust["ways"]
            }
            if seconds == most:
                agreement = self.agreement(folder, firsts)
                for name, numbers in agreement.items():
                    results[f"{seconds:g}"][name].update(numbers)
            self.record["real"] = trust["real"]
            self.keep()
        picture_page.sheet(self, f"pictures-{most:g}")
        print(picture_page.tables(self), flush=True)


def each(way):
    """Of each picture: whether the judge recognises it, and its path."""
    judged = [one["trust"]["recognition"]["recognised"] for one in way["pictures"]]
    paths = [one["trust"]["path"]["score"] for one in way["pictures"]]
    return {"recognised": judged, "path": paths}


def rate_key(name, settings):
    """Settings that differ in their learning rate, or in what is drawn, alone take as long."""
    slow = {key: value for key, value in settings.items() if key not in ("lr", "learning_rate", "augmentation")}
    return f"{name} {json.dumps(slow)}"


def main():
    listed = lambda text: [part for part in text.split(",") if part]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="neuroinspect, built for release")
    parser.add_argument("--data", required=True, help="CIFAR-10 as images in train/CLASS and test/CLASS")
    parser.add_argument("--clip", required=True, help="weights of a CLIP for these images, its config in the metadata")
    parser.add_argument("--original", required=True, help="a checkout of NeuroInspect's published code")
    networks = lambda text: [part.split("=", 1) for part in listed(text)]
    parser.add_argument("--networks", required=True, type=networks, metavar="DEPTH=FILE,DEPTH=FILE", help="two networks")
    parser.add_argument("--sides", type=listed, help="names of sides, after commas; all unless given")
    parser.add_argument("--neurons", type=int, default=4, help="of each class")
    parser.add_argument("--seconds", type=lambda text: [float(part) for part in listed(text)], default=[0.25, 1.0, 4.0],
                        help="of one thread for a picture, in rising order")
    parser.add_argument("--seeds", type=int, default=2, help="at the most seconds")
    parser.add_argument("--rounds", type=int, default=2, help="of timing")
    parser.add_argument("--out", required=True, help="a folder, which is made")
    parser.add_argument("--until", choices=["rates", "choice"], help="stop when these are measured, so that it can be "
                        "done by parts; what times is `rates`, which wants a machine where nothing else runs")
    parser.add_argument("--only", metavar="DEPTH", help="picture this network alone")
    parser.add_argument("--page", help="a page in Markdown to write")
    args = parser.parse_args()
    for name in ("program", "data", "clip", "original", "out"):
        setattr(args, name, pathlib.Path(getattr(args, name)).absolute())
    args.networks = [(depth, pathlib.Path(file).absolute()) for depth, file in args.networks]
    place, works = args.page and pathlib.Path(args.page).absolute(), []
    if len(args.networks) != 2:
        parser.error("--networks takes two")
    for network, judge in (args.networks, args.networks[::-1]):
        if args.only and network[0] != args.only:
            continue
        works.append(Work(args, network, judge))
        works[-1].run()
        if place and not args.until:
            picture_page.write(place, works)


if __name__ == "__main__":
    main()
