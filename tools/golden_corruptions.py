"""Writes the golden values of the corruptions: what SciPy, Pillow and scikit-image make of an image.

    python tools/golden_corruptions.py

Needs numpy, pillow, scipy, scikit-image and imagecorruptions (Michaelis et al., for ImageMagick's
motion blur, diamond-square noise and photographs of frost); their versions are noted in the file.
Writes `crates/neuroinspect-datasets/tests/golden/corruptions.json`, with filters of a plane and the
statistics of the random corruptions of flat grey, and `corruptions.png`, with a row of tiles of
32 x 32 pixels for each deterministic corruption.
"""

import io
import json
from pathlib import Path

import imagecorruptions.corruptions as ic
import numpy as np
import PIL
import scipy
import skimage
from PIL import Image
from scipy import ndimage
from skimage.color import hsv2rgb, rgb2hsv
from skimage.filters import gaussian

# imagecorruptions 1.1 is written for NumPy 1.
np.float_ = np.float64

GOLDEN = Path(__file__).parent.parent / "crates/neuroinspect-datasets/tests/golden"
TILE = 32
SIZES = [(32, 32), (31, 23)]
DRAWS = 1000


def picture(width, height):
    """Gradients under a checkerboard, as in golden_transforms.py, and a corner of greys."""
    y, x, c = np.mgrid[:height, :width, :3]
    value = x * (31 + c) + y * (17 + 5 * c) + (x * y) % 97 * 3
    board = (x // 5 + y // 3) % 3
    value = np.where(board == 0, x * 8, np.where(board == 1, 200 - y * (3 + c), value % 256))
    return Image.fromarray(value.astype(np.uint8))


def plane(height, width):
    y, x = np.mgrid[:height, :width]
    return (7 * y + 13 * x + (y * x) % 11) % 17 / 17


def of_hsv(channel, change):
    def corrupt(image):
        hsv = rgb2hsv(np.array(image) / 255)
        hsv[..., channel] = np.clip(change(hsv[..., channel]), 0, 1)
        return np.clip(hsv2rgb(hsv), 0, 1) * 255

    return corrupt


def contrast(image):
    x = np.array(image) / 255
    mean = x.mean((0, 1), keepdims=True)
    return np.clip((x - mean) * 0.15 + mean, 0, 1) * 255


def jpeg(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=40)
    return np.array(Image.open(file))


def pixelate(image):
    width, height = image.size
    small = image.resize((int(width * 0.65), int(height * 0.65)), Image.BOX)
    return np.array(small.resize((width, height), Image.BOX))


DETERMINISTIC = {
    "brightness": of_hsv(2, lambda v: v + 0.3),
    "contrast": contrast,
    "saturate": of_hsv(1, lambda s: s * 2.5 + 0.2),
    "jpeg": jpeg,
    "pixelate": pixelate,
}


def zoom(x, factor):
    height, width = x.shape
    rows, columns = (int(np.ceil(side / factor)) for side in x.shape)
    top, left = (height - rows) // 2, (width - columns) // 2
    x = ndimage.zoom(x[top : top + rows, left : left + columns], factor, order=1)
    top, left = (x.shape[0] - height) // 2, (x.shape[1] - width) // 2
    return x[top : top + height, left : left + width]


def affine(x, start, end):
    """The image moved by the affine map that takes three points, of row and column, to three others."""
    ones = np.ones((3, 1))
    back = np.linalg.solve(np.hstack([end, ones]), np.array(start))
    places = np.indices(x.shape).reshape(2, -1).T
    places = np.hstack([places, np.ones((len(places), 1))]) @ back
    return ndimage.map_coordinates(x, places.T, order=1, mode="mirror").reshape(x.shape)


def displace(x, down, right):
    y, z = np.indices(x.shape)
    return ndimage.map_coordinates(x, [y + down, z + right], order=1, mode="reflect")


def filters():
    x = plane(19, 26)
    down, right = plane(19, 26) * 4 - 2, plane(26, 19).T * 3 - 1.5
    points = [[18.0, 20.0], [4.0, 20.0], [4.0, 6.0]], [[18.6, 19.5], [3.4, 20.9], [4.7, 6.2]]
    results = {
        "gaussian_0.5": gaussian(x, 0.5, mode="nearest", truncate=4),
        "gaussian_0.96": gaussian(x, 0.96, mode="reflect", truncate=3),
        "motion_-100": ic._motion_blur(x, 5, 4, -100),
        "motion_30": ic._motion_blur(x, 5, 4, 30),
        "zoom": zoom(x, 1.25),
        "affine": affine(x, *points),
        "displace": displace(x, down, right),
    }
    return {name: result.astype(float).ravel().round(12).tolist() for name, result in results.items()}


def random(rng):
    """Means and spreads over many draws of the random corruptions of a grey of 128, 32 x 32 pixels."""
    grey = np.full((32, 32, 3), 128 / 255)

    def fog():
        clouds = ic.plasma_fractal(32, 1.75)[..., None]
        return (grey + 1.5 * clouds) * grey / (grey + 1.5)

    def frost():
        photograph = PHOTOGRAPHS[rng.integers(5)]
        y, x = (rng.integers(side - 32) for side in photograph.shape[:2])
        return 0.75 * grey + 0.45 * photograph[y : y + 32, x : x + 32]

    def snow():
        flakes = zoom(rng.normal(0.3, 0.3, (32, 32)), 1.25)
        flakes[flakes < 0.65] = 0
        flakes = (np.clip(flakes, 0, 1) * 255).astype(np.uint8) / 255
        flakes = ic._motion_blur(flakes, 14, 12, rng.uniform(-135, -45))[..., None]
        pale = 0.8 * grey + 0.2 * np.maximum(grey, grey * 1.5 + 0.5)
        return pale + flakes + np.rot90(flakes, 2)

    def spatter():
        liquid = gaussian(rng.normal(0.65, 0.1, (32, 32)), 0.5)
        cover = gaussian((liquid > 0.68).astype(float), 0.6)
        cover = np.where(cover < 0.8, 0, cover)[..., None]
        return grey * (1 - cover) + np.array([63, 42, 20]) / 255 * cover

    statistics = {}
    for corrupt in (fog, frost, snow, spatter):
        images = [(np.clip(corrupt(), 0, 1) * 255).astype(np.uint8) / 255 for _ in range(DRAWS)]
        images = np.array(images)
        means = images.mean((1, 2, 3))
        statistics[corrupt.__name__] = {
            "channels": images.mean((0, 1, 2)).round(5).tolist(),
            "spread_of_means": round(float(means.std()), 5),
            "spread_within": round(float(images.std((1, 2)).mean()), 5),
        }
    return statistics


def photographs():
    folder = Path(ic.__file__).parent / "frost"
    names = ["frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg"]
    for name in names:
        image = Image.open(folder / name).convert("RGB")
        # A fifth of the size without smoothing, as OpenCV's default.
        size = [round(side * 0.2) for side in image.size]
        y, x = (np.clip((np.arange(n) + 0.5) * 5 - 0.5, 0, None) for n in size[::-1])
        x, y = np.meshgrid(x, y)
        channels = np.moveaxis(np.array(image) / 255, 2, 0)
        channels = [ndimage.map_coordinates(c, [y, x], order=1, mode="nearest") for c in channels]
        yield np.stack(channels, 2)


PHOTOGRAPHS = list(photographs())

if __name__ == "__main__":
    np.random.seed(0)
    sheet = Image.new("RGB", (TILE * len(SIZES), TILE * len(DETERMINISTIC)))
    for row, corrupt in enumerate(DETERMINISTIC.values()):
        for column, size in enumerate(SIZES):
            corrupted = corrupt(picture(*size)).astype(np.uint8)
            sheet.paste(Image.fromarray(corrupted), (TILE * column, TILE * row))
    sheet.save(GOLDEN / "corruptions.png")
    golden = {
        "versions": {m.__name__: m.__version__ for m in (np, PIL, scipy, skimage)},
        "sizes": SIZES,
        "rows": list(DETERMINISTIC),
        "filters": filters(),
        "random": random(np.random.default_rng(0)),
    }
    (GOLDEN / "corruptions.json").write_text(json.dumps(golden) + "\n")
