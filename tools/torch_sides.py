#!/usr/bin/env python3
"""PyTorch's sides of `tools/compare_speed.py`, which starts them: WORK WAY DEVICE PRECISION MODEL IMAGES.

Answers each line `{"batch": B, "steps": N}` of standard input with the seconds that such a run took. The way
`original` does the work as NeuroInspect's published code does it, written anew; `careful` as a careful user of PyTorch.
"""
import json, random, sys, time

import torch


class Visualization:
    """Optimises a batch of pictures step by step: CLIP-Illusion with random weights.

    The original differentiates weights, too, and reads values back in each step to log them. With care, weights are
    frozen, in the precision asked for, channels last, and nothing is read back; `compiled` puts the networks under
    `torch.compile`, `graphs` under CUDA graphs, too.
    """

    CLASSES, SIZE = 1000, 224
    # As CLIP's and ImageNet's.
    CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    # Square root of natural images' colour covariance, as lucid published it.
    COLORS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))

    def __init__(self, way, device, precision, classifier, _):
        import open_clip, timm

        self.device = torch.device(device)
        self.careful = way != "original"
        self.type = torch.bfloat16 if precision == "bf16" else torch.float32
        torch.manual_seed(0)
        if self.careful and self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
        self.classifier = timm.create_model(classifier, pretrained=False).eval().to(self.device)
        self.clip = open_clip.create_model("ViT-B-32", pretrained=None, device=self.device).eval()
        self.texts = torch.randn(self.CLASSES, 512, device=self.device) * 0.04
        row = lambda values: torch.tensor(values, device=self.device).view(1, 3, 1, 1)
        self.clip_input, self.input = (row(self.CLIP_MEAN), row(self.CLIP_STD)), (row(self.MEAN), row(self.STD))
        frequency = torch.fft.fftfreq(self.SIZE, 0.5**0.5, device=self.device)
        squared = frequency[:, None] ** 2 + frequency[None, : self.SIZE // 2] ** 2
        self.scale = (1 / torch.clamp(squared**0.75, min=2**0.5 / self.SIZE))[None, None, :, :, None]
        colors = torch.tensor(self.COLORS, device=self.device)
        self.colors = (colors / colors.norm(dim=0).max()).T
        self.encode = self.clip.encode_image
        self.activations = self.features_and_logits
        if self.careful:
            self.classifier.requires_grad_(False).to(self.type, memory_format=torch.channels_last)
            self.clip.requires_grad_(False).visual.to(self.type)
            self.encode = self.clip.visual
        else:
            # What is optimised is found by a hook, as in the published code.
            last = [m for n, m in self.classifier.named_children() if n in ("layer4", "norm", "fc_norm")][0]
            last.register_forward_hook(lambda _, __, values: self.hooked.append(values))
            self.activations = self.hooked_and_logits
        if way in ("compiled", "graphs"):
            mode = "reduce-overhead" if way == "graphs" else None
            self.response = torch.compile(self.response, mode=mode, dynamic=False)

    def features_and_logits(self, images):
        features = self.classifier.forward_head(self.classifier.forward_features(images), pre_logits=True)
        return features, self.classifier.get_classifier()(features)

    def hooked_and_logits(self, images):
        self.hooked = []
        logits = self.classifier(images)
        values = self.hooked[0]
        return values.mean((2, 3)) if values.dim() == 4 else values[:, 0], logits

    def response(self, seen):
        """Activations, logits and normalised embeddings of pictures as the networks see them."""
        mean, std = self.input
        images = ((seen - mean) / std).to(self.type)
        if self.careful:
            images = images.contiguous(memory_format=torch.channels_last)
        features, logits = self.activations(images)
        mean, std = self.clip_input
        embeddings = self.encode(((seen - mean) / std).to(self.type)).float()
        return features.float(), logits.float(), embeddings / embeddings.norm(dim=1, keepdim=True)

    def drawn(self, spectrum):
        spectrum = torch.view_as_complex(spectrum * self.scale)
        nyquist = torch.zeros_like(spectrum[..., :1])
        spectrum = torch.cat([spectrum, nyquist], -1)
        planes = torch.fft.irfft2(spectrum, s=(self.SIZE, self.SIZE), norm="ortho")
        colors = torch.matmul(planes.permute(0, 2, 3, 1), self.colors).permute(0, 3, 1, 2)
        return torch.sigmoid(colors)

    def augmented(self, images, draw, remaining):
        from torchvision.transforms import functional

        size = self.SIZE
        shift = [round(draw.uniform(-0.15, 0.15) * size) for _ in range(2)]
        images = functional.affine(images, draw.uniform(-15, 15), shift, 1.0, [0.0, 0.0])
        size = [int(size * draw.uniform(0.6, 1.2)) for _ in range(2)]
        images = torch.nn.functional.interpolate(images, size=size, mode="bilinear", align_corners=False)
        images = functional.center_crop(images, [self.SIZE, self.SIZE])
        offsets = torch.randn(images.shape[0], 3, 1, 1, device=self.device)
        return images + offsets * 0.2 * remaining

    def run(self, batch, steps):
        """Seconds that the steps take, for a batch of neurons and classes."""
        draw = random.Random(0)
        rows = torch.arange(batch, device=self.device)
        neurons, classes = 7 + 31 * (rows % 16), 3 + 13 * rows
        texts = self.texts[classes]
        start = time.perf_counter()
        shape = (batch, 3, self.SIZE, self.SIZE // 2, 2)
        spectrum = (0.001 * torch.randn(shape, device=self.device)).requires_grad_()
        optimizer = torch.optim.AdamW([spectrum], lr=9e-3, betas=(0.5, 0.99), weight_decay=2e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=0.12 * 9e-3)
        for step in range(steps):
            optimizer.zero_grad()
            seen = self.augmented(self.drawn(spectrum), draw, 1 - step / steps)
            features, logits, embeddings = self.response(seen)
            neuron = features[rows, neurons]
            similarity, logit = (embeddings * texts).sum(1), logits[rows, classes]
            loss = -((similarity + 0.05) * (neuron + 0.5 * logit)).mean()
            loss.backward()
            optimizer.step()
            schedule.step()
            if not self.careful:
                [value.detach().mean().item() for value in (loss, neuron, similarity)]
        loss.item()
        return time.perf_counter() - start


def cifar_resnet(depth, weights=None, classes=10):
    """He et al.'s network for CIFAR with parameter-free shortcuts, by the names that checkpoints have."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, width, channels, stride):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(width, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)
            self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
            self.stride, self.more = stride, (channels - width) // 2

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            if self.more:
                x = nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))
            return torch.relu(x + y)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
            stage = lambda width, channels: nn.Sequential(
                Block(width, channels, channels // width), *[Block(channels, channels, 1) for _ in range((depth - 2) // 6 - 1)]
            )
            self.layer1, self.layer2, self.layer3 = stage(16, 16), stage(16, 32), stage(32, 64)
            self.linear = nn.Linear(64, classes)

        def features(self, x):
            x = torch.relu(self.bn1(self.conv1(x)))
            return self.layer3(self.layer2(self.layer1(x))).mean((2, 3))

        def forward(self, x):
            return self.linear(self.features(x))

    network = Network()
    if weights:
        from safetensors.torch import load_file

        network.load_state_dict(load_file(weights), strict=False)
    return network.eval()


class Features:
    """Reads images and computes features: one process, or with care as many as there are processors."""

    def __init__(self, way, device, precision, model, folder):
        import os, timm
        from torchvision import datasets, transforms

        self.device = torch.device(device)
        self.type = torch.bfloat16 if precision == "bf16" else torch.float32
        self.workers = os.cpu_count() if way == "careful" else 0
        if model.startswith("cifar_resnet"):
            depth = int(model.removeprefix("cifar_resnet"))
            self.network, steps = cifar_resnet(depth), [transforms.ToTensor()]
            mean, std = Visualization.MEAN, Visualization.STD
        else:
            timms = timm.create_model(model, pretrained=False).eval()
            cfg = timms.pretrained_cfg
            self.network, mean, std = timms, cfg["mean"], cfg["std"]
            size = cfg["input_size"][1]
            how = transforms.InterpolationMode(cfg["interpolation"])
            resized = transforms.Resize(int(size / cfg["crop_pct"]), interpolation=how)
            steps = [resized, transforms.CenterCrop(size), transforms.ToTensor()]
        self.network = self.network.to(self.device, self.type)
        self.images = datasets.ImageFolder(folder, transforms.Compose([*steps, transforms.Normalize(mean, std)]))

    def run(self, batch, steps):
        indices = [step % len(self.images) for step in range(steps)]
        start = time.perf_counter()
        part = torch.utils.data.Subset(self.images, indices)
        with torch.inference_mode():
            for images, _ in torch.utils.data.DataLoader(part, batch_size=batch, num_workers=self.workers):
                self.network(images.to(self.device, self.type)).float().cpu()
        return time.perf_counter() - start


class Counterfactuals:
    """The demo's mistakes about stars: one at a time, with the backbone at each step; with care, all together on
    features that were computed once."""

    def __init__(self, way, device, precision, _, scenes):
        from torchvision import datasets, transforms

        normal = transforms.Normalize(Visualization.MEAN, Visualization.STD)
        with open(f"{scenes}/classes.txt") as file:
            classes = file.read().split()
        images = datasets.ImageFolder(f"{scenes}/test", transforms.Compose([transforms.ToTensor(), normal]))
        star = images.class_to_idx["star"]
        self.star = classes.index("star")
        self.network = cifar_resnet(20, f"{scenes}/scenes_classifier.safetensors", len(classes)).to(device)
        stars = torch.stack([image for image, label in images if label == star]).to(device)
        with torch.no_grad():
            self.mistakes = stars[self.network(stars).argmax(1) != self.star]
            self.features = self.network.features(self.mistakes)
        self.careful = way == "careful"

    def explained(self, features_of, count):
        """Shifts of features until the prediction is the class."""
        target = torch.full((count,), self.star)
        shift = torch.zeros(count, 64, requires_grad=True)
        optimizer = torch.optim.SGD([shift], lr=0.01, momentum=0.9)
        open_ = torch.ones(count, dtype=torch.bool)
        for _ in range(1000):
            optimizer.zero_grad()
            logits = self.network.linear(features_of() + shift)
            open_ &= logits.detach().argmax(1) != self.star
            if not open_.any():
                break
            loss = torch.nn.functional.cross_entropy(logits, target, reduction="sum")
            loss = loss + 0.1 * shift.abs().sum() / 64 + 0.01 * shift.norm(dim=1).sum() / 64
            loss.backward()
            # Those that are right already stay as they are.
            shift.grad[~open_] = 0
            optimizer.step()

    def run(self, _, steps):
        start = time.perf_counter()
        if self.careful:
            rounds = -(-steps // len(self.mistakes))
            for _ in range(rounds):
                self.explained(lambda: self.features, len(self.mistakes))
            return (time.perf_counter() - start) * steps / (rounds * len(self.mistakes))
        for step in range(steps):
            image = self.mistakes[step % len(self.mistakes)][None]
            self.explained(lambda: self.network.features(image), 1)
        return time.perf_counter() - start


class Editing:
    """Batches of a probability ratio edit on 10,000 images of 32 pixels: through the backbone, or with care on features
    that were computed once."""

    SILENCED, CLASS, BATCH = [3, 14, 15, 39, 62], 2, 128

    def __init__(self, way, device, precision, _, __):
        self.network = cifar_resnet(20).to(device).requires_grad_(False)
        self.network.linear.requires_grad_(True)
        self.labels = torch.arange(10_000, device=device) % 10
        if way == "careful":
            self.values, self.features = torch.rand(10_000, 64, device=device), lambda values: values
        else:
            # Left in training, as the published code leaves it.
            self.values, self.features = torch.rand(10_000, 3, 32, 32, device=device), self.network.train().features

    def run(self, _, steps):
        kept = torch.ones(64, device=self.values.device)
        kept[self.SILENCED] = 0
        optimizer = torch.optim.Adam(self.network.linear.parameters(), lr=1e-3)
        start = time.perf_counter()
        batches = torch.randperm(10_000).split(self.BATCH)
        for step in range(steps):
            rows = batches[step % len(batches)]
            features, labels = self.features(self.values[rows]), self.labels[rows]
            logits = self.network.linear(features)
            silenced = self.network.linear(features * kept)
            ratio = logits.softmax(1)[:, self.CLASS] / (silenced.softmax(1)[:, self.CLASS] + 1e-9)
            loss = torch.nn.functional.cross_entropy(logits, labels) + 0.01 * (ratio - 1).norm()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss.item()
        return time.perf_counter() - start


def main():
    work, way, device, precision, model, images = sys.argv[1:]
    works = {"visualization": Visualization, "features": Features, "counterfactuals": Counterfactuals, "editing": Editing}
    side = works[work](way, device, precision, model, images)
    print("{}", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps({"seconds": side.run(asked["batch"], asked["steps"])}), flush=True)


if __name__ == "__main__":
    main()
