"""Golden values for the classifiers and checkpoint files of `neuroinspect-models`.

Writes, under crates/neuroinspect-models/tests/golden:

- classifiers.json: of each network, one a line, how many tensors its state dict has, the SHA-256
  of their names and shapes, that of what no shape shows (strides, padding, epsilons, heads, activations),
  and the image sizes of its golden values (none for all but a small and a
  large member of a family, and what has parts of its own); the versions everything was made with;
- modules.json: the paths of the modules of each network, a number in them written as `#`, each once
  and separated by spaces; networks that have the same are told together;
- classifiers/NAME.safetensors: what timm's networks, and CIFAR and STL ResNets as defined
  below, make of formula-made weights and images, in evaluation mode. `SIZE.features`,
  `SIZE.logits`, `SIZE.map` (the map of the neurons summed over channels, where it has more than a
  pixel) and `SIZE.gradient` (that of a weighted sum of the logits with respect to the images at
  every eighth pixel), in double precision; and with `.error` after each, by what share of the
  largest of them PyTorch's single precision is off, the worse of its two orders of summation (of
  resnet152d; of the others by one);
- layers/NAME.json: values of layers in the middle of the same network on images of its first
  size, as described in golden_layers.py;
- checkpoints/: one small network saved in the ways `torch.save` and training scripts have.

Weights are made by `formula`, which neuroinspect-testing has too, so none need be stored.

Run: python tools/golden_classifiers.py [NAME ...] (needs torch, timm, safetensors)

With names, writes the values of these networks alone, and leaves other files as they are but for
the lines of classifiers.json and modules.json.
"""

import collections
import functools
import hashlib
import json
import math
import pathlib
import platform
import re
import sys
from unittest import mock

import numpy as np
import safetensors
import timm
import torch
import torch.nn.functional as F
from golden_layers import layer_values, write_layers
from golden_pretrained import architectures, is_own
from safetensors.torch import save_file
from torch import nn

GOLDEN = pathlib.Path(__file__).parent.parent / "crates/neuroinspect-models/tests/golden"
CLASSES = 10
IMAGES = 2


def formula(name, shape):
    """Numbers in [0, 1) out of a tensor's name (FNV-1a) and flat index (a 32-bit mixer)."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 % 2**32
    with np.errstate(over="ignore"):
        x = np.uint32(seed) + np.arange(math.prod(shape), dtype=np.uint32) * np.uint32(0x9E3779B1)
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
        x = x ^ (x >> np.uint32(16))
    return ((x >> np.uint32(8)) / 2.0**24).reshape(shape)


def weight(name, shape):
    u = formula(name, shape)
    if name.endswith("running_var"):
        value = 0.5 + u
    elif name.endswith(("weight", "gamma")) and len(shape) == 1:
        # Mean 0.75: activations of order 1 through 50 layers. Where they grow, the gradient is
        # at the mercy of the sign of rounding errors in front of rectifiers.
        value = 0.25 + u
    elif len(shape) == 1:
        value = 0.2 * u - 0.1
    else:
        value = (2.0 * u - 1.0) * math.sqrt(6.0 / math.prod(shape[1:]))
    return torch.from_numpy(np.asarray(value, np.float32))


def images(size):
    value = 4.0 * formula("images", (IMAGES, 3, size, size)) - 2.0
    return torch.from_numpy(value.astype(np.float32))


class Block(nn.Module):
    def __init__(self, planes_in, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(planes_in, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.grows = planes != planes_in

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.grows:
            pad = (out.shape[1] - x.shape[1]) // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, pad, pad))
        return F.relu(out + x)


class CifarResNet(nn.Module):
    """He et al. 2016, section 4.2, shortcuts of option A, named as by akamaster; for STL-10's images the
    first convolution has a stride."""

    def __init__(self, depth, stem_stride):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, stem_stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        planes_in = 16
        for stage, planes in enumerate((16, 32, 64), start=1):
            blocks = []
            for index in range((depth - 2) // 6):
                stride = 2 if index == 0 and stage > 1 else 1
                blocks.append(Block(planes_in, planes, stride))
                planes_in = planes
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, CLASSES)

    def forward_features(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.layer3(self.layer2(self.layer1(x)))

    def forward_head(self, x, pre_logits=False):
        x = x.mean((2, 3))
        return x if pre_logits else self.linear(x)

    def forward(self, x):
        return self.forward_head(self.forward_features(x))


def state(model):
    return {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}


def settings(model):
    """What no shape shows, a line each, sorted: of each convolution stride and padding, of each
    normalisation epsilon, of each attention its heads; and how often each activation stands there."""
    lines, functions = set(), collections.Counter()
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            padding = "same" if type(module).__name__ == "Conv2dSame" else module.padding[0]
            lines.add(f"{path} stride {module.stride[0]} padding {padding}")
        elif isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            lines.add(f"{path} epsilon 1e-{round(-math.log10(module.eps))}")
        elif hasattr(module, "num_heads"):
            lines.add(f"{path} heads {module.num_heads}")
        elif (kind := type(module).__name__) in ("ReLU", "ReLU6", "GELU", "GELUTanh", "SiLU", "Sigmoid"):
            functions[kind.lower()] += 1  # by name: timm has some of its own beside torch's
    lines |= {f"{function} {count}" for function, count in functions.items()}
    return "".join(f"{line}\n" for line in sorted(lines))


# Early, middle and late; convolutions, normalisations, shortcuts, blocks and stages. Names are
# module paths. A module returns what follows it inside: the normalisations of timm's EfficientNets
# (`BatchNormAct2d`) are rectified, those of its ResNets are not.
CIFAR_LAYERS = "conv1 bn1 layer1.0.conv1 layer1.0 layer2.0.bn2 layer2.0 layer3.1.conv2 layer3"
RESNET_LAYERS = (
    "conv1 bn1 maxpool layer1.0.conv2 layer1.0 layer2.0.downsample.1 layer2.0.bn2 layer2 "
    "layer3.1.bn1 layer3.1 layer4.0.conv2 layer4.0.downsample.0 layer4.1"
)
BOTTLENECK_LAYERS = f"{RESNET_LAYERS} layer1.1.bn3 layer3.2.conv3 layer4.2"
D_LAYERS = (
    "conv1.0 conv1.4 conv1 bn1 layer1.0 layer2.0.downsample.0 layer2.0.downsample.1 "
    "layer2.0.downsample.2 layer2 layer3.1.conv2 layer4.1"
)
VGG_LAYERS = "features.0 features.2 features.6 features.10 features pre_logits.fc1 pre_logits"
EFFICIENTNET_LAYERS = (
    "conv_stem bn1 blocks.0.0.conv_dw blocks.0.0 blocks.1.0.bn2 blocks.2.1.conv_pwl blocks.2.1.bn3 "
    "blocks.2.1 blocks.4 blocks.5.2.conv_pw blocks.6.0 conv_head bn2"
)
SQUEEZE_LAYERS = f"{EFFICIENTNET_LAYERS} blocks.0.0.se.conv_reduce blocks.3.1.se.gate blocks.3.1.se"
CONVNEXT_LAYERS = (
    "stem.0 stem.1 stages.0.blocks.0.conv_dw stages.0.blocks.0 stages.1.downsample.0 "
    "stages.1.downsample.1 stages.1.blocks.2 stages.2.blocks.4 stages.2 stages.3"
)
SMALL_CONVNEXT_LAYERS = (
    "stem.0 stem.1 stages.0.blocks.0.conv_dw stages.0.blocks.0 stages.1.downsample.0 "
    "stages.1.downsample.1 stages.1.blocks.1 stages.2.blocks.3 stages.2 stages.3"
)
VIT_LAYERS = (
    "patch_embed.proj patch_embed blocks.0.norm1 blocks.0.attn blocks.0.norm2 blocks.0.mlp.fc1 "
    "blocks.0.mlp.act blocks.0.mlp blocks.0 blocks.5.attn blocks.5 blocks.10 blocks fc_norm"
)
SCALED_LAYERS = f"{VIT_LAYERS} blocks.0.ls1 blocks.5.ls2"

# Image sizes and layers of the timm networks that have values; odd sizes tell paddings apart.
VALUES = {
    "resnet18": ([64], RESNET_LAYERS),
    "resnet18d": ([75], D_LAYERS),
    "resnet50": ([75], BOTTLENECK_LAYERS),
    "resnet152d": ([64], D_LAYERS),
    "resnext50_32x4d": ([64], BOTTLENECK_LAYERS),
    "wide_resnet50_2": ([64], BOTTLENECK_LAYERS),
    "vgg11": ([224], VGG_LAYERS),
    "vgg19_bn": ([224], VGG_LAYERS),
    "efficientnet_b0": ([75], SQUEEZE_LAYERS),
    "efficientnet_lite0": ([75], EFFICIENTNET_LAYERS),
    "tf_efficientnet_b7": ([75], SQUEEZE_LAYERS),
    "tf_efficientnet_lite0": ([64, 75], EFFICIENTNET_LAYERS),
    "test_convnext": ([64], SMALL_CONVNEXT_LAYERS),
    "convnext_tiny": ([64], CONVNEXT_LAYERS),
    "convnext_base": ([64], CONVNEXT_LAYERS),
    "vit_tiny_patch16_224": ([64], VIT_LAYERS),
    "vit_medium_patch16_gap_256": ([64], SCALED_LAYERS),
    "vit_little_patch16_reg4_gap_256": ([64], SCALED_LAYERS),
    "vit_small_patch14_dinov2": ([56], SCALED_LAYERS),
    "vit_small_patch14_reg4_dinov2": ([56], SCALED_LAYERS),
    "vit_large_patch16_224": ([64], VIT_LAYERS),
    "deit3_small_patch16_224": ([64], SCALED_LAYERS),
}


# The same of CIFAR and STL ResNets.
OWN_VALUES = {"cifar_resnet20": [32], "cifar_resnet56": [32], "stl_resnet14": [75]}

# timm reads the rates of stochastic depth as numbers, which those of the meta device are not.
LINSPACE = functools.partial(torch.linspace, device="cpu")


def networks():
    """Name, network, image sizes, layers: for the sizes, or without parameters for none."""
    for name in architectures():
        if is_own(name):
            stride = 2 if name.startswith("stl_") else 1
            depth = int(name.partition("_resnet")[2])
            yield name, CifarResNet(depth, stride), OWN_VALUES.get(name, []), CIFAR_LAYERS
            continue
        sizes, layers = VALUES.get(name, ([], ""))
        # Names and shapes are those of the default size; positions of a ViT depend on it.
        with torch.device("meta"), mock.patch("torch.linspace", LINSPACE):
            model = timm.create_model(name, num_classes=CLASSES)
        yield name, model, sizes, layers


def of_size(name, model, size):
    """The network with parameters, for images of a size."""
    if is_own(name):
        return model
    sized = {"img_size": size} if hasattr(model, "pos_embed") else {}
    return timm.create_model(name, num_classes=CLASSES, **sized)


def neuron_map(model, x):
    """Where the neurons are active: the last map, or the patches' tokens of the last block but one."""
    if hasattr(model, "pos_embed"):
        return model.forward_intermediates(x, indices=2, intermediates_only=True)[0]
    x = model.forward_features(x)
    if hasattr(model, "stem"):
        return model.head.norm(x)
    return model.pre_logits(x) if hasattr(model, "pre_logits") else x


def outputs(model, x):
    x.requires_grad_()
    features = model.forward_head(model.forward_features(x), pre_logits=True)
    logits = model(x)
    (logits * torch.arange(1.0, CLASSES + 1)).sum().backward()
    values = {
        "map": neuron_map(model, x).sum(1),
        "features": features,
        "logits": logits,
        "gradient": x.grad[:, :, ::8, ::8],
    }
    if values["map"].shape[1:] == (1, 1):
        del values["map"]
    return {what: value.detach() for what, value in values.items()}


def values(name, model, size):
    tensors = {}
    truth = outputs(model.double(), images(size).double())
    # In two orders of summation: of a rectifier's input within rounding of zero, the order decides on which side it is.
    # In the 152 layers of resnet152d some always are.
    layouts = torch.contiguous_format, torch.channels_last
    model.float()
    singles = [outputs(model.to(memory_format=it), images(size).to(memory_format=it)) for it in layouts]
    model.to(memory_format=torch.contiguous_format)
    for what, value in truth.items():
        off = max((single[what] - value).abs().max() for single in singles)
        error = off / value.abs().max()
        print(f"{name} at {size} px, {what}: single precision is off by {error:.1e}", flush=True)
        tensors[f"{size}.{what}"] = value.float().contiguous()
        tensors[f"{size}.{what}.error"] = error.float().reshape(1)
    return tensors


def save(file, tensors):
    path = GOLDEN / file
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    path.chmod(0o644)


def layers(name, model, size, names, versions):
    found = layer_values(model.double(), names.split(), images(size).double())
    model.float()
    write_layers(GOLDEN / f"layers/{name}.json", {"versions": versions, "size": size}, found)


def classifiers(chosen, versions):
    lines, modules = [], {}
    for name, model, sizes, layer_names in networks():
        shapes = {k: list(v.shape) for k, v in sorted(state(model).items())}
        text = "".join(f"{k} {shape}\n" for k, shape in shapes.items())
        digest = hashlib.sha256(text.encode()).hexdigest()
        hidden = hashlib.sha256(settings(model).encode()).hexdigest()
        entry = {"count": len(shapes), "sha256": digest, "settings": hidden, "sizes": sizes}
        lines.append(f"    {json.dumps(name)}: {json.dumps(entry)}")
        paths = {re.sub(r"\d+", "#", path): None for path, _ in model.named_modules() if path}
        modules.setdefault(" ".join(paths), []).append(name)
        if sizes and (not chosen or name in chosen):
            tensors = {}
            for size in sizes:
                sized = of_size(name, model, size).eval()
                made = {k: weight(k, tuple(v.shape)) for k, v in state(sized).items()}
                sized.load_state_dict(made, strict=False)
                tensors |= values(name, sized, size)
                if size == sizes[0]:
                    layers(name, sized, size, layer_names, versions)
            save(f"classifiers/{name}.safetensors", tensors)
    modules = [f"    {json.dumps(' '.join(names))}: {json.dumps(of)}" for of, names in modules.items()]
    head = f'  "versions": {json.dumps(versions)},\n  "models": {{\n'
    for file, entries in {"classifiers.json": lines, "modules.json": modules}.items():
        text = "{\n" + head + ",\n".join(entries) + "\n  }\n}\n"
        (GOLDEN / file).write_text(text)


def checkpoints(folder):
    """A batch normalisation and a linear layer, in every wrapping."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny = nn.Sequential()
    tiny.add_module("bn1", nn.BatchNorm2d(2))
    tiny.add_module("fc", nn.Linear(2, 3))
    tiny.load_state_dict({k: weight(k, tuple(v.shape)) for k, v in state(tiny).items()}, strict=False)
    plain = tiny.state_dict()

    def prefixed(prefix):
        return {prefix + k: v for k, v in plain.items()}

    def cast(dtype):
        return {k: v.to(dtype) if v.is_floating_point() else v for k, v in plain.items()}

    zeros = {k: torch.zeros_like(v) for k, v in plain.items()}
    broken = {k: v.clone() for k, v in plain.items()}
    broken["fc.weight"][1, 0] = math.nan
    optimizer = torch.optim.SGD(tiny.parameters(), 0.1, momentum=0.9)
    wrapped = {"epoch": 3, "arch": "tiny", "optimizer": optimizer.state_dict()}
    saved = {
        "zip.pt": plain,
        "state_dict.pt": {"state_dict": prefixed("module."), **wrapped},
        "model.pt": {"model": prefixed("_orig_mod."), **wrapped},
        "ema.pt": {"state_dict": zeros, "state_dict_ema": plain, **wrapped},
        "whole_module.pt": tiny,
        "f16.pt": cast(torch.float16),
        "bf16.pt": cast(torch.bfloat16),
        "f64.pt": cast(torch.float64),
        "nan.pt": broken,
        "expanded.pt": {**plain, "fc.bias": torch.zeros(1).expand(1 << 28)},
        "no_tensors.pt": {"epoch": 3},
    }
    for name, value in saved.items():
        torch.save(value, folder / name)
    for name, value in {"legacy.pth": plain, "legacy_nested.th": saved["state_dict.pt"]}.items():
        torch.save(value, folder / name, _use_new_zipfile_serialization=False)


def main():
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "timm": timm.__version__,
        "numpy": np.__version__,
        "safetensors": safetensors.__version__,
    }
    torch.manual_seed(0)
    torch.set_num_threads(1)
    chosen = sys.argv[1:]
    GOLDEN.mkdir(parents=True, exist_ok=True)
    classifiers(chosen, versions)
    if not chosen:
        checkpoints(GOLDEN / "checkpoints")
    print(versions)


if __name__ == "__main__":
    main()
