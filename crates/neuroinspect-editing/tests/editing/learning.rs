//! What training learns: plain retraining without the ratio, and a planted shortcut unlearnt with it.

use ndarray::{Array1, Array2, Axis, array};
use neuroinspect_core::{ClassId, DecisionLayer, FeatureTable, Groups, Metrics, Seed, Silent};
use neuroinspect_counterfactual::importance;
use neuroinspect_editing::{
    Comparison, EditConfig, EditScope, Fitted, Keep, RatioForm, RatioNorm, Schedule, Target,
    TrainingConfig,
};
use neuroinspect_testing::{assert_close, fill, largest_difference, tables::layer};
use proptest::{collection::vec, prelude::*};
use rand::{Rng, RngExt};

use crate::{fit, ratio_edit, retrained, settled, table, trained, training};

/// Full-batch cross-entropy by Adam in double precision: plain retraining.
fn by_hand(
    train: &FeatureTable,
    layer: &DecisionLayer,
    rate: f64,
    decay: f64,
    steps: i32,
) -> (Array2<f64>, Array1<f64>) {
    let features = train.features().unwrap().mapv(f64::from);
    let samples = train.len();
    // The bias is one more column of W, for a feature that is always 1.
    let features = ndarray::concatenate![Axis(1), features, Array2::ones((samples, 1))];
    let bias = layer.bias().insert_axis(Axis(1));
    let mut weight = ndarray::concatenate![Axis(1), layer.weight(), bias].mapv(f64::from);
    let (mut mean, mut square) = (
        Array2::<f64>::zeros(weight.dim()),
        Array2::<f64>::zeros(weight.dim()),
    );
    for step in 1..=steps {
        let mut residual = features.dot(&weight.t()).mapv(f64::exp);
        for (mut row, label) in residual.rows_mut().into_iter().zip(train.labels()) {
            row /= row.sum();
            row[label.0] -= 1.0;
        }
        let gradient = residual.t().dot(&features) / samples as f64 + &weight * decay;
        mean = mean * 0.9 + &gradient * 0.1;
        square = square * 0.999 + &(&gradient * &gradient) * 0.001;
        let correction = (1.0 - 0.999_f64.powi(step)).sqrt();
        let divisor = square.mapv(f64::sqrt) / correction + 1e-8;
        weight -= &(&mean / &divisor * (rate / (1.0 - 0.9_f64.powi(step))));
    }
    let neurons = train.neurons();
    let (weight, bias) = weight.view().split_at(Axis(1), neurons);
    (weight.to_owned(), bias.column(0).to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn retraining_is_adam_on_the_cross_entropy(
        features in vec(0.0_f32..1.5, 7 * 3),
        weight in vec(-1.0_f32..1.0, 4 * 3),
        bias in vec(-0.5_f32..0.5, 4),
        labels in vec(0_usize..4, 7),
        decay in 0.0_f64..0.1,
    ) {
        let train = table(Array2::from_shape_vec((7, 3), features).unwrap(), &labels, 4);
        let layer = DecisionLayer::new(Array2::from_shape_vec((4, 3), weight).unwrap(), bias.into()).unwrap();
        let training = TrainingConfig::default().with_weight_decay(decay).with_learning_rate(1e-2)
            .with_epochs(6, None).with_batch_size(7).with_schedule(Schedule::Constant);
        let edited = retrained(&train, &layer, &training);
        let (weight, bias) = by_hand(&train, &layer, 1e-2, decay, 6);
        let weights = edited.layer.weight().iter().zip(&weight).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        let biases = edited.layer.bias().iter().zip(&bias).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        // Adam moves a weight by up to 1e-2 a step whatever the size of its gradient: where that is
        // near 0, rounding in single precision (1e-7, of gradients seldom below 1e-4) turns into a
        // thousandth of a step.
        prop_assert!(weights.max(biases) < 1e-4, "{} and {} off", weights, biases);
    }
}

/// Samples of two classes over four neurons: 0 is the shortcut (present with class 0 as often as
/// `correlation` says, absent with class 1 as often), 1 and 2 are the cores of class 0 and 1, and
/// 3 is noise. Groups tell class and shortcut apart.
pub(crate) fn planted(samples: usize, correlation: f64, rng: &mut impl Rng) -> FeatureTable {
    let mut features = Array2::zeros((samples, 4));
    let mut labels = Vec::new();
    let mut of_sample = Vec::new();
    for mut row in features.rows_mut() {
        let class = rng.random_range(0..2_usize);
        let shortcut = (class == 0) == rng.random_bool(correlation);
        let noise =
            |rng: &mut dyn Rng| -> f32 { (0..4).map(|_| rng.random_range(-0.5_f32..0.5)).sum() };
        row[0] = if shortcut { 2.0 } else { 0.0 };
        row[1] = (if class == 0 { 1.0 } else { 0.0 }) + noise(rng);
        row[2] = (if class == 1 { 1.0 } else { 0.0 }) + noise(rng);
        row[3] = noise(rng);
        labels.push(class);
        of_sample.push(2 * class + usize::from(!shortcut));
    }
    let names = ["0 with", "0 without", "1 with", "1 without"]
        .map(String::from)
        .to_vec();
    table(features, &labels, 2)
        .with_groups(Groups::new(names, of_sample).unwrap())
        .unwrap()
}

#[test]
fn a_planted_shortcut_is_unlearnt() {
    let class = ClassId(0);
    let mut rng = Seed(1).rng("planted", &[]);
    let train = planted(2000, 0.95, &mut rng);
    let validation = planted(500, 0.95, &mut rng);
    let test = planted(2000, 0.5, &mut rng);
    let nothing = DecisionLayer::new(Array2::zeros((2, 4)), Array1::zeros(2)).unwrap();
    let plain = TrainingConfig::default()
        .with_learning_rate(3e-2)
        .with_batch_size(32)
        .with_epochs(20, None);
    let learnt = retrained(&train, &nothing, &plain).layer;
    let mean = validation.mean_features().unwrap();
    let influence = |layer: &DecisionLayer| importance(layer, mean.view(), class).unwrap()[0];
    let learnt_influence = influence(&learnt);
    assert!(
        learnt_influence > 5.0,
        "the shortcut was learnt: {learnt_influence}"
    );

    for target in [1.0, 1.1] {
        let edited = |training: TrainingConfig| {
            let config = EditConfig::default()
                .with_target(Target::Fixed(target))
                .with_lambda3(0.1)
                .with_training(training);
            let edit = ratio_edit(&[0], EditScope::Class(class), &config);
            fit(&edit, [&train, &validation], &learnt, &mut Silent).unwrap()
        };
        let strict = edited(plain.clone());
        let r = influence(&strict.layer);
        // Pulled to the target sample by sample, against the cross-entropy: at the mean features it
        // comes near.
        assert!((r - target).abs() < 0.05, "ratio {r} for {target}");
        let comparison = Comparison::new(&test, &learnt, &strict.layer).unwrap();
        let without = |metrics: &Metrics| metrics.group_accuracy.as_ref().unwrap()[1].unwrap();
        let (before, after) = (without(&comparison.before), without(&comparison.after));
        assert!(
            after > before + 0.3,
            "class 0 without the shortcut: {before} to {after}"
        );
        assert!(comparison.after.worst_group_accuracy > comparison.before.worst_group_accuracy);

        // The validation table has the shortcut too, and prefers a layer that still leans on it.
        let lenient = edited(plain.clone().with_keep(Keep::Accuracy));
        assert!(lenient.kept_epoch < Some(20) && influence(&lenient.layer) > r);
    }
}

#[test]
fn every_form_and_norm_lowers_the_ratio() {
    let mut rng = Seed(2).rng("planted", &[]);
    let train = planted(500, 0.9, &mut rng);
    let layer = DecisionLayer::new(
        array![[1.0, 1.0, -1.0, 0.0], [-1.0, -1.0, 1.0, 0.0]],
        Array1::zeros(2),
    )
    .unwrap();
    for scope in [EditScope::Class(ClassId(0)), EditScope::AllClasses] {
        for form in [RatioForm::Joint, RatioForm::PerNeuron] {
            for norm in [RatioNorm::L2, RatioNorm::RootMeanSquare] {
                let config = training(|it| it.with_learning_rate(1e-2).with_epochs(8, None))
                    .with_target(Target::Fixed(1.0))
                    .with_ratio(form, norm)
                    .with_lambda3(5.0);
                let edit = ratio_edit(&[0, 3], scope, &config);
                let edited = fit(&edit, [&train, &train], &layer, &mut Silent).unwrap();
                let penalty = |index: usize| edited.epochs[index].penalty;
                assert!(
                    penalty(7) < 0.5 * penalty(0),
                    "{scope:?} {form:?} {norm:?}: {} to {}",
                    penalty(0),
                    penalty(7)
                );
            }
        }
    }
}

#[test]
fn the_seed_decides_everything() {
    let mut rng = Seed(3).rng("planted", &[]);
    let train = planted(100, 0.9, &mut rng);
    let layer = DecisionLayer::new(Array2::ones((2, 4)), Array1::zeros(2)).unwrap();
    let with = |seed| {
        let config = training(|it| {
            it.with_batch_size(8)
                .with_epochs(2, None)
                .with_seed(Seed(seed))
        });
        trained(&train, &layer, &config)
    };
    assert_eq!(with(1), with(1));
    assert_ne!(with(1).layer, with(2).layer);
}

#[test]
fn the_schedule_reaches_the_optimizer() {
    let (train, layer) = settled();
    // Both samples are one batch, each epoch one step.
    let after = |epochs, schedule| {
        let config = training(|it| it.with_epochs(epochs, None).with_schedule(schedule));
        trained(&train, &layer, &config).layer
    };
    let constant = after(3, Schedule::Constant);
    assert_ne!(constant, after(1, Schedule::Constant));
    // The last of three steps is in the fall.
    assert_ne!(after(3, Schedule::Warmup), constant);
    // The original's walk begins with the full rate, and has a rate of 0 from then on.
    let walk = Schedule::OriginalWarmup;
    assert_eq!(after(1, walk), after(1, Schedule::Constant));
    assert_eq!(after(3, walk), after(1, walk));
    assert_ne!(after(1, walk), layer);
}

#[test]
fn an_automatic_target_leaves_a_third_of_the_least_influence() {
    let layer =
        DecisionLayer::new(array![[0.9, 0.4, -0.5], [0.0, 0.0, 0.0]], Array1::zeros(2)).unwrap();
    let train = table(array![[1.0, 1.0, 1.0], [0.0, 0.5, 0.0]], &[0, 1], 2);
    let config = training(|it| it.with_epochs(1, None));
    let run = |table: &FeatureTable,
               layer: &DecisionLayer,
               neurons: &[usize],
               scope,
               config: &EditConfig| {
        let edit = ratio_edit(neurons, scope, config);
        fit(&edit, [table, table], layer, &mut Silent).unwrap()
    };
    let of = |fitted: &Fitted| fitted.derived["target"];
    let target = |neurons: &[usize], scope| of(&run(&train, &layer, neurons, scope, &config));
    let mean = train.mean_features().unwrap();
    let r = [0, 1].map(|class| importance(&layer, mean.view(), ClassId(class)).unwrap());
    assert!(r[0][0] > r[0][1] && r[0][1] > 1.0 && r[0][2] < 1.0);
    let one = EditScope::Class(ClassId(0));
    assert_eq!(target(&[0, 1], one), 1.0 + (r[0][1] - 1.0) / 3.0);
    assert_eq!(target(&[0, 2], one), 1.0, "never below 1");
    let of_class = config.clone().with_target(Target::AutoOfClass);
    let own = importance(&layer, train.feature(0).unwrap().view(), ClassId(0)).unwrap();
    let found = of(&run(&train, &layer, &[1], one, &of_class));
    assert_eq!(found, 1.0 + (own[1] - 1.0) / 3.0);
    assert!(found > target(&[1], one));
    let both = (0.0 + r[0][2] + r[1][2]) / 2.0;
    assert_eq!(
        target(&[2], EditScope::AllClasses),
        (1.0 + (both - 1.0) / 3.0).max(1.0)
    );
    // Importances of e^300 and more: the target is what a ratio can come to, p / (q + 1e-9).
    for weight in [300.0, 3000.0] {
        let layer = DecisionLayer::new(array![[weight], [0.0]], array![-weight, 0.0]).unwrap();
        let sure = table(array![[1.0], [1.0]], &[0, 1], 2);
        for (scope, most) in [(one, 1e9), (EditScope::AllClasses, 5e8)] {
            let edited = run(&sure, &layer, &[0], scope, &config);
            let expected = 1.0 + (most - 1.0) / 3.0;
            assert!((of(&edited) - expected).abs() < 1.0, "{}", of(&edited));
            assert!(edited.epochs[0].loss.is_finite());
        }
    }
    let fixed = config.clone().with_target(Target::Fixed(1.25));
    assert_eq!(of(&run(&train, &layer, &[0], one, &fixed)), 1.25);
}

/// A layer so wide that each batch is handed over by itself, where its narrow half goes in one piece: neurons that are
/// always 0 change nothing of what the others learn, whose rate depends on the step.
#[test]
fn batches_handed_over_one_by_one_teach_the_same() {
    let (samples, neurons, classes) = (40, 3, 2);
    let values = fill::normal("features of turns", samples * neurons);
    let features = Array2::from_shape_vec((samples, neurons), values).unwrap();
    let labels: Vec<usize> = (0..samples).map(|sample| sample % classes).collect();
    let padded = |wide: usize, narrow: &Array2<f32>| {
        let zeros = Array2::zeros((narrow.nrows(), wide - neurons));
        ndarray::concatenate![Axis(1), narrow.view(), zeros]
    };
    let start = array![[0.1, -0.2, 0.3], [0.0, 0.2, -0.1]];
    let config = TrainingConfig {
        batch_size: 16,
        epochs: 3,
        schedule: Schedule::Warmup,
        ..TrainingConfig::default()
    };
    let of_width = |wide: usize| {
        let table = table(padded(wide, &features), &labels, classes);
        let layer = layer(padded(wide, &start));
        let fitted = retrained(&table, &layer, &config);
        let weight = fitted.layer.weight();
        let (learnt, _) = weight.view().split_at(Axis(1), neurons);
        (learnt.to_owned(), fitted.epochs)
    };
    // 16 samples by 2 classes by so many neurons are the products of a turn.
    let (one_by_one, epochs) = of_width(1 << 17);
    let (in_one, expected) = of_width(neurons);
    assert_close(&one_by_one, &in_one, 0.0, 1e-6);
    let moved = largest_difference(&in_one, &start);
    assert!(moved > 1e-3, "{moved}: nothing was learnt");
    for (epoch, expected) in epochs.iter().zip(&expected) {
        assert!((epoch.loss - expected.loss).abs() < 1e-6, "{epoch:?}");
    }
}
