#!/usr/bin/env python3
"""How many CIFAR-10 JPEG files of each class PyTorch has right, for tests that look at a part of them.

    tools/golden_cifar.py --images cifar10-jpeg/test --weights resnet20-12fca82f.th ... --first 100

The first files of each class, by name. Needs torch, torchvision and pillow.
"""

import argparse
import re
from pathlib import Path

import torch
from PIL import Image
from picture_sides import load_resnet
from torchvision import transforms


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", nargs="+", required=True)
    parser.add_argument("--first", type=int, required=True)
    options = parser.parse_args()
    prepare = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    )
    folders = sorted(it for it in options.images.iterdir() if it.is_dir())
    for weights in options.weights:
        depth = int(re.search(r"resnet(\d+)", Path(weights).name)[1])
        network = load_resnet(depth, weights).eval()
        right = []
        for index, folder in enumerate(folders):
            files = sorted(folder.iterdir())[: options.first]
            images = torch.stack([prepare(Image.open(file).convert("RGB")) for file in files])
            with torch.no_grad():
                right.append(int((network(images).argmax(1) == index).sum()))
        print(Path(weights).name, "right of each class:", *right, "together:", sum(right))


if __name__ == "__main__":
    main()
