//! `sluice replay`: the main job whole, on real traces or on their profile, without a browser.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use market::{EventKind, Rules};

use super::StopSignals;
use crate::config::{Flags, Settings};
use crate::db::{Database, Sharing};
use crate::replay::books::Books;
use crate::replay::course::Course;
use crate::replay::decimal::Decimal;
use crate::replay::ground;
use crate::replay::orders_out;
use crate::replay::plan::{Plan, Tables, Wish};
use crate::replay::profile::{self, Profile};
use crate::replay::run::{self, Width};
use crate::replay::summary::Summary;
use crate::rules;
use crate::sequencer::Receipt;

/// What `sluice replay` takes.
///
/// Without --nodes and --jobs it draws both from the built-in profile of the traces. On the private
/// PostgreSQL it has a database of its own; one that is named must be empty or a replay's.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  sluice replay --nodes cluster_nodes_2026.csv --jobs gpu_jobs.csv --load 1.2 --json")]
pub struct Arguments {
    /// Nodes of a cluster (CSV)
    #[arg(long, value_name = "CSV", requires = "jobs")]
    nodes: Option<PathBuf>,
    /// Jobs that ran on a cluster (CSV)
    #[arg(long, value_name = "CSV", requires = "nodes")]
    jobs: Option<PathBuf>,
    /// Published prices (CSV) [default: those that the program carries]
    #[arg(long, value_name = "CSV")]
    prices: Option<PathBuf>,
    /// The grade of each model (CSV) [default: those that the program carries]
    #[arg(long, value_name = "CSV")]
    grades: Option<PathBuf>,
    /// Peak demand as a share of what is listed; above 1 there is too little for all
    #[arg(long, default_value = "0.7", value_parser = positive)]
    load: Decimal,
    /// The seed of everything that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
    /// Write every order, with who could have traded with it, as one JSON object a line
    #[arg(long, value_name = "FILE")]
    orders_out: Option<PathBuf>,
    /// Write the profile of --nodes and --jobs, and do nothing else
    #[arg(long, value_name = "FILE", requires = "jobs")]
    write_profile: Option<PathBuf>,
    /// Write the number of each command and the name of its order as it is answered; for tests
    #[arg(long, value_name = "FILE", hide = true)]
    receipts_out: Option<PathBuf>,
    #[command(flatten)]
    settings: Flags,
}

/// Replays; the exit code is 1 when a line of a table could not be read.
///
/// # Errors
/// The tables, the settings or the database can't be used, or the books do not close.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&arguments.settings)?;
    super::start_logging(&settings)?;
    let tables = read(arguments)?;
    for line in &tables.rows.malformed {
        eprintln!("sluice replay: {line}");
    }
    let code = match tables.rows.malformed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    };
    if let Some(path) = &arguments.write_profile {
        write_profile(path, &tables)?;
        return Ok(code);
    }
    let plan = Plan::draw(
        tables,
        Wish {
            load: arguments.load,
            usd_cny: Decimal(settings.usd_cny),
            seed: arguments.seed,
        },
    )?;
    let orders_out = match &arguments.orders_out {
        Some(path) => Some(create(path)?),
        None => None,
    };
    let rules = settings.rules.as_deref().map(Path::to_string_lossy);
    let rules = rules::load(rules.as_deref())?;
    let mut course = Course::new(plan, &rules);
    let receipts = match &arguments.receipts_out {
        Some(path) => Some(create(path)?.into_inner()?),
        None => None,
    };
    let replay = replay(&mut course, &settings, rules, receipts);
    let (books, took) = super::block_on(async {
        let mut signals = StopSignals::listen().context("listening for signals")?;
        tokio::select! {
            done = replay => done,
            () = signals.asked() => bail!("the replay was stopped"),
        }
    })?;
    if let Some(file) = orders_out {
        orders_out::write(&course, file).context("the orders can't be written")?;
    }
    let source = if arguments.nodes.is_some() {
        "traces"
    } else {
        "profile"
    };
    print(&Summary::of(source, &course, &books, took), arguments.json)?;
    Ok(code)
}

fn positive(text: &str) -> Result<Decimal, String> {
    match text.parse() {
        Ok(Decimal(parts)) if parts <= 0 => Err("it must be above 0".to_owned()),
        read => read.map_err(|error: market::MoneyError| error.to_string()),
    }
}

/// Reads the tables, or draws nodes and jobs from the profile.
fn read(arguments: &Arguments) -> anyhow::Result<Tables> {
    let mut tables = Tables::default();
    let rows = &mut tables.rows;
    tables.grades = rows.grades(open(arguments.grades.as_deref(), profile::GRADES)?)?;
    tables.prices = rows.prices(open(arguments.prices.as_deref(), profile::PRICES)?)?;
    if let (Some(nodes), Some(jobs)) = (&arguments.nodes, &arguments.jobs) {
        tables.nodes = rows.nodes(open(Some(nodes), "")?, &tables.grades)?;
        tables.jobs = rows.jobs(open(Some(jobs), "")?, &tables.grades)?;
    } else {
        let profile = Profile::built_in().context("the built-in profile can't be read")?;
        (tables.nodes, tables.jobs) = profile.draw(arguments.seed, rows);
    }
    Ok(tables)
}

fn open(path: Option<&Path>, carried: &'static str) -> anyhow::Result<Box<dyn Read>> {
    let Some(path) = path else {
        return Ok(Box::new(carried.as_bytes()));
    };
    let file = File::open(path).with_context(|| format!("{} can't be read", path.display()))?;
    Ok(Box::new(file))
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file =
        File::create(path).with_context(|| format!("{} can't be written", path.display()))?;
    Ok(BufWriter::new(file))
}

fn write_profile(path: &Path, tables: &Tables) -> anyhow::Result<()> {
    let profile = Profile::of(&tables.nodes, &tables.jobs, &tables.rows);
    let mut file = create(path)?;
    serde_json::to_writer(&mut file, &profile)?;
    writeln!(file)?;
    file.flush()?;
    Ok(())
}

/// Runs the course on its database, and reads the books that it left.
async fn replay(
    course: &mut Course,
    settings: &Settings,
    rules: Rules,
    receipts: Option<File>,
) -> anyhow::Result<(Books, Duration)> {
    let url = settings.database_url.clone();
    let database = Database::open(url, settings.data_dir.clone(), Sharing::Beside).await?;
    let width = Width {
        queue: settings.queue_length,
        batch: settings.batch_max,
    };
    let replayed = replay_on(course, &database, rules, width, receipts).await;
    let closed = database.close().await;
    let replayed = replayed?;
    closed?;
    Ok(replayed)
}

async fn replay_on(
    course: &mut Course,
    database: &Database,
    rules: Rules,
    width: Width,
    mut receipts: Option<File>,
) -> anyhow::Result<(Books, Duration)> {
    let url = database.for_replay().await?;
    ground::prepare(&url).await?;
    let bar = bar();
    let took = run::run(course, &url, rules, width, |course, receipt| {
        let (done, known) = course.progress();
        bar.set_length(known);
        bar.set_position(done);
        bar.set_message(course.day());
        match &mut receipts {
            Some(file) => write_receipt(file, receipt),
            None => Ok(()),
        }
    })
    .await?;
    bar.finish_and_clear();
    let books = Books::read(&url).await?;
    books.check(&course.fates.tally)?;
    Ok((books, took))
}

/// One line at once, without a buffer: what stands there was answered, whatever is killed next.
fn write_receipt(file: &mut File, receipt: &Receipt) -> std::io::Result<()> {
    let accepted = receipt.events.iter().find_map(|event| match event.kind {
        EventKind::Accepted { order, .. } => Some(order.to_string()),
        _ => None,
    });
    let order = accepted.unwrap_or_default();
    file.write_all(format!("{} {order}\n", receipt.command).as_bytes())
}

/// A bar with rate and time left, where there is somebody to see it.
fn bar() -> ProgressBar {
    let style = "{msg} {wide_bar} {pos}/{len} commands, {per_sec}, {eta} left";
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
    // A style that can't be read leaves the plain bar.
    bar.with_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}

fn print(summary: &Summary, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(summary)?)?;
    } else {
        write!(out, "{summary}")?;
    }
    Ok(())
}
