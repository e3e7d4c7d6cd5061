//! A guard for somebody's own tests: limits to a classifier's accuracies, and what changed against an
//! earlier check of another checkpoint.

mod earlier;
mod limit;

use derive_setters::Setters;
use ndarray::ArrayView1;
use neuroinspect_core::{ClassId, NeuronId, Observer, Predicted, check_option};
use neuroinspect_counterfactual::{
    CounterfactualConfig, Explainer, RankingConfig, StabilityConfig, importances, rank, stability,
};
use neuroinspect_report::{CheckReport, ClassCheck, Reliance, Run};

pub use self::limit::{Limit, Measure};
use crate::{Result, burn::tensor::Device};

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

    /// Checks that a classifier of these classes and so many neurons can be compared with an earlier check.
    ///
    /// # Errors
    ///
    /// [`Error::OtherCheck`] for a check of other classes. [`Error::OtherCheckOptions`], where neurons are compared, for one
    /// that explained mistakes or ranked neurons with other options: of other options, other neurons are behind the same
    /// mistakes.
    ///
    /// [`Error::OtherCheck`]: crate::Error::OtherCheck
    /// [`Error::OtherCheckOptions`]: crate::Error::OtherCheckOptions
    pub fn check_comparable(
        &self,
        earlier: &CheckReport,
        class_names: &[String],
        neurons: usize,
    ) -> Result<()> {
        earlier::check_classes(earlier, class_names)?;
        let is_looked_at = |it: &ClassCheck| match &self.classes {
            Some(classes) => classes.contains(&it.class),
            None => true,
        };
        match earlier.neurons == neurons && earlier.classes.iter().any(is_looked_at) {
            true => earlier::check_options(earlier, self),
            false => Ok(()),
        }
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
/// numbers do not mean the same. The report's [`run`](CheckReport::run) names the table and the options that mistakes were explained
/// and neurons ranked with, and is to be replaced by who knows more.
///
/// # Errors
///
/// When an option is out of range, a limit names a group that there is not, the earlier check is of other
/// classes or explained mistakes or ranked neurons with other options, the mistakes cannot be explained, or the observer asks to stop.
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
        config.check_comparable(earlier, table.class_names(), table.neurons())?;
    }
    let groups = table.groups();
    let provenance = table.provenance();
    let mut run = Run::new(
        &provenance.model,
        "a table",
        format!("{device:?}"),
        config.stability.seed,
    );
    let explaining = [
        (
            "counterfactual",
            serde_json::to_value(&config.counterfactual),
        ),
        ("ranking", serde_json::to_value(&config.ranking)),
    ];
    for (stage, options) in explaining {
        run.configs
            .insert(stage.into(), options.unwrap_or_default());
    }
    let mut report = CheckReport {
        checks: Vec::new(),
        metrics: predicted.metrics()?,
        class_names: table.class_names().to_vec(),
        group_names: groups.map_or_else(Vec::new, |groups| groups.names().to_vec()),
        neurons: table.neurons(),
        classes: Vec::new(),
        changes: Vec::new(),
        run,
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
        earlier::compare(&mut report, earlier, config);
    }
    Ok(report)
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

#[cfg(test)]
mod tests;
