"""Golden values for CLIP, computed by open_clip.

    python tools/golden_clip.py crates/neuroinspect-models/tests/golden/clip.json \
        [mini_clip_cifar10.safetensors]

Needs torch, open_clip_torch and safetensors. Also writes `layers/clip.json` beside the first
argument: values of layers in the image tower, in double precision and with the exact GELU, as
golden_layers.py describes, tokens as [N, T, C]. With the second argument also writes
`mini_clip.json`. A small model is filled by the formula of `fill`, which tests/clip_golden.rs
repeats, so that no weights need to be stored.
"""

import json
import sys
from pathlib import Path

import open_clip
import torch
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


def layers(path):
    clip = open_clip.CLIP(**CONFIG).eval()
    fill_model(clip)
    size = CONFIG["vision_cfg"]["image_size"]
    found = layer_values(clip.double(), LAYERS.split(), images(size).double())
    header = {"torch": torch.__version__, "open_clip": open_clip.__version__}
    write_layers(path, {"versions": header, "size": size}, found)


def parameters(name):
    with torch.device("meta"):
        model = open_clip.CLIP(**open_clip.get_model_config(name))
    return sum(parameter.numel() for parameter in model.parameters())


def write(path, golden):
    golden = {"made_with": f"torch {torch.__version__}, open_clip {open_clip.__version__}", **golden}
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
            "parameters": {name: parameters(name) for name in ["ViT-B-32", "ViT-B-16", "ViT-L-14"]},
            "tokens": [[text, tokenizer(text)[0].tolist()] for text in TEXTS],
        },
    )
    layers(out.parent / "layers/clip.json")
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


main()
