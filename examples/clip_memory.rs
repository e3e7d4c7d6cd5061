//! Memory and time that opening a CLIP's weights takes: what docs/models.md says of large files.
//!
//! ```console
//! cargo run -p neuroinspect --example clip_memory -- ViT-L-14 FILE
//! ```
//!
//! Where FILE is not there, safetensors with random weights are written first; what opening takes is then told by
//! the next run, as a process has one peak. It is read from `/proc`, so on Linux alone.

#![allow(clippy::print_stdout, reason = "its figures")]

use std::{error::Error, fs, path::Path, time::Instant};

use neuroinspect::{
    burn::tensor::Device,
    models::{
        checkpoint::Precision,
        clip::{Clip, ClipConfig},
    },
};

/// The kibibytes of a line of `/proc/self/status`.
fn kibibytes(line: &str) -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let found = status.lines().find_map(|it| it.strip_prefix(line));
    let number = found.and_then(|it| it.trim_start_matches(':').split_whitespace().next());
    Ok(number.ok_or("no such line in /proc/self/status")?.parse()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [preset, file] = &arguments[..] else {
        return Err("expected the name of a CLIP and a file".into());
    };
    let config = ClipConfig::preset(preset)?;
    let device = Device::flex();
    if !Path::new(file).exists() {
        config.init(&device)?.save(file, Precision::F32)?;
        println!("{file} is written; the next run opens it");
        return Ok(());
    }
    let start = Instant::now();
    let clip = Clip::load(file, Some(&config), &device)?;
    println!(
        "{preset}: a file of {:.2} GB opened in {:.1} s, {:.2} GB at the peak, {} layers",
        fs::metadata(file)?.len() as f64 / 1e9,
        start.elapsed().as_secs_f64(),
        kibibytes("VmHWM")? * 1024.0 / 1e9,
        clip.layers().len()
    );
    Ok(())
}
