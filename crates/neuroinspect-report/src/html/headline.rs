//! What was found, in words.

use neuroinspect_editing::Conclusion;

use super::parts::count;
use crate::Findings;

/// The finding in one sentence.
pub(super) fn finding(findings: &Findings) -> String {
    let name = findings.class_name();
    let mistakes = findings.mistakes();
    let samples = count(findings.samples, "sample");
    if mistakes == 0 {
        return format!(
            "The classifier makes no mistake on {samples} of \u{201c}{name}\u{201d}: there is \
             nothing to explain."
        );
    }
    let confusions = findings.explanation.confusions();
    let taken_for = confusions.first().map_or(String::new(), |most| {
        let other = findings.name_of(most.class);
        format!(", most often taking them for \u{201c}{other}\u{201d}")
    });
    let ranking = &findings.ranking;
    let recur = match (ranking.insufficient.len(), ranking.excessive.len()) {
        (0, 0) => "no neuron recurs in what would set them right".to_owned(),
        (insufficient, excessive) => {
            let neurons = count(insufficient + excessive, "neuron");
            format!(
                "{neurons} would have to change again and again to set them right \
                 ({insufficient} insufficient, {excessive} excessive)"
            )
        }
    };
    format!(
        "The classifier gets {mistakes} of {samples} of \u{201c}{name}\u{201d} wrong{taken_for}; {recur}."
    )
}

/// The style sheet's class for a verdict.
pub(super) fn style(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Helped => "helped",
        Conclusion::HelpedAtACost
        | Conclusion::NoMoreThanRetraining
        | Conclusion::NoMoreThanRetrainingAtACost
        | Conclusion::Uncompared
        | Conclusion::UncomparedAtACost => "mixed",
        Conclusion::MoreHarmThanGood | Conclusion::Failed => "failed",
        Conclusion::Unmeasured => "unmeasured",
    }
}
