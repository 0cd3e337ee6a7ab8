//! `stage CAPTURE STAGE [LOOPS]`: runs a capture up to a stage, for profilers.

use std::path::Path;
use std::process::ExitCode;

use hotpath::measure::{Measured, Stage};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(capture), Some(stage)) = (arguments.first(), arguments.get(1)) else {
        eprintln!("usage: stage CAPTURE STAGE [LOOPS]");
        return ExitCode::FAILURE;
    };
    let Some(stage) = Stage::ALL.iter().copied().find(|one| one.name() == stage) else {
        eprintln!("{stage}: no stage");
        return ExitCode::FAILURE;
    };
    let loops = arguments.get(2).and_then(|loops| loops.parse().ok()).unwrap_or(1);
    let mut measured = Measured::new(stage);
    for _ in 0..loops {
        match measured.run(Path::new(capture)) {
            Ok(frames) => println!("{frames}"),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
