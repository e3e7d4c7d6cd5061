//! Configs of CLIP: open_clip's JSON, presets, validation, and what is built from them.

use crate::support::small_clip;
use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Distribution, Gradients, Tensor},
};
use neuroinspect_core::{
    Error as CoreError, ImageTextEncoder, InputSpec, Interpolation, ResizeRule,
};
use neuroinspect_models::{
    Checkpoint, Error,
    checkpoint::Precision,
    clip::{ClipBlocks, ClipConfig, ClipTextConfig, Gelu},
};

#[test]
fn json_of_open_clip_is_understood() {
    let json = r#"{
        "embed_dim": 512,
        "quick_gelu": true,
        "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12}
    }"#;
    let config = ClipConfig::from_json(json, "a test").unwrap();
    assert_eq!(config, ClipConfig::preset("ViT-B-16-quickgelu").unwrap());
    assert_eq!(config.vision.head_width, 64);
    assert_eq!(config.vision.mlp_ratio, 4.0);
}

#[test]
fn every_preset_is_valid_and_survives_json() {
    for name in ClipConfig::PRESETS {
        let config = ClipConfig::preset(name).unwrap();
        assert_eq!(
            ClipConfig::from_json(&config.to_json(), name).unwrap(),
            config
        );
        assert_eq!(config.gelu == Gelu::Quick, name.ends_with("-quickgelu"));
    }
}

#[test]
fn an_unknown_preset_names_the_known_ones() {
    for name in ["RN50x5", "ViT-B-32-quick", "-quickgelu", ""] {
        let error = ClipConfig::preset(name).unwrap_err();
        assert!(matches!(&error, Error::UnknownClipPreset { name: found, .. } if found == name));
        assert!(error.to_string().contains("ViT-L-14-quickgelu"));
    }
}

#[test]
fn json_of_other_architectures_is_an_error() {
    let cases = [
        ("", "EOF"),
        ("{}", "missing field `embed_dim`"),
        (r#"{"embed_dim": 8, "vision_cfg": {}}"#, "text_cfg"),
        // A ResNet of other than four stages.
        (
            r#"{"embed_dim": 8, "vision_cfg": {"layers": [3, 4, 6]}, "text_cfg": {}}"#,
            "expected a number of blocks, or those of a ResNet's four stages",
        ),
        // Pooling over all tokens.
        (
            r#"{"embed_dim": 8, "vision_cfg": {"pool_type": "avg"}, "text_cfg": {}}"#,
            "unknown field `pool_type`",
        ),
        // A text tower of transformers.
        (
            r#"{"embed_dim": 8, "vision_cfg": {}, "text_cfg": {"hf_model_name": "it"}, "custom_text": true}"#,
            "unknown field `hf_model_name`",
        ),
        (
            r#"{"embed_dim": 8, "vision_cfg": {"head_width": 7}, "text_cfg": {}}"#,
            "vision_cfg.head_width = 7: expected a divisor",
        ),
    ];
    for (json, expected) in cases {
        let error = ClipConfig::from_json(json, "'x.json'").unwrap_err();
        let Error::ClipConfig { origin, reason } = &error else {
            panic!("{json}: {error}");
        };
        assert_eq!(origin, "'x.json'");
        assert!(reason.contains(expected), "{json}: {reason}");
    }
}

#[test]
fn each_field_out_of_range_is_named() {
    type Break = fn(&mut ClipConfig);
    let half = || InputSpec::new(8).with_normalization([0.5; 3], [0.5; 3]);
    let cases: [(&str, Break); 37] = [
        ("embed_dim", |it| it.embed_dim = 0),
        ("embed_dim", |it| it.embed_dim = 20_000),
        ("vision_cfg.layers", |it| {
            it.vision.layers = ClipBlocks::Transformer(0)
        }),
        ("vision_cfg.layers", |it| {
            it.vision.layers = ClipBlocks::Transformer(1_000_000_000)
        }),
        ("vision_cfg.width", |it| it.vision.width = 0),
        ("vision_cfg.width", |it| it.vision.width = 1 << 40),
        ("vision_cfg.patch_size", |it| it.vision.patch_size = 0),
        ("vision_cfg.patch_size", |it| {
            it.vision.patch_size = usize::MAX
        }),
        ("vision_cfg.image_size", |it| it.vision.image_size = 3),
        ("vision_cfg.image_size", |it| it.vision.image_size = 1 << 40),
        ("vision_cfg.image_size", |it| {
            (it.vision.image_size, it.vision.patch_size) = (8192, 1);
        }),
        // 16384 patches, each of which would look at every other.
        ("vision_cfg.image_size", |it| {
            (it.vision.image_size, it.vision.patch_size) = (4096, 32);
        }),
        // Few patches, of images no input may have.
        ("vision_cfg.image_size", |it| {
            (it.vision.image_size, it.vision.patch_size) = (8192, 128);
        }),
        // 4097 tokens, in 1024 heads.
        ("vision_cfg.image_size", |it| {
            (it.vision.image_size, it.vision.patch_size) = (64, 1);
            (it.vision.width, it.vision.head_width) = (1024, 1);
        }),
        ("vision_cfg.head_width", |it| it.vision.head_width = 3),
        ("vision_cfg.head_width", |it| it.vision.head_width = 0),
        ("vision_cfg.mlp_ratio", |it| it.vision.mlp_ratio = f64::NAN),
        ("vision_cfg.mlp_ratio", |it| it.vision.mlp_ratio = 1e18),
        ("vision_cfg.layers", |it| {
            it.vision.layers = ClipBlocks::ResNet([1, 1, 0, 1]);
        }),
        ("vision_cfg.width", |it| {
            it.vision.layers = ClipBlocks::ResNet([1; 4]);
            (it.vision.image_size, it.vision.width) = (64, 7);
        }),
        ("vision_cfg.image_size", |it| {
            it.vision.layers = ClipBlocks::ResNet([1; 4]);
            it.vision.image_size = 40;
        }),
        ("vision_cfg.image_size", |it| {
            it.vision.layers = ClipBlocks::ResNet([1; 4]);
            (it.vision.image_size, it.vision.head_width) = (2048, 1);
        }),
        ("vision_cfg.head_width", |it| {
            it.vision.layers = ClipBlocks::ResNet([1; 4]);
            (it.vision.image_size, it.vision.head_width) = (64, 3);
        }),
        ("text_cfg.layers", |it| it.text.layers = 0),
        ("text_cfg.layers", |it| it.text.layers = 257),
        ("text_cfg.width", |it| it.text.width = 1 << 40),
        ("text_cfg.heads", |it| it.text.heads = 0),
        ("text_cfg.mlp_ratio", |it| it.text.mlp_ratio = -1.0),
        ("text_cfg.mlp_ratio", |it| it.text.mlp_ratio = f64::INFINITY),
        ("text_cfg.context_length", |it| it.text.context_length = 1),
        ("text_cfg.context_length", |it| {
            it.text.context_length = 8193
        }),
        ("text_cfg.context_length", |it| {
            it.text.context_length = 8192;
            (it.text.width, it.text.heads) = (8, 8);
        }),
        ("text_cfg.vocab_size", |it| it.text.vocab_size = 49_407),
        ("text_cfg.vocab_size", |it| it.text.vocab_size = 1_000_001),
        ("input size", |it| it.input = Some(InputSpec::new(16))),
        // What open_clip's JSON has no words for.
        ("shorter side", |it| {
            let resize = ResizeRule::ShorterSide { to: 9 };
            it.input = Some(InputSpec::new(8).with_resize(resize));
        }),
        ("std", |it| {
            it.input = Some(InputSpec::new(8).with_normalization([0.5; 3], [0.0; 3]));
        }),
    ];
    assert!(small_clip().with_input(half()).validate().is_ok());
    assert!(small_clip().validate().is_ok());
    for (expected, break_it) in cases {
        let mut config = small_clip();
        break_it(&mut config);
        let error = config.validate().unwrap_err();
        assert!(
            matches!(error, Error::Core(CoreError::InvalidOption { option, .. }) if option == expected),
            "{expected}: {error}"
        );
        assert!(config.init(&Device::flex()).is_err());
    }
}

#[test]
fn preprocessing_comes_with_the_config_of_hugging_face() {
    let model = small_clip().to_json();
    let wrapped = |preprocess: &str| {
        let json = format!(r#"{{"model_cfg": {model}, "preprocess_cfg": {preprocess}}}"#);
        ClipConfig::from_json(&json, "open_clip_config.json")
    };
    // That of laion/CLIP-ViT-L-14-laion2B-s32B-b82K.
    let laion = wrapped(
        r#"{"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
            "interpolation": "bicubic", "resize_mode": "shortest"}"#,
    )
    .unwrap();
    let input = laion.input();
    assert_eq!((input.size, input.mean, input.std), (8, [0.5; 3], [0.5; 3]));
    assert_eq!(input.resize, ResizeRule::ShorterSide { to: 8 });
    assert_eq!(input.interpolation, Interpolation::Bicubic);
    assert_eq!(ClipConfig::from_json(&laion.to_json(), "").unwrap(), laion);

    let squashed = wrapped(
        r#"{"size": [8, 8], "mode": "RGB", "interpolation": "bilinear",
            "resize_mode": "squash", "fill_color": 0}"#,
    )
    .unwrap();
    let expected = InputSpec::new(8).with_normalization(ClipConfig::MEAN, ClipConfig::STD);
    assert_eq!(squashed.input(), expected);
    assert_eq!(
        ClipConfig::from_json(&squashed.to_json(), "").unwrap(),
        squashed
    );

    for (preprocess, reason) in [
        (r#"{"resize_mode": "longest"}"#, "longest"),
        (r#"{"size": 16}"#, "input size = 16"),
        (r#"{"size": [8, 16]}"#, "expected a square"),
        (r#"{"std": [0.5, 0.0, 0.5]}"#, "std = "),
        (r#"{"sharpen": true}"#, "unknown field `sharpen`"),
    ] {
        let error = wrapped(preprocess).unwrap_err().to_string();
        assert!(error.contains(reason), "{preprocess}: {error}");
    }
}

/// That of laion/CLIP-ViT-B-32-laion2B-s34B-b79K.
#[test]
fn clips_own_input_is_none_wherever_it_is_said() {
    let laion = r#"{
        "model_cfg": {
            "embed_dim": 512,
            "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
            "text_cfg": {
                "context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12
            }
        },
        "preprocess_cfg": {
            "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711]
        }
    }"#;
    let preset = ClipConfig::preset("ViT-B-32").unwrap();
    assert_eq!(ClipConfig::from_json(laion, "laion's").unwrap(), preset);
    let said = preset.clone().with_input(preset.input());
    assert_eq!(said, preset);
    assert_eq!(said.to_json(), preset.to_json());
}

#[test]
fn a_config_within_json_of_ones_own_keeps_its_input() {
    let half = InputSpec::new(8)
        .with_normalization([0.5; 3], [0.5; 3])
        .with_resize(ResizeRule::ShorterSide { to: 8 });
    for config in [small_clip(), small_clip().with_input(half)] {
        let json = serde_json::json!({ "name": "mine", "clip": config });
        let clip: ClipConfig = serde_json::from_value(json["clip"].clone()).unwrap();
        assert_eq!(clip, config);
        assert_eq!(json["clip"].to_string(), config.to_json());
    }
    let error = serde_json::from_str::<ClipConfig>(r#"{"embed_dim": 8, "towers": 3}"#);
    assert!(error.unwrap_err().to_string().contains("towers"));
}

#[test]
fn images_are_prepared_as_by_clip() {
    let clip = small_clip().init(&Device::flex()).unwrap();
    let input = clip.input();
    assert_eq!(input.size, 8);
    assert_eq!(input.resize, ResizeRule::ShorterSide { to: 8 });
    assert_eq!(input.interpolation, Interpolation::Bicubic);
    assert_eq!(input.mean, [0.481_454_66, 0.457_827_5, 0.408_210_73]);
    assert_eq!(input.std, [0.268_629_54, 0.261_302_6, 0.275_777_1]);
}

#[test]
fn no_texts_are_an_error() {
    let clip = small_clip().init(&Device::flex()).unwrap();
    assert!(matches!(
        clip.encode_texts(&[]),
        Err(CoreError::Empty { .. })
    ));
}

#[test]
fn initial_weights_spread_as_those_of_open_clip() {
    let device = Device::flex();
    let clip = ClipConfig {
        text: ClipTextConfig {
            width: 64,
            ..small_clip().text
        },
        ..small_clip()
    }
    .init(&device)
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fresh.safetensors");
    clip.save(&path, Precision::F32).unwrap();
    let file = Checkpoint::open(&path).unwrap();
    let spread = |name: &str| {
        let values = file.read(name).unwrap();
        let squares: f64 = values.iter().map(|&it| f64::from(it).powi(2)).sum();
        (squares / values.len() as f64).sqrt()
    };
    let block = "transformer.resblocks.0";
    let cases = [
        ("token_embedding.weight".to_owned(), 0.02),
        ("positional_embedding".to_owned(), 0.01),
        (format!("{block}.attn.in_proj_weight"), 0.125),
        (format!("{block}.attn.out_proj.weight"), 0.125 / 2f64.sqrt()),
        (format!("{block}.mlp.c_fc.weight"), 128f64.powf(-0.5)),
        (format!("{block}.mlp.c_proj.weight"), 0.125 / 2f64.sqrt()),
        // Uniform within a: a / sqrt(3); a = 1 / sqrt(inputs).
        (format!("{block}.mlp.c_fc.bias"), 0.125 / 3f64.sqrt()),
        ("logit_scale".to_owned(), (1.0f64 / 0.07).ln()),
    ];
    for (name, expected) in cases {
        let found = spread(&name);
        // 256 draws or more: within 5 standard errors of the standard deviation.
        assert!(
            (found / expected - 1.0).abs() < 0.25,
            "{name}: {found} for {expected}"
        );
    }
    assert_eq!(spread(&format!("{block}.attn.in_proj_bias")), 0.0);
}

/// What training on the device needs: gradients reach every parameter of both towers.
#[test]
fn every_parameter_learns() {
    let device = Device::flex().autodiff();
    let clip = small_clip().init(&device).unwrap();
    let plain = device.clone().without_autodiff();
    let images = Tensor::<4>::random([2, 3, 8, 8], Distribution::Uniform(-1.0, 1.0), &plain);
    let tokens = clip.tokens(&["a cat".into(), "two dogs".into()]).unwrap();
    let similarity = clip
        .image_features(images)
        .matmul(clip.text_features(tokens).transpose())
        * clip.logit_scale().exp().reshape([1, 1]);
    let gradients = similarity.square().sum().backward();
    let mut without = WithoutGradient {
        gradients,
        path: Vec::new(),
        found: Vec::new(),
    };
    clip.visit(&mut without);
    assert!(without.found.is_empty(), "{:?}", without.found);
}

/// Collects the parameters that got no gradient.
struct WithoutGradient {
    gradients: Gradients,
    path: Vec<String>,
    found: Vec<String>,
}

impl ModuleVisitor for WithoutGradient {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.val().grad(&self.gradients).is_none() {
            self.found.push(self.path.join("."));
        }
    }
}
