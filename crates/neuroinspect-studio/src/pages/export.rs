//! What is taken along: an edit file, and a report of one page.

use std::fs;

use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use neuroinspect::{
    DebugConfig, DebugInputs, NeuronChoice, core::Silent, explain, quoted, report::EditFile,
};

use serde_json::json;

use super::{class::TICKED, mend::measured_result};
use crate::{
    address::Path,
    refusal::Refusal,
    studio::{App, Studio, apart},
    trials::Trial,
};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/export/{id}/edit", get(edit))
        .route("/export/{id}/report", get(report))
}

/// What an edit file is called.
fn edit_name(id: &str) -> String {
    format!("edit-{id}.safetensors")
}

/// The command that applies an edit, in the folder that its file is in.
pub(crate) fn apply_command(studio: &Studio, id: &str) -> String {
    let arguments = &studio.opened.model_arguments;
    format!(
        "neuroinspect apply --edit {} {arguments} --out mended",
        quoted(edit_name(id))
    )
}

async fn edit(State(studio): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let trial = studio.trials.get(studio.session()?, &id)?;
    let bytes = apart(&studio, move |_| {
        trial.whole()?;
        let failed = |error: std::io::Error| Refusal::failed(&error);
        let folder = tempfile::tempdir().map_err(failed)?;
        let path = folder.path().join("edit");
        trial.patch.save(&path)?;
        fs::read(&path).map_err(failed)
    })
    .await?;
    Ok(file(&edit_name(&id), "application/octet-stream", bytes))
}

async fn report(State(studio): State<App>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let trial = studio.trials.get(studio.session()?, &id)?;
    let html = apart(&studio, move |studio| page(studio, &trial)).await?;
    Ok(file(
        &format!("report-{id}.html"),
        "text/html; charset=utf-8",
        html.into_bytes(),
    ))
}

/// An answer that a browser keeps as a file.
fn file(name: &str, kind: &'static str, content: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    (headers, content).into_response()
}

/// The report of `debug`, of this edit.
fn page(studio: &Studio, trial: &Trial) -> Result<String, Refusal> {
    trial.whole()?;
    let (opened, session) = (&studio.opened, studio.session()?);
    let Some(class) = trial.asked.class() else {
        return Err(Refusal::Bad(
            "a report is about a class: choose one for the edit".to_owned(),
        ));
    };
    let neurons = trial.asked.neurons();
    let config = DebugConfig {
        neurons: match neurons.is_empty() {
            true => NeuronChoice::Auto { count: TICKED },
            false => NeuronChoice::Given(neurons),
        },
        ..opened.config.clone()
    };
    let mut run = opened.run.clone();
    let looked_at = json!({ "edits_looked_at": studio.trials.looked_at(session) });
    run.configs.insert("studio".to_owned(), looked_at);
    run.command = Some(trial.asked.command(opened));
    let indices = session.explained_indices();
    let inputs = DebugInputs::new(opened.classifier.as_ref(), session.explained())
        .with_images(&*opened.dataset, &indices)
        .with_run(run);
    let mut findings = explain(&inputs, class, &config, &mut Silent)?;
    // The stages that it stopped before come from elsewhere.
    findings.interrupted = false;
    findings.edit = Some(measured_result(studio, trial)?);
    findings.edit_file = Some(EditFile {
        path: edit_name(&trial.name),
        how_to_apply: Some(apply_command(studio, &trial.name)),
    });
    Ok(inputs
        .report(&findings)?
        .html()
        .map_err(neuroinspect::Error::from)?)
}
