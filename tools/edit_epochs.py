#!/usr/bin/env python3
"""What the number of epochs changes of an edit, on made-up tables.

    tools/edit_epochs.py --program target/release/neuroinspect --out large --epochs 1,2,4,20
    tools/edit_epochs.py --program target/release/neuroinspect --out small --samples 10000 --test 10000 --neurons 64 \\
        --classes 10 --signal 0.5 --epochs 2,5,20 --seeds 3

needs a Python with torch and safetensors. Features are those of 64 hidden directions, with noise, after a ReLU; ten neurons
are more active in a context, in which 97 of 100 training samples of class 0 stand and 2 of 100 of the others, but half
and a tenth of the test samples. The layer is trained on the training samples for six epochs. For each of `--epochs` and
each seed the edit of these ten neurons, by the options' defaults, is made and measured: accuracies before, after and of the control.
"""
import argparse, json, pathlib, re, subprocess

import torch
from safetensors.torch import save_file

HIDDEN, CONTEXT = 64, 10


def features(labels, shares, directions, means, context):
    own, other = shares
    noise = torch.randn(len(labels), directions.shape[1])
    values = (means[labels] + torch.randn(len(labels), HIDDEN)) @ directions + 0.7 * noise
    inside = torch.rand(len(labels)) < torch.where(labels == 0, own, other)
    values[:, context] = values[:, context] * 0.5 + inside[:, None] * 1.5
    return torch.relu(values - 0.3), inside.long()


def tables(options, out):
    torch.manual_seed(0)
    directions = torch.randn(HIDDEN, options.neurons) / HIDDEN**0.5
    means = torch.randn(options.classes, HIDDEN) * options.signal
    context = torch.randperm(options.neurons)[:CONTEXT]
    made = {}
    for name, samples, shares in (("train", options.samples, (0.97, 0.02)), ("test", options.test, (0.5, 0.1))):
        labels = torch.arange(samples) % options.classes
        parts = [features(part, shares, directions, means, context) for part in labels.split(5000)]
        made[name] = (torch.cat([part[0] for part in parts]), labels, torch.cat([part[1] for part in parts]))
    layer = torch.nn.Linear(options.neurons, options.classes)
    torch.nn.init.zeros_(layer.weight)
    optimizer = torch.optim.Adam(layer.parameters(), 1e-3, weight_decay=1e-4)
    values, labels, _ = made["train"]
    for _ in range(6):
        for batch in torch.randperm(len(labels)).split(256):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(layer(values[batch]), labels[batch]).backward()
            optimizer.step()
    names = {
        "class_names": json.dumps([f"class {it}" for it in range(options.classes)]),
        "group_names": json.dumps(["elsewhere", "context"]),
        "model": "made up",
    }
    weights = {"weight": layer.weight.detach(), "bias": layer.bias.detach()}
    for name, (values, labels, groups) in made.items():
        tensors = {"features": values, "labels": labels, "groups": groups, **weights}
        save_file(tensors, out / f"{name}.safetensors", metadata=names)
    return ",".join(str(it) for it in sorted(context.tolist()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--test", type=int, default=20_000)
    parser.add_argument("--neurons", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--signal", type=float, default=0.38, help="spread of the classes' means")
    parser.add_argument("--epochs", default="1,2,4,8,20")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    neurons = tables(options, options.out)
    row = re.compile(r"^(average|class 0|worst class|worst group) +([\d.]+)% +([\d.]+)% +([\d.]+)%$", re.M)
    for epochs in options.epochs.split(","):
        for seed in range(options.seeds):
            command = [options.program, "edit", "--class", "class 0", "--neurons", neurons]
            for name in ("test", "train"):
                command += ["--table" if name == "test" else "--train", str(options.out / f"{name}.safetensors")]
            command += ["--epochs", epochs, "--seed", str(seed), "--out", str(options.out / f"{epochs}-{seed}")]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rows = row.findall(said)
            if len(rows) != 4:
                raise SystemExit(f"expected four rows of accuracies in what the program said:\n{said}")
            cells = (f"{name} {before} -> {after} (control {control})" for name, before, after, control in rows)
            print(f"{epochs} epochs, seed {seed}: " + ", ".join(cells), flush=True)


if __name__ == "__main__":
    main()
