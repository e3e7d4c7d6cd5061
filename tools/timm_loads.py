"""Loads what `examples/save_models.rs` wrote into timm's models, strictly: every name and shape must be timm's.

    python tools/timm_loads.py FOLDER
"""

import sys
from pathlib import Path

import timm
from safetensors.torch import load_file

CLASSES = 10

files = sorted(Path(sys.argv[1]).glob("*.safetensors"))
if not files:
    sys.exit(f"no .safetensors in {sys.argv[1]}")
for file in files:
    model = timm.create_model(file.stem, num_classes=CLASSES)
    model.load_state_dict(load_file(file), strict=True)
    print(f"{file.stem}: {len(model.state_dict())} tensors")
