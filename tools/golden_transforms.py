"""Writes the golden values of preprocessing: what torchvision makes of PIL images.

    python tools/golden_transforms.py

Needs numpy, torch, torchvision and a Pillow before 13, which resizes rows before columns always;
the versions that wrote the file are noted in it.
Writes `crates/neuroinspect-datasets/tests/golden/transforms.{json,png}`: a list of cases, and a
sheet with one 17 x 17 tile per case, from top to bottom, the expected pixels in its top left.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize, ToTensor

GOLDEN = Path(__file__).parent.parent / "crates/neuroinspect-datasets/tests/golden"
TILE = 17
IMAGES = [(37, 23), (23, 37), (16, 16), (15, 17), (17, 40)]
IMAGES += [(1, 9), (9, 1), (1, 1), (211, 150), (8, 300)]
# (side, length of the shorter side after resizing, or None to squash)
RULES = [(16, None), (17, None), (16, 18), (16, 19), (17, 17), (17, 12), (5, 16)]
FILTERS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


def picture(width, height):
    """Gradients under a checkerboard: its edges make the bicubic filter overshoot both ends."""
    y, x, c = np.mgrid[:height, :width, :3]
    value = x * (31 + c) + y * (17 + 5 * c) + (x * y) % 97 * 3
    board = (x // 5 + y // 3) % 3
    value = np.where(board == 0, 0, np.where(board == 1, 255, value % 256))
    return Image.fromarray(value.astype(np.uint8))


def expected(image, side, shorter, interpolation):
    steps = [Resize((side, side) if shorter is None else shorter, interpolation), CenterCrop(side)]
    tensor = Compose([*steps, ToTensor()])(image)
    pixels = np.asarray(Compose(steps)(image))
    # The scaling is part of the contract: float32 division by 255.
    scaled = torch.from_numpy(pixels.astype(np.float32) / np.float32(255))
    assert torch.equal(tensor, scaled.permute(2, 0, 1))
    return pixels


def main():
    assert int(PIL.__version__.split(".")[0]) < 13, "Pillow 13 may resize columns first"
    cases, tiles = [], []
    for (width, height), (side, shorter), name in itertools.product(IMAGES, RULES, FILTERS):
        case = {"width": width, "height": height}
        cases.append(case | {"side": side, "shorter": shorter, "filter": name})
        tile = np.zeros((TILE, TILE, 3), np.uint8)
        tile[:side, :side] = expected(picture(width, height), side, shorter, FILTERS[name])
        tiles.append(tile)
    versions = {"pillow": PIL.__version__, "torchvision": torchvision.__version__}
    GOLDEN.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join("    " + json.dumps(case) for case in cases)
    text = f'{{\n  "versions": {json.dumps(versions)},\n  "cases": [\n{lines}\n  ]\n}}\n'
    (GOLDEN / "transforms.json").write_text(text)
    Image.fromarray(np.concatenate(tiles)).save(GOLDEN / "transforms.png", optimize=True)


if __name__ == "__main__":
    main()
