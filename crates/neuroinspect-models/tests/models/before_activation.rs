//! What a layer's activation function reads.

use burn::tensor::{Device, Tensor, TensorData, activation::relu};
use neuroinspect_core::{Classifier, LayerValues};
use neuroinspect_models::init_classifier;
use neuroinspect_testing::{assert_close, fill};

fn map(values: &LayerValues) -> Tensor<4> {
    match values {
        LayerValues::Map(map) => map.clone(),
        other => panic!("{}", other.kind()),
    }
}

/// Folded or not, and be the layer the function itself, a block that ends with it, or its mean.
#[test]
fn a_relu_of_it_is_the_layer() {
    for (name, layers) in [
        ("cifar_resnet20", ["layer1.0", "features"]),
        ("resnet18", ["layer4.1", "global_pool"]),
        ("vgg11", ["features.1", "features.4"]),
    ] {
        let mut model = init_classifier(name, 4, &Device::flex()).unwrap();
        for folded in [false, true] {
            if folded {
                model.fold().unwrap();
            }
            let size = 32;
            let pixels = TensorData::new(fill::normal(name, 3 * size * size), [1, 3, size, size]);
            for layer in layers {
                let before = model.before_activation(layer).unwrap();
                let read = model.activations_at(
                    Tensor::from_data(pixels.clone(), &Device::flex()),
                    &[&before, layer],
                );
                let read = read.unwrap();
                let before = map(&read[0]);
                let lowest: Vec<f32> = before.clone().min().try_into_vec_as().unwrap();
                assert!(lowest[0] < 0.0, "{name}, {layer}: {}", lowest[0]);
                let rectified: Vec<f32> = match &read[1] {
                    LayerValues::Features(_) => LayerValues::Map(relu(before))
                        .pooled()
                        .try_into_vec_as()
                        .unwrap(),
                    _ => relu(before).try_into_vec_as().unwrap(),
                };
                let layer: Vec<f32> = match &read[1] {
                    LayerValues::Features(features) => features.clone().try_into_vec_as().unwrap(),
                    values => map(values).try_into_vec_as().unwrap(),
                };
                // The same operation on the same values.
                assert_close(&rectified[..], &layer[..], 0.0, 1e-6);
            }
        }
    }
}

#[test]
fn where_no_activation_function_is_the_last_there_is_none() {
    let model = init_classifier("cifar_resnet20", 4, &Device::flex()).unwrap();
    for layer in ["conv1", "layer1.0.bn2", "linear", "no such layer"] {
        assert_eq!(model.before_activation(layer), None, "{layer}");
    }
    // What no function reads is no layer by its name.
    let images = Tensor::zeros([1, 3, 32, 32], &Device::flex());
    let error = model.activations_at(images, &["images"]).unwrap_err();
    assert!(error.to_string().contains("images"), "{error}");
}
