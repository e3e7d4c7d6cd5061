//! Writes a report with invented numbers into a folder, to see what a report looks like:
//! `cargo run -p neuroinspect-report --example sample_report -- FOLDER`.

#[path = "../tests/report/sample.rs"]
#[allow(dead_code, clippy::unwrap_used)] // It is the tests' sample.
mod sample;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or("name a folder to write to")?;
    Ok(sample::full().report().write(folder)?)
}
