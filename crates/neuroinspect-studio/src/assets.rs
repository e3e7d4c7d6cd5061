//! Scripts and styles, all of them in the program.

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};

use crate::{address::Path, refusal::Refusal, studio::App};

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Name, kind and content.
const ASSETS: &[(&str, &str, &str)] = &[
    // What the report of a run looks like.
    ("report.css", STYLE, neuroinspect::report::STYLE),
    ("studio.css", STYLE, include_str!("../assets/studio.css")),
    ("jobs.js", SCRIPT, include_str!("../assets/jobs.js")),
    ("pictures.js", SCRIPT, include_str!("../assets/pictures.js")),
    ("waiting.js", SCRIPT, include_str!("../assets/waiting.js")),
    ("studio.js", SCRIPT, include_str!("../assets/studio.js")),
    ("grid.js", SCRIPT, include_str!("../assets/grid.js")),
    ("mend.js", SCRIPT, include_str!("../assets/mend.js")),
];

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/assets/{name}", get(asset))
}

async fn asset(Path(name): Path<String>) -> Result<Response, Refusal> {
    let known = ASSETS.iter().find(|(known, ..)| *known == name);
    let Some((_, kind, content)) = known else {
        return Err(Refusal::NotFound(format!("there is no '{name}'")));
    };
    Ok(([(header::CONTENT_TYPE, *kind)], *content).into_response())
}
