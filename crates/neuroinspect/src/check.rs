//! A guard for somebody's own tests: limits to a classifier's accuracies, and what changed against an
//! earlier check of another checkpoint.

mod limit;

use derive_setters::Setters;
use ndarray::ArrayView1;
use neuroinspect_core::{
    ClassId, FeatureTable, Metrics, NeuronId, Observer, Predicted, check_option,
};
use neuroinspect_counterfactual::{
    CounterfactualConfig, Explainer, NeuronStability, RankingConfig, StabilityConfig, importances,
    rank, stability,
};
use neuroinspect_editing::percent;
use neuroinspect_report::{ChangeOf, Check, CheckReport, ClassCheck, NeuronChange, Reliance, Run};

pub use self::limit::{Limit, Measure};
use crate::{Error, Result, burn::tensor::Device};

/// Options of [`check`].
#[derive(Clone, Debug, PartialEq, Setters)]
#[setters(prefix = "with_")]
pub struct CheckConfig {
    /// The least that accuracies may be. Default: none.
    pub limits: Vec<Limit>,
    /// By how much an accuracy may be below that of the earlier check; 0.02.
    pub tolerance: f64,
    /// By what factor the importance of a neuron may be further from 1 than in the earlier check; 1.25.
    pub factor: f64,
    /// Mistakes of a class below which its rankings are not compared, as intervals of so few say little; 20.
    pub least_mistakes: usize,
    /// How many neurons a class relies on are noted, the most first; 10.
    pub relies_on: usize,
    /// The classes whose neurons are looked at. Default: all, `None`.
    #[setters(strip_option)]
    pub classes: Option<Vec<ClassId>>,
    /// How mistakes are explained.
    pub counterfactual: CounterfactualConfig,
    /// How neurons are ranked.
    pub ranking: RankingConfig,
    /// How it is told which changes of a ranking are more than chance.
    pub stability: StabilityConfig,
}

impl Default for CheckConfig {
    fn default() -> Self {
        Self {
            limits: Vec::new(),
            tolerance: 0.02,
            factor: 1.25,
            least_mistakes: 20,
            relies_on: 10,
            classes: None,
            counterfactual: CounterfactualConfig::default(),
            ranking: RankingConfig::default(),
            stability: StabilityConfig::default(),
        }
    }
}

impl CheckConfig {
    /// Checks every option, limits by the names of the classes that there are to be.
    ///
    /// # Errors
    ///
    /// The first option that is out of range, or limit of a class that there is not, by name.
    pub fn validate(&self, class_names: &[String]) -> Result<()> {
        let share = (0.0..=1.0).contains(&self.tolerance);
        check_option("tolerance", self.tolerance, share, "from 0 to 1")?;
        let above_1 = self.factor > 1.0 && self.factor.is_finite();
        check_option("factor", self.factor, above_1, "a number above 1")?;
        check_option(
            "relies_on",
            self.relies_on,
            self.relies_on > 0,
            "at least 1",
        )?;
        for class in self.classes.iter().flatten() {
            class.check(class_names.len())?;
        }
        for limit in &self.limits {
            limit.of.check_class(class_names)?;
        }
        self.counterfactual.validate()?;
        self.ranking.validate()?;
        Ok(self.stability.validate()?)
    }
}

/// Checks a classifier by its features of samples: [limits](CheckConfig::limits) to accuracies, and, where
/// there is an earlier check, whether
///
/// - an accuracy, on average, of the worst class or group, or of a class, fell by more than the
///   [tolerance](CheckConfig::tolerance);
/// - a class's mistakes are owed to a neuron more than then: its prec@K in 95 % of
///   [draws](neuroinspect_counterfactual::stability()) of the mistakes is above that of the earlier check;
/// - a class relies on a neuron more than then: its importance is further from 1, by more than a
///   [factor](CheckConfig::factor). What was on the other side of 1 counts as 1.
///
/// What became less is a [change](CheckReport::changes), too, but no check fails for it. Neurons are
/// compared where both classifiers have as many, by their numbers: of networks that were trained apart,
/// numbers do not mean the same. The report's [`run`](CheckReport::run) names the table and is to be
/// replaced by who knows more.
///
/// # Errors
///
/// When an option is out of range, a limit names a group that there is not, the earlier check is of other
/// classes, the mistakes cannot be explained, or the observer asks to stop.
pub fn check(
    predicted: &Predicted<'_>,
    config: &CheckConfig,
    earlier: Option<&CheckReport>,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<CheckReport> {
    let table = predicted.table();
    config.validate(table.class_names())?;
    if let Some(earlier) = earlier {
        check_classes(earlier, table)?;
    }
    let groups = table.groups();
    let provenance = table.provenance();
    let mut report = CheckReport {
        checks: Vec::new(),
        metrics: predicted.metrics()?,
        class_names: table.class_names().to_vec(),
        group_names: groups.map_or_else(Vec::new, |groups| groups.names().to_vec()),
        neurons: table.neurons(),
        classes: Vec::new(),
        changes: Vec::new(),
        run: Run::new(
            &provenance.model,
            "a table",
            format!("{device:?}"),
            config.stability.seed,
        ),
    };
    for limit in &config.limits {
        let check = limit.check(&report)?;
        report.checks.push(check);
    }
    let all = (0..table.classes()).map(ClassId).collect();
    let mut classes = config.classes.clone().unwrap_or(all);
    classes.sort_unstable();
    classes.dedup();
    let mean = table.mean_features()?;
    let neurons: Vec<_> = (0..table.neurons()).map(NeuronId).collect();
    let importances = importances(predicted.layer(), mean.view(), &classes, &neurons)?;
    let looking = Looking {
        predicted,
        mean: mean.view(),
        config,
        device,
    };
    for (&class, importances) in classes.iter().zip(importances.rows()) {
        report
            .classes
            .push(looking.at(class, importances, observer)?);
    }
    if let Some(earlier) = earlier {
        let mut checks = fallen(&report, earlier, config.tolerance);
        if report.neurons == earlier.neurons {
            let mut changes = Vec::new();
            for now in &report.classes {
                let Some(then) = earlier.classes.iter().find(|it| it.class == now.class) else {
                    checks.push(Check {
                        name: format!("neurons of {}", report.class_names[now.class.0]),
                        passed: true,
                        found: "not compared: the earlier check did not look at them".to_owned(),
                    });
                    continue;
                };
                let mut of_class = Vec::new();
                checks.push(mistakes_owed(&report, [now, then], config, &mut of_class));
                checks.push(relied_on(
                    &report,
                    [now, then],
                    config.factor,
                    &mut of_class,
                ));
                changes.extend(of_class);
            }
            report.changes = changes;
        }
        report.checks.extend(checks);
    }
    Ok(report)
}

/// Refuses an earlier check of other classes.
fn check_classes(earlier: &CheckReport, table: &FeatureTable) -> Result<()> {
    let (theirs, ours) = (&earlier.class_names, table.class_names());
    if theirs == ours {
        return Ok(());
    }
    let first = |names: &[String]| names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    Err(Error::OtherCheck {
        theirs: theirs.len(),
        their_names: first(theirs),
        ours: ours.len(),
        our_names: first(ours),
    })
}

/// What all classes are looked at with.
struct Looking<'a> {
    predicted: &'a Predicted<'a>,
    /// Of all samples: `[D]`.
    mean: ArrayView1<'a, f32>,
    config: &'a CheckConfig,
    device: &'a Device,
}

impl Looking<'_> {
    /// What a class's mistakes and probability rest on; `importances` of all neurons for it, `[D]`.
    fn at(
        &self,
        class: ClassId,
        importances: ArrayView1<'_, f64>,
        observer: &mut dyn Observer,
    ) -> Result<ClassCheck> {
        let Self {
            predicted, config, ..
        } = *self;
        let mut relies_on: Vec<_> = (importances.iter().enumerate())
            .map(|(neuron, &importance)| Reliance {
                neuron: NeuronId(neuron),
                importance,
            })
            .collect();
        relies_on.sort_by(|a, b| weight(b.importance).total_cmp(&weight(a.importance)));
        relies_on.truncate(config.relies_on);
        let mut found = ClassCheck {
            class,
            ranking: None,
            stability: None,
            relies_on,
        };
        if !predicted.has_mistakes(class)? {
            return Ok(found);
        }
        let explanation = Explainer::new(self.device)
            .with_config(config.counterfactual.clone())
            .explain(predicted, class, observer)?;
        let ranking = rank(&explanation, predicted.layer(), self.mean, &config.ranking)?;
        found.ranking = Some(ranking);
        found.stability = Some(stability(&explanation, &config.ranking, &config.stability)?);
        Ok(found)
    }
}

/// How far an importance is from 1, either way.
fn weight(importance: f64) -> f64 {
    importance.max(f64::MIN_POSITIVE).ln().abs()
}

/// Whether accuracies are below those of an earlier check.
fn fallen(now: &CheckReport, then: &CheckReport, tolerance: f64) -> Vec<Check> {
    let worst_class = |metrics: &Metrics| Some(metrics.worst_class_accuracy);
    let mut measures: Vec<(String, Option<f64>, Option<f64>)> = vec![
        (
            "average".into(),
            Some(then.metrics.accuracy),
            Some(now.metrics.accuracy),
        ),
        (
            "worst_class".into(),
            worst_class(&then.metrics),
            worst_class(&now.metrics),
        ),
        (
            "worst_group".into(),
            then.metrics.worst_group_accuracy,
            now.metrics.worst_group_accuracy,
        ),
    ];
    let of_classes = then
        .metrics
        .class_accuracy
        .iter()
        .zip(&now.metrics.class_accuracy);
    for (name, (then, now)) in now.class_names.iter().zip(of_classes) {
        measures.push((format!("class.{name}"), *then, *now));
    }
    let measured = measures
        .into_iter()
        .filter_map(|(name, then, now)| Some((name, then?, now)));
    let check = measured.map(|(name, then, now)| Check {
        name: format!("{name} fell by no more than {}", percent(tolerance)),
        // What is as it was to the last digit shown did not fall; what cannot be measured any more may have.
        passed: now.is_some_and(|now| now >= then - tolerance - 1e-9),
        found: match now {
            Some(now) => format!("{}, before {}", percent(now), percent(then)),
            None => format!("it cannot be measured any more, before {}", percent(then)),
        },
    });
    check.collect()
}

/// Whether a class's mistakes are owed to no neuron more than then, and the neurons of which it is otherwise.
fn mistakes_owed(
    report: &CheckReport,
    [now, then]: [&ClassCheck; 2],
    config: &CheckConfig,
    changes: &mut Vec<NeuronChange>,
) -> Check {
    let name = &report.class_names[now.class.0];
    let name = format!("no neuron is behind more mistakes of {name}");
    let mistakes = |of: &ClassCheck| of.ranking.as_ref().map_or(0, |ranking| ranking.mistakes);
    let (of_now, of_then, needed) = (mistakes(now), mistakes(then), config.least_mistakes);
    // Without mistakes, none are owed to a neuron.
    if of_now > 0 && of_now.min(of_then) < needed {
        return Check {
            name,
            passed: true,
            found: format!(
                "not compared: {of_now} mistakes now, {of_then} before, and {needed} are needed"
            ),
        };
    }
    let mut grown = Vec::new();
    for of in [ChangeOf::Insufficient, ChangeOf::Excessive] {
        let (now_list, then_list) = (drawn(now, of), drawn(then, of));
        for neuron in all_neurons(now_list, then_list, |it| it.neuron) {
            let [low, high] = range(now_list, neuron, &config.ranking);
            let [low_then, high_then] = range(then_list, neuron, &config.ranking);
            if low <= high_then && low_then <= high {
                continue;
            }
            let change = NeuronChange {
                class: now.class,
                neuron,
                of,
                before: share_of(then, of, neuron),
                after: share_of(now, of, neuron),
                grew: low > high_then,
            };
            let share = |share: Option<f64>| share.map_or("not listed".to_owned(), percent);
            if change.grew {
                let (after, before) = (share(change.after), share(change.before));
                grown.push(format!(
                    "neuron {neuron}: {} {after}, before {before}",
                    of.words()
                ));
            }
            changes.push(change);
        }
    }
    none_of(name, &grown)
}

/// Whether a class relies on no neuron more than then, and the neurons of which it is otherwise.
fn relied_on(
    report: &CheckReport,
    [now, then]: [&ClassCheck; 2],
    factor: f64,
    changes: &mut Vec<NeuronChange>,
) -> Check {
    let mut grown = Vec::new();
    for neuron in all_neurons(&now.relies_on, &then.relies_on, |it| it.neuron) {
        let listed = |check: &ClassCheck| {
            let found = check.relies_on.iter().find(|it| it.neuron == neuron);
            found.map(|found| found.importance)
        };
        let (after, before) = (listed(now), listed(then));
        // How far from 1 at least and at most: one that is not listed is nearer than the last that is.
        let far = |check: &ClassCheck, importance: Option<f64>| match importance {
            Some(importance) => [weight(importance); 2],
            None => {
                let last = check.relies_on.last();
                [0.0, last.map_or(0.0, |it| weight(it.importance))]
            }
        };
        let [now_least, now_most] = far(now, after);
        let [then_least, then_most] = far(then, before);
        // From speaking for the class to speaking against it, or back: on the side where it is now it was at 1.
        let turned = after
            .zip(before)
            .is_some_and(|(a, b)| (a > 1.0) != (b > 1.0));
        let (more, less) = match turned {
            true => (now_least, then_least),
            false => (now_least - then_most, then_least - now_most),
        };
        if more.max(less) <= factor.ln() {
            continue;
        }
        let change = NeuronChange {
            class: now.class,
            neuron,
            of: ChangeOf::Importance,
            before,
            after,
            grew: more > factor.ln(),
        };
        if change.grew {
            let importance = |importance: Option<f64>| {
                importance.map_or("nearer to 1".to_owned(), |it| format!("{it:.3}"))
            };
            let (after, before) = (importance(after), importance(before));
            grown.push(format!(
                "neuron {neuron}: importance {after}, before {before}"
            ));
        }
        changes.push(change);
    }
    let name = &report.class_names[now.class.0];
    none_of(format!("{name} relies on no neuron more"), &grown)
}

/// A check that passes where there is nothing.
fn none_of(name: String, grown: &[String]) -> Check {
    Check {
        name,
        passed: grown.is_empty(),
        found: match grown.is_empty() {
            true => "none".to_owned(),
            false => grown.join("; "),
        },
    }
}

/// One of a class's two lists, over draws of the mistakes.
fn drawn(check: &ClassCheck, of: ChangeOf) -> &[NeuronStability] {
    check.stability.as_ref().map_or(&[], |stability| match of {
        ChangeOf::Excessive => &stability.excessive,
        _ => &stability.insufficient,
    })
}

/// Where a neuron's prec@K lies in 95 % of the draws; one that is not listed is below those that are.
fn range(list: &[NeuronStability], neuron: NeuronId, ranking: &RankingConfig) -> [f64; 2] {
    let listed = list.iter().find(|it| it.neuron == neuron);
    let cut_off = list.last().filter(|_| list.len() >= ranking.max_listed);
    let most = cut_off.map_or(ranking.min_precision, |last| last.prec_at_k[1]);
    listed.map_or([0.0, most], |listed| listed.prec_at_k)
}

/// The neurons of two lists, each once, in order.
fn all_neurons<T>(now: &[T], then: &[T], neuron: impl Fn(&T) -> NeuronId) -> Vec<NeuronId> {
    let mut neurons: Vec<_> = now.iter().chain(then).map(neuron).collect();
    neurons.sort_unstable();
    neurons.dedup();
    neurons
}

/// The prec@K of a neuron; none where it is not listed.
fn share_of(check: &ClassCheck, of: ChangeOf, neuron: NeuronId) -> Option<f64> {
    let ranking = check.ranking.as_ref()?;
    let list = match of {
        ChangeOf::Excessive => &ranking.excessive,
        _ => &ranking.insufficient,
    };
    let ranked = list.iter().find(|ranked| ranked.neuron == neuron)?;
    Some(ranked.prec_at_k)
}

#[cfg(test)]
mod tests;
