"""What timm says of the images that its pretrained weights want to see.

Writes, under crates/neuroinspect-models:

- src/families/pretrained_cfg.json: of every tag of every architecture of the registry's table, the
  fields of timm's `pretrained_cfg` that decide the input, without those that are as in DEFAULTS; and
  which tag the name alone stands for: `tv_in1k` where there is one, else timm's own choice. The crate
  carries it and resolves the input itself;
- tests/golden/pretrained_transforms.json: what timm itself makes of the same: `create_transform`
  for evaluation after `resolve_data_config` with `use_test_size`, mean and deviation left out where
  they are ImageNet's. The crate's own resolution is compared with it.

Run: python tools/golden_pretrained.py (needs torch, torchvision, timm)
"""

import json
import pathlib
import re

import timm
from timm.data import create_transform, resolve_data_config
from torchvision.transforms import CenterCrop, Normalize, Resize

CRATE = pathlib.Path(__file__).parent.parent / "crates/neuroinspect-models"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# As the crate has them in families/pretrained.rs.
DEFAULTS = {
    "input_size": 224,
    "test_input_size": None,
    "crop_pct": 0.875,
    "test_crop_pct": None,
    "crop_mode": "center",
    "interpolation": "bicubic",
    "mean": MEAN,
    "std": STD,
    "num_classes": 1000,
}


def architectures():
    """The names of the registry's table, in its order."""
    table = (CRATE / "src/registry/table.rs").read_text()
    return re.findall(r'^    "(\w+)": \w+, \|size\|', table, re.MULTILINE)


def is_own(architecture):
    """Whether timm does not have it."""
    return architecture.startswith(("cifar_", "stl_"))


def fields(cfg):
    """What decides the input, where it is not the default."""
    found = {field: getattr(cfg, field) for field in DEFAULTS}
    for field in ("input_size", "test_input_size"):
        if found[field] is not None:
            _, height, width = found[field]
            assert height == width, cfg
            found[field] = height
    for field in ("mean", "std"):
        found[field] = list(found[field])
    # Squashed images are resized to the size itself.
    assert cfg.crop_mode in ("center", "squash"), cfg
    crop = cfg.crop_pct if cfg.test_crop_pct is None else cfg.test_crop_pct
    assert cfg.crop_mode == "center" or crop == 1.0, cfg
    return {field: value for field, value in found.items() if value != DEFAULTS[field]}


def tags(architecture):
    """Of all weights that timm can load; that of its configuration where there are none."""
    known = timm.list_pretrained(f"{architecture}.*")
    known = sorted(name.removeprefix(f"{architecture}.") for name in known)
    return known or [timm.get_pretrained_cfg(architecture).tag]


def default(architecture):
    return "tv_in1k" if "tv_in1k" in tags(architecture) else timm.get_pretrained_cfg(architecture).tag


def transform(cfg):
    """Resize, crop and normalisation of timm's evaluation transform."""
    resolved = resolve_data_config(pretrained_cfg=cfg.to_dict(), use_test_size=True)
    steps = create_transform(**resolved, is_training=False).transforms
    resize, *crop, _, normalize = steps
    assert isinstance(resize, Resize) and isinstance(normalize, Normalize), steps
    # A number resizes the shorter side; a pair squashes, and nothing is left to crop.
    squash = not isinstance(resize.size, int)
    side = resize.size[0] if squash else None
    for step in crop:
        assert isinstance(step, CenterCrop) and step.size[0] == step.size[1], steps
        assert side in (None, step.size[0]), steps
        side = step.size[0]
    found = {
        "crop": side,
        "interpolation": resize.interpolation.value,
        "mean": [float(str(value)) for value in normalize.mean.numpy()],
        "resize": None if squash else resize.size,
        "std": [float(str(value)) for value in normalize.std.numpy()],
    }
    if [found["mean"], found["std"]] == [MEAN, STD]:
        del found["mean"], found["std"]
    return found


def lines(entries, indent):
    """One entry a line."""
    items = (f"{indent}{json.dumps(key)}: {text}" for key, text in sorted(entries.items()))
    return "{\n" + ",\n".join(items) + f"\n{indent[2:]}}}"


def main():
    dumped, transforms = {}, {}
    for architecture in architectures():
        if is_own(architecture):
            continue
        cfgs = {tag: timm.get_pretrained_cfg(f"{architecture}.{tag}") for tag in tags(architecture)}
        of_tags = {tag: json.dumps(fields(cfg)) for tag, cfg in cfgs.items()}
        assert default(architecture) in cfgs, architecture
        entry = {"default": json.dumps(default(architecture)), "tags": lines(of_tags, " " * 8)}
        dumped[architecture] = lines(entry, " " * 6)
        for tag, cfg in cfgs.items():
            transforms[f"{architecture}.{tag}"] = json.dumps(transform(cfg))
    version = json.dumps(timm.__version__)
    for path, entries in {
        "src/families/pretrained_cfg.json": {"architectures": lines(dumped, " " * 4)},
        "tests/golden/pretrained_transforms.json": {"transforms": lines(transforms, " " * 4)},
    }.items():
        path = CRATE / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines({"timm": version, **entries}, " " * 2) + "\n")
        json.loads(path.read_text())


if __name__ == "__main__":
    main()
