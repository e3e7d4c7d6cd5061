//! Pictures that other commands have kept in the folder of the run.

use neuroinspect::{
    DebugConfig, GuideSource,
    illusion::{Networks, Pair, Request},
    report::{Findings, Schema, read_json},
};

use super::{Picture, Subject};
use crate::{
    jobs::{Failure, Running},
    studio::Studio,
};

/// The commands whose findings hold pictures of neurons.
const COMMANDS: [&str; 2] = ["debug", "demo"];

/// Whether the findings in the folder name a picture that the store does not have.
pub(crate) fn any_kept(studio: &Studio) -> bool {
    let Some(findings) = findings(studio) else {
        return false;
    };
    let is_new = |&pair: &Pair| {
        let key = picture(&findings, pair).key(studio);
        key.is_ok_and(|key| studio.pictures.get(&key).is_none())
    };
    let pictured = findings.pictures.iter().map(|it| it.illusion.pair);
    pictured.collect::<Vec<_>>().iter().any(is_new)
}

/// Takes the pictures of the findings in the folder where they are of these very networks, texts and recipe, and
/// makes none.
pub(crate) fn take_kept(studio: &Studio, running: &mut Running<'_>) -> Result<(), Failure> {
    let opened = &studio.opened;
    let Some(findings) = findings(studio) else {
        return Ok(());
    };
    let recipe = &findings.recipe;
    let classes: Vec<_> = findings.pairs.iter().map(|pair| pair.class).collect();
    let texts = opened.texts().filter(|_| recipe.objective.needs_guide());
    let guide = texts.as_ref().map(|texts| texts.guide(&classes, running));
    let guide = guide.transpose()?;
    if recipe.objective.needs_guide() && guide.is_none() {
        return Ok(());
    }
    let networks = Networks::new(
        opened.classifier.as_ref(),
        guide.as_ref(),
        &opened.device(),
        recipe.precision,
    )?;
    // What was computed at once decides the last bits, and is part of the pictures' names.
    let config = findings.run.configs.get("debug").cloned();
    let config = config.and_then(|it| serde_json::from_value::<DebugConfig>(it).ok());
    let execution = config.map_or(opened.config.execution, |config| config.execution);
    let request = Request::new(findings.pairs.clone(), recipe.clone()).with_execution(execution);
    for command in COMMANDS {
        let folder = opened.folder.pictures(command, opened.origin.clone());
        for illusion in folder.finished(&networks, &request)? {
            let picture = picture(&findings, illusion.pair);
            let key = picture.key(studio)?;
            studio.pictures.add(&key, &picture, &illusion)?;
            running.made();
        }
    }
    Ok(())
}

/// The findings in the folder, where they are of the same weights.
fn findings(studio: &Studio) -> Option<Findings> {
    let opened = &studio.opened;
    let path = opened.folder.join(Findings::JSON_FILE);
    let findings: Findings = read_json(path, Schema::FINDINGS).ok()?;
    let weights = findings.run.weights_sha256.as_deref();
    (weights == Some(&*opened.origin.classifier_sha256)).then_some(findings)
}

fn picture(findings: &Findings, pair: Pair) -> Picture {
    Picture {
        subject: Subject::Neuron(pair.neuron),
        class: findings
            .recipe
            .objective
            .needs_class()
            .then_some(pair.class),
        recipe: findings.recipe.clone(),
    }
}
