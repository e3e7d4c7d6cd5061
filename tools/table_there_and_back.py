"""Edits the last layer of a torchvision network through a table of features, and puts it back.

Needs torch, torchvision and safetensors, and the built program:

    python tools/table_there_and_back.py target/release/neuroinspect

The network's weights are random but for its last layer, which is trained on two classes of images whose
brightness gives the class away in training and not in the test. The program explains the mistakes, edits
the layer, and the accuracy that it promises is measured in PyTorch with the edited layer.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file, save_file


@torch.no_grad()
def write_table(path, backbone, head, loader, class_names):
    batches = [(backbone(images), labels) for images, labels in loader]
    features, labels = (torch.cat(parts) for parts in zip(*batches))
    tensors = {"features": features.float(), "labels": labels.long(), "weight": head.weight, "bias": head.bias}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, path, metadata={"class_names": json.dumps(class_names), "model": "my network"})


def images(samples, aligned, seed):
    """Vertical or horizontal stripes in noise, brighter by class where `aligned`, else by chance."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % 2
    bright = labels if aligned else torch.randint(2, (samples,), generator=generator)
    stripes = (torch.arange(32) // 4 % 2).float().expand(32, 32)
    shapes = torch.stack([stripes, stripes.T])[labels]
    noise = torch.randn(samples, 3, 32, 32, generator=generator)
    return shapes[:, None] + 0.5 * noise + bright[:, None, None, None].float(), labels


def batches(samples, labels):
    return zip(samples.split(50), labels.split(50))


@torch.no_grad()
def accuracy(model, samples, labels):
    predictions = torch.cat([model(batch).argmax(1) for batch, _ in batches(samples, labels)])
    return (predictions == labels).double().mean().item()


def main():
    program = sys.argv[1]
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=2).eval()
    head, model.fc = model.fc, torch.nn.Identity()
    train, test = images(400, True, 1), images(400, False, 2)
    with torch.no_grad():
        features = torch.cat([model(batch) for batch, _ in batches(*train)])
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(features), train[1]).backward()
        optimizer.step()

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        names = ["vertical", "horizontal"]
        for name, (samples, labels) in [("train", train), ("test", test)]:
            write_table(folder / name, model, head, batches(samples, labels), names)

        def run(command, *options):
            words = [program, command, "--table", folder / "test", "--out", folder / "out", "--quiet", "--json"]
            done = subprocess.run([*words, *options], stdout=subprocess.PIPE, check=True)
            return json.loads(done.stdout)

        before = run("evaluate")["accuracy"]
        ranking = run("explain", "--class", "vertical")["ranking"]
        listed = ranking["insufficient"] + ranking["excessive"]
        neurons = ",".join(str(ranked["neuron"]) for ranked in listed[:20])
        options = ["--class", "vertical", "--neurons", neurons, "--lambda", "1", "--learning-rate", "0.01"]
        edit = run("edit", "--train", folder / "train", *options)
        promised = edit["edit"]["comparison"]["after"]["accuracy"]

        model.fc = head
        in_pytorch = [accuracy(model, *test)]
        head.load_state_dict(load_file(folder / "out" / "decision-layer.safetensors"), strict=True)
        in_pytorch.append(accuracy(model, *test))
    print(f"before: {before:.4f}, in PyTorch {in_pytorch[0]:.4f}")
    print(f"edited: {promised:.4f} promised, in PyTorch {in_pytorch[1]:.4f}")
    # A sample on the border of two classes may fall to either side.
    assert promised != before
    assert all(abs(a - b) <= 1 / 400 for a, b in zip([before, promised], in_pytorch))


if __name__ == "__main__":
    main()
