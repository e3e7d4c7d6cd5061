//! What becomes of configs, and which files they go with.

use burn::tensor::Device;
use neuroinspect_core::{
    Classifier, ImageTextEncoder, InputSpec, Interpolation, ResizeRule, Silent,
};
use neuroinspect_models::{
    Checkpoint, Error, LoadConfig, PretrainedClassifier, Strictness,
    checkpoint::{Precision, parameter_shapes},
    clip::{Clip, ClipBlocks, ClipConfig, ClipTextConfig, ClipVisionConfig, Gelu},
    hub::Hub,
    init_classifier, load_classifier,
};
use neuroinspect_testing::{files::safetensors_of, fill::made_up_weights, hub::COMMIT};

use crate::{CONFIG, Fixture, NAME, name};

#[test]
fn the_config_decides_architecture_classes_and_input() {
    let (fixture, _) = Fixture::new();
    let found = |config: &str| {
        fixture.server.serve(NAME, "config.json", config);
        fixture.hub().classifier(&name(NAME), &mut Silent).unwrap()
    };
    let plain = found(CONFIG);
    let input = InputSpec::new(224)
        .with_normalization([0.5; 3], [0.25; 3])
        .with_resize(ResizeRule::ShorterSide { to: 235 })
        .with_interpolation(Interpolation::Bicubic);
    assert_eq!((&plain.architecture[..], plain.classes), ("resnet18", 10));
    assert_eq!(
        (plain.input.clone(), &plain.class_names[..]),
        (input.clone(), &[][..])
    );

    // What weights are tested with goes before what they were trained with.
    let tested = CONFIG.replace(
        "\"pool_size\"",
        "\"test_input_size\": [3, 288, 288], \"test_crop_pct\": 1.0, \"pool_size\"",
    );
    let tested = found(&tested).input;
    assert_eq!(
        (tested.size, tested.resize),
        (288, ResizeRule::ShorterSide { to: 288 })
    );
    // timm resizes to a larger square then, which it crops.
    let squashed = CONFIG.replace("\"center\"", "\"squash\"");
    fixture.server.serve(NAME, "config.json", &*squashed);
    let error = fixture.hub().classifier(&name(NAME), &mut Silent);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("expected a crop_pct of 1.0"), "{error}");
    // timm writes what it has by itself, too; what makes another network is refused.
    let arguments = |arguments: &str| {
        let with = format!("\"model_args\": {{{arguments}}}, \"pretrained_cfg\"");
        CONFIG.replace("\"pretrained_cfg\"", &with)
    };
    let own = r#""in_chans": 3, "num_classes": 10, "global_pool": "avg", "drop_rate": 0.1, "act_layer": null"#;
    assert_eq!(found(&arguments(own)).input, input);
    // Of a transformer, the size that it was trained at last.
    let transformer = |own: &str, pooling: &str| {
        let config = arguments(own).replace("resnet18", "vit_tiny_patch16_224");
        let config = config.replace(
            "\"global_pool\": \"avg\", \"model",
            &format!("{pooling}\"model"),
        );
        config.replace(
            "\"fixed_input_size\": false",
            "\"fixed_input_size\": true, \"test_input_size\": [3, 288, 288]",
        )
    };
    let token = "\"global_pool\": \"token\", ";
    for size in ["160", "[160, 160]"] {
        let own = format!("{token}\"in_chans\": 3, \"img_size\": {size}");
        let found = found(&transformer(&own, token));
        assert_eq!(found.input.size, 160);
        assert_eq!(found.input.resize, ResizeRule::ShorterSide { to: 168 });
    }
    let average = "\"global_pool\": \"avg\", ";
    for (config, reason) in [
        (arguments("\"in_chans\": 1"), "in_chans"),
        (arguments("\"global_pool\": \"max\""), "global_pool"),
        (arguments("\"output_stride\": 16"), "output_stride"),
        (
            transformer(&format!("{average}\"in_chans\": 3"), token),
            "global_pool",
        ),
        (transformer("\"in_chans\": 3", average), "global_pool"),
        (transformer("\"img_size\": [160, 170]", token), "input_size"),
    ] {
        fixture.server.serve(NAME, "config.json", &*config);
        let error = fixture.hub().classifier(&name(NAME), &mut Silent);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    // Without a pretrained_cfg around it, as configs were.
    let flat = CONFIG
        .replace("\"pretrained_cfg\": {", "")
        .replace("}}", "}");
    assert_eq!(found(&flat).input, input);

    let labelled = |labels: &str| {
        let two = CONFIG.replace("10", "2");
        found(&two.replace(
            "\"global_pool\"",
            &format!("\"label_names\": {labels}, \"global_pool\""),
        ))
        .class_names
    };
    assert_eq!(labelled(r#"["owl", "cat"]"#), ["owl", "cat"]);
    assert_eq!(labelled(r#"{"1": "cat", "0": "owl"}"#), ["owl", "cat"]);
    for none in [
        r#"["owl"]"#,
        r#"["owl", "owl"]"#,
        r#"{"0": "owl", "7": "cat"}"#,
        "null",
    ] {
        assert!(labelled(none).is_empty(), "{none}");
    }
}

#[test]
fn weights_of_the_hub_are_loaded_and_other_numbers_of_classes_are_not() {
    let (fixture, _) = Fixture::new();
    let device = Device::flex();
    let mut model = init_classifier("cifar_resnet20", 3, &device).unwrap();
    let bytes = safetensors_of(&made_up_weights(parameter_shapes(&model)));
    let checkpoint = Checkpoint::from_bytes("made-up", bytes.clone()).unwrap();
    model.load(&checkpoint, Strictness::Strict).unwrap();
    let config = CONFIG.replace("resnet18", "cifar_resnet20");
    fixture
        .server
        .serve(NAME, "config.json", config.replace("10", "3"));
    fixture.server.serve(NAME, "model.safetensors", bytes);
    let load = || {
        let found = fixture.hub().classifier(&name(NAME), &mut Silent).unwrap();
        let weights = found.weights(&mut Silent).unwrap();
        let config = LoadConfig::default()
            .with_classes(found.classes)
            .with_input(found.input);
        load_classifier(&found.architecture, weights, &config, &device)
    };
    let loaded = load().unwrap();
    assert_eq!(loaded.weights_sha256, checkpoint.sha256());
    assert_eq!(
        loaded.model.decision_layer().unwrap(),
        model.decision_layer().unwrap()
    );
    assert_eq!(loaded.model.input().size, 224);
    fixture.server.serve(NAME, "config.json", config);
    let error = load().unwrap_err();
    assert!(
        matches!(
            error,
            Error::ClassCount {
                expected: 10,
                found: 3,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn safetensors_are_preferred_to_pickles_and_nothing_else_is_asked_for() {
    let (fixture, weights) = Fixture::new();
    fixture.server.serve(NAME, "pytorch_model.bin", "a pickle");
    fixture.server.serve(NAME, "README.md", "not asked for");
    fixture.weights().unwrap();
    let asked = fixture.server.asked();
    assert!(
        !asked
            .iter()
            .any(|it| it.path.contains("bin") || it.path.contains("README")),
        "{asked:?}"
    );

    let pickled = "timm/pickled";
    fixture.server.serve(pickled, "config.json", CONFIG);
    fixture
        .server
        .serve(pickled, "pytorch_model.bin", weights.clone());
    let found = fixture
        .hub()
        .classifier(&name(pickled), &mut Silent)
        .unwrap();
    let path = found.weights(&mut Silent).unwrap();
    assert!(path.ends_with("pytorch_model.bin"));
    assert_eq!(std::fs::read(path).unwrap(), weights);
}

/// A CLIP of a few thousand weights.
fn small() -> ClipConfig {
    ClipConfig {
        embed_dim: 8,
        gelu: Gelu::Quick,
        vision: ClipVisionConfig {
            image_size: 16,
            patch_size: 8,
            width: 16,
            head_width: 8,
            layers: ClipBlocks::Transformer(1),
            ..Default::default()
        },
        text: ClipTextConfig {
            width: 16,
            heads: 2,
            layers: 1,
            ..Default::default()
        },
        input: None,
        siglip: None,
    }
}

#[test]
fn a_clip_of_open_clip_comes_with_its_config() {
    let (fixture, _) = Fixture::new();
    let config = small().with_input(small().input().with_normalization([0.5; 3], [0.5; 3]));
    let file = fixture.folder.path("clip.safetensors");
    let clip = config.init(&Device::flex()).unwrap();
    let made_up = made_up_weights(parameter_shapes(&clip));
    let path = fixture
        .folder
        .write("weights.safetensors", safetensors_of(&made_up));
    let clip = Clip::load(path, Some(&config), &Device::flex()).unwrap();
    clip.save(&file, Precision::F32).unwrap();
    let repository = "laion/small";
    fixture
        .server
        .serve(repository, "open_clip_config.json", config.to_json());
    fixture.server.serve(
        repository,
        "open_clip_model.safetensors",
        std::fs::read(&file).unwrap(),
    );
    fixture
        .server
        .serve(repository, "config.json", "not asked for");
    fixture
        .server
        .serve(repository, "tokenizer.json", "not asked for");
    let found = fixture.hub().clip(&name(repository), &mut Silent).unwrap();
    assert_eq!(found.config, config);
    let weights = found.weights(&mut Silent).unwrap();
    let loaded = Clip::load(weights, Some(&found.config), &Device::flex()).unwrap();
    let texts = ["a photo of an owl.".to_owned()];
    let [one, other] = [&clip, &loaded].map(|it| it.encode_texts(&texts).unwrap().into_data());
    assert_eq!(one, other);
    let asked = fixture.server.asked();
    let files = asked.iter().map(|it| it.path.rsplit('/').next().unwrap());
    let files: std::collections::BTreeSet<_> = files.collect();
    assert_eq!(
        Vec::from_iter(files),
        ["open_clip_config.json", "open_clip_model.safetensors"]
    );
}

#[test]
fn a_siglip_brings_its_tokenizer() {
    let (fixture, _) = Fixture::new();
    let golden = |file: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
        std::fs::read(format!("{folder}/{file}")).unwrap()
    };
    let values: serde_json::Value = serde_json::from_slice(&golden("siglip.json")).unwrap();
    let serve = |file: &str, bytes: Vec<u8>| fixture.server.serve("timm/small", file, bytes);
    serve("open_clip_config.json", values["config"].to_string().into());
    serve("open_clip_model.safetensors", b"weights".to_vec());
    let found = fixture
        .hub()
        .clip(&name("timm/small"), &mut Silent)
        .unwrap();
    assert!(found.config.siglip.is_some());
    let error = found.weights(&mut Silent).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
    let files = ["tokenizer.json", "tokenizer_config.json"];
    for file in files {
        serve(file, golden(&format!("siglip/{file}")));
    }
    let weights = found.weights(&mut Silent).unwrap();
    for file in files {
        let beside = std::fs::read(weights.with_file_name(file)).unwrap();
        assert!(beside == golden(&format!("siglip/{file}")), "{file}");
    }
}

#[test]
fn a_clip_of_transformers_comes_with_its_preprocessing() {
    let tower = r#"{"hidden_size": 16, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "#;
    let config = format!(
        r#"{{"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 8,
        "text_config": {tower} "vocab_size": 49408}}, "vision_config": {tower} "image_size": 16, "patch_size": 8}}}}"#
    );
    let half = r#"{"size": {"shortest_edge": 16}, "crop_size": 16, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#;
    // A cache of its own each time: the files of a commit are taken for what they were.
    let found = |files: &[(&str, &str)]| {
        let (fixture, _) = Fixture::new();
        for (file, json) in files {
            fixture.server.serve("openai/small", file, *json);
        }
        fixture.hub().clip(&name("openai/small"), &mut Silent)
    };
    let alone = found(&[("config.json", &config)]).unwrap();
    assert_eq!(alone.config, small());
    let both = [
        ("config.json", &config[..]),
        ("preprocessor_config.json", half),
    ];
    let input = small().input().with_normalization([0.5; 3], [0.5; 3]);
    assert_eq!(found(&both).unwrap().config.input(), input);
    // Offline, what was never asked for is not taken for what there is not.
    let offline = |files: &[(&str, &str)], forgotten: &str| {
        let (fixture, _) = Fixture::new();
        for (file, json) in files {
            fixture.server.serve("openai/small", file, *json);
        }
        let of = name("openai/small");
        fixture.hub().clip(&of, &mut Silent).unwrap();
        for kind in ["snapshots", ".no_exist"] {
            let folder = fixture.folder.path("hub/models--openai--small").join(kind);
            let _ = std::fs::remove_file(folder.join(COMMIT).join(forgotten));
        }
        let hub = Hub::new(fixture.config().with_offline(true)).unwrap();
        hub.clip(&of, &mut Silent)
    };
    assert_eq!(offline(&both[..1], "").unwrap().config, small());
    assert_eq!(offline(&both, "").unwrap().config.input(), input);
    for file in ["preprocessor_config.json", "open_clip_config.json"] {
        for files in [&both[..1], &both] {
            let error = offline(files, file).unwrap_err().to_string();
            assert!(
                error.contains(&format!("{file} is not in the cache")),
                "{error}"
            );
        }
    }
    for (file, json, part) in [
        (
            "preprocessor_config.json",
            half.replace("16", "17"),
            "input size = 17",
        ),
        (
            "preprocessor_config.json",
            "{\"resample\": 9}".to_owned(),
            "resample = 9",
        ),
        (
            "config.json",
            config.replace("\"clip\"", "\"blip\""),
            "found \"blip\"",
        ),
        (
            "config.json",
            config.replace("49408", "999999999"),
            "vocab_size",
        ),
        (
            "open_clip_config.json",
            "{\"embed_dim\": 8}".to_owned(),
            "'open_clip_config.json' of hf://openai/small",
        ),
    ] {
        let error = found(&[both[0], both[1], (file, &json)]).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}
