//! `data`: published data sets.

#[cfg(feature = "hub")]
use std::path::Path;

use anyhow::Result;
#[cfg(feature = "hub")]
use neuroinspect::{
    core::Observer,
    datasets::published::{Download, DownloadError, PublishedFile, get},
    models::hub::download,
};
use neuroinspect::{
    datasets::published::{Content, PublishedCheck, PublishedInfo, check, published},
    report::Schema,
};
use serde::Serialize;

use crate::{
    args::{CheckArgs, Common, DataCommand, GetArgs},
    console::Console,
    exit::Exit,
    images::published_config,
    options::Options,
    output::print,
};

const LISTED: Schema = Schema::new("neuroinspect.data", 1);
const CHECKED: Schema = Schema::new("neuroinspect.data-check", 1);
#[cfg(feature = "hub")]
const GOT: Schema = Schema::new("neuroinspect.data-get", 1);

#[derive(Serialize)]
struct Listed {
    data_sets: &'static [PublishedInfo],
}

pub(crate) fn run(common: &Common, options: &Options, command: &DataCommand) -> Result<Exit> {
    match command {
        DataCommand::List => {
            let listed = Listed {
                data_sets: published(),
            };
            print(common.json, LISTED, &listed, |listed| {
                listed.data_sets.iter().map(described).collect()
            })?;
            Ok(Exit::Finished)
        }
        DataCommand::Check(args) => checked(common, options, args),
        DataCommand::Get(args) => got(common, args),
    }
}

fn checked(common: &Common, options: &Options, args: &CheckArgs) -> Result<Exit> {
    let config = published_config(&args.data_option, options.seed)?;
    let mut console = Console::start(common.quiet)?;
    let found = check(&args.name, &args.path, &config, &mut console)?;
    console.clear();
    print(common.json, CHECKED, &found, lines)?;
    Ok(Exit::of(false, found.is_complete()))
}

#[cfg(not(feature = "hub"))]
fn got(_: &Common, _: &GetArgs) -> Result<Exit> {
    anyhow::bail!("this build downloads nothing: install it with --features hub")
}

#[cfg(feature = "hub")]
fn got(common: &Common, args: &GetArgs) -> Result<Exit> {
    let mut web = Web {
        mirror: args.mirror.as_deref(),
    };
    let mut console = Console::start(common.quiet)?;
    let got = get(&args.name, &args.folder, &mut web, &mut console)?;
    console.clear();
    print(common.json, GOT, &got, |got| {
        let files = got
            .files
            .iter()
            .map(|path| format!("file: {}\n", path.display()));
        let made = got
            .extracted
            .iter()
            .map(|path| format!("extracted: {}\n", path.display()));
        let by_hand = got.by_hand.iter();
        let by_hand = by_hand.map(|name| format!("to be fetched from its page: {name}\n"));
        files.chain(made).chain(by_hand).collect()
    })?;
    Ok(Exit::of(false, got.by_hand.is_empty()))
}

/// Downloads from the published addresses, or from a mirror.
#[cfg(feature = "hub")]
struct Web<'a> {
    mirror: Option<&'a str>,
}

#[cfg(feature = "hub")]
impl Download for Web<'_> {
    fn address(&self, file: &PublishedFile) -> Option<String> {
        match self.mirror {
            Some(mirror) => Some(format!("{}/{}", mirror.trim_end_matches('/'), file.name)),
            None => file.url.map(str::to_owned),
        }
    }

    fn download(
        &mut self,
        address: &str,
        part: &Path,
        observer: &mut dyn Observer,
    ) -> Result<(), DownloadError> {
        Ok(download(address, part, observer)?)
    }
}

/// A data set in lines for people.
fn described(info: &PublishedInfo) -> String {
    let parts = info.parts.iter().map(|(part, images)| match images {
        Some(images) => format!("{part} {images}"),
        None => (*part).to_owned(),
    });
    let mut text = format!("{}\n  {}\n", info.name, info.title);
    text += &format!("  parts: {}\n", parts.collect::<Vec<_>>().join(", "));
    if let Some(classes) = info.classes {
        text += &format!("  classes: {classes}\n");
    }
    if let Some(groups) = info.groups {
        text += &format!("  groups: {groups}\n");
    }
    if !info.options.is_empty() {
        text += &format!("  options: {}\n", info.options.join(", "));
    }
    text += &format!("  page: {}\n", info.page);
    for file in info.files {
        let (url, source) = (file.url.unwrap_or("its page"), file.source);
        let size = file
            .size
            .map_or_else(String::new, |size| format!(", {size}"));
        let md5 = file.md5.unwrap_or("none known");
        text += &format!("  file: {}\n", file.name);
        text += &format!("    from {url} ({source}{size})\n    MD5 {md5}\n");
    }
    text + "\n"
}

/// What was found, in lines for people.
fn lines(found: &PublishedCheck) -> String {
    let mut text = String::new();
    for file in &found.files {
        let content = match &file.content {
            Content::Absent => "not there",
            Content::AsPublished => "as published",
            Content::Unknown => "there; no checksum is known",
            Content::Differs { .. } => "NOT as published",
        };
        text += &format!("{:<44} {content}\n", file.name);
    }
    for part in &found.parts {
        let published = match part.published {
            Some(published) => format!(" of {published}"),
            None => String::new(),
        };
        text += &format!("{:<44} {}{published} images\n", part.part, part.images);
    }
    if found.missing_images > 0 {
        text += &format!("{:<44} {}\n", "missing images", found.missing_images);
    }
    for problem in &found.problems {
        text += &format!("problem: {problem}\n");
    }
    text + match found.is_complete() {
        true => "complete\n",
        false => "not complete\n",
    }
}
