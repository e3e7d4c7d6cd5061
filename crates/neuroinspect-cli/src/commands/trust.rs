//! `trust`: how far pictures that any program made can be trusted.

use std::fmt::Write;

use anyhow::Result;
use neuroinspect::{
    GivenComparison, GivenInputs, GivenPicturesTrust, ImageSource, RealTrust,
    core::Classifier,
    illusion::Networks,
    read_given,
    report::{Run, Schema},
};
use serde::Serialize;

use crate::{
    args::{Common, TrustArgs},
    console::Console,
    exit::Exit,
    inputs::{Asked, Inputs, left_out},
    model,
    options::Options,
    output::print,
    record,
};

pub(super) const SCHEMA: Schema = Schema::new("neuroinspect.trust", 1);
const RECORD_FILE: &str = "trust.json";

/// `trust.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Record {
    /// By the folders' names.
    ways: Vec<GivenPicturesTrust>,
    /// What is compared with.
    real: RealTrust,
    /// How it was measured.
    run: Run,
}

pub(crate) fn run(common: &Common, options: &Options, args: &TrustArgs) -> Result<Exit> {
    // Before the model, which takes time.
    let given = read_given(&args.pictures)?;
    let inputs = Inputs::open(common, options, &args.model, &args.data, Asked::default())?;
    let (setup, dataset) = (&inputs.setup, &*inputs.dataset);
    let classifier = setup.loaded.model.as_ref();
    let judge = model::judge(common, &args.judge, &setup.device)?;
    let judge = judge
        .as_ref()
        .map(|judge| judge.model.as_ref() as &dyn Classifier);
    let mut console = Console::start(common.quiet)?;
    let networks = Networks::new(classifier, None, &setup.device, setup.precision)?;
    let indices: Vec<usize> = (0..dataset.samples().len()).collect();
    let images = ImageSource {
        dataset,
        indices: &indices,
    };
    let asked = GivenInputs {
        networks: &networks,
        judge,
        images,
        on_corrupt: setup.loader.on_corrupt,
        given: &given,
    };
    let comparison = GivenComparison::new(&asked, &mut console)?;
    console.clear();
    let compared = given.iter().map(|way| comparison.compare(&networks, way));
    let mut run = setup.run(dataset.name(), [])?;
    if let Some(judge) = judge {
        record::add(&mut run, "judge", &judge.name())?;
    }
    run.skipped_images = left_out(comparison.skipped().to_vec());
    let record = Record {
        ways: compared.collect::<Result<_, _>>()?,
        real: comparison.real().clone(),
        run,
    };
    setup.folder.write_json(RECORD_FILE, SCHEMA, &record)?;
    print(common.json, SCHEMA, &record, |record| {
        let path = setup.folder.join(RECORD_FILE);
        format!("{}written to {}\n", table(record), path.display())
    })?;
    Ok(Exit::Finished)
}

/// A row for each way.
fn table(record: &Record) -> String {
    let names = record.ways.iter().map(|way| way.name.chars().count());
    let width = names.max().unwrap_or(0).max("real images".len());
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"));
    let mut text = format!(
        "{:<width$}  pictures  recognised  over real  path  jump  percentile  agreement  colour  spectrum  trusted\n",
        ""
    );
    let mut row = |name: &str, count: usize, cells: [Option<f64>; 9]| {
        let [
            recognised,
            over,
            path,
            jump,
            percentile,
            agreement,
            colour,
            spectrum,
            trusted,
        ] = cells.map(number);
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "{name:<width$}  {count:>8}  {recognised:>10}  {over:>9}  {path:>4}  {jump:>4}  {percentile:>10}  \
             {agreement:>9}  {colour:>6}  {spectrum:>8}  {trusted:>7}"
        );
    };
    for GivenPicturesTrust { name, mean, .. } in &record.ways {
        row(
            name,
            mean.pictures,
            [
                mean.recognised,
                mean.recognised_over_real,
                mean.path,
                mean.jump,
                mean.percentile,
                mean.agreement,
                Some(mean.colour),
                Some(mean.spectrum),
                Some(mean.trusted),
            ],
        );
    }
    let RealTrust {
        images,
        appearance,
        recognised,
        ..
    } = &record.real;
    let known: Vec<f64> = recognised.iter().copied().flatten().collect();
    let recognised = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
    let [colour, spectrum] = [appearance.colour, appearance.spectrum].map(|it| Some(f64::from(it)));
    let cells = [
        recognised, None, None, None, None, None, colour, spectrum, None,
    ];
    row("real images", *images, cells);
    text
}
