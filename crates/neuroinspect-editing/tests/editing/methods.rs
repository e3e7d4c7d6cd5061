//! Every method of the crate: that it does what it claims where the answer is known, and that its
//! record, written and read, is the method.

use std::sync::OnceLock;

use burn::tensor::Device;
use ndarray::{Array1, Array2};
use neuroinspect_core::{ClassId, DecisionLayer, FeatureTable, Metrics, NeuronId, Seed, Silent};
use neuroinspect_editing::{
    Afr, ClassBias, DecisionMethod, Dfr, Disc, EditData, EditSession, Error, Fitted, GroupBalanced,
    GroupDro, Jtt, LabelsUsed, METHODS, MethodArguments, MethodRecord, NeuronTune, Retrain,
    SelectiveFinetuning, Silence, Subject, TrainingConfig, grid_of, method_named,
};
use neuroinspect_testing::{
    assert_close,
    tables::{neuron_ids, table},
};
use serde_json::{Map, Value, json};

use crate::{fit, learning::planted, settled};

/// A shortcut in neuron 0, present in 95 % of class 0 and absent in 95 % of class 1, and the layer
/// that plain training learns from it.
struct Planted {
    train: FeatureTable,
    validation: FeatureTable,
    test: FeatureTable,
    learnt: DecisionLayer,
}

fn shortcut() -> &'static Planted {
    static PLANTED: OnceLock<Planted> = OnceLock::new();
    PLANTED.get_or_init(|| {
        let mut rng = Seed(1).rng("planted", &[]);
        let train = planted(2000, 0.95, &mut rng);
        let validation = planted(1000, 0.95, &mut rng);
        let test = planted(2000, 0.5, &mut rng);
        let nothing = DecisionLayer::new(Array2::zeros((2, 4)), Array1::zeros(2)).unwrap();
        let learnt = fit(
            &Retrain::new(training()),
            [&train, &train],
            &nothing,
            &mut Silent,
        );
        let learnt = learnt.unwrap().layer;
        Planted {
            train,
            validation,
            test,
            learnt,
        }
    })
}

pub(crate) fn training() -> TrainingConfig {
    TrainingConfig::default()
        .with_learning_rate(3e-2)
        .with_batch_size(32)
        .with_epochs(20, None)
}

pub(crate) fn arguments() -> MethodArguments {
    MethodArguments {
        class: Some(ClassId(0)),
        neurons: vec![NeuronId(0)],
        training: training(),
        ..MethodArguments::default()
    }
}

impl Planted {
    fn fit(&self, method: &dyn DecisionMethod) -> Fitted {
        fit(
            method,
            [&self.train, &self.validation],
            &self.learnt,
            &mut Silent,
        )
        .unwrap()
    }

    fn measure(&self, layer: &DecisionLayer) -> Metrics {
        self.test.predicted_by(layer).unwrap().metrics().unwrap()
    }

    fn worst_group(&self, layer: &DecisionLayer) -> f64 {
        self.measure(layer).worst_group_accuracy.unwrap()
    }
}

/// Options that some methods need here.
fn options(name: &str) -> Map<String, Value> {
    let options = match name {
        // What the shortcut alone looks like.
        Disc::NAME => json!({"concepts": [{"class": 0, "features": [2.0, 0.0, 0.0, 0.0]}]}),
        Dfr::NAME => json!({"subsets": 5}),
        NeuronTune::NAME => json!({"threshold": 1.0}),
        Afr::NAME => json!({"gamma": 4.0, "lambda": 0.0}),
        SelectiveFinetuning::NAME => json!({"samples": 60}),
        _ => json!({}),
    };
    options.as_object().unwrap().clone()
}

/// Its sentence, whether it trains by epochs, whom it is by, its class, and what of it is worth trying.
#[test]
fn every_method_says_what_it_is() {
    let said = METHODS.iter().map(|name| {
        let method = method_named(name, &arguments(), &options(name)).unwrap();
        let by = method
            .citation()
            .map(|it| it.text.split(' ').next().unwrap_or_default());
        format!(
            "{name}: {} | {} | {} | {:?} | {}\n",
            method.describe(),
            if method.training().is_some() {
                "trains"
            } else {
                "does not train"
            },
            by.unwrap_or("nobody"),
            method.class().map(|class| class.0),
            Value::Object(grid_of(name).unwrap()),
        )
    });
    assert_eq!(said.collect::<String>(), SAID);
}

const SAID: &str = r#"probability_ratio: corrects neurons 0 for class 0 by the probability ratio | trains | Ju | Some(0) | {"config":{"lambda3":[0.01,0.1,1.0],"ratio_form":["joint","per_neuron"],"training":{"learning_rate":[0.001,0.01]}}}
retrain: retrains the decision layer | trains | nobody | None | {"training":{"learning_rate":[0.001,0.01]}}
class_bias: retrains and raises the bias of class 0 by 1 | trains | nobody | Some(0) | {"strength":[1.0,0.0,0.25,0.5,0.75,1.5,2.0,3.0]}
logit_adjustment: takes 1 times the log prior off the biases | does not train | Menon | None | {"form":["post_hoc","loss"],"tau":[1.0,0.5,2.0]}
class_weighting: weights class 0 1 and all others 0.9 | trains | nobody | Some(0) | {"others":[0.9,0.95,0.5,0.25],"training":{"learning_rate":[0.001,0.01]}}
focal: trains by the focal loss with an exponent of 2 | trains | Lin | Some(0) | {"gamma":[2.0,0.0,1.0,5.0],"training":{"learning_rate":[0.001,0.01]}}
con: makes the contributions of 1 neurons to class 0 small | trains | Ju | Some(0) | {"lambda3":[0.01,0.1,1.0],"training":{"learning_rate":[0.001,0.01]}}
silence: zeroes 1 neurons and retrains without them | trains | nobody | Some(0) | {"training":{"learning_rate":[0.001,0.01]}}
single_weight: takes 1 of one weight of class 0 off | does not train | Hakemi | Some(0) | {"strength":[1.0,0.5,2.0]}
random_neurons: corrects 1 neurons drawn at random by the probability ratio | trains | nobody | Some(0) | {"config":{"lambda3":[0.01,0.1,1.0],"ratio_form":["joint","per_neuron"],"training":{"learning_rate":[0.001,0.01]}}}
neuron_tune: zeroes the neurons that are more active where the layer is wrong, and retrains | trains | Zheng | None | {"most":[0.5,0.3,0.15,0.08],"training":{"learning_rate":[0.001,0.01]}}
jtt: draws the mistakes of a short training 50 times as often | trains | Liu | None | {"factor":[50.0,20.0,100.0],"identification_epochs":[1,5],"training":{"learning_rate":[0.001,0.01]}}
afr: reweights held-out samples by exp(-4 p) | trains | Qiu | None | {"gamma":[4.0,10.0,20.0],"lambda":[0.1,0.0],"training":{"learning_rate":[0.001,0.01]}}
self: finetunes on the 60 held-out samples that an early layer sees otherwise | trains | LaBonte | None | {"early_epochs":[1,5],"samples":[500,100,20],"training":{"learning_rate":[0.001,0.01]}}
disc: mixes unstable ones of 1 concepts into other classes | trains | Wu | None | {"clusters":[2,3],"training":{"learning_rate":[0.001,0.01]}}
dfr: averages 5 regressions on group-balanced validation samples | does not train | Kirichenko | None | {}
group_dro: weights the groups of largest loss more, with a step of 0.01 | trains | Sagawa | None | {"eta":[0.01,0.1,0.001],"training":{"learning_rate":[0.001,0.01]}}
group_balanced: retrains on the groups of the training samples, drawn equally often | trains | nobody | None | {"training":{"learning_rate":[0.001,0.01]}}
auto: chooses what helps by samples it was not fitted on | trains | nobody | Some(0) | {}
"#;

#[test]
fn every_method_is_made_by_its_name_and_by_its_record() {
    let planted = shortcut();
    let data = [&planted.train, &planted.validation, &planted.test].map(Clone::clone);
    let [train, validation, test] = data;
    let data = EditData::of_parts(train, validation, test).unwrap();
    let session = EditSession::new(data, &planted.learnt, &Device::flex()).unwrap();
    for name in METHODS {
        let method = method_named(name, &arguments(), &options(name)).unwrap();
        assert_eq!(&method.name(), name);
        let edited = session.edit(&*method, &mut Silent).unwrap();
        let record = &edited.result.method;
        let read = serde_json::to_string(record).unwrap();
        let read: MethodRecord = serde_json::from_str(&read).unwrap();
        assert_eq!(&read, record);
        let again = read.known().unwrap();
        assert_eq!(again.options().unwrap(), method.options().unwrap());
        assert_eq!(planted.fit(&*again).layer, edited.layer, "{name}");
        assert!(
            record.to_string().starts_with(&method.describe()),
            "{record}"
        );
        let subject = method.class().map_or(Subject::WorstGroup, Subject::Class);
        assert_eq!(edited.result.verdict.subject, subject);
        assert_eq!(edited.result.control.is_some(), method.training().is_some());
    }
    let uses = |name| {
        method_named(name, &arguments(), &options(name))
            .unwrap()
            .labels()
    };
    for (name, labels) in [
        (Jtt::NAME, LabelsUsed::Class),
        (Dfr::NAME, LabelsUsed::GroupsOfValidation),
        (GroupDro::NAME, LabelsUsed::GroupsOfTraining),
        (GroupBalanced::NAME, LabelsUsed::GroupsOfTraining),
    ] {
        assert_eq!(uses(name), labels);
    }
}

/// Those that are to free a layer of a shortcut do, and come near the ceiling where they know of it.
#[test]
fn a_shortcut_is_unlearnt() {
    let planted = shortcut();
    let of = |name| {
        let method = method_named(name, &arguments(), &options(name)).unwrap();
        planted.worst_group(&planted.fit(&*method).layer)
    };
    let (before, ceiling) = (
        planted.worst_group(&planted.learnt),
        of(GroupBalanced::NAME),
    );
    assert!(before < 0.5 && ceiling > 0.85, "{before} {ceiling}");
    let closed = |name| (of(name) - before) / (ceiling - before);
    let plain = closed(Retrain::NAME);
    assert!(plain < 0.1, "plain training closes {plain} of the gap");
    for (name, share) in [
        (Silence::NAME, 0.9),
        (Dfr::NAME, 0.9),
        (GroupDro::NAME, 0.9),
        (NeuronTune::NAME, 0.9),
        (Jtt::NAME, 0.4),
        (Afr::NAME, 0.4),
        (SelectiveFinetuning::NAME, 0.4),
        ("probability_ratio", 0.2),
    ] {
        let closed = closed(name);
        assert!(closed > plain + share, "{name}: {closed} of the gap");
    }
}

/// Another class's row may take the contribution over: CON alone frees no layer of a shortcut.
#[test]
fn con_makes_contributions_small() {
    let options = json!({"lambda3": 1.0});
    let method = method_named("con", &arguments(), options.as_object().unwrap()).unwrap();
    let epochs = shortcut().fit(&*method).epochs;
    let (first, last) = (epochs[0].penalty, epochs[19].penalty);
    assert!(last < 0.2 * first, "{first} to {last}");
    // A weak penalty is left, and recorded of the validation samples too.
    let weak = method_named("con", &arguments(), &Map::new()).unwrap();
    let epoch = shortcut().fit(&*weak).epochs[0];
    assert!(
        epoch.penalty > 0.0 && epoch.validation_penalty > 0.0,
        "{epoch:?}"
    );
}

/// A concept mixed into the samples of other classes speaks less for its own class afterwards.
#[test]
fn disc_lets_a_concept_speak_less_for_its_class() {
    let speaks = |concept: [f32; 4]| {
        let options = json!({"concepts": [{"class": 0, "features": concept}]});
        let method = method_named(Disc::NAME, &arguments(), options.as_object().unwrap());
        let layer = shortcut().fit(&*method.unwrap()).layer;
        layer.weight()[[0, 0]] - layer.weight()[[1, 0]]
    };
    // Half of it on average: as strong as in the samples of class 0.
    let (shortcut, other) = (speaks([4.0, 0.0, 0.0, 0.0]), speaks([0.0, 0.0, 0.0, 1.0]));
    assert!(shortcut < 0.8 * other, "{shortcut} and {other}");
}

/// Samples of a class that are all alike are one environment, in which nothing is seen to be unstable.
#[test]
fn disc_mixes_concepts_of_one_environment_too() {
    let of = |sample: usize| [[4.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]][sample % 2];
    let features = Array2::from_shape_fn((40, 4), |(sample, neuron)| of(sample)[neuron]);
    let labels: Vec<usize> = (0..40).map(|sample| sample % 2).collect();
    let train = table(features, &labels, 2);
    let nothing = DecisionLayer::new(Array2::zeros((2, 4)), Array1::zeros(2)).unwrap();
    let layer = |method: &dyn DecisionMethod| {
        let fitted = fit(method, [&train, &train], &nothing, &mut Silent);
        fitted.unwrap().layer
    };
    let options = json!({"concepts": [{"class": 0, "features": [4.0, 0.0, 0.0, 0.0]}]});
    let disc = method_named(Disc::NAME, &arguments(), options.as_object().unwrap()).unwrap();
    let speaks = |layer: &DecisionLayer| layer.weight()[[0, 0]] - layer.weight()[[1, 0]];
    let (mixed, plain) = (
        speaks(&layer(&*disc)),
        speaks(&layer(&Retrain::new(training()))),
    );
    assert!(mixed < 0.8 * plain, "{mixed} and {plain}");
}

#[test]
fn a_layer_held_by_afr_stays_where_it_was() {
    let options = json!({"lambda": 1e3});
    let method = method_named(Afr::NAME, &arguments(), options.as_object().unwrap()).unwrap();
    let planted = shortcut();
    let weight = |layer: &DecisionLayer| layer.weight().iter().copied().collect::<Vec<f32>>();
    let held = planted.fit(&*method).layer;
    assert_close(weight(&held), weight(&planted.learnt), 0.0, 0.05);
}

#[test]
fn names_arguments_and_options_that_do_not_fit_are_refused() {
    let refused = |name: &str, arguments: MethodArguments, options: Value| {
        method_named(name, &arguments, options.as_object().unwrap()).unwrap_err()
    };
    let error = refused("jtr", arguments(), json!({}));
    assert!(
        error
            .to_string()
            .contains("'jtr'; the methods are probability_ratio, retrain")
    );
    let error = refused(
        "con",
        MethodArguments {
            class: None,
            ..arguments()
        },
        json!({}),
    );
    assert!(
        matches!(error, Error::Missing { method: "con", .. }),
        "{error}"
    );
    let error = refused(
        "silence",
        MethodArguments {
            neurons: vec![],
            ..arguments()
        },
        json!({}),
    );
    assert!(
        error.to_string().contains("the neurons to be corrected"),
        "{error}"
    );
    let error = refused("jtt", arguments(), json!({"fuctor": 2}));
    assert!(error.to_string().contains("fuctor"), "{error}");
    let options = json!({"training": {"epochs": 3}, "factor": 7});
    let method = method_named("jtt", &arguments(), options.as_object().unwrap()).unwrap();
    let options = method.options().unwrap();
    assert_eq!(
        (&options["factor"], &options["training"]["epochs"]),
        (&json!(7.0), &json!(3))
    );
    assert_eq!(
        options["training"]["batch_size"], 32,
        "the rest is that of the arguments"
    );
}

/// Options out of range, and samples that a method can do nothing with.
#[test]
fn what_a_method_cannot_do_is_an_error() {
    let (samples, layer) = settled();
    for (name, options, message) in [
        (
            "jtt",
            json!({"identification_epochs": 0}),
            "identification_epochs",
        ),
        ("self", json!({"early_epochs": 0}), "early_epochs"),
        (
            "self",
            json!({"training": {"keep": "accuracy"}}),
            "training.keep",
        ),
        (
            "afr",
            json!({"training": {"keep": "worst_class"}}),
            "training.keep",
        ),
        ("class_bias", json!({"strength": 1e300}), "strength"),
        ("single_weight", json!({"strength": 1e300}), "strength"),
        ("logit_adjustment", json!({"tau": 1e300}), "tau"),
        (
            "random_neurons",
            json!({"suspected": [0, 0]}),
            "neuron 0 is named twice",
        ),
        ("jtt", json!({"factor": 0.5}), "factor"),
        ("afr", json!({"gamma": -1}), "gamma"),
        ("afr", json!({"lambda": -1}), "lambda"),
        ("self", json!({"samples": 0}), "samples"),
        ("focal", json!({"gamma": 0.5}), "gamma"),
        ("class_weighting", json!({"others": -1}), "others"),
        ("con", json!({"lambda3": -1}), "lambda3"),
        ("con", json!({"class": 9}), "class 9"),
        ("neuron_tune", json!({"most": 1.0}), "most"),
        (
            "random_neurons",
            json!({"suspected": [0, 1]}),
            "only 0 are left",
        ),
        (
            "single_weight",
            json!({"class": 1, "neurons": [0]}),
            "no neuron speaks for class 1",
        ),
        (
            "disc",
            json!({}),
            "needs concepts of classes below 2, each of 2 features",
        ),
        (
            "disc",
            json!({"concepts": [{"class": 0, "features": [1.0]}]}),
            "needs concepts",
        ),
        (
            "disc",
            json!({"concepts": [{"class": 0, "features": [1.0, 0.0]}], "clusters": 1}),
            "clusters",
        ),
        ("dfr", json!({}), "validation samples have no groups"),
        ("dfr", json!({"inverse_strengths": []}), "inverse_strengths"),
        ("dfr", json!({"steps": 0}), "steps"),
        ("dfr", json!({"subsets": 0}), "subsets"),
        ("group_dro", json!({}), "training samples have no groups"),
        ("group_dro", json!({"eta": -1}), "eta"),
        (
            "group_balanced",
            json!({}),
            "training samples have no groups",
        ),
    ] {
        let method = method_named(name, &arguments(), options.as_object().unwrap()).unwrap();
        let error = fit(&*method, [&samples, &samples], &layer, &mut Silent).unwrap_err();
        assert!(error.to_string().contains(message), "{name}: {error}");
    }
}

#[test]
fn a_bias_is_raised_by_what_was_asked_for() {
    let planted = shortcut();
    let bias = |strength, training| {
        let method = ClassBias {
            class: ClassId(1),
            strength,
            training,
        };
        planted.fit(&method).layer
    };
    let raised = bias(1.5, None);
    assert_eq!(raised.weight(), planted.learnt.weight());
    let change = &raised.bias() - &planted.learnt.bias();
    assert_close(change.to_vec(), [0.0, 1.5_f32], 0.0, 1e-6);
    let retrained = planted.fit(&Retrain::new(training())).layer;
    assert_eq!(bias(0.0, Some(training())), retrained);
    let accuracy = |strength| planted.measure(&bias(strength, None)).class_accuracy[1].unwrap();
    assert!(accuracy(-2.0) < accuracy(0.0) && accuracy(0.0) < accuracy(2.0));
}

#[test]
fn silenced_neurons_have_no_weight_and_the_others_learn() {
    let planted = shortcut();
    let method = Silence {
        neurons: neuron_ids(&[0, 3]),
        class: None,
        training: training(),
    };
    let layer = planted.fit(&method).layer;
    for neuron in [0, 3] {
        assert!(
            layer
                .weight()
                .column(neuron)
                .iter()
                .all(|&weight| weight == 0.0)
        );
    }
    assert_ne!(layer.weight().column(1), planted.learnt.weight().column(1));
}

/// The strength with the best worst group on the half held out is one of those given.
#[test]
fn dfr_says_which_strength_it_chose() {
    let planted = shortcut();
    let dfr = |inverse_strengths: &[f64]| {
        let inverse_strengths = inverse_strengths.to_vec();
        planted.fit(&Dfr {
            inverse_strengths,
            subsets: 2,
            ..Dfr::default()
        })
    };
    // At 1e-6 nothing is learnt at all.
    let fitted = dfr(&[1e-6, 1.0]);
    assert_eq!(fitted.derived[Dfr::CHOSEN], 1.0);
    assert_eq!(fitted.layer, dfr(&[1.0]).layer);
    let nothing = dfr(&[1e-6]).layer;
    assert!(nothing.weight().iter().all(|&weight| weight == 0.0));
}
