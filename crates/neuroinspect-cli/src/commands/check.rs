//! `check`: a guard for somebody's own tests.

use std::path::Path;

use anyhow::{Context, Result};
use neuroinspect::{
    check::{CheckConfig, check},
    core::class_by_name_or_index,
    report::{CheckReport, Schema, read_json},
};

use crate::{
    args::{Common, GuardArgs},
    console::Console,
    exit::Exit,
    inputs::Asked,
    options::Options,
    output::print,
    record,
    source::{Seen, Source},
};

pub(crate) fn run(common: &Common, options: &Options, args: &GuardArgs) -> Result<Exit> {
    // Before the run that may replace it.
    let earlier = args.against.as_deref().map(open).transpose()?;
    let (counterfactual, ranking) = options.explaining(false)?;
    let mut config = CheckConfig {
        limits: args.fail_below.clone(),
        counterfactual,
        ranking,
        stability: options.certified()?.stability,
        ..CheckConfig::default()
    };
    config.tolerance = args.tolerance.unwrap_or(config.tolerance);
    let source = Source::open(common, options, &args.source, Asked::default())?;
    if !args.class.is_empty() {
        let class = |name: &String| class_by_name_or_index(source.class_names(), name);
        config.classes = Some(args.class.iter().map(class).collect::<Result<_, _>>()?);
    }
    config.validate(source.class_names())?;
    if let Some(earlier) = &earlier {
        // Before the images are looked at.
        config.check_comparable(earlier, source.class_names(), source.layer.neurons())?;
    }

    let mut console = Console::start(common.quiet)?;
    let Seen { table, mut run, .. } = source.see(args.part.as_deref(), &mut console)?;
    record::add(&mut run, "counterfactual", &config.counterfactual)?;
    record::add(&mut run, "ranking", &config.ranking)?;
    record::add(&mut run, "certified", &options.certified()?)?;
    let predicted = table.predicted_by(&source.layer)?;
    let mut report = check(
        &predicted,
        &config,
        earlier.as_ref(),
        source.device(),
        &mut console,
    )?;
    console.clear();
    report.run = run;
    let folder = source.folder();
    report.write(folder.path())?;
    if let Some(path) = &args.junit {
        report.write_junit(path).context("--junit")?;
    }
    print(common.json, Schema::CHECK, &report, |report| {
        let page = folder.join(CheckReport::HTML_FILE);
        text(report) + &format!("report: {}\n", page.display())
    })?;
    Ok(match report.passed() {
        true => Exit::Finished,
        false => Exit::Failed,
    })
}

fn open(path: &Path) -> Result<CheckReport> {
    let file = match path.is_dir() {
        true => path.join(CheckReport::JSON_FILE),
        false => path.to_owned(),
    };
    let report: CheckReport = read_json(file, Schema::CHECK).context("--against")?;
    report.validate().context("--against")?;
    Ok(report)
}

fn text(report: &CheckReport) -> String {
    let mut text = String::new();
    for check in &report.checks {
        let outcome = match check.passed {
            true => "passed",
            false => "FAILED",
        };
        text += &format!("{outcome}  {}: {}\n", check.name, check.found);
    }
    let failed = report.checks.iter().filter(|check| !check.passed).count();
    match report.checks.len() {
        0 => text += "nothing was asked for: a check for --against of later ones\n",
        all => text += &format!("{failed} of {all} checks failed\n"),
    }
    text
}
