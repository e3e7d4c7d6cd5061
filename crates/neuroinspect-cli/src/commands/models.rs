//! `models`: what checkpoints can be loaded for.

use anyhow::Result;
use neuroinspect::models::{classifiers, clip::ClipConfig};
use serde::Serialize;

use crate::{args::Common, output, session::Outcome};

#[derive(Serialize)]
struct Listed {
    classifiers: Vec<Classifier>,
    /// Presets of open_clip; any other model goes by its config file.
    clip: &'static [&'static str],
}

#[derive(Serialize)]
struct Classifier {
    name: &'static str,
    neurons: usize,
    input_size: usize,
    source: &'static str,
    /// Names of published weights with a preprocessing of their own: `resnet50.a1_in1k`.
    tagged: Vec<String>,
}

pub(crate) fn run(common: &Common) -> Result<Outcome> {
    let listed = Listed {
        classifiers: classifiers()
            .iter()
            .map(|info| Classifier {
                name: info.name,
                neurons: info.neurons,
                input_size: info.input.size,
                source: info.source,
                tagged: info
                    .tags
                    .iter()
                    .map(|tag| format!("{}.{}", info.name, tag.tag))
                    .collect(),
            })
            .collect(),
        clip: &ClipConfig::PRESETS,
    };
    output::print(common.json, &listed, |listed| {
        let mut text = format!(
            "{:<24} {:>7} {:>6}  weights as in\n",
            "classifier", "neurons", "input"
        );
        for Classifier {
            name,
            neurons,
            input_size,
            source,
            tagged,
        } in &listed.classifiers
        {
            text += &format!("{name:<24} {neurons:>7} {input_size:>6}  {source}\n");
            if !tagged.is_empty() {
                text += &format!("{:<40}also {}\n", "", tagged.join(", "));
            }
        }
        text + &format!(
            "\nCLIP (--clip): {}, or an open_clip config file\n",
            listed.clip.join(", ")
        )
    })?;
    Ok(Outcome::Finished)
}
