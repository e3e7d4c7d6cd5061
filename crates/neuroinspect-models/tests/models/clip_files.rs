//! CLIPs in files: their weights and the config beside them.

use crate::support::small_clip;
use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use neuroinspect_core::{ImageTextEncoder, InputSpec};
use neuroinspect_models::{
    Error,
    checkpoint::Precision,
    clip::{Clip, ClipBlocks, Gelu},
};

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

/// A file that claims a model of terabytes in its metadata must not get to building it.
#[test]
fn an_oversized_config_in_the_metadata_is_refused() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.safetensors");
    let clip = small_clip().init(&device).unwrap();
    let json = small_clip().to_json();
    for (from, to) in [
        (r#""layers":1"#, r#""layers":1000000000"#),
        (r#""image_size":8"#, r#""image_size":9223372036854775807"#),
        (r#""mlp_ratio":4.0"#, r#""mlp_ratio":1e300"#),
        (r#""embed_dim":8"#, r#""embed_dim":1099511627776"#),
    ] {
        assert!(json.contains(from), "{json}");
        let metadata = Some(("config", &*json.replace(from, to)));
        neuroinspect_models::checkpoint::save(&clip, metadata, Precision::F32, &path).unwrap();
        let error = Clip::load(&path, None, &device).unwrap_err();
        assert!(matches!(error, Error::ClipConfig { .. }), "{to}: {error}");
    }
}

#[test]
fn a_chosen_input_is_saved_with_the_weights() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.safetensors");
    let clip = small_clip().init(&device).unwrap();
    let input = InputSpec::new(8).with_normalization([0.5; 3], [0.5; 3]);
    assert!(clip.clone().with_input(InputSpec::new(9)).is_err());
    let clip = clip.with_input(input.clone()).unwrap();
    assert_eq!(clip.input(), &input);
    clip.save(&path, Precision::F32).unwrap();
    let back = Clip::load(&path, None, &device).unwrap();
    assert_eq!(back.input(), &input);
}

#[test]
fn a_saved_clip_comes_back_with_its_config() {
    let device = Device::flex();
    let clip = small_clip().with_gelu(Gelu::Quick).init(&device).unwrap();
    let texts = ["a steak".to_owned()];
    let expected = values(clip.encode_texts(&texts).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.safetensors");

    clip.save(&path, Precision::F32).unwrap();
    let whole = std::fs::metadata(&path).unwrap().len();
    let back = Clip::load(&path, None, &device).unwrap();
    assert_eq!(back.name(), "mine");
    assert_eq!(back.config(), clip.config());
    assert_eq!(values(back.encode_texts(&texts).unwrap()), expected);

    // Computed in another number format than it was saved in.
    let rounded = back.with_precision(Precision::Bf16).unwrap();
    let found = rounded.encode_texts(&texts).unwrap();
    assert_eq!(found.dtype(), burn::tensor::DType::BF16);
    for (found, expected) in values(Precision::F32.cast(found)).iter().zip(&expected) {
        assert!((found - expected).abs() < 0.1, "{found} {expected}");
    }

    clip.save(&path, Precision::F16).unwrap();
    let half = std::fs::metadata(&path).unwrap().len();
    // Two bytes saved per parameter.
    assert_eq!((whole - half) as usize, 2 * clip.num_params());
    let back = Clip::load(&path, None, &device).unwrap();
    let found = values(back.encode_texts(&texts).unwrap());
    for (found, expected) in found.iter().zip(&expected) {
        // Weights rounded by 2^-11 of their size, through one block.
        assert!((found - expected).abs() < 1e-2, "{found} {expected}");
    }
    assert_ne!(found, expected);
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.safetensors");
    small_clip()
        .init(&device)
        .unwrap()
        .save(&path, Precision::F32)
        .unwrap();
    let mut deeper = small_clip();
    deeper.vision.layers = ClipBlocks::Transformer(2);
    let error = Clip::load(&path, Some(&deeper), &device).unwrap_err();
    let Error::WeightsDoNotFit { report, .. } = &error else {
        panic!("{error}");
    };
    let missing = "visual.transformer.resblocks.1.attn.in_proj_weight";
    assert!(report.missing.iter().any(|name| name == missing));
    assert!(report.unused.is_empty());
}

#[test]
fn weights_without_a_config_ask_for_one() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare.safetensors");
    let clip = small_clip().init(&device).unwrap();
    neuroinspect_models::checkpoint::save(&clip, None, Precision::F32, &path).unwrap();
    let error = Clip::load(&path, None, &device).unwrap_err();
    assert!(matches!(error, Error::NoClipConfig { .. }), "{error}");
    assert!(error.to_string().contains("ViT-B-32"));
    assert!(Clip::load(&path, Some(&small_clip()), &device).is_ok());
}

#[test]
fn a_damaged_config_in_the_metadata_is_named() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.safetensors");
    let clip = small_clip().init(&device).unwrap();
    neuroinspect_models::checkpoint::save(&clip, Some(("config", "{}")), Precision::F32, &path)
        .unwrap();
    let error = Clip::load(&path, None, &device).unwrap_err().to_string();
    assert!(
        error.contains("odd.safetensors") && error.contains("embed_dim"),
        "{error}"
    );
}
