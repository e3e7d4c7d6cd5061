"""Networks of timm as ONNX files, with what PyTorch makes of them.

Of each architecture, with random weights, writes into a folder:

- NAME.torchscript.onnx: by `torch.onnx.export(..., dynamo=False, opset_version=17)`, the number of
  images left free;
- NAME.dynamo.onnx: by `torch.onnx.export(model, images)` as it stands in PyTorch 2.9, for one image;
  the weights are in NAME.dynamo.onnx.data;
- NAME.safetensors: `images` [2, 3, S, S], `logits` [2, 10], and `gradient` [2, 3, S, S], that of a
  weighted sum of the logits (by 1, 2, ... 10) with respect to the images.

What an exporter says where it fails is in NAME.EXPORTER.error.

Weights are those that timm starts with after `torch.manual_seed(0)`, but for vectors, which it starts
as ones, zeros or nearly so, and what else it starts as zeros: a network in which they were left out
would come out the same. They are 0.5 + u for running variances, 0.75 + u / 2 for weights and scales,
0.2 u - 0.1 for the rest, with u in [0, 1) by the formula of golden_classifiers.py.

Run: python tools/onnx_zoo.py FOLDER [NAME ...] (needs torch, timm, onnx, onnxscript, safetensors)
     python tools/onnx_zoo.py --fixtures, which writes those that the tests of neuroinspect-models read
"""

import math
import pathlib
import sys
import warnings

import onnx
import timm
import torch
from golden_classifiers import formula, images
from safetensors.torch import save_file

CLASSES = 10
FIXTURES = pathlib.Path(__file__).parent.parent / "crates/neuroinspect-models/tests/golden/onnx"

# Architecture, side of the images, and what else timm is told.
ZOO = [
    # Convolutional networks.
    ("resnet18", 64, {}),
    ("resnet26d", 64, {}),
    ("resnext26ts", 64, {}),
    ("seresnext26ts", 64, {}),
    ("ecaresnet26t", 64, {}),
    ("resnetv2_18", 64, {}),
    ("resnetaa34d", 64, {}),
    ("legacy_seresnet18", 64, {}),
    ("skresnet18", 64, {}),
    ("resnest14d", 64, {}),
    ("res2net50_14w_8s", 64, {}),
    ("vgg11_bn", 64, {}),
    ("densenet121", 64, {}),
    ("dla46_c", 64, {}),
    ("dpn48b", 64, {}),
    ("darknet17", 64, {}),
    ("cs3darknet_focus_s", 64, {}),
    ("ese_vovnet19b_slim_dw", 64, {}),
    ("hrnet_w18_small", 64, {}),
    ("inception_v3", 96, {}),
    ("selecsls42b", 64, {}),
    ("xception41", 64, {}),
    ("regnetx_002", 64, {}),
    ("regnety_002", 64, {}),
    ("nf_regnet_b0", 64, {}),
    ("repvgg_a0", 64, {}),
    ("mobileone_s0", 64, {}),
    ("hgnetv2_b0", 64, {}),
    ("mobilenetv2_050", 64, {}),
    ("mobilenetv3_small_100", 64, {}),
    ("mobilenetv3_large_100", 64, {}),
    ("mobilenetv4_conv_small_050", 64, {}),
    ("mnasnet_small", 64, {}),
    ("lcnet_050", 64, {}),
    ("tinynet_e", 64, {}),
    ("fbnetc_100", 64, {}),
    ("hardcorenas_a", 64, {}),
    ("efficientnet_b0", 64, {}),
    ("tf_efficientnet_b0", 64, {}),
    ("tf_efficientnet_lite0", 64, {}),
    ("tf_efficientnetv2_b0", 64, {}),
    ("mixnet_s", 64, {}),
    ("ghostnet_050", 64, {}),
    ("ghostnetv2_100", 64, {}),
    ("repghostnet_050", 64, {}),
    ("rexnet_100", 64, {}),
    ("starnet_s050", 64, {}),
    ("fasternet_t0", 64, {}),
    ("repvit_m0_9", 64, {}),
    ("shvit_s1", 64, {}),
    ("convnext_atto", 64, {}),
    ("convnextv2_atto", 64, {}),
    ("inception_next_atto", 64, {}),
    ("mambaout_femto", 64, {}),
    ("rdnet_tiny", 64, {}),
    # Attention and the like.
    ("vit_tiny_patch16_224", 64, {"img_size": 64}),
    ("vit_small_patch16_rope_224", 64, {"img_size": 64}),
    ("vit_relpos_small_patch16_224", 64, {"img_size": 64}),
    ("deit_tiny_patch16_224", 64, {"img_size": 64}),
    ("deit_tiny_distilled_patch16_224", 64, {"img_size": 64}),
    ("eva02_tiny_patch14_224", 56, {"img_size": 56}),
    ("beit_base_patch16_224", 64, {"img_size": 64, "depth": 4}),
    ("cait_xxs24_224", 64, {"img_size": 64, "depth": 4}),
    ("xcit_nano_12_p16_224", 64, {"img_size": 64}),
    ("mixer_s32_224", 64, {"img_size": 64}),
    ("gmlp_ti16_224", 64, {"img_size": 64}),
    ("resmlp_12_224", 64, {"img_size": 64}),
    ("swin_tiny_patch4_window7_224", 112, {"img_size": 112}),
    ("swinv2_tiny_window8_256", 128, {"img_size": 128}),
    ("convit_tiny", 224, {}),
    ("crossvit_9_240", 240, {}),
    ("pit_ti_224", 224, {}),
    ("coat_lite_tiny", 64, {"img_size": 64}),
    ("levit_128s", 224, {}),
    ("pvt_v2_b0", 64, {}),
    ("twins_svt_small", 64, {"img_size": 64}),
    ("mvitv2_tiny", 64, {"img_size": 64}),
    ("edgenext_xx_small", 64, {}),
    ("efficientformer_l1", 224, {}),
    ("efficientformerv2_s0", 224, {}),
    ("efficientvit_b0", 64, {}),
    ("efficientvit_m0", 224, {}),
    ("fastvit_t8", 64, {}),
    ("focalnet_tiny_srf", 64, {}),
    ("poolformer_s12", 64, {}),
    ("caformer_s18", 64, {}),
    ("mobilevit_xxs", 64, {}),
    ("mobilevitv2_050", 64, {}),
    ("maxvit_rmlp_pico_rw_256", 256, {}),
    ("coatnet_pico_rw_224", 224, {}),
    ("tiny_vit_5m_224", 224, {}),
    ("tnt_s_legacy_patch16_224", 64, {"img_size": 64}),
    ("visformer_tiny", 224, {}),
    ("hiera_tiny_224", 224, {}),
    ("halonet26t", 256, {}),
    ("sequencer2d_s", 224, {}),
    # timm's own for tests.
    ("test_resnet", 64, {}),
    ("test_efficientnet", 64, {}),
    ("test_efficientnet_gn", 64, {}),
    ("test_byobnet", 64, {}),
    ("test_convnext", 64, {}),
    ("test_mambaout", 64, {}),
    ("test_nfnet", 64, {}),
    ("test_vit", 64, {"img_size": 64}),
    ("test_vit3", 64, {"img_size": 64}),
]

# What the tests read: architecture, side of the images, what else timm is told, exporters.
FIXTURE_FILES = [
    ("test_resnet", 64, {"channels": (8, 16, 16, 32)}, ["torchscript"]),
    ("test_efficientnet", 64, {"channel_multiplier": 0.5}, ["dynamo"]),
    ("test_convnext", 64, {"dims": (8, 16, 24, 32), "depths": (1, 1, 1, 1)}, ["torchscript"]),
    (
        "test_vit",
        48,
        {"img_size": 48, "embed_dim": 32, "num_heads": 2, "depth": 2},
        ["torchscript", "dynamo"],
    ),
]


def fill(model):
    """Vectors that are no longer ones and zeros."""
    with torch.no_grad():
        tables = {name for name, _ in model.named_buffers() if "running_" not in name}
        for name, value in model.state_dict().items():
            # Tables of positions and the like are not weights.
            if name in tables or not value.is_floating_point():
                continue
            u = torch.from_numpy(formula(name, tuple(value.shape))).to(value.dtype)
            last = name.rsplit(".")[-1]
            if value.dim() <= 1:
                scale = last in ("weight", "gamma") or "scale" in last or last.startswith("gamma")
                if last == "running_var":
                    value.copy_(0.5 + u)
                elif scale:
                    value.copy_(0.75 + 0.5 * u)
                else:
                    value.copy_(0.2 * u - 0.1)
            elif value.abs().max() == 0:
                value.copy_(0.2 * u - 0.1)


def network(name, options):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=CLASSES, **options).eval()
    fill(model)
    return model


def reference(model, size):
    x = images(size).requires_grad_()
    logits = model(x)
    (logits * torch.arange(1, CLASSES + 1)).sum().backward()
    return {"images": x.detach(), "logits": logits.detach(), "gradient": x.grad}


def export(model, size, exporter, path):
    x = images(size)[:1]
    if exporter == "dynamo":
        torch.onnx.export(model, (x,), path, verbose=False)
    else:
        names = {"input_names": ["images"], "output_names": ["logits"]}
        free = {"images": {0: "batch"}, "logits": {0: "batch"}}
        options = {"dynamo": False, "opset_version": 17, "dynamic_axes": free}
        torch.onnx.export(model, (x,), path, **names, **options)


def without_notes(path):
    """Leaves out what the exporter notes of the source: paths and lines of the machine."""
    model = onnx.load(path, load_external_data=False)
    for holder in [model, model.graph, *model.graph.node, *model.graph.value_info]:
        del holder.metadata_props[:]
    path.write_bytes(model.SerializeToString())


def head(model, images):
    """Features, and the map that they are the mean of, or in whose place the class token is, summed over
    channels."""
    with torch.no_grad():
        values = model.forward_features(images)
        features = model.forward_head(values, pre_logits=True)
        if values.dim() == 3:
            side = math.isqrt(values.shape[1])
            values = values[:, -side * side :].transpose(1, 2).unflatten(2, (side, side))
        return {"features": features, "map": values.sum(1)}


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    fixtures = sys.argv[1:] == ["--fixtures"]
    folder = FIXTURES if fixtures else pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    both = ["torchscript", "dynamo"]
    networks = FIXTURE_FILES if fixtures else [(*row, both) for row in ZOO]
    for name, size, options, exporters in networks:
        if not fixtures and sys.argv[2:] and name not in sys.argv[2:]:
            continue
        model = network(name, options)
        values = reference(model, size)
        if fixtures:
            values |= head(model, values.pop("images"))
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        save_file({k: v.contiguous() for k, v in values.items()}, folder / f"{name}.safetensors")
        for exporter in exporters:
            path = folder / f"{name}.{exporter}.onnx"
            try:
                export(model, size, exporter, str(path))
                if fixtures:
                    without_notes(path)
                said = "exported"
            except Exception as error:
                said = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
                (folder / f"{name}.{exporter}.error").write_text(said + "\n")
                path.unlink(missing_ok=True)
            print(f"{name:36}{exporter:12}{said}", flush=True)


if __name__ == "__main__":
    main()
