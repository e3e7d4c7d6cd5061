//! A Burn model of one's own, with what has a state of its own: nothing that is done with it changes
//! it.

use burn::{module::Module, tensor::Device};
use image::{Rgb, RgbImage};
use neuroinspect::{
    burn,
    datasets::{Result as DataResult, Sample},
    illusion::Objective,
    prelude::*,
};
use neuroinspect_testing::networks::TrainedClassifier;

/// Colours, labelled at random.
struct Colours {
    names: [String; 4],
    samples: Vec<Sample>,
}

impl Colours {
    fn new() -> Self {
        let sample = |index: usize| Sample {
            id: format!("colour {index}"),
            label: ClassId(usize::from(index.is_multiple_of(3))),
            group: None,
        };
        Self {
            names: ["many", "few", "none", "no more"].map(String::from),
            samples: (0..60).map(sample).collect(),
        }
    }
}

impl ImageDataset for Colours {
    fn name(&self) -> &str {
        "colours"
    }
    fn class_names(&self) -> &[String] {
        &self.names
    }
    fn samples(&self) -> &[Sample] {
        &self.samples
    }
    fn image(&self, index: usize) -> DataResult<RgbImage> {
        self.sample(index)?;
        Ok(RgbImage::from_fn(12, 12, |x, y| {
            let [x, y] = [x, y].map(|it| 9 * it as u8);
            Rgb([x.wrapping_mul(index as u8), y, 4 * index as u8])
        }))
    }
}

#[test]
fn a_model_in_training_is_debugged_as_it_is_in_evaluation_and_stays_as_it_was() {
    let colours = Colours::new();
    // Both the state that training leaves and the one after it.
    for device in [Device::flex().autodiff(), Device::flex()] {
        let net = TrainedClassifier::new(12, &device);
        let statistics = net.statistics();
        let extraction = Extraction::new(&net, &colours);
        let table = extract_features(&extraction, &mut Silent).unwrap().table;
        // Dropout would make it another one each time.
        let again = extract_features(&extraction, &mut Silent).unwrap().table;
        assert_eq!(again, table);
        let of_copy = extract_features(
            &Extraction::new(&net.clone().valid(), &colours),
            &mut Silent,
        );
        assert_eq!(
            of_copy.unwrap().table.features().unwrap(),
            table.features().unwrap()
        );

        let layer = net.decision_layer().unwrap();
        let predicted = table.predicted_by(&layer).unwrap();
        let class = [0, 1]
            .map(ClassId)
            .into_iter()
            .find(|&class| !predicted.mistakes(class).unwrap().is_empty())
            .unwrap();
        let recipe = Recipe::default()
            .with_steps(20)
            .with_objective(Objective::without_clip(0.5));
        let config = DebugConfig::default()
            .with_neurons(NeuronChoice::Given(vec![NeuronId(1), NeuronId(4)]))
            .with_recipe(recipe);
        let findings = debug(&DebugInputs::new(&net, &table), class, &config, &mut Silent);
        let findings = findings.unwrap();
        assert_eq!(findings.failures, []);
        assert_eq!(findings.pictures.len(), 2);

        assert_eq!(net.statistics(), statistics);
        assert_eq!(net.decision_layer().unwrap(), layer);
        let after = extract_features(&extraction, &mut Silent).unwrap().table;
        assert_eq!(after, table);
    }
}
