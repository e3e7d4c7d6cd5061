"""Values of named layers by PyTorch's forward hooks, for the scripts beside this one.

A golden file of layers is one JSON a model, one layer a line, in the order of computation: the
shape of the layer's values; their mean and Euclidean norm; and, out of all `count` of them, those
at the flat (row-major) positions `i * stride % count` for i = 0, 1, ... The stride is about the
golden section of the count and has no factor in common with it, so that the positions fall on
images, channels, rows and columns alike, and none twice.
"""

import json
import math

import torch

VALUES = 64


def layer_values(model, names, images):
    """What each of the named modules returns; attention returns its weights too, left out here."""
    found = {}

    def keep(name):
        def hook(_module, _inputs, output):
            output = output[0] if isinstance(output, tuple) else output
            # A rectifier in place writes over the output of the layer before it.
            found[name] = output.detach().clone()

        return hook

    hooks = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    missing = set(names) - found.keys()
    assert not missing, f"not called: {missing}"
    return found


def summary(values):
    count = values.numel()
    stride = round(0.618 * count)
    while math.gcd(stride, count) > 1:
        stride += 1
    positions = [i * stride % count for i in range(min(VALUES, count))]

    def rounded(value):
        return float(f"{value:.8g}")

    return {
        "shape": list(values.shape),
        "mean": rounded(values.mean().item()),
        "norm": rounded(values.norm().item()),
        "stride": stride,
        "values": [rounded(value) for value in values.flatten()[positions].tolist()],
    }


def write_layers(path, header, layers):
    """`header` tells what the values are of, `layers` are tensors by name."""
    layers = {name: summary(values) for name, values in layers.items()}
    lines = [f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in layers.items()]
    items = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in header.items()]
    items.append('  "layers": {\n' + ",\n".join(lines) + "\n  }")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(items) + "\n}\n")
