//! What the fuzz targets do with their bytes: the readers are those of `tests/mutated`, with the bounds of memory that
//! stand there.
//!
//! The first byte chooses which of a reader's seeds gives the file its name, and so its kind; the rest is the file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a finding is a panic"
)]

#[path = "../../tests/mutated/readers.rs"]
mod readers;
#[path = "../../crates/neuroinspect-studio/tests/pages/requests.rs"]
mod requests;
#[path = "../../tests/mutated/seeds.rs"]
mod seeds;
pub mod studio;

use std::{fs, panic, path::Path, sync::OnceLock};

use neuroinspect_testing::files::Folder;
use peak_alloc::PeakAlloc;

use crate::readers::{Reader, for_each_reader};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

fn all() -> Vec<Reader> {
    macro_rules! made {
        ($($name:ident),*) => { vec![$(readers::$name()),*] };
    }
    for_each_reader!(made)
}

/// Panics that a reader contains are its own affair: libFuzzer's hook would end the program at them. One that
/// leaves it still does, with what this says of it.
fn contain_panics() {
    panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}

/// A reader in its folder.
struct Setting {
    reader: Reader,
    folder: Folder,
}

/// Reads a file that is made of the bytes.
pub fn read(name: &str, data: &[u8]) {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    let setting = SETTING.get_or_init(|| {
        contain_panics();
        let reader = all().into_iter().find(|reader| reader.name == name);
        let reader = reader.expect("a reader of this name");
        let folder = Folder::new();
        for file in &reader.beside {
            folder.write(&file.name, &file.bytes);
        }
        Setting { reader, folder }
    });
    let Some((&kind, bytes)) = data.split_first() else {
        return;
    };
    let Reader {
        seeds, most_mib, ..
    } = &setting.reader;
    let name = &seeds[usize::from(kind) % seeds.len()].name;
    let path = setting.folder.write(name, bytes);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    (setting.reader.read)(&path);
    let peak = MEMORY.peak_usage().saturating_sub(before) / MIB;
    if peak > *most_mib {
        eprintln!("it asks for {peak} MiB, and {most_mib} are allowed");
        std::process::abort();
    }
}

/// Writes the seeds of every target into a folder of its name.
///
/// # Errors
///
/// When a file cannot be written.
pub fn write_seeds(folder: &Path) -> std::io::Result<()> {
    for reader in all() {
        let folder = folder.join(reader.name);
        fs::create_dir_all(&folder)?;
        for (kind, seed) in reader.seeds.iter().enumerate() {
            let mut bytes = vec![u8::try_from(kind).unwrap()];
            bytes.extend(&seed.bytes);
            fs::write(folder.join(format!("{kind}-{}", seed.name)), bytes)?;
        }
    }
    let folder = folder.join("studio");
    fs::create_dir_all(&folder)?;
    for (index, seed) in requests::REQUESTS.iter().enumerate() {
        fs::write(folder.join(index.to_string()), seed)?;
    }
    Ok(())
}
