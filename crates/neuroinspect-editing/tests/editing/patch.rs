//! Patches and their files: exact in both directions, and closed to anything that is not one.

use std::collections::HashMap;

use ndarray::{Array1, Array2, array};
use neuroinspect_core::{ClassId, DecisionLayer, Error as CoreError, NeuronId, io::TensorFormat};
use neuroinspect_editing::{
    EditConfig, EditScope, Error, Fitted, LayerPatch, MethodRecord, RatioEdit,
};
use proptest::{collection::vec, prelude::*};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

pub(crate) fn method() -> MethodRecord {
    let method = RatioEdit::new(vec![NeuronId(0), NeuronId(2)], EditScope::Class(ClassId(1)));
    let method = method.with_config(EditConfig::paper_waterbirds());
    let mut fitted = Fitted::new(after()).with_derived(RatioEdit::TARGET, 1.02);
    fitted.kept_epoch = Some(3);
    MethodRecord::new(&method, &fitted).unwrap()
}

pub(crate) fn before() -> DecisionLayer {
    DecisionLayer::new(array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], array![0.0, 0.5]).unwrap()
}

/// Changes the second row alone.
pub(crate) fn after() -> DecisionLayer {
    DecisionLayer::new(array![[1.0, 2.0, 3.0], [4.0, 5.5, 6.0]], array![0.0, 0.25]).unwrap()
}

fn the_patch() -> LayerPatch {
    LayerPatch::between("toy", [&before(), &after()], method()).unwrap()
}

/// Bits, because `==` holds -0.0 and 0.0 for equal.
fn bits(layer: &DecisionLayer) -> Vec<u32> {
    layer
        .weight()
        .iter()
        .chain(layer.bias())
        .map(|value| value.to_bits())
        .collect()
}

pub(crate) fn saved(patch: &LayerPatch) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edit.safetensors");
    patch.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

pub(crate) fn load(bytes: &[u8]) -> Result<LayerPatch, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edit.safetensors");
    std::fs::write(&path, bytes).unwrap();
    LayerPatch::load(&path)
}

#[test]
fn only_changed_rows_are_kept() {
    let patch = the_patch();
    assert_eq!(patch.changed_classes(), [ClassId(1)]);
    assert_eq!(patch.largest_change(), (0.5, 0.25));
    assert_eq!(patch.shape(), [2, 3]);
    assert_eq!(patch.method(), &method());
    assert_eq!(
        (patch.model(), patch.version()),
        ("toy", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(patch.sha256_before(), before().sha256());
    assert_eq!(patch.sha256_after(), after().sha256());
}

#[test]
fn a_zero_that_changes_its_sign_is_a_change() {
    let negative = DecisionLayer::new(before().weight().to_owned(), array![-0.0, 0.5]).unwrap();
    let patch = LayerPatch::between("toy", [&before(), &negative], method()).unwrap();
    assert_eq!(patch.changed_classes(), [ClassId(0)]);
    assert_eq!(bits(&patch.apply(&before()).unwrap()), bits(&negative));
    assert_eq!(bits(&patch.revert(&negative).unwrap()), bits(&before()));
}

#[test]
fn applying_and_reverting_twice_is_doing_so_once() {
    let patch = the_patch();
    assert_eq!(patch.apply(&after()).unwrap(), after());
    assert_eq!(patch.revert(&before()).unwrap(), before());
}

#[test]
fn another_layer_is_refused_with_the_model_named() {
    let other = DecisionLayer::new(before().weight().to_owned(), array![0.0, 0.51]).unwrap();
    let small = DecisionLayer::new(array![[1.0]], array![0.0]).unwrap();
    for layer in [other, small] {
        for result in [the_patch().apply(&layer), the_patch().revert(&layer)] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::OtherLayer { .. }));
            let text = error.to_string();
            assert!(
                text.contains("'toy' (2 classes, 3 neurons)") && text.contains(&layer.sha256()),
                "{text}"
            );
        }
    }
}

#[test]
fn layers_of_different_shapes_have_no_patch_between_them() {
    let small = DecisionLayer::new(array![[1.0]], array![0.0]).unwrap();
    let result = LayerPatch::between("toy", [&small, &after()], method());
    assert!(matches!(result, Err(Error::Core(CoreError::Shape { .. }))));
}

#[test]
fn the_summary_says_what_and_for_whom() {
    let text = the_patch().to_string();
    for part in [
        "'toy' (2 classes, 3 neurons)",
        "neurons 0, 2 for class 1",
        "target 1.0200",
        "1 of 2 rows",
        "5.000e-1",
        "seed 0",
        "epoch 3",
        &before().sha256(),
        &after().sha256(),
    ] {
        assert!(text.contains(part), "'{part}' is missing from:\n{text}");
    }
}

#[test]
fn damaged_files_are_refused() {
    let whole = saved(&the_patch());
    assert_eq!(load(&whole).unwrap(), the_patch());
    for length in (0..whole.len()).step_by(7) {
        let error = load(&whole[..length]).unwrap_err();
        assert!(
            matches!(error, Error::Core(CoreError::Format { .. })),
            "{length} bytes: {error}"
        );
    }
    let missing = LayerPatch::load(tempfile::tempdir().unwrap().path().join("no"));
    assert!(matches!(missing, Err(Error::Core(CoreError::Read { .. }))));
}

#[test]
fn a_changed_value_is_noticed_when_applied() {
    let mut bytes = saved(&the_patch());
    // The one place of 5.5, a weight after the edit.
    let place = bytes
        .windows(4)
        .position(|window| window == 5.5_f32.to_le_bytes())
        .unwrap();
    bytes[place..place + 4].copy_from_slice(&5.25_f32.to_le_bytes());
    let patch = load(&bytes).unwrap();
    assert!(matches!(patch.apply(&before()), Err(Error::Damaged { .. })));
    assert_eq!(
        patch.revert(&after()).unwrap(),
        before(),
        "what was before is whole"
    );
}

/// The parts of a file, to be put together wrongly.
pub(crate) struct Parts {
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
    pub(crate) metadata: HashMap<String, String>,
}

impl Parts {
    pub(crate) fn new() -> Self {
        Self::of(&saved(&the_patch()))
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
        let metadata = header.metadata().clone().unwrap();
        let file = SafeTensors::deserialize(bytes).unwrap();
        let tensors = file.iter().map(|(name, view)| {
            (
                name.to_owned(),
                view.dtype(),
                view.shape().to_vec(),
                view.data().to_vec(),
            )
        });
        Self {
            tensors: tensors.collect(),
            metadata,
        }
    }

    fn tensor(mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Self {
        let tensor = self
            .tensors
            .iter_mut()
            .find(|tensor| tensor.0 == name)
            .unwrap();
        *tensor = (name.to_owned(), dtype, shape.to_vec(), bytes.to_vec());
        self
    }

    pub(crate) fn metadata(mut self, from: &str, to: &str) -> Self {
        let value = self.metadata.get_mut(TensorFormat::KEY).unwrap();
        assert!(value.contains(from), "'{from}' is not in {value}");
        *value = value.replace(from, to);
        self
    }

    pub(crate) fn load(self) -> Result<LayerPatch, Error> {
        let views = self.tensors.iter().map(|(name, dtype, shape, bytes)| {
            (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        load(&safetensors::serialize(views, Some(self.metadata)).unwrap())
    }

    fn reason(self) -> String {
        let error = self.load().unwrap_err();
        assert!(matches!(error, Error::Core(CoreError::Format { .. })));
        error.to_string()
    }
}

#[test]
fn files_that_promise_the_hashes_of_a_layer_of_another_shape_are_refused() {
    let far = 7_i64.to_le_bytes();
    let classes = Parts::new()
        .metadata("\"classes\":2", "\"classes\":9")
        .tensor("rows", Dtype::I64, &[1], &far);
    let neurons = Parts::new()
        .metadata("\"neurons\":3", "\"neurons\":2")
        .tensor("weight_before", Dtype::F32, &[1, 2], &[0; 8])
        .tensor("weight_after", Dtype::F32, &[1, 2], &[0; 8]);
    for (parts, claimed) in [(classes, "9 classes, 3"), (neurons, "2 classes, 2")] {
        let patch = parts.load().unwrap();
        for (result, layer) in [
            (patch.apply(&before()), before()),
            (patch.revert(&after()), after()),
        ] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::OtherLayer { .. }));
            let text = error.to_string();
            let given = format!("{} (2 classes, 3 neurons)", layer.sha256());
            for shape in [claimed, &given] {
                assert!(text.contains(shape), "'{shape}' is missing from: {text}");
            }
        }
    }
}

#[test]
fn hostile_files_are_refused_by_name() {
    let new = Parts::new;
    let row = |row: i64| row.to_le_bytes();
    let nan = [f32::NAN, 0.0, 0.0].map(f32::to_le_bytes).concat();
    let bare = new().metadata("\"edit\"", "\"edited\"");
    let mut lacking = new();
    lacking.tensors.retain(|tensor| tensor.0 != "bias_after");
    for (parts, expected) in [
        (
            new().metadata("neuroinspect.edit", "neuroinspect.editor"),
            "format",
        ),
        (
            new().metadata("\"version\":2}", "\"version\":3}"),
            "version 3",
        ),
        (bare, "no edit"),
        (new().metadata("\"made\"", "\"baked\""), "made"),
        (
            new().metadata("\"name\":\"prob", "\"game\":\"prob"),
            "missing field `name`",
        ),
        (
            new().metadata("\"neurons\":3", "\"neurons\":18446744073709551615"),
            "weight_before",
        ),
        (new().tensor("rows", Dtype::I64, &[1], &row(2)), "row 2"),
        (
            new().tensor("rows", Dtype::I64, &[1], &row(-1)),
            "'rows' holds -1",
        ),
        (
            new().tensor("rows", Dtype::I64, &[2], &[row(1), row(1)].concat()),
            "ascending",
        ),
        (
            new().tensor("rows", Dtype::F64, &[1], &row(1)),
            "'rows' is F64 [1], expected I64 [1]",
        ),
        (
            new().tensor("rows", Dtype::I64, &[2], &[row(0), row(1)].concat()),
            "weight_before",
        ),
        (
            new().tensor("weight_after", Dtype::F32, &[1, 3], &nan),
            "not finite",
        ),
        (
            new().tensor("weight_after", Dtype::F32, &[3, 1], &[0; 12]),
            "weight_after",
        ),
        (
            new().tensor("bias_before", Dtype::I32, &[1], &[0; 4]),
            "'bias_before' is I32",
        ),
        (lacking, "bias_after"),
    ] {
        let reason = parts.reason();
        assert!(
            reason.contains(expected),
            "'{expected}' is missing from: {reason}"
        );
    }
}

fn layers() -> impl Strategy<Value = (DecisionLayer, DecisionLayer)> {
    (1_usize..6, 1_usize..6).prop_flat_map(|(classes, neurons)| {
        let values = move || {
            vec(
                prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO,
                classes * (neurons + 1),
            )
        };
        (values(), values(), vec(any::<bool>(), classes)).prop_map(move |(before, after, kept)| {
            let layer = |values: &[f32]| {
                let (weight, bias) = values.split_at(classes * neurons);
                let weight = Array2::from_shape_vec((classes, neurons), weight.to_vec()).unwrap();
                DecisionLayer::new(weight, Array1::from(bias.to_vec())).unwrap()
            };
            let (before, mixed) = (layer(&before), layer(&after));
            let (mut weight, mut bias) = (mixed.weight().to_owned(), mixed.bias().to_owned());
            for class in (0..classes).filter(|&class| kept[class]) {
                weight.row_mut(class).assign(&before.weight().row(class));
                bias[class] = before.bias()[class];
            }
            (before, DecisionLayer::new(weight, bias).unwrap())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_patch_goes_there_and_back_through_a_file((before, after) in layers()) {
        let patch = LayerPatch::between("toy", [&before, &after], method()).unwrap();
        let patch = load(&saved(&patch)).unwrap();
        prop_assert_eq!(&patch, &LayerPatch::between("toy", [&before, &after], method()).unwrap());
        let applied = patch.apply(&before).unwrap();
        prop_assert_eq!(bits(&applied), bits(&after));
        prop_assert_eq!(bits(&patch.revert(&applied).unwrap()), bits(&before));
    }
}
