"""What timm says of the images that its pretrained weights want to see.

Writes, under crates/neuroinspect-models:

- src/families/pretrained_cfg.json: of every tag of every registered architecture, the fields of
  timm's `pretrained_cfg` that decide the input; the crate carries it and resolves the input itself;
- tests/golden/pretrained_transforms.json: what timm itself makes of the same: `create_transform`
  for evaluation after `resolve_data_config` with `use_test_size`. The crate's own resolution is
  compared with it.

Run: python tools/golden_pretrained.py (needs torch, torchvision, timm)
"""

import json
import pathlib

import timm
from timm.data import create_transform, resolve_data_config
from torchvision.transforms import CenterCrop, Normalize, Resize

CRATE = pathlib.Path(__file__).parent.parent / "crates/neuroinspect-models"
ARCHITECTURES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "tf_efficientnet_lite0",
    "wide_resnet50_2",
)
FIELDS = (
    "crop_pct",
    "input_size",
    "interpolation",
    "mean",
    "num_classes",
    "std",
    "test_crop_pct",
    "test_input_size",
)


def tags(architecture):
    """Of all weights that timm can load."""
    known = timm.list_pretrained(f"{architecture}.*")
    return sorted(name.removeprefix(f"{architecture}.") for name in known)


def transform(cfg):
    """Resize, crop and normalisation of timm's evaluation transform."""
    resolved = resolve_data_config(pretrained_cfg=cfg.to_dict(), use_test_size=True)
    steps = create_transform(**resolved, is_training=False).transforms
    resize, crop, _, normalize = steps
    assert isinstance(resize, Resize) and isinstance(crop, CenterCrop), steps
    assert isinstance(normalize, Normalize), steps
    # A number resizes the shorter side; a pair would squash.
    assert isinstance(resize.size, int) and crop.size[0] == crop.size[1], steps
    return {
        "crop": crop.size[0],
        "interpolation": resize.interpolation.value,
        "mean": [float(f"{value:.6g}") for value in normalize.mean.tolist()],
        "resize": resize.size,
        "std": [float(f"{value:.6g}") for value in normalize.std.tolist()],
    }


def lines(entries, indent):
    """One entry a line."""
    items = (f"{indent}{json.dumps(key)}: {text}" for key, text in sorted(entries.items()))
    return "{\n" + ",\n".join(items) + f"\n{indent[2:]}}}"


def main():
    dumped, transforms = {}, {}
    for architecture in ARCHITECTURES:
        cfgs = {tag: timm.get_pretrained_cfg(f"{architecture}.{tag}") for tag in tags(architecture)}
        fields = {
            tag: json.dumps({field: getattr(cfg, field) for field in FIELDS})
            for tag, cfg in cfgs.items()
        }
        # The crate crops the centre.
        assert all(cfg.crop_mode == "center" for cfg in cfgs.values()), architecture
        entry = {"tags": lines(fields, " " * 8)}
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
