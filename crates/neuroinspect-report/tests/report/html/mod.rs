//! The page and the folder of files.

mod edit;
mod files;
mod page;
mod picture;

use neuroinspect_core::Metrics;
use neuroinspect_editing::{Control, EditResult};

use crate::sample::{self, Sample};

/// Elements without a closing tag.
const VOID: [&str; 3] = ["meta", "img", "br"];

fn without_pictures() -> Sample {
    let mut report = sample::full();
    report.findings.pictures.clear();
    report.findings.edit = None;
    report.images = Default::default();
    report
}

fn without_groups() -> Sample {
    let mut report = sample::full();
    let findings = &mut report.findings;
    findings.group_names.clear();
    let edit = findings.edit.as_mut().unwrap();
    for metrics in metrics_of(edit).into_iter().chain([&mut findings.metrics]) {
        metrics.group_accuracy = None;
        metrics.worst_group_accuracy = None;
        metrics.worst_group = None;
    }
    report.judge();
    report
}

/// All metrics of an edit.
fn metrics_of(edit: &mut EditResult) -> Vec<&mut Metrics> {
    let mut metrics = vec![&mut edit.comparison.before, &mut edit.comparison.after];
    if let Some(Control::Measured(control)) = &mut edit.control {
        metrics.push(control);
    }
    metrics
}

/// Checks that every tag is closed in its turn, and that ids are unique.
fn assert_well_formed(page: &str) {
    let body = page.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    let mut open = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    for piece in body.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').expect("a tag ends");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let name = tag.split_whitespace().next().expect("a tag has a name");
        if !VOID.contains(&name) {
            open.push(name);
        }
        if let Some((_, rest)) = tag.split_once(" id=\"") {
            let id = rest.split('"').next().unwrap();
            assert!(ids.insert(id), "{id} is not unique");
        }
    }
    assert!(open.is_empty(), "{open:?} are not closed");
}
