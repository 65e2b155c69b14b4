//! Puts into the program what is not Rust: the migrations and the files of the browser.
//!
//! Of the packages in node_modules only the files named here are taken, so that what browsers get
//! is what the lock file pins, and nothing is fetched from another host.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The files that browsers get: the name they are served under, and where they lie.
const FILES: [(&str, &str); 5] = [
    ("app.css", "static/app.css"),
    ("app.js", "static/app.js"),
    ("logo.svg", "static/logo.svg"),
    ("htmx.js", "node_modules/htmx.org/dist/htmx.min.js"),
    ("sse.js", "node_modules/htmx-ext-sse/dist/sse.min.js"),
];

/// Packages whose licence asks to be passed on with their files.
const LICENCES: [&str; 3] = ["htmx.org", "htmx-ext-sse", "lucide-static"];

/// The names of the icons that templates use, one a line.
const ICONS: &str = "static/icons.txt";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=package-lock.json");
    if let Err(why) = assets() {
        println!("cargo::error={why}");
    }
}

/// Copies the browser's files into OUT_DIR and writes the list that `src/web/assets.rs` includes.
fn assets() -> Result<(), String> {
    let out = env::var("OUT_DIR").map_err(|e| format!("OUT_DIR: {e}"))?;
    let out = PathBuf::from(out).join("assets");
    let wrote = |e: io::Error| format!("{}: {e}", out.display());
    fs::create_dir_all(&out).map_err(wrote)?;
    let mut names = Vec::new();
    for (name, path) in FILES {
        fs::write(out.join(name), read(path)?).map_err(wrote)?;
        names.push(name);
    }
    fs::write(out.join("icons.svg"), icons()?).map_err(wrote)?;
    names.push("icons.svg");
    fs::write(out.join("licences.txt"), licences()?).map_err(wrote)?;
    names.push("licences.txt");
    let entries = names.iter().map(|name| {
        let path = out.join(name);
        format!("    ({name:?}, include_bytes!({path:?})),\n")
    });
    let list = format!("&[\n{}]\n", entries.collect::<String>());
    fs::write(out.join("list.rs"), list).map_err(wrote)
}

/// Puts the icons together in one file, each a symbol of its name.
fn icons() -> Result<String, String> {
    let mut symbols = String::new();
    for name in read(ICONS)?.split_whitespace() {
        let path = format!("node_modules/lucide-static/icons/{name}.svg");
        let svg = read(&path)?;
        let shape = svg.split_once("<svg").and_then(|(_, rest)| {
            let (_, rest) = rest.split_once('>')?;
            Some(rest.split_once("</svg>")?.0)
        });
        let shape = shape.ok_or_else(|| format!("{path} is not an icon"))?;
        let lines: String = shape.lines().map(str::trim).collect();
        symbols.push_str(&format!(
            "<symbol id=\"{name}\" viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" \
             stroke-width=\"2\" stroke-linecap=\"round\" stroke-linejoin=\"round\">{lines}</symbol>\n"
        ));
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\">\n<!-- Lucide, see licences.txt -->\n{symbols}</svg>\n"
    ))
}

fn licences() -> Result<String, String> {
    let mut text = String::new();
    for package in LICENCES {
        let licence = read(&format!("node_modules/{package}/LICENSE"))?;
        text.push_str(&format!("{package}\n\n{}\n\n", licence.trim()));
    }
    Ok(text)
}

/// Reads a file, which cargo then watches.
fn read(path: &str) -> Result<String, String> {
    println!("cargo:rerun-if-changed={path}");
    fs::read_to_string(path).map_err(|e| {
        if path.starts_with("node_modules") && !Path::new(path).exists() {
            format!("{path} is missing: run `npm ci` first (./run and ./test do it by themselves)")
        } else {
            format!("{path}: {e}")
        }
    })
}
