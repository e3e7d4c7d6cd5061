//! What changed against an earlier check.

use neuroinspect_core::{Metrics, NeuronId, share_interval};
use neuroinspect_counterfactual::{NeuronStability, Overlap, RankingConfig};
use neuroinspect_editing::percent;
use neuroinspect_report::{ChangeOf, Check, CheckReport, ClassCheck, NeuronChange};
use serde::Serialize;

use super::{CheckConfig, weight};
use crate::{Error, Result};

/// Refuses an earlier check of other classes.
pub(super) fn check_classes(earlier: &CheckReport, ours: &[String]) -> Result<()> {
    let theirs = &earlier.class_names;
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

/// Refuses an earlier check that explained mistakes or ranked neurons with other options.
pub(super) fn check_options(earlier: &CheckReport, config: &CheckConfig) -> Result<()> {
    same_options(earlier, "counterfactual", &config.counterfactual)?;
    same_options(earlier, "ranking", &config.ranking)
}

/// The option that results do not depend on.
const BATCH_SIZE: &str = "batch_size";

/// The same of one stage. A check that does not say its options is taken for one with the same; an option that it does not
/// have, as other versions of this program, is as it is unless given.
fn same_options<T: Default + Serialize>(
    earlier: &CheckReport,
    stage: &'static str,
    ours: &T,
) -> Result<()> {
    let Some(theirs) = earlier.run.configs.get(stage) else {
        return Ok(());
    };
    let [default, ours] =
        [&T::default(), ours].map(|it| serde_json::to_value(it).unwrap_or_default());
    let names = ours
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys());
    for name in names.filter(|name| *name != BATCH_SIZE) {
        let (theirs, ours) = (theirs.get(name).unwrap_or(&default[name]), &ours[name]);
        if theirs != ours {
            return Err(Error::OtherCheckOptions {
                option: format!("{stage}.{name}"),
                theirs: theirs.to_string(),
                ours: ours.to_string(),
            });
        }
    }
    Ok(())
}

/// Adds the checks against an earlier one to a report, and what changed.
pub(super) fn compare(report: &mut CheckReport, earlier: &CheckReport, config: &CheckConfig) {
    let mut checks = fallen(report, earlier, config.tolerance);
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
            checks.push(mistakes_owed(report, [now, then], config, &mut of_class));
            checks.push(relied_on(report, [now, then], config.factor, &mut of_class));
            changes.extend(of_class);
        }
        report.changes = changes;
    }
    report.checks.extend(checks);
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
    let (mut grown, mut not_compared) = (Vec::new(), 0);
    for of in [ChangeOf::Insufficient, ChangeOf::Excessive] {
        let (now_list, then_list) = (drawn(now, of), drawn(then, of));
        for neuron in all_neurons(now_list, then_list, |it| it.neuron) {
            // One that is left out of both lists may be behind any share.
            let in_both =
                [now_list, then_list].map(|list| list.iter().any(|it| it.neuron == neuron));
            if config.ranking.overlap == Overlap::Drop && in_both != [true; 2] {
                not_compared += 1;
                continue;
            }
            let [low, high] = range(now_list, neuron, of_now, &config.ranking);
            let [low_then, high_then] = range(then_list, neuron, of_then, &config.ranking);
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
    let mut check = none_of(name, &grown);
    if not_compared > 0 {
        check.found += &format!(
            "; {not_compared} not compared, as neurons that are in both lists are left out of both (ranking.overlap)"
        );
    }
    check
}

/// Whether a class relies on no neuron more than then, and the neurons of which it is otherwise.
pub(super) fn relied_on(
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

/// Where a neuron's prec@K lies in 95 % of the draws of so many mistakes. Of one that is not listed it is not known how many
/// mistakes voted for it, but that they are no more than of the last that is, or than a list begins with: at most where
/// that many lie.
pub(super) fn range(
    list: &[NeuronStability],
    neuron: NeuronId,
    mistakes: usize,
    ranking: &RankingConfig,
) -> [f64; 2] {
    if let Some(listed) = list.iter().find(|it| it.neuron == neuron) {
        return listed.prec_at_k;
    }
    let full = list.len() >= ranking.max_listed;
    let most = match list.last().filter(|_| full) {
        Some(last) => last.prec_at_k[1],
        None if mistakes == 0 => 0.0,
        None => {
            // The most votes whose share is not above it.
            let mut votes = (ranking.min_precision * mistakes as f64) as usize;
            while votes < mistakes && (votes + 1) as f64 / mistakes as f64 <= ranking.min_precision
            {
                votes += 1;
            }
            share_interval(votes, mistakes)[1]
        }
    };
    [0.0, most]
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
