"""Golden values for SigLIP, computed by open_clip and transformers.

    python tools/golden_siglip.py

writes, in the golden folder of neuroinspect-models,

- siglip.json: names and shapes of open_clip's presets, as golden_clip.py describes, and their configs; what
  a small SigLIP makes of weights and images by the formula of golden_classifiers.py; the same of a small
  `SiglipModel` of transformers, with its names and shapes; token ids of awkward texts;
- siglip/tokenizer.json and siglip/tokenizer_config.json: a small tokenizer of the published ones' kind,
  SentencePiece's unigrams in the form of transformers, learned from class names and prompts.

Needs torch, open_clip_torch, transformers and sentencepiece.
"""

import json
import tempfile
from pathlib import Path

import open_clip
import sentencepiece
import timm
import tokenizers
import torch
import transformers
from golden_classifiers import GOLDEN, images, state, weight
from golden_clip import PROMPTS, TEXTS, rounded, shapes, write
from timm.models.vision_transformer import VisionTransformer

CRATES = GOLDEN.parents[2]
CORPUS = [
    CRATES / "neuroinspect-datasets/src/published/classes/imagenet.tsv",
    CRATES / "neuroinspect-models/src/prompts/imagenet80.txt",
]
PRESETS = [name for name in open_clip.list_models() if "SigLIP" in name]
# Of an image tower whose function is exact, and a text tower's by way of the hyperbolic tangent.
CONFIG = {
    "embed_dim": 32,
    "custom_text": True,
    "vision_cfg": {
        "image_size": 24,
        "layers": 2,
        "width": 32,
        "head_width": 16,
        "mlp_ratio": 3.0,
        "patch_size": 8,
    },
    "text_cfg": {
        "context_length": 24,
        "vocab_size": 600,
        "hf_tokenizer_name": "tests/golden/siglip",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "width": 24,
        "heads": 3,
        "layers": 2,
        "mlp_ratio": 2.5,
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
        "act_kwargs": {"approximate": "tanh"},
    },
}
# What SentencePiece's own rules of normalisation are about, a few of thousands: so the file stays small.
RULES = [("\t", " "), ("\n", " "), ("ﬁ", "fi"), ("Ａ", "A"), ("ａ", "a"), ("e\u0301", "é"), ("…", "...")]


def tokenizer(folder):
    """The small tokenizer, as transformers' `T5Tokenizer` is built."""
    with tempfile.TemporaryDirectory() as made:
        rules = Path(made) / "rules.tsv"
        code = lambda text: " ".join(f"{ord(it):X}" for it in text)
        rules.write_text("".join(f"{code(a)}\t{code(b)}\n" for a, b in RULES))
        corpus = Path(made) / "corpus.txt"
        lines = [line.split("\t")[-1] for file in CORPUS for line in file.read_text().splitlines()]
        # Texts are in lower case and without punctuation when they are cut.
        corpus.write_text("\n".join(open_clip.tokenizer.canonicalize_text(line) for line in lines))
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus),
            model_prefix=f"{made}/model",
            vocab_size=CONFIG["text_cfg"]["vocab_size"],
            model_type="unigram",
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            normalization_rule_tsv=str(rules),
            num_threads=1,
            minloglevel=2,
        )
        model = sentencepiece.SentencePieceProcessor(model_file=f"{made}/model.model")
        proto = model.serialized_model_proto()
    pieces = [(model.id_to_piece(id), model.get_score(id)) for id in range(model.get_piece_size())]
    made = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=2, byte_fallback=False))
    made.normalizer = tokenizers.normalizers.Precompiled(charsmap(proto))
    space = {"replacement": "▁", "prepend_scheme": "always", "split": True}
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.WhitespaceSplit(),
            tokenizers.pre_tokenizers.Metaspace(**space),
        ]
    )
    made.decoder = tokenizers.decoders.Metaspace(**space)
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    made.add_special_tokens(["<pad>", "</s>", "<unk>"])
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(made.to_str() + "\n")
    options = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "</s>",
        # The end of a text fills it up, too, as in the published ones.
        "pad_token": "</s>",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(options) + "\n")
    return open_clip.tokenizer.HFTokenizer(
        str(folder), context_length=CONFIG["text_cfg"]["context_length"], clean="canonicalize"
    )


def charsmap(proto):
    """The compiled rules of normalisation in a model of SentencePiece: field 2 of field 3."""

    def fields(data):
        at = 0

        def number():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value

        while at < len(data):
            key = number()
            match key & 7:
                case 0:
                    value = number()
                case 2:
                    length = number()
                    value, at = data[at : at + length], at + length
                case kind:
                    size = {1: 8, 5: 4}[kind]
                    value, at = data[at : at + size], at + size
            yield key >> 3, value

    (spec,) = (value for number, value in fields(proto) if number == 3)
    (rules,) = (value for number, value in fields(spec) if number == 2)
    return rules


def made_up(model):
    """Fills a model by the formula."""
    found = {name: weight(name, tuple(value.shape)) for name, value in state(model).items()}
    model.load_state_dict(found, strict=False)
    return model.eval()


def small():
    """The small SigLIP: timm has no name for its image tower."""
    named = {
        "image_size": 224,
        "timm_model_name": "vit_base_patch32_siglip_256",
        "timm_pool": "map",
        "timm_proj": "none",
    }
    config = {key: value for key, value in CONFIG.items() if key != "custom_text"}
    clip = open_clip.CustomTextCLIP(**{**config, "vision_cfg": named}, init_logit_bias=-10)
    vision = CONFIG["vision_cfg"]
    clip.visual.trunk = VisionTransformer(
        img_size=vision["image_size"],
        patch_size=vision["patch_size"],
        embed_dim=vision["width"],
        depth=vision["layers"],
        num_heads=vision["width"] // vision["head_width"],
        mlp_ratio=vision["mlp_ratio"],
        class_token=False,
        global_pool="map",
        num_classes=0,
    )
    return made_up(clip)


def hugging_face():
    """A small `SiglipModel` of about the same shape, whose functions are both by way of the hyperbolic
    tangent and whose towers are equally wide."""
    vision, text = CONFIG["vision_cfg"], CONFIG["text_cfg"]
    width = vision["width"]
    config = transformers.SiglipConfig(
        vision_config={
            "hidden_size": width,
            "intermediate_size": int(width * vision["mlp_ratio"]),
            "num_hidden_layers": vision["layers"],
            "num_attention_heads": width // vision["head_width"],
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
        },
        text_config={
            "hidden_size": width,
            "intermediate_size": width * 2,
            "num_hidden_layers": text["layers"],
            "num_attention_heads": 4,
            "max_position_embeddings": text["context_length"],
            "vocab_size": text["vocab_size"],
        },
    )
    return config, made_up(transformers.SiglipModel(config))


@torch.no_grad()
def main():
    cut = tokenizer(GOLDEN / "siglip")
    tokens = cut(PROMPTS)
    clip = small()
    pixels = images(CONFIG["vision_cfg"]["image_size"])
    config, model = hugging_face()
    pooled = lambda found: getattr(found, "pooler_output", found)
    text_config = {key: config.text_config.to_dict()[key] for key in KEYS["text"]}
    vision_config = {key: config.vision_config.to_dict()[key] for key in KEYS["vision"]}
    golden = {
        "config": CONFIG,
        "prompts": PROMPTS,
        "prompt_tokens": tokens.tolist(),
        "image": rounded(clip.encode_image(pixels)),
        "text": rounded(clip.encode_text(tokens)),
        "hugging_face": {
            "config": {
                "model_type": "siglip",
                "text_config": text_config,
                "vision_config": vision_config,
            },
            "shapes": {name: list(value.shape) for name, value in sorted(model.state_dict().items())},
            "image": rounded(pooled(model.get_image_features(pixel_values=pixels))),
            "text": rounded(pooled(model.get_text_features(input_ids=tokens))),
        },
        "presets": {
            name: {**shapes(name), "config": open_clip.get_model_config(name)} for name in PRESETS
        },
        "tokens": [[text, cut(text)[0].tolist()] for text in TEXTS],
    }
    versions = f"open_clip {open_clip.__version__}, timm {timm.__version__}"
    others = f"transformers {transformers.__version__}, sentencepiece {sentencepiece.__version__}"
    write(GOLDEN / "siglip.json", golden, f"{versions}, {others}")


SHARED = "hidden_size intermediate_size num_hidden_layers num_attention_heads hidden_act layer_norm_eps"
KEYS = {
    "text": f"{SHARED} max_position_embeddings vocab_size".split(),
    "vision": f"{SHARED} image_size patch_size num_channels".split(),
}

if __name__ == "__main__":
    main()
