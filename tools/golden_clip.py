"""Golden values for CLIP, computed by open_clip.

    python tools/golden_clip.py crates/neuroinspect-models/tests/golden/clip.json \
        [mini_clip_cifar10.safetensors]

Needs torch, open_clip_torch and safetensors. Also writes `layers/clip.json` beside the first
argument: values of layers in the image tower, in double precision and with the exact GELU, as
golden_layers.py describes, tokens as [N, T, C]; and `layers/clip_resnet.json`, the same of a small
ResNet. With the second argument also writes `mini_clip.json`. The small transformer is filled by the
formula of `fill`, which tests/clip_golden.rs repeats, the ResNet by that of golden_classifiers.py, so
that no weights need to be stored.

    python tools/golden_clip.py --hugging-face

writes `clip_hugging_face.json` in the crate's golden folder: names and shapes of a small `CLIPModel`
of transformers, and what it makes of weights by the formula of golden_classifiers.py. Needs
transformers.
"""

import hashlib
import json
import sys
from functools import partial
from pathlib import Path
from unittest import mock

import open_clip
import torch
from golden_classifiers import GOLDEN, state, weight
from golden_layers import layer_values, write_layers
from safetensors import safe_open
from safetensors.torch import load_file

CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {
        "image_size": 24,
        "layers": 2,
        "width": 32,
        "head_width": 16,
        "mlp_ratio": 3.0,
        "patch_size": 8,
    },
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 32,
        "heads": 4,
        "layers": 2,
    },
}
RESNET_CONFIG = {
    **CONFIG,
    "vision_cfg": {
        "image_size": 64,
        "layers": [1, 2, 1, 1],
        "width": 16,
        "patch_size": None,
    },
}
RESNET_LAYERS = (
    "visual.conv1 visual.bn1 visual.act3 visual.avgpool visual.layer1.0.downsample.0 visual.layer1.0 "
    "visual.layer2.0.avgpool visual.layer2.0.downsample.-1 visual.layer2.1 visual.layer3 "
    "visual.layer4 visual.attnpool"
)
PRESETS = "ViT-B-32 ViT-B-16 ViT-L-14 ViT-L-14-336 ViT-H-14 RN50 RN101 RN50x4".split()
# In the order of computation: of a block, what the attention and the MLP add to its tokens, and
# its own output.
LAYERS = (
    "visual.conv1 visual.ln_pre visual.transformer.resblocks.0.ln_1 "
    "visual.transformer.resblocks.0.attn visual.transformer.resblocks.0.ln_2 "
    "visual.transformer.resblocks.0.mlp.c_fc visual.transformer.resblocks.0.mlp.gelu "
    "visual.transformer.resblocks.0.mlp visual.transformer.resblocks.0 "
    "visual.transformer.resblocks.1.attn visual.transformer.resblocks.1.mlp "
    "visual.transformer.resblocks.1 visual.ln_post"
)
NORMS = tuple(f"ln_{which}.weight" for which in ["1", "2", "pre", "post", "final"])
PROMPTS = ["a photo of a steak.", "food, apple pie", "water"]
CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()
TEXTS = [
    "",
    "a photo of a cat.",
    "  Many\t spaces \n and UPPER case  ",
    "it's what they've said: don't, I'll, we'd!",
    "100% of 3.14, #hashtag @name (brackets) [more] {}",
    "crème brûlée, jalapeño, smörgåsbord",
    "北京烤鸭 寿司 김치",
    "Ελλάδα и борщ",
    "an emoji 🍕 and a dash — here…",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "snake_case and kebab-case",
    "<start_of_text> inside <end_of_text>",
    "a very long text " * 40,
    "x" * 300,
]


def fill(count, key):
    """`count` numbers in [-0.5, 0.5) with no linear structure, exact in integers."""
    index = torch.arange(count, dtype=torch.int64)
    return ((index * index * 7919 + index * key * 31 + key * 104729) % 10007).double() / 10007 - 0.5


def fill_model(model):
    """Numbers the parameters by name; norm scales are around 1, everything else around 0."""
    with torch.no_grad():
        for key, (name, parameter) in enumerate(sorted(model.named_parameters())):
            values = 0.5 * fill(parameter.numel(), key)
            if name.endswith(NORMS):
                values += 1
            parameter.copy_(values.reshape(parameter.shape).float())


def images(size):
    return (4 * fill(2 * 3 * size * size, 1000)).reshape(2, 3, size, size).float()


def rounded(tensor):
    return [[float(f"{value:.8g}") for value in row] for row in tensor.tolist()]


def layers(path, clip, config, names):
    size = config["vision_cfg"]["image_size"]
    found = layer_values(clip.double(), names.split(), images(size).double())
    header = {"torch": torch.__version__, "open_clip": open_clip.__version__}
    write_layers(path, {"versions": header, "size": size}, found)


def resnet():
    """A small CLIP with a ResNet, filled by the formula of golden_classifiers.py."""
    clip = open_clip.CLIP(**RESNET_CONFIG).eval()
    made = {name: weight(name, tuple(value.shape)) for name, value in state(clip).items()}
    clip.load_state_dict(made, strict=False)
    return clip


def shapes(name):
    """How many tensors a preset has, the SHA-256 of their names and shapes, and the heads of its image
    tower and its text tower, which no shape shows."""
    config = open_clip.get_model_config(name)
    kind = open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP
    # timm reads some of its numbers, which have no values there.
    with torch.device("meta"), mock.patch("torch.linspace", partial(torch.linspace, device="cpu")):
        model = kind(**config)
    # Burn has no scalars.
    found = {key: list(value.shape) or [1] for key, value in sorted(state(model).items())}
    text = "".join(f"{key} {shape}\n" for key, shape in found.items())
    heads = [
        {it.num_heads for it in tower.modules() if hasattr(it, "num_heads")}
        for tower in (model.visual, getattr(model, "text", model).transformer)
    ]
    ((of_images,), (of_texts,)) = heads
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"count": len(found), "sha256": digest, "heads": [of_images, of_texts]}


@torch.no_grad()
def hugging_face():
    import transformers

    vision, text = CONFIG["vision_cfg"], CONFIG["text_cfg"]
    config = transformers.CLIPConfig(
        projection_dim=CONFIG["embed_dim"],
        vision_config={
            "hidden_size": vision["width"],
            "intermediate_size": int(vision["width"] * vision["mlp_ratio"]),
            "num_hidden_layers": vision["layers"],
            "num_attention_heads": vision["width"] // vision["head_width"],
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
            "hidden_act": "quick_gelu",
        },
        text_config={
            "hidden_size": text["width"],
            "intermediate_size": 4 * text["width"],
            "num_hidden_layers": text["layers"],
            "num_attention_heads": text["heads"],
            "hidden_act": "quick_gelu",
            # That of old configurations, under which a text is read at its highest token.
            "eos_token_id": 2,
        },
    )
    clip = transformers.CLIPModel(config).eval()
    shapes = {name: list(value.shape) for name, value in sorted(clip.state_dict().items())}
    made = {name: weight(name, tuple(shape)) for name, shape in shapes.items()}
    clip.load_state_dict(made)
    tokens = open_clip.SimpleTokenizer()(PROMPTS)
    pooled = lambda found: getattr(found, "pooler_output", found)
    golden = {
        "prompts": PROMPTS,
        "image": rounded(pooled(clip.get_image_features(pixel_values=images(vision["image_size"])))),
        "text": rounded(pooled(clip.get_text_features(input_ids=tokens))),
        "shapes": shapes,
    }
    write(GOLDEN / "clip_hugging_face.json", golden, f"transformers {transformers.__version__}")


def write(path, golden, by=f"open_clip {open_clip.__version__}"):
    golden = {"made_with": f"torch {torch.__version__}, {by}", **golden}
    items = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items()]
    path.write_text("{\n" + ",\n".join(items) + "\n}\n")


@torch.no_grad()
def main():
    out = Path(sys.argv[1])
    tokenizer = open_clip.SimpleTokenizer()
    features = {}
    for quick in [False, True]:
        model = open_clip.CLIP(**CONFIG, quick_gelu=quick).eval()
        fill_model(model)
        features["quick" if quick else "exact"] = {
            "image": rounded(model.encode_image(images(CONFIG["vision_cfg"]["image_size"]))),
            "text": rounded(model.encode_text(tokenizer(PROMPTS))),
        }
    write(
        out,
        {
            "config": CONFIG,
            "prompts": PROMPTS,
            **features,
            "resnet": {
                "config": RESNET_CONFIG,
                "image": rounded(resnet().encode_image(images(RESNET_CONFIG["vision_cfg"]["image_size"]))),
            },
            "presets": {name: shapes(name) for name in PRESETS},
            "tokens": [[text, tokenizer(text)[0].tolist()] for text in TEXTS],
        },
    )
    clip = open_clip.CLIP(**CONFIG).eval()
    fill_model(clip)
    layers(out.parent / "layers/clip.json", clip, CONFIG, LAYERS)
    layers(out.parent / "layers/clip_resnet.json", resnet(), RESNET_CONFIG, RESNET_LAYERS)
    if len(sys.argv) > 2:
        with safe_open(sys.argv[2], "pt") as file:
            config = json.loads(file.metadata()["config"])
        model = open_clip.CLIP(**config).eval()
        model.load_state_dict(load_file(sys.argv[2]))
        prompts = [f"a photo of a {name}." for name in CIFAR10]
        write(
            out.with_name("mini_clip.json"),
            {
                "prompts": prompts,
                "image": rounded(model.encode_image(images(config["vision_cfg"]["image_size"]))),
                "text": rounded(model.encode_text(tokenizer(prompts))),
            },
        )


if __name__ == "__main__":
    hugging_face() if sys.argv[1] == "--hugging-face" else main()
