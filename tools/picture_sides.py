"""Pictures of a classifier's neurons by programs in Python, for `compare_pictures.py`.

A side makes pictures of neurons within classes: `make(pairs, seed, steps)` gives one `[3, S, S]` array in `[0, 1]` for
each pair. `SETTINGS` are what its parameters were chosen of, the first being its defaults as far as a network of small
images allows them. The network is He et al.'s for CIFAR (`torch_sides.py`).

An objective is its user's: where a side's name ends in `+ class` it is the neuron's activation and half the class's
logit, as CLIP-Illusion without CLIP has it, and else the neuron's activation alone.
"""
import json, pathlib, random, sys

import numpy, torch

from torch_sides import cifar_resnet

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GAMMA = 0.5


def load_resnet(depth, weights, classes=10):
    """With weights of a checkpoint as published, or of safetensors."""
    if not str(weights).endswith(".th"):
        return cifar_resnet(depth, weights, classes).requires_grad_(False)
    network = cifar_resnet(depth, classes=classes)
    state = torch.load(weights, map_location="cpu", weights_only=True)["state_dict"]
    state = {name.removeprefix("module."): values for name, values in state.items()}
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def row(values):
    return torch.tensor(values).view(1, 3, 1, 1)


def seeded(seed):
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


class Side:
    SETTINGS = [{}]

    def __init__(self, context, settings):
        self.context, self.network, self.settings = context, context.network, settings

    def rows(self, pairs):
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


class Lucent(Side):
    """torch-lucent's `render_vis`, by default with its own transforms and Adam at 0.05; `scaled` are its transforms to
    32 pixels from 224.

    By default it shows each picture to the network at 224 pixels, 49 times as many of them.
    """

    SETTINGS = [
        {"size": 32, "input": 32, "transforms": "standard", "lr": 0.05},
        {"size": 32, "input": 32, "transforms": "scaled", "lr": 0.05},
        {"size": 32, "input": 32, "transforms": "none", "lr": 0.05},
        {"size": 32, "input": 32, "transforms": "scaled", "lr": 0.02},
        {"size": 32, "input": 32, "transforms": "scaled", "lr": 0.15},
        {"size": 64, "input": 32, "transforms": "scaled", "lr": 0.05},
    ]
    WITH_CLASS = False

    def make(self, pairs, seed, steps):
        from lucent.optvis import objectives, param, render, transform

        seeded(seed)
        objective = 0
        for place, (neuron, class_) in enumerate(pairs):
            objective = objective + objectives.channel("layer3", neuron, batch=place)
            if self.WITH_CLASS:
                objective = objective + GAMMA * objectives.channel("linear", class_, batch=place)
        scaled = [transform.pad(2, mode="constant", constant_value=0.5), transform.jitter(2)]
        scaled += [*transform.standard_transforms[2:4], transform.jitter(2)]
        transforms = {"standard": None, "scaled": scaled, "none": []}[self.settings["transforms"]]
        images = render.render_vis(
            self.network, objective, lambda: param.image(self.settings["size"], batch=len(pairs)),
            transforms=transforms, thresholds=(steps,), progress=False, show_image=False,
            fixed_image_size=self.settings["input"],
            optimizer=lambda parameters: torch.optim.Adam(parameters, lr=self.settings["lr"]),
        )
        return numpy.moveaxis(images[-1], 3, 1)


class LucentClass(Lucent):
    WITH_CLASS = True


class Horama(Side):
    """Horama's `fourier` or `maco`, one picture at a time, of normalised values. Crops are of about the whole picture
    in all settings but the first, where they are of a quarter of its side, as by default."""

    SETTINGS = [
        {"image_size": 128, "box_size": [0.20, 0.25]},
        {"image_size": 64, "box_size": [0.80, 0.90]},
        {"image_size": 32, "box_size": [0.90, 0.95]},
        {"image_size": 64, "box_size": [0.80, 0.90], "learning_rate": 0.1},
        {"image_size": 64, "box_size": [0.80, 0.90], "learning_rate": 0.3},
        {"image_size": 64, "box_size": [0.50, 0.60]},
    ]
    METHOD, WITH_CLASS = "fourier", True

    def make(self, pairs, seed, steps):
        import horama

        seeded(seed)
        pictures = []
        for neuron, class_ in pairs:

            def objective(images):
                features = self.network.features(images)
                value = features[:, neuron]
                if self.WITH_CLASS:
                    value = value + GAMMA * self.network.linear(features)[:, class_]
                return value.mean()

            image, _ = getattr(horama, self.METHOD)(
                objective, total_steps=steps, model_input_size=32, device="cpu", **self.settings
            )
            pictures.append((image.detach()[None] * row(STD) + row(MEAN)).clamp(0, 1)[0].numpy())
        return pictures


class HoramaMaco(Horama):
    """Its magnitudes are of the training images, as the published ones, which it downloads, are of ImageNet's."""

    METHOD = "maco"

    def __init__(self, context, settings):
        super().__init__(context, settings)
        from horama.common import get_color_correlation_svd_sqrt

        images = torch.from_numpy(context.images(2000)).clamp(0.02, 0.98)
        logits = torch.log(images / (1 - images))
        back = torch.linalg.inv(get_color_correlation_svd_sqrt("cpu"))
        planes = torch.einsum("nchw,cd->ndhw", logits, back)
        magnitude = torch.fft.rfft2(planes).abs().mean(0)
        numpy.save("spectrum_decorrelated.npy", magnitude.numpy())


class Original(Side):
    """The published code's own loop, with CLIP and without class, as it is called for neurons within one class."""

    SETTINGS = [{"lr": rate} for rate in (9e-3, 3e-3, 3e-2, 5e-2, 1e-1, 3e-1)]

    def __init__(self, context, settings):
        super().__init__(context, settings)
        sys.path.insert(0, str(context.original))
        import open_clip
        from safetensors import safe_open

        with safe_open(context.clip, "pt") as file:
            config = json.loads(file.metadata()["config"])
            state = {name: file.get_tensor(name) for name in file.keys()}
        clip = open_clip.CLIP(**config.get("model_cfg", config))
        clip.load_state_dict(state)
        open_clip.create_model_and_transforms = lambda *_, **__: (clip, None, None)
        import clip_illusion
        from utils.objectives import ClassConditionalObjective

        objective = ClassConditionalObjective(image_size=32, class_gamma=GAMMA, domain_eps=0.05)
        self.illusion = clip_illusion.Illusion(
            self.network, self.network.linear, objective, class_dict=dict(enumerate(context.classes)), device="cpu",
            save_dir="original",
        )
        # As it is published it does not freeze the networks.
        self.network.requires_grad_(True)

    def make(self, pairs, seed, steps):
        seeded(seed)
        neurons, classes = self.rows(pairs)
        texts = self.illusion.set_multiple_neurons_one_class_in_batch(classes[0], target_neurons=neurons)
        self.illusion.objective_fn.class_idx = torch.tensor(classes)
        images, _, masks = self.illusion.optimize_caption_and_dream(
            self.network.layer3, iters=steps, texts=texts, quiet=True, thresholding=False,
            batch_size=len(pairs), **self.settings,
        )
        return images.numpy()


class OriginalFeature(Original):
    """As `get_neuron_concepts` of the published code visualizes features: the neuron and a tenth of the class."""

    def make(self, pairs, seed, steps):
        from utils.hook import Hook
        from utils.objectives import ChannelObjective
        from utils.params import ImageParams

        seeded(seed)
        neurons, classes = self.rows(pairs)
        objective = ChannelObjective(torch.tensor(neurons), torch.tensor(classes), image_size=32)
        parameter = ImageParams(
            image_size=32, batch_size=len(pairs), device="cpu", max_iter=steps, scale_min=0.6, scale_max=1.2,
        )
        rate = self.settings["lr"]
        parameter.get_optimizer_and_scheduler(
            parameter.get_param_list(), lr=rate, weight_decay=1e-4, eta_min=rate / 9,
        )
        hook = Hook(self.network.layer3)
        for _ in range(steps):
            parameter.optimizer.zero_grad()
            logits = self.network(self.illusion.postprocess(parameter(training=True)))
            loss = objective(hook.output.flatten(2).mean(2), logits)
            loss.backward()
            parameter.optimizer.step()
            parameter.lr_scheduler.step()
        hook.close()
        return parameter.to_chw_tensor().numpy()


SIDES = {
    "Lucent": Lucent,
    "Lucent + class": LucentClass,
    "Horama Fourier + class": Horama,
    "Horama MACO + class": HoramaMaco,
    "original FV": OriginalFeature,
    "original CLIP-Illusion": Original,
}
