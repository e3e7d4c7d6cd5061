//! Options of what is done with concepts and words.

use anyhow::{Result, bail};
use neuroinspect::concepts::{
    ConceptCounterfactualConfig, LabelConfig, LearningConfig, Similarity, TcavConfig,
};

use super::Options;
use crate::args::{LabelArgs, LackArgs, LearnArgs};

impl Options {
    /// How units are labelled.
    pub(crate) fn labels(&self, args: Option<&LabelArgs>) -> Result<LabelConfig> {
        let mut config = self.config.section("labels", LabelConfig::default())?;
        let Some(args) = args else {
            return Ok(config);
        };
        if let Some(name) = args.similarity {
            let same = std::mem::discriminant(&config.similarity);
            let named: Similarity = name.into();
            // The configuration's options of it hold.
            if std::mem::discriminant(&named) != same {
                config.similarity = named;
            }
        }
        if let Some(count) = args.top_images {
            config.similarity = config.similarity.with_top_images(count)?;
        }
        if let Some(labels) = args.labels {
            config.labels = labels;
        }
        config.validate()?;
        Ok(config)
    }

    /// How concepts are learned.
    pub(crate) fn learning(&self, args: &LearnArgs) -> Result<LearningConfig> {
        let base = LearningConfig::default().with_seed(self.seed);
        let mut config = self.config.section("concept_learning", base)?;
        config.seed = self.given_seed.unwrap_or(config.seed);
        if let Some(samples) = args.samples {
            config.samples = samples;
        }
        if let Some(regularization) = args.regularization {
            config.regularization = regularization;
        }
        config.validate()?;
        Ok(config)
    }

    /// How mistakes are explained by concepts.
    pub(crate) fn lack(&self, args: &LackArgs) -> Result<ConceptCounterfactualConfig> {
        let section = "concept_counterfactual";
        if args.original && self.config.has(section) {
            bail!(
                "--original takes the original's options, but --config gives '{section}': leave one of \
                 them out"
            );
        }
        let base = match args.original {
            true => ConceptCounterfactualConfig::original(),
            false => ConceptCounterfactualConfig::default(),
        };
        let mut config = self.config.section(section, base)?;
        if let Some(validity) = args.validity {
            config.validity = validity;
        }
        Ok(config)
    }

    /// How concepts are tested.
    pub(crate) fn tcav(&self, runs: Option<usize>) -> Result<TcavConfig> {
        let learning = LearningConfig::default().with_seed(self.seed);
        let base = TcavConfig::default().with_learning(learning);
        let mut config = self.config.section("tcav", base)?;
        config.learning.seed = self.given_seed.unwrap_or(config.learning.seed);
        config.runs = runs.unwrap_or(config.runs);
        config.validate()?;
        Ok(config)
    }
}
