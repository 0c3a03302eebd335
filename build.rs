//! Collects the presets in `src/source/providers/` and the webhooks in `src/scenario/providers/` into the tables that the program
//! embeds, so that adding a provider is adding a file to each.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    table("src/source/providers", "BUILT_IN", "presets.rs")?;
    table("src/scenario/providers", "SCENARIOS", "scenarios.rs")
}

/// Writes the table `name`, of the names and the texts of the files in `folder`, into `file`.
fn table(folder: &str, name: &str, file: &str) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join(folder);
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name().into_string().map_err(|name| format!("{name:?} is no text"))?;
        names.push(name.strip_suffix(".toml").ok_or(format!("{name} is no .toml file"))?.to_owned());
    }
    names.sort();
    let rows = names.iter().map(|name| {
        let path = folder.join(format!("{name}.toml"));
        format!("    ({name:?}, include_str!({path:?})),\n")
    });
    let table = format!("const {name}: &[(&str, &str)] = &[\n{}];\n", rows.collect::<String>());
    fs::write(Path::new(&env::var("OUT_DIR")?).join(file), table)?;
    Ok(())
}
