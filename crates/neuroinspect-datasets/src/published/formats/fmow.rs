//! Functional Map of the World as WILDS has it (Christie et al. 2018; Koh et al. 2021).

use std::collections::{BTreeSet, HashMap};

use crate::{
    Result,
    published::{
        PublishedConfig,
        columns::Columns,
        files::{Files, Text},
        listing::{Item, Listed, Listing, class_of, names},
    },
};

/// The year from which images test, in the official split.
const TEST_FROM: u16 = 2016;
/// The year from which images validate.
const VALIDATION_FROM: u16 = 2013;

/// Lists the rows of `rgb_metadata.csv` in their order. WILDS's official parts, by the row's split and its
/// year: `train`, `id_val` and `id_test` before 2013, `validation` from 2013 to 2015, `test` from 2016. Rows
/// of other combinations, and sequestered ones (`seq`), are in no part and left out.
pub(in crate::published) fn list(files: &Files, config: &PublishedConfig) -> Result<Listing> {
    let by_year = match config.confounder.as_deref().unwrap_or("region") {
        "region" => false,
        "year" => true,
        other => {
            return Err(PublishedConfig::wrong(
                "confounder",
                other,
                "region or year",
            ));
        }
    };
    let text = files.text("rgb_metadata.csv", "the metadata of FMoW")?;
    let countries = files.text("country_code_mapping.csv", "FMoW's regions of countries")?;
    let regions = regions(&countries)?;
    let mut listing = Listing::new(&["train", "validation", "test", "id_val", "id_test"]);
    let folders = names(include_str!("../classes/fmow.txt"));
    listing.class_names = folders.iter().map(|name| name.replace('_', " ")).collect();
    let origin = listing.origin(&text.path);

    let columns = Columns::of(&text)?;
    let names = ["split", "category", "timestamp", "country_code"];
    let [split, category, timestamp, country] = names.map(|name| columns.find(name));
    let (split, category, timestamp, country) = (split?, category?, timestamp?, country?);
    let mut group_of_item = Vec::new();
    for (number, row) in columns.rows().enumerate() {
        let row = row?;
        let date = row.text(timestamp);
        let year = date.get(..4).and_then(|year| year.parse::<u16>().ok());
        let Some(year) = year.filter(|_| date.as_bytes().get(4) == Some(&b'-')) else {
            return Err(row.wrong(format!(
                "timestamp is '{date}'; expected one like 2015-06-30T10:00:00Z"
            )));
        };
        let in_domain = year < VALIDATION_FROM;
        let part = match row.text(split) {
            "train" if in_domain => 0,
            "val" if in_domain => 3,
            "val" if year < TEST_FROM => 1,
            "test" if in_domain => 4,
            "test" if year >= TEST_FROM => 2,
            "train" | "val" | "test" | "seq" => continue,
            other => {
                return Err(row.wrong(format!(
                    "split is '{other}'; expected train, val, test or seq"
                )));
            }
        };
        // Antarctica has no region in the published table.
        let region = regions
            .get(row.text(country))
            .filter(|region| !region.is_empty());
        group_of_item.push(match (by_year, region) {
            (true, _) => year.to_string(),
            (false, Some(region)) => region.clone(),
            (false, None) => "Other".to_owned(),
        });
        let id = format!("images/rgb_img_{number}.png");
        listing.items.push(Item {
            label: class_of(&text, row.line, &folders, row.text(category))?,
            group: None,
            part,
            image: Listed::Named(id.clone()),
            id,
            origin: (origin, row.line),
        });
    }
    let groups: BTreeSet<&String> = group_of_item.iter().collect();
    let groups: Vec<String> = groups.into_iter().cloned().collect();
    for (item, group) in listing.items.iter_mut().zip(&group_of_item) {
        item.group = groups.binary_search(group).ok();
    }
    listing.group_names = groups;
    Ok(listing)
}

/// The region of each country, by its code of three letters.
fn regions(text: &Text) -> Result<HashMap<String, String>> {
    let columns = Columns::of(text)?;
    let (code, region) = (columns.find("alpha-3")?, columns.find("region")?);
    let rows = columns.rows().map(|row| {
        let row = row?;
        Ok((row.text(code).to_owned(), row.text(region).to_owned()))
    });
    rows.collect()
}
