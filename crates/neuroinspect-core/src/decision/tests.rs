use burn::nn::LinearConfig;
use ndarray::array;

use super::*;

#[test]
fn a_layer_survives_burn_and_back() {
    let layer =
        DecisionLayer::new(array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], array![0.5, -0.5]).unwrap();
    let device = Device::flex();
    let mut linear = LinearConfig::new(3, 2).init(&device);
    layer.replace(&mut linear).unwrap();
    assert_eq!(DecisionLayer::from_linear(&linear).unwrap(), layer);

    let features = array![[1.0, 0.0, -1.0], [0.5, 2.0, 1.0]];
    let by_burn: Vec<f32> = linear
        .forward(Tensor::<2>::from_data(
            TensorData::new(features.iter().copied().collect(), [2, 3]),
            &device,
        ))
        .try_into_vec_as()
        .unwrap();
    let by_host = layer.logits(features.view()).unwrap();
    // All values are small integers and halves: both sums are exact.
    assert_eq!(by_host.into_raw_vec_and_offset().0, by_burn);
}

#[test]
fn a_head_is_replaced_by_one_of_its_size() {
    use burn::nn::LinearConfig;

    let device = Device::flex();
    let layer = DecisionLayer::new(array![[1.0, 2.0], [3.0, 4.0]], array![0.0, 0.0]).unwrap();
    let mut head = LinearConfig::new(2, 2).init(&device);
    layer.replace(&mut head).unwrap();
    assert_eq!(DecisionLayer::from_linear(&head).unwrap(), layer);
    assert!(head.bias.is_some());

    for (neurons, classes) in [(3, 2), (2, 3)] {
        let mut other = LinearConfig::new(neurons, classes).init(&device);
        let error = layer.replace(&mut other).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error:?}");
        assert_eq!(other.weight.dims(), [neurons, classes]);
    }

    let mut head = LinearConfig::new(2, 2).with_bias(false).init(&device);
    layer.replace(&mut head).unwrap();
    assert!(head.bias.is_none());
    let shifted = DecisionLayer::new(layer.weight.clone(), array![0.0, 1.0]).unwrap();
    shifted.replace(&mut head).unwrap();
    assert_eq!(DecisionLayer::from_linear(&head).unwrap(), shifted);
}

#[test]
fn a_head_keeps_what_its_parameters_are_beside_their_values() {
    use burn::{
        module::Module,
        nn::{LinearConfig, LinearLayout},
        tensor::DType,
    };

    let weight = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let layer = DecisionLayer::new(weight, array![0.5, 0.0]).unwrap();
    let device = Device::flex().autodiff();
    let config = LinearConfig::new(3, 2);
    let trained = || config.init(&device);
    let half = || {
        let mut head = trained();
        head.weight = head.weight.map(|weight| weight.cast(DType::F16));
        head
    };
    for (head, requires_grad, dtype) in [
        (trained(), true, DType::F32),
        (trained().no_grad(), false, DType::F32),
        (half().no_grad(), false, DType::F16),
    ] {
        let mut replaced = head.clone();
        layer.replace(&mut replaced).unwrap();
        assert_eq!(DecisionLayer::from_linear(&replaced).unwrap(), layer);
        let (old, new) = (head.bias.unwrap(), replaced.bias.unwrap());
        assert_eq!((head.weight.id, old.id), (replaced.weight.id, new.id));
        assert_eq!(replaced.weight.is_require_grad(), requires_grad);
        assert_eq!(new.is_require_grad(), requires_grad);
        assert_eq!(replaced.weight.val().dtype(), dtype);
    }

    // A bias it had not is like its weight.
    let mut bare = half();
    bare.bias = None;
    let mut bare = bare.no_grad();
    layer.replace(&mut bare).unwrap();
    let bias = bare.bias.unwrap();
    assert!(!bias.is_require_grad());
    assert_eq!(bias.val().dtype(), DType::F16);

    let columns = config.clone().with_layout(LinearLayout::Col);
    let mut head = columns.init(&device);
    layer.replace(&mut head).unwrap();
    assert_eq!(DecisionLayer::from_linear(&head).unwrap(), layer);
    let stored = head.weight.transform_for_save().val();
    assert_eq!(
        read_back(stored, "weight").unwrap(),
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    );
}

#[test]
fn equal_logits_go_to_the_lower_class() {
    let layer = DecisionLayer::new(array![[0.0], [1.0], [1.0]], array![0.0, 0.0, 0.0]).unwrap();
    assert_eq!(layer.predict(array![[2.0]].view()).unwrap(), [ClassId(1)]);
}

#[test]
fn bad_layers_are_refused_by_name() {
    let nan = DecisionLayer::new(array![[0.0, f32::NAN]], array![0.0]).unwrap_err();
    assert_eq!(
        nan.to_string(),
        "decision layer weight of class 0, neuron 1 is not finite (NaN); \
         the weights or the images it was computed from are damaged"
    );
    assert!(matches!(
        DecisionLayer::new(array![[0.0, 1.0]], array![0.0, 0.0]),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        DecisionLayer::new(Array2::zeros((0, 3)), Array1::zeros(0)),
        Err(Error::Shape { .. })
    ));
    let layer = DecisionLayer::new(array![[0.0, 1.0]], array![0.0]).unwrap();
    assert!(layer.logits(array![[1.0]].view()).is_err());
    assert!(layer.check_neuron(NeuronId(2)).is_err());
    assert!(layer.check_class(ClassId(1)).is_err());
}

#[test]
fn the_hash_tells_layers_apart() {
    let one = DecisionLayer::new(array![[0.0, 1.0]], array![0.0]).unwrap();
    let two = DecisionLayer::new(array![[0.0, 1.0]], array![1e-30]).unwrap();
    assert_eq!(one.sha256(), one.clone().sha256());
    assert_ne!(one.sha256(), two.sha256());
}

#[test]
fn predictions_of_many_samples_are_those_of_each() {
    // More logits than are held at a time.
    let classes = DecisionLayer::LOGITS_AT_ONCE / 100;
    let weight = Array2::from_shape_fn((classes, 1), |(class, _)| class as f32);
    let layer = DecisionLayer::new(weight, Array1::zeros(classes)).unwrap();
    let sign = |sample: usize| if sample.is_multiple_of(3) { 1.0 } else { -1.0 };
    let features = Array2::from_shape_fn((250, 1), |(sample, _)| sign(sample));
    let expected: Vec<ClassId> = (0..250)
        .map(|sample| ClassId(if sign(sample) > 0.0 { classes - 1 } else { 0 }))
        .collect();
    assert_eq!(layer.predict(features.view()).unwrap(), expected);
    assert!(layer.predict(Array2::zeros((0, 2)).view()).is_err());
}
