"""Golden values of what timm makes of photographs for every network of the registry's table.

    python tools/golden_photographs.py [FOLDER]

Needs numpy, scikit-image, timm, torch, torchvision and a Pillow before 13, which resizes rows before
columns always; the versions that wrote the files are noted in them.
Writes, under `crates/neuroinspect-datasets/tests/golden`:

- photographs/: small images in all the ways that image files store pixels, made of the cat and the
  astronaut that scikit-image has (CC0 and public domain);
- photographs.json: all evaluation transforms of timm's `pretrained_cfg` (`create_transform` after
  `resolve_data_config` with `use_test_size`), each once, with the first 16 digits of the SHA-256 of the
  pixels that it makes of each file; and what `Normalize` makes of some pixels for each mean and
  deviation;
- photographs.png: of each transform, from top to bottom, and each file, from left to right, 6 x 6
  of these pixels, the outermost among them.

Files are read as timm reads them: `Image.open(path).convert("RGB")`. The one exception is 16-bit grey,
of which Pillow makes white where it is above 255: its upper 8 bits are taken, as Pillow itself does
with 16-bit colour.

With a folder, prints instead how many files lie in its folders, and the hash of the hashes of their
pixels in the order of their paths, which `tests/datasets/real_images.rs` has of published images.
"""

import hashlib
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL
import timm
import torch
import torchvision
from golden_pretrained import architectures, tags
from PIL import Image, features
from skimage import data
from timm.data import create_transform, resolve_data_config
from torchvision.transforms import Compose, Normalize, ToTensor

GOLDEN = Path(__file__).parent.parent / "crates/neuroinspect-datasets/tests/golden"
PHOTOGRAPHS = GOLDEN / "photographs"
GRID = 6
LEVELS = [0, 1, 100, 128, 255]


def png16(path, values):
    """A PNG of 16 bits a channel, which Pillow cannot write in colour."""
    height, width = values.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[values.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = {b"IHDR": struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)}
    parts |= {b"IDAT": zlib.compress(rows, 9), b"IEND": b""}
    file = b"\x89PNG\r\n\x1a\n"
    for name, body in parts.items():
        file += struct.pack(">I", len(body)) + name + body
        file += struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(file)


def write_photographs():
    PHOTOGRAPHS.mkdir(parents=True, exist_ok=True)
    cat, astronaut = Image.fromarray(data.chelsea()), Image.fromarray(data.astronaut())
    cat = cat.crop((60, 0, 360, 300))

    def save(name, image, **options):
        image.save(PHOTOGRAPHS / name, **options)

    def small(width, height, image=cat):
        return image.resize((width, height), Image.Resampling.LANCZOS)

    save("colour.png", small(61, 47), optimize=True)
    save("colour.bmp", small(31, 22))
    save("large.jpg", astronaut.resize((701, 467)), quality=60)
    save("wide.jpg", small(211, 97, astronaut), quality=85)
    save("progressive.jpg", small(83, 151), quality=90, subsampling="4:2:2", progressive=True)
    save("full_chroma.jpg", small(55, 49), quality=95, subsampling="4:4:4")
    save("not_converted.jpg", small(37, 53), quality=75, keep_rgb=True)
    save("grey.jpg", small(67, 45).convert("L"), quality=90)
    save("cmyk.jpg", small(71, 53).convert("CMYK"), quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: a quarter turn.
    save("turned.jpg", small(57, 83, astronaut), quality=85, exif=exif)
    save("grey.png", small(43, 64).convert("L"), optimize=True)
    save("two_levels.png", small(49, 38).convert("1"))
    clear = np.mgrid[:51, :39].sum(0).astype(np.uint8) * 3
    alpha = small(39, 51, astronaut)
    alpha.putalpha(Image.fromarray(clear))
    save("alpha.png", alpha, optimize=True)
    save("grey_alpha.png", alpha.convert("LA"), optimize=True)
    few = Image.Dither.NONE
    palette = small(301, 203, astronaut).quantize(16, dither=few)
    save("palette.png", palette, optimize=True, transparency=3)
    save("palette.gif", small(73, 57).quantize(32, dither=few), transparency=5)
    save("lossy.webp", small(63, 41), quality=80)
    save("column.png", small(1, 65))
    save("row.png", small(65, 1))
    save("pixel.png", small(1, 1))
    fine = np.asarray(small(45, 33, astronaut)).astype(np.uint16) * 257
    fine -= np.mgrid[:33, :45, :3].sum(0).astype(np.uint16) * 3 % 257
    png16(PHOTOGRAPHS / "colour16.png", fine)
    png16(PHOTOGRAPHS / "alpha16.png", np.concatenate([fine[::2], fine[::2, :, :1]], 2))
    png16(PHOTOGRAPHS / "grey16.png", fine[:, :, 1:2])


def opened(path):
    image = Image.open(path)
    if image.mode == "I;16":
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


def transforms():
    """Of all weights, by what the crate calls them: each size, resize and interpolation once, and each
    mean and deviation once."""
    found, normalizations = {}, {}
    for architecture in architectures():
        for tag in [] if architecture.startswith(("cifar_", "stl_")) else tags(architecture):
            cfg = timm.get_pretrained_cfg(f"{architecture}.{tag}")
            resolved = resolve_data_config(pretrained_cfg=cfg.to_dict(), use_test_size=True)
            *steps, normalize = create_transform(**resolved, is_training=False).transforms
            assert isinstance(normalize, Normalize), normalize
            resize = steps[0]
            size = resolved["input_size"][1]
            shorter = resize.size if isinstance(resize.size, int) else None
            key = (size, shorter, resize.interpolation.value)
            found[key] = steps
            pair = [tuple(map(float, map(str, values.numpy()))) for values in (normalize.mean, normalize.std)]
            normalizations[tuple(pair)] = normalize
    order = sorted(found, key=lambda key: (key[0], key[1] or 0, key[2]))
    return {key: found[key] for key in order}, dict(sorted(normalizations.items()))


def pixels(steps, image):
    value = Compose(steps)(image)
    if not isinstance(value, torch.Tensor):
        value = ToTensor()(value)
    # timm's transform ends in a tensor of 8-bit values, in [0, 1] or not yet.
    scaled = value.float() * (1 if value.dtype == torch.uint8 else 255)
    levels = scaled.round().to(torch.uint8)
    assert (levels.float() - scaled).abs().max() < 1e-3
    return levels.permute(1, 2, 0).contiguous().numpy()


def hash_of_folder(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    pixels = (np.asarray(opened(path)).tobytes() for path in paths)
    hashes = "".join(hashlib.sha256(values).hexdigest() for values in pixels)
    print(len(paths), hashlib.sha256(hashes.encode()).hexdigest())


def main():
    assert int(PIL.__version__.split(".")[0]) < 13, "Pillow 13 may resize columns first"
    write_photographs()
    files = sorted(path.name for path in PHOTOGRAPHS.iterdir())
    images = {name: opened(PHOTOGRAPHS / name) for name in files}
    found, normalizations = transforms()
    lines, rows = [], []
    for (size, shorter, interpolation), steps in found.items():
        made = {name: pixels(steps, image) for name, image in images.items()}
        hashes = {name: hashlib.sha256(value.tobytes()).hexdigest()[:16] for name, value in made.items()}
        at = [index * (size - 1) // (GRID - 1) for index in range(GRID)]
        rows.append(np.concatenate([value[at][:, at] for value in made.values()], 1))
        entry = {"size": size, "shorter": shorter, "interpolation": interpolation, "sha256": hashes}
        lines.append(json.dumps(entry))
    ramp = torch.tensor(LEVELS, dtype=torch.float32).div(255).expand(3, 1, -1)
    normalized = [
        json.dumps({"mean": mean, "std": std, "values": normalize(ramp)[:, 0].tolist()})
        for (mean, std), normalize in normalizations.items()
    ]
    versions = {
        "libjpeg-turbo": features.version("libjpeg_turbo"),
        "pillow": PIL.__version__,
        "timm": timm.__version__,
        "torchvision": torchvision.__version__,
    }
    joined = lambda entries: ",\n".join(f"    {entry}" for entry in entries)
    (GOLDEN / "photographs.json").write_text(
        f'{{\n  "versions": {json.dumps(versions)},\n  "levels": {LEVELS},\n'
        f'  "normalizations": [\n{joined(normalized)}\n  ],\n'
        f'  "transforms": [\n{joined(lines)}\n  ]\n}}\n'
    )
    Image.fromarray(np.concatenate(rows)).save(GOLDEN / "photographs.png", optimize=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        hash_of_folder(Path(sys.argv[1]))
    else:
        main()
