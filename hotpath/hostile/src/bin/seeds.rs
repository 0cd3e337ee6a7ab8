//! Writes the seeds of every fuzz target: `seeds FOLDER` makes `FOLDER/TARGET/seed-NUMBER`.

use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).unwrap_or_else(|| "corpus".into());
    for (name, _) in hostile::targets::ALL {
        let place = std::path::Path::new(&folder).join(name);
        fs::create_dir_all(&place)?;
        for (number, seed) in hostile::seeds::of(name).into_iter().enumerate() {
            fs::write(place.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}
