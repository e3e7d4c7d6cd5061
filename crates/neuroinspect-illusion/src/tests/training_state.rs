//! Networks whose forward pass depends on the state that training leaves, or on gradients.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use neuroinspect_core::{
    Activations, Classifier, CopyClassifier, CopyEncoder, DecisionLayer, ImageTextEncoder,
    InputSpec, Precision, Result, Silent,
};
use neuroinspect_testing::networks::{TinyEncoder, TrainedClassifier};

use super::{CLASSES, SIZE, class_embeddings, device, pairs, plain_recipe, request};
use crate::{Error, Guide, Networks, PreparedClassifier, PreparedGuide, visualize};

/// Batch normalisation and dropout in training state change neither the model nor its pictures.
#[test]
fn a_model_in_training_state_stays_as_it_is() {
    for device in [device(), device().autodiff()] {
        let net = TrainedClassifier::new(SIZE, &device);
        let before = net.statistics();
        let recipe = plain_recipe().with_steps(20);
        let request = request(pairs([(0, 1), (3, 2)]), &recipe);
        let pictures = |net: &TrainedClassifier| {
            let networks = Networks::of(net, None).unwrap();
            visualize(&networks, &request, &mut Silent).unwrap()
        };
        let made = pictures(&net);
        assert_eq!(net.statistics(), before);
        assert_eq!(made, pictures(&net.clone().valid()));
        assert_eq!(net.statistics(), before);
    }
}

/// A copy that is none: what the test above would come to without the evaluation state.
struct Uncopied(TrainedClassifier);

impl CopyClassifier for Uncopied {
    fn evaluation_copy(&self, _: &Device, _: Precision) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(Self(self.0.clone())))
    }
}

impl Classifier for Uncopied {
    fn name(&self) -> &str {
        "uncopied"
    }
    fn input(&self) -> &InputSpec {
        self.0.input()
    }
    fn activations(&self, images: Tensor<4>) -> Activations {
        self.0.activations(images)
    }
    fn decision_layer(&self) -> Result<DecisionLayer> {
        self.0.decision_layer()
    }
    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()> {
        self.0.set_decision_layer(layer)
    }
    fn device(&self) -> Device {
        self.0.device()
    }
}

#[test]
fn a_copy_in_training_state_is_refused() {
    let net = Uncopied(TrainedClassifier::new(SIZE, &device()));
    let error = PreparedClassifier::new(&net, &device(), Precision::F32).unwrap_err();
    assert!(matches!(error, Error::DiffersWhenTracked { network, .. } if network == "uncopied"));
}

/// An encoder is held to the same as a classifier.
#[derive(Clone)]
struct Blinking(TinyEncoder);

impl CopyEncoder for Blinking {
    fn encoder_copy(&self, _: &Device, _: Precision) -> Result<Box<dyn ImageTextEncoder>> {
        Ok(Box::new(self.clone()))
    }
}

impl ImageTextEncoder for Blinking {
    fn name(&self) -> &str {
        "blinking"
    }
    fn input(&self) -> &InputSpec {
        self.0.input()
    }
    fn encode_images(&self, images: Tensor<4>) -> Tensor<2> {
        let tracked = images.is_tracked();
        let embeddings = self.0.encode_images(images);
        if tracked {
            embeddings * 2.0
        } else {
            embeddings
        }
    }
    fn encode_texts(&self, texts: &[String]) -> Result<Tensor<2>> {
        self.0.encode_texts(texts)
    }
    fn device(&self) -> Device {
        self.0.device()
    }
}

#[test]
fn an_encoder_that_differs_when_tracked_is_refused() {
    let guide = Guide {
        encoder: &Blinking(TinyEncoder::new(8, &device())),
        class_embeddings: class_embeddings(CLASSES, TinyEncoder::WIDTH),
    };
    let error = PreparedGuide::new(&guide, &device(), Precision::F32).unwrap_err();
    assert!(matches!(error, Error::DiffersWhenTracked { network, .. } if network == "blinking"));
}
