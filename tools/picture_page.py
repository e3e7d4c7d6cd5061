"""The page that `compare_pictures.py` writes: tables with intervals, and a sheet of the pictures.

    tools/picture_page.py OUT/20-judged-by-56/trust/choosing/trust.json

prints what the pictures of `--until choice` alone say: settings are chosen on the classes of even index for those of
odd, and the other way round, so that no picture is measured that its settings were chosen by.
"""
import json, math, pathlib, shutil, sys

import numpy
from PIL import Image, ImageDraw

RESAMPLES = 10_000

INTRODUCTION = """# Pictures compared

Pictures of neurons by [Lucent](https://github.com/greentfrapp/lucent), [Horama](https://github.com/serre-lab/Horama) (Fourier and MACO),
the published code of the paper (FV and CLIP-Illusion) and this program, of the same networks on the same machine, in the same time,
measured by one command, [`trust`](pictures.md#pictures-made-elsewhere). Made by `tools/compare_pictures.py`, whose `--help` says how; all
numbers are in the JSON beside this page.

Time is that of one thread's processor, for a picture, without what comes before the first step. An objective is its user's: `+ class`
is the neuron's activation and half the class's logit, as CLIP-Illusion without CLIP; Lucent without it is of the neuron alone, as `ours FV`
is, and the published FV adds a tenth of the class. Each side's rate, size and transforms are the best of up to six, on other neurons than
those measured.

- *Recognised*: the share of pictures that the judge takes for their class, over that of real images, so that 1 is as often as a real
  image. *Path*, *percentile*, *colour*, *spectrum*, *agreement*: see [there](pictures.md#pictures-made-elsewhere); of colour and spectrum
  less is better, of agreement that by chance stands in brackets.
- Intervals are of 95 %: Wilson's for recognition, bootstrapped over neurons for path and differences. A difference is that between the
  two sides' pictures of the same neurons.
- The last time is the most; *seconds to 0.9* is the first of the times at which pictures are recognised 0.9 times as often as real images.
"""
LOOKED_AT = "## Looked at"


def wilson(share, count):
    z = 1.959964
    middle, spread = share + z * z / 2 / count, z * math.sqrt(share * (1 - share) / count + (z / 2 / count) ** 2)
    return (middle - spread) / (1 + z * z / count), (middle + spread) / (1 + z * z / count)


def bootstrapped(values):
    """Mean of values, and the interval that holds 95 % of the means of resamples."""
    values = numpy.array(values, float)
    draws = numpy.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    least, most = numpy.quantile(values[draws].mean(1), [0.025, 0.975])
    return values.mean(), least, most


def cell(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def ranged(middle, least, most, sign=""):
    return f"{middle:{sign}.2f} ({least:{sign}.2f} to {most:{sign}.2f})"


def recognised(of, real):
    count = len(of["pictures"]["recognised"])
    return ranged(of["recognised"] / real, *(bound / real for bound in wilson(of["recognised"], count)))


def best_of_ours(work):
    """Of our sides, the one that its choice, on other neurons, found best."""
    score = lambda name: max(one["score"] for one in work.record["chosen"][name]["tried"])
    return max((name for name in work.sides if name.startswith("ours")), key=score, default=None)


def tables(work):
    results, sides, most = work.record["results"], list(work.sides), f"{max(work.args.seconds):g}"
    last, times = results[most], list(results)
    real = {name: of["recognised"] / of["recognised_over_real"] for name, of in last.items() if of["recognised"]}
    real = sum(real.values()) / len(real)
    lines = [
        f"| | after {most} s | recognised | path | percentile | colour | spectrum | agreement (by chance) | steps |",
        "| --: | --- | --- | --- | --: | --: | --: | --- | --: |",
    ]
    for place, name in enumerate(sides):
        of = last[name]
        cells = [
            place + 1, name, recognised(of, real), ranged(*bootstrapped(of["pictures"]["path"])), cell(of["percentile"], 0),
            cell(of["colour"], 3), cell(of["spectrum"]), f"{cell(of['agreement'])} ({cell(of['agreement_by_chance'])})", of["steps"],
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    look = work.record["real"]["appearance"]
    lines.append(f"| | real images (recognised: {real:.3f} of them) | 1 | | | {look['colour']:.3f} | {look['spectrum']:.2f} | | |")
    ours = best_of_ours(work)
    header = "| | by time | " + " | ".join(f"recognised, path, {seconds} s" for seconds in times) + " | seconds to 0.9 |"
    lines += ["", header, "| --: | --- | " + "--- | " * len(times) + "--: |"]
    for place, name in enumerate(sides):
        own = [results[seconds][name] for seconds in times]
        reached = [s for s, of in zip(times, own) if of["recognised"] / real >= 0.9]
        cells = [f"{of['recognised'] / real:.2f}, {of['path']:.2f}" for of in own]
        cells = [place + 1, name, *cells, reached[0] if reached else f"over {most}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    if ours:
        shown = [times[0], most]
        header = f"| | {ours}, less | " + " | ".join(f"recognised, {s} s | path, {s} s" for s in shown) + " |"
        lines += ["", header, "| --: | --- |" + " --- |" * (2 * len(shown))]
        for place, name in enumerate(sides):
            if name == ours:
                continue
            cells = [place + 1, name]
            for seconds in shown:
                own, other = (results[seconds][side]["pictures"] for side in (ours, name))
                for key, scale in (("recognised", real), ("path", 1)):
                    apart = [(float(a) - float(b)) / scale for a, b in zip(own[key], other[key])]
                    cells.append(ranged(*bootstrapped(apart), sign="+"))
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def sheet(work, folder):
    """A row for each class's first neuron, a column for each side, and first the real image that activates it most."""
    import torch

    import picture_sides

    images = work.context.images(2000, "test")
    normal = (torch.from_numpy(images) - picture_sides.row(picture_sides.MEAN)) / picture_sides.row(picture_sides.STD)
    network = work.context.fresh().network
    features = torch.cat([network.features(part) for part in normal.split(100)])
    shown = work.record["pairs"][:: work.args.neurons]
    side, gap, left, top = 48, 3, 74, 18
    page = Image.new("RGB", (left + (len(work.sides) + 1) * (side + gap), top + len(shown) * (side + gap)), "white")
    draw = ImageDraw.Draw(page)
    for column, name in enumerate(["real"] + [str(1 + place) for place in range(len(work.sides))]):
        draw.text((left + column * (side + gap) + 14, 3), name, "black")
    for row, (neuron, class_) in enumerate(shown):
        y = top + row * (side + gap)
        draw.text((2, y + 12), f"{work.context.classes[class_]}\nneuron {neuron}", "black")
        best = numpy.moveaxis(images[features[:, neuron].argmax()], 0, 2)
        tiles = [Image.fromarray(numpy.rint(best * 255).astype("uint8"))]
        name = f"neuron-{neuron}-class-{class_}-seed-0.png"
        tiles += [Image.open(work.out / folder / of / name).convert("RGB") for of in work.sides]
        for column, tile in enumerate(tiles):
            page.paste(tile.resize((side, side), Image.BILINEAR), (left + column * (side + gap), y))
    page.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(work.out / "sheet.png", optimize=True)


def write(path, works):
    """Writes the page, and beside it what it shows."""
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    kept = path.read_text() if path.exists() else ""
    text = INTRODUCTION
    for work in works:
        name, context = work.out.name, work.context
        for file in ("compared.json", "sheet.png"):
            shutil.copy(work.out / file, folder / f"{name}.{file.rsplit('.')[1]}")
        names = ", ".join(f"{place + 1} {side}" for place, side in enumerate(work.sides))
        text += f"\n## {context.model}, judged by {context.judge}\n\n{len(work.record['pairs'])} neurons: {work.args.neurons} of each class"
        text += ", those of largest weight.\n\n" + tables(work)
        text += f"\n![A row for each neuron; columns as in the table]({folder.name}/{name}.png)\n\n"
        text += f"The first neuron of each class. First the real image that activates it most, then: {names}.\n"
        tried = {side: one["settings"] for side, one in work.record["chosen"].items()}
        text += "\nChosen: " + "; ".join(f"{side} `{json.dumps(settings)}`" for side, settings in tried.items()) + ".\n"
    if LOOKED_AT in kept:
        text += "\n" + kept[kept.index(LOOKED_AT) :]
    path.write_text(text)


def by_halves(trust):
    """A row for each side of the pictures that settings are chosen by."""
    known = [share for share in trust["real"]["recognised"] if share is not None]
    real, sides = sum(known) / len(known), {}
    for way in trust["ways"]:
        # The folder is called by the side and the number of its settings.
        sides.setdefault(way["name"].rsplit(" ", 1)[0], []).append(way)
    value = lambda one: (float(one["trust"]["recognition"]["recognised"]), one["trust"]["path"]["score"])
    lines = ["| | recognised | path | colour | spectrum | settings tried |", "| --- | --- | --- | --: | --: | --: |"]
    for side, ways in sides.items():
        measured = []
        for half in (0, 1):
            of = lambda way, half: [one for one in way["pictures"] if one["pair"]["class"] % 2 == half]
            score = lambda way: sum(sum(value(one)) for one in of(way, 1 - half))
            measured += of(max(ways, key=score), half)
        shares, paths = zip(*map(value, measured))
        share = sum(shares) / len(shares)
        mean = lambda key: sum(one["appearance"][key] for one in measured) / len(measured)
        bounds = (bound / real for bound in wilson(share, len(shares)))
        cells = [side, ranged(share / real, *bounds), ranged(*bootstrapped(paths)), cell(mean("colour"), 3), cell(mean("spectrum"))]
        lines.append("| " + " | ".join(cells) + f" | {len(ways)} |")
    look = trust["real"]["appearance"]
    lines.append(f"| real images (recognised: {real:.3f} of them) | 1 | | {look['colour']:.3f} | {look['spectrum']:.2f} | |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(by_halves(json.loads(pathlib.Path(sys.argv[1]).read_text())))
