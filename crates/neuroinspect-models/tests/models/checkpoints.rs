//! Reading checkpoints of every kind, and refusing what is none.

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::support::{Tensors, contents, formula, golden, made_up_weights, safetensors_of};
use burn::{
    module::Module,
    nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig},
    tensor::Device,
};
use neuroinspect_models::{
    Checkpoint, Error, LoadReport, Strictness,
    checkpoint::{Precision, save},
};
use tempfile::{TempDir, tempdir};

/// The network of `tools/golden_classifiers.py`'s checkpoints.
#[derive(Module, Debug)]
struct Tiny {
    bn1: BatchNorm,
    fc: Linear,
}

impl Tiny {
    fn new() -> Self {
        let device = Device::flex();
        Self {
            bn1: BatchNormConfig::new(2).init(&device),
            fc: LinearConfig::new(2, 3).init(&device),
        }
    }
}

fn file(content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("weights.pt");
    fs::write(&path, content).unwrap();
    (folder, path)
}

/// The message of a failed opening, which must name the file.
fn refusal(content: &[u8]) -> String {
    let (_folder, path) = file(content);
    let error = Checkpoint::open(&path).unwrap_err();
    assert!(matches!(error, Error::NotACheckpoint { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains("weights.pt"), "{message}");
    message
}

#[test]
fn every_container_and_wrapping_reads_alike() {
    let expected = made_up_weights(&Tiny::new());
    for name in [
        "zip.pt",
        "legacy.pth",
        "legacy_nested.th",
        "state_dict.pt",
        "model.pt",
        "ema.pt",
        "whole_module.pt",
    ] {
        let checkpoint = Checkpoint::open(golden("checkpoints").join(name)).unwrap();
        assert_eq!(contents(&checkpoint), expected, "{name}");
        let report = checkpoint.apply(&mut Tiny::new(), "tiny", Strictness::Strict);
        assert!(report.unwrap().is_complete(), "{name}");
    }
}

/// Its tensors are read later than it was hashed.
#[test]
fn a_file_written_over_after_it_was_opened_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("last.pt");
    let first = safetensors_of(&made_up_weights(&Tiny::new()));
    let second = [&first[..], b"more"].concat();
    let torch = ["zip.pt", "state_dict.pt"].map(|name| fs::read(golden("checkpoints").join(name)));
    for [first, second] in [torch.map(Result::unwrap), [first, second]] {
        fs::write(&path, first).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        fs::write(&path, second).unwrap();
        let error = checkpoint.apply(&mut Tiny::new(), "tiny", Strictness::Strict);
        assert!(matches!(
            error,
            Err(Error::NotACheckpoint { .. } | Error::UnreadableTensor { .. })
        ));
    }
}

#[test]
fn every_float_type_becomes_f32() {
    let expected = made_up_weights(&Tiny::new());
    // Half a unit in the last place of 11, 8 and 53 significant bits (f64 from f32 is exact).
    for (name, tolerance) in [
        ("f16.pt", 2.0_f32.powi(-11)),
        ("bf16.pt", 2.0_f32.powi(-8)),
        ("f64.pt", 0.0),
    ] {
        let checkpoint = Checkpoint::open(golden("checkpoints").join(name)).unwrap();
        for (tensor, (shape, values)) in contents(&checkpoint) {
            let (expected_shape, expected) = &expected[&tensor];
            assert_eq!(&shape, expected_shape);
            for (value, expected) in values.iter().zip(expected) {
                let difference = (value - expected).abs();
                assert!(difference <= tolerance * expected.abs(), "{name}, {tensor}");
            }
        }
    }
}

#[test]
fn saving_what_was_loaded_keeps_every_value() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("saved.safetensors");
    let original = Checkpoint::open(golden("checkpoints").join("legacy.pth")).unwrap();
    let mut tiny = Tiny::new();
    original
        .apply(&mut tiny, "tiny", Strictness::Strict)
        .unwrap();
    save(&tiny, Some(("made", "here")), Precision::F32, &path).unwrap();

    let saved = Checkpoint::open(&path).unwrap();
    assert_eq!(contents(&saved), contents(&original));
    let metadata = BTreeMap::from([("made".to_owned(), "here".to_owned())]);
    assert_eq!(saved.metadata(), &metadata);
    assert_eq!(
        saved.sha256(),
        neuroinspect_core::io::sha256_of_file(&path).unwrap()
    );
    let bytes = fs::read(&path).unwrap();
    let in_memory = Checkpoint::from_bytes("bytes", bytes).unwrap();
    assert_eq!(contents(&in_memory), contents(&original));
    assert_eq!(in_memory.sha256(), saved.sha256());
}

#[test]
fn saving_twice_makes_the_same_file() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("tiny.safetensors");
    let tiny = Tiny::new();
    let saved = || {
        save(&tiny, Some(("config", "a text")), Precision::F32, &path).unwrap();
        fs::read(&path).unwrap()
    };
    let first = saved();
    for _ in 0..20 {
        assert_eq!(saved(), first);
    }
}

#[test]
fn half_precision_rounds_to_nearest() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("half.safetensors");
    let original = Checkpoint::open(golden("checkpoints").join("zip.pt")).unwrap();
    let mut tiny = Tiny::new();
    original
        .apply(&mut tiny, "tiny", Strictness::Strict)
        .unwrap();
    save(&tiny, None, Precision::F16, &path).unwrap();
    let torchs = Checkpoint::open(golden("checkpoints").join("f16.pt")).unwrap();
    assert_eq!(
        contents(&Checkpoint::open(&path).unwrap()),
        contents(&torchs)
    );
}

#[test]
fn a_value_too_large_for_half_precision_is_not_written() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("half.safetensors");
    let mut weights = made_up_weights(&Tiny::new());
    weights.get_mut("fc.bias").unwrap().1[1] = 7e4;
    let checkpoint = Checkpoint::from_bytes("bytes", safetensors_of(&weights)).unwrap();
    let mut tiny = Tiny::new();
    checkpoint
        .apply(&mut tiny, "tiny", Strictness::Strict)
        .unwrap();
    let error = save(&tiny, None, Precision::F16, &path).unwrap_err();
    let Error::NotFinite { tensor, index, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!((tensor.as_str(), index), ("fc.bias", 1));
    assert!(!path.exists());
}

/// [`made_up_weights`] with a tensor missing, one too many, and one of another shape.
fn unfit() -> Checkpoint {
    let mut weights = made_up_weights(&Tiny::new());
    let bias = weights.remove("bn1.bias").unwrap();
    weights.insert("bn.bias".into(), bias);
    weights.insert("fc.weight".into(), (vec![2, 2], vec![1.0; 4]));
    Checkpoint::from_bytes("unfit", safetensors_of(&weights)).unwrap()
}

fn check_unfit(report: &LoadReport) {
    let applied = [
        "bn1.running_mean",
        "bn1.running_var",
        "bn1.weight",
        "fc.bias",
    ];
    assert_eq!(report.applied, applied);
    assert_eq!(report.missing, ["bn1.bias"]);
    assert_eq!(report.unused, ["bn.bias"]);
    assert_eq!(report.hints["bn1.bias"], "bn.bias");
    let [mismatch] = &report.mismatched[..] else {
        panic!("{report:?}")
    };
    assert_eq!(mismatch.name, "fc.weight");
    assert_eq!(
        (&mismatch.expected[..], &mismatch.found[..]),
        (&[3, 2][..], &[2, 2][..])
    );
}

#[test]
fn strict_loading_refuses_and_says_why() {
    let mut tiny = Tiny::new();
    let before = tiny.bn1.gamma.val().into_data();
    let error = unfit()
        .apply(&mut tiny, "tiny", Strictness::Strict)
        .unwrap_err();
    let message = error.to_string();
    assert_eq!(
        message,
        "'unfit' does not fit tiny: 4 of 6 tensors loaded\
         \n  1 missing: bn1.bias (is it 'bn.bias'?)\
         \n  1 of another shape: fc.weight (expected [3, 2], found [2, 2])\
         \n  1 unused: bn.bias"
    );
    let Error::WeightsDoNotFit { report, .. } = error else {
        panic!("{error:?}")
    };
    check_unfit(&report);
    assert_eq!(
        tiny.bn1.gamma.val().into_data(),
        before,
        "nothing may have been loaded"
    );
}

#[test]
fn partial_loading_takes_what_fits() {
    let mut tiny = Tiny::new();
    let before = tiny.bn1.beta.val().into_data();
    let report = unfit()
        .apply(&mut tiny, "tiny", Strictness::Partial)
        .unwrap();
    check_unfit(&report);
    assert_eq!(tiny.bn1.beta.val().into_data(), before);
    let gamma: Vec<f32> = tiny.bn1.gamma.val().into_data().try_into_vec_as().unwrap();
    assert_eq!(gamma, unfit().read("bn1.weight").unwrap());
}

#[test]
fn partial_loading_of_nothing_is_an_error() {
    let checkpoint = unfit().renamed(|name| Some(format!("other.{name}")));
    let error = checkpoint.apply(&mut Tiny::new(), "tiny", Strictness::Partial);
    assert!(matches!(error, Err(Error::WeightsDoNotFit { .. })));
}

#[test]
fn a_tensor_that_is_not_there_cannot_be_read() {
    let message = unfit().read("fc.wait").unwrap_err().to_string();
    assert!(
        message.contains("'fc.wait'") && message.contains("no such tensor"),
        "{message}"
    );
}

#[test]
fn nan_is_refused_by_name() {
    let checkpoint = Checkpoint::open(golden("checkpoints").join("nan.pt")).unwrap();
    let error = checkpoint
        .apply(&mut Tiny::new(), "tiny", Strictness::Partial)
        .unwrap_err();
    let Error::NotFinite {
        file,
        tensor,
        index,
        value,
    } = error
    else {
        panic!("{error:?}")
    };
    assert!(file.ends_with("nan.pt"));
    assert_eq!((tensor.as_str(), index), ("fc.weight", 2));
    assert!(value.is_nan());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let message = Checkpoint::open("nowhere/weights.pt")
        .unwrap_err()
        .to_string();
    assert_eq!(message, "cannot read 'nowhere/weights.pt'");
}

#[test]
fn files_without_weights_are_refused() {
    assert!(refusal(b"").contains("it is empty"));
    assert!(
        Checkpoint::from_bytes("bytes", b"")
            .unwrap_err()
            .to_string()
            .contains("it is empty")
    );
    let image = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on";
    for content in [
        &b"x"[..],
        b"import torch\nprint('hello')\n",
        image,
        &[0; 100],
        &[255; 100],
    ] {
        refusal(content);
    }
    let no_tensors = fs::read(golden("checkpoints/no_tensors.pt")).unwrap();
    assert!(refusal(&no_tensors).contains("it holds no tensors"));
    let none = safetensors_of(&BTreeMap::new());
    assert!(refusal(&none).contains("it holds no tensors"));
}

#[test]
fn hostile_safetensors_are_refused() {
    let with_header = |len: u64, header: &str| [&len.to_le_bytes(), header.as_bytes()].concat();
    let honest = |header: &str| with_header(header.len() as u64, header);
    for (what, content) in [
        ("a header longer than memory", with_header(u64::MAX, "{}")),
        ("a header of gigabytes", with_header(1 << 40, "{}")),
        ("a header longer than the file", with_header(1 << 10, "{}")),
        (
            "a tensor longer than any file",
            honest(
                r#"{"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}}"#,
            ),
        ),
        ("no JSON", honest("{nonsense")),
        ("nested JSON", honest(&("{\"a\":".repeat(50_000)))),
        (
            "a shape beyond the data",
            honest(r#"{"a":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,0]}}"#),
        ),
        (
            "a shape beyond a word",
            honest(
                r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}"#,
            ),
        ),
        (
            "offsets beyond the file",
            honest(r#"{"a":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}}"#),
        ),
        (
            "offsets backwards",
            honest(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}"#),
        ),
    ] {
        let message = refusal(&content);
        assert!(message.len() < 500, "{what}: {message}");
    }
    let complex = [
        honest(r#"{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#),
        vec![0; 8],
    ];
    assert!(refusal(&complex.concat()).contains("C64"));
}

/// A name of a megabyte that is prefix after prefix, each of which could be taken off.
#[test]
fn a_name_of_nothing_but_prefixes_is_survived() {
    let name = "module.".repeat(150_000) + "x";
    let weights = BTreeMap::from([(name, (vec![1], vec![1.0]))]);
    let checkpoint = Checkpoint::from_bytes("prefixes", safetensors_of(&weights)).unwrap();
    let report = checkpoint.compare(&Tiny::new());
    assert!(report.applied.is_empty());
    assert_eq!(report.unused.len(), 1);
}

/// What a script that averages weights leaves: the average's rate in one place, the weights in
/// another.
#[test]
fn the_wrapping_that_fits_counts_and_not_the_first() {
    let mut weights: Tensors = made_up_weights(&Tiny::new())
        .into_iter()
        .map(|(name, tensor)| (format!("model.{name}"), tensor))
        .collect();
    weights.insert("model_ema.decay".into(), (vec![1], vec![0.999]));
    let checkpoint = Checkpoint::from_bytes("averaging", safetensors_of(&weights)).unwrap();
    let report = checkpoint
        .apply(&mut Tiny::new(), "tiny", Strictness::Strict)
        .unwrap();
    assert_eq!(report.set_aside, ["model_ema.decay"]);
    assert_eq!(
        report.to_string(),
        "6 of 6 tensors loaded\n  1 set aside: model_ema.decay"
    );
}

/// A head that a script has trained and saved beside the model it comes from: neither may be
/// dropped in silence.
#[test]
fn a_parameter_that_is_there_twice_is_refused() {
    for twice in ["fc.bias", "module.fc.bias"] {
        let mut weights: Tensors = made_up_weights(&Tiny::new())
            .into_iter()
            .map(|(name, tensor)| (format!("model.{name}"), tensor))
            .collect();
        weights.insert(twice.into(), (vec![3], vec![1.0; 3]));
        weights.insert("epoch".into(), (vec![1], vec![9.0]));
        let checkpoint = Checkpoint::from_bytes("twice", safetensors_of(&weights)).unwrap();
        let strict = checkpoint.apply(&mut Tiny::new(), "tiny", Strictness::Strict);
        assert_eq!(
            strict.unwrap_err().to_string(),
            format!(
                "'twice' does not fit tiny: 6 of 6 tensors loaded\
                 \n  1 unused: {twice}\n  1 set aside: epoch"
            )
        );
        let partial = checkpoint.apply(&mut Tiny::new(), "tiny", Strictness::Partial);
        assert_eq!(partial.unwrap().unused, [twice]);
    }
}

#[test]
fn hostile_pickles_are_refused() {
    let pickle = |body: &[u8]| [b"\x80\x02", body, b"."].concat();
    let nested = [b"]".repeat(200_000), b"a".repeat(199_999)].concat();
    for content in [
        pickle(b""),
        pickle(b"cos\nsystem\nX\x02\0\0\0ls\x85R"),
        pickle(b"X\xff\xff\xff\x7f"),
        pickle(b"\x8a\xff"),
        pickle(b"h\x05"),
        pickle(&nested),
        pickle(&b"}X\x01\0\0\0a".repeat(200_000)),
    ] {
        refusal(&content);
    }
    let error = Checkpoint::open(golden("checkpoints").join("expanded.pt")).unwrap_err();
    assert!(
        error.to_string().contains("claims 1073741824 bytes"),
        "{error}"
    );
}

/// What is read of a damaged file is either refused or of sane size; nothing may panic.
fn survive(content: &[u8]) {
    let (_folder, path) = file(content);
    if let Ok(checkpoint) = Checkpoint::open(&path) {
        for name in checkpoint.names() {
            if let Ok(values) = checkpoint.read(name) {
                assert!(values.len() <= content.len());
            }
        }
        let _ = checkpoint.apply(&mut Tiny::new(), "tiny", Strictness::Partial);
    }
}

#[test]
fn damaged_files_are_survived() {
    let safetensors = safetensors_of(&made_up_weights(&Tiny::new()));
    let torchs =
        ["zip.pt", "legacy.pth"].map(|name| fs::read(golden("checkpoints").join(name)).unwrap());
    for content in [&safetensors, &torchs[0], &torchs[1]] {
        for len in (0..content.len()).step_by(41) {
            let (_folder, path) = file(&content[..len]);
            assert!(
                Checkpoint::open(&path).is_err(),
                "{len} of {} bytes",
                content.len()
            );
        }
        let mut random = formula("damage", 3 * 300);
        let mut below = |bound: usize| (random.next().unwrap() * bound as f64) as usize;
        for _ in 0..300 {
            let mut content = content.clone();
            let position = below(content.len());
            match below(2) {
                0 => content[position] = below(256) as u8,
                _ => content[position] = [0, 1, 127, 255][below(4)],
            }
            survive(&content);
        }
    }
}

/// It would never end, or never begin.
#[cfg(unix)]
#[test]
fn a_pipe_is_refused_at_once() {
    let folder = tempdir().unwrap();
    let pipe = folder.path().join("pipe.safetensors");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    let error = Checkpoint::open(&pipe).unwrap_err();
    assert!(error.to_string().contains("pipe.safetensors"), "{error}");
}
