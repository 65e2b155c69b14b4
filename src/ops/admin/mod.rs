//! `sluice admin`: the marketplace's own people, and what must be possible when the web is not.
//!
//! It works on the database beside a server that runs, or alone. Each act has its row, by nobody:
//! whoever may start this program on this machine.

mod store;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use reading::PublicKey;
use serde_json::json;
use sluice_agent::inventory::Needs;
use sqlx::{PgConnection, PgPool};

use crate::clock;
use crate::config::{Flags, Settings};
use crate::db::{self, Database, Sharing};
use crate::delivery::probes;
use crate::names;
use crate::web::acts::{self, Act, Origin};
use crate::web::{Locale, Role, passwords, second_factor, session};

pub use store::{NewPerson, Person, create};

/// What `sluice admin` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sluice admin create --login olga --role operations")]
pub struct Arguments {
    #[command(subcommand)]
    act: What,
    #[command(flatten)]
    settings: Flags,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Give one of the marketplace's own people a sign-in; the password is read from standard
    /// input, or made and printed when there is none
    #[command(
        after_help = "Example:\n  sluice admin create --login olga --role operations < password.txt"
    )]
    Create {
        /// The name to sign in with
        #[arg(long)]
        login: String,
        /// What they do: nobody has two of these
        #[arg(long, value_parser = ["operations", "arbiter", "surveillance", "auditor"])]
        role: String,
    },
    /// Forget a person's second factor and end their sessions, once you are sure who asks
    #[command(after_help = "Example:\n  sluice admin reset-second-factor --login olga")]
    ResetSecondFactor {
        /// The name that they sign in with
        #[arg(long)]
        login: String,
    },
    /// Let a participant begin nothing new; its open orders stay until they are cancelled
    #[command(
        after_help = "Example:\n  sluice admin suspend --participant 听澜智能 --reason abuse"
    )]
    Suspend {
        /// The participant's number or name
        #[arg(long)]
        participant: String,
        /// Why, for the record and its owner
        #[arg(long)]
        reason: String,
    },
    /// End a participant's suspension
    #[command(after_help = "Example:\n  sluice admin restore --participant 听澜智能")]
    Restore {
        /// The participant's number or name
        #[arg(long)]
        participant: String,
    },
    /// Say which programs try leases' doors for this exchange
    Vantage {
        #[command(subcommand)]
        act: OfVantage,
    },
    /// Say what a lease of a grade has to see from inside, for probes
    #[command(
        after_help = "Example:\n  sluice admin grade-needs --grade A100-80GB --file a100.json\n\nThe file is one for `sluice-agent inventory --needs`, for one unit; what it asks of disk is not\nlooked at."
    )]
    GradeNeeds {
        /// The grade, the first part of a symbol
        #[arg(long)]
        grade: String,
        /// The file
        #[arg(long)]
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum OfVantage {
    /// Let one try doors from now on; prints its number
    #[command(after_help = "Example:\n  sluice admin vantage add --name 贵安 --key HEX")]
    Add {
        /// Where it is, for people
        #[arg(long)]
        name: String,
        /// What `sluice vantage key` prints there
        #[arg(long)]
        key: String,
    },
    /// Have one try no door any more; what it has said counts no more either
    #[command(after_help = "Example:\n  sluice admin vantage retire --name 贵安")]
    Retire {
        /// Its name
        #[arg(long)]
        name: String,
    },
}

/// Does it.
///
/// # Errors
/// The settings or the database can't be used, or what is named is not there.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&arguments.settings)?;
    super::start_logging(&settings)?;
    // Before the database is opened: whoever pipes a password is not kept waiting for it.
    let typed = match &arguments.act {
        What::Create { .. } => password_from_input()?,
        _ => None,
    };
    super::block_on(async {
        let (url, folder) = (settings.database_url, settings.data_dir);
        let database = Database::open(url, folder, Sharing::Beside).await?;
        let done = act(&arguments.act, typed, database.url()).await;
        database.close().await?;
        done
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn act(what: &What, typed: Option<String>, url: &str) -> anyhow::Result<()> {
    let db = db::connect(url).await?;
    if !store::has_people(&db).await? {
        db::migrate(url).await?;
    }
    let said = match what {
        What::Create { login, role } => create_person(&db, login.trim(), role, typed).await?,
        What::ResetSecondFactor { login } => reset_second_factor(&db, login).await?,
        What::Suspend {
            participant,
            reason,
        } => suspend(&db, participant, reason.trim()).await?,
        What::Restore { participant } => restore(&db, participant).await?,
        What::Vantage { act } => vantage(&db, act).await?,
        What::GradeNeeds { grade, file } => grade_needs(&db, grade, file).await?,
    };
    db.close().await;
    writeln!(io::stdout().lock(), "{said}")?;
    Ok(())
}

/// The first line of what is piped in; none from a terminal or of nothing.
fn password_from_input() -> anyhow::Result<Option<String>> {
    let input = io::stdin();
    if input.is_terminal() {
        return Ok(None);
    }
    let mut line = String::new();
    // One byte more than a password may have is enough to tell.
    let most = passwords::LONGEST_BYTES as u64 + 2;
    io::Read::take(input.lock(), most)
        .read_line(&mut line)
        .context("the password can't be read from standard input")?;
    let typed = line.trim_end_matches(['\r', '\n']).to_owned();
    Ok(Some(typed).filter(|typed| !typed.is_empty()))
}

async fn create_person(
    db: &PgPool,
    login: &str,
    role: &str,
    typed: Option<String>,
) -> anyhow::Result<String> {
    let role = Role::from_code(role).context("there is no such role")?;
    ensure!(
        names::is_for_person(login),
        "a name to sign in with has 3 to 254 characters that can be seen, and no spaces"
    );
    let is_typed = typed.is_some();
    let password = match typed {
        Some(typed) => typed,
        None => session::secret()?,
    };
    if let Err(weak) = passwords::check(&password, &[login]) {
        bail!("the password is refused: {}", weak.text(Locale::En));
    }
    let person = NewPerson {
        login,
        password_hash: passwords::hash_now(&password)?,
        role,
    };
    let mut tx = db.begin().await?;
    let Some(user) = create(&mut tx, &person).await? else {
        bail!("somebody signs in as {login} already");
    };
    let act = Act::of_user("platform_member_created", user);
    record(&mut tx, act.with(json!({ "role": role.code() }))).await?;
    tx.commit().await?;
    let mut said = format!("{login} can sign in as {}", role.code());
    if !is_typed {
        said.push_str(&format!(" with the password\n{password}"));
    }
    said.push_str(
        "\nThe first sign-in sets up a second factor; until then no other page opens.\n\
         Have an authenticator app at hand, and let nobody else have the password before.",
    );
    Ok(said)
}

async fn reset_second_factor(db: &PgPool, login: &str) -> anyhow::Result<String> {
    let mut tx = db.begin().await?;
    let Some(Person { user, is_platform }) = store::person(&mut tx, login).await? else {
        bail!("nobody signs in as {login}");
    };
    second_factor::forget(&mut tx, user).await?;
    // Nothing here has streams; a server that runs ends them by itself.
    let _ended = session::end_others(&mut tx, user, None).await?;
    record(&mut tx, Act::of_user("second_factor_reset", user)).await?;
    tx.commit().await?;
    let next = if is_platform {
        "the next sign-in sets up a new one"
    } else {
        "the password alone signs them in until they set up a new one"
    };
    Ok(format!(
        "the second factor of {login} is forgotten and their sessions are over; {next}"
    ))
}

async fn suspend(db: &PgPool, participant: &str, reason: &str) -> anyhow::Result<String> {
    ensure!(
        (1..=200).contains(&reason.chars().count()) && names::is_visible(reason),
        "a reason has 1 to 200 characters that can be seen"
    );
    let mut tx = db.begin().await?;
    let (id, name) = named(&mut tx, participant).await?;
    ensure!(
        store::suspend(&mut tx, id, reason).await?,
        "{name} is suspended already"
    );
    let act = Act {
        what: "suspended",
        subject: format!("participant:{id}"),
        detail: json!({ "reason": reason }),
    };
    record(&mut tx, act).await?;
    tx.commit().await?;
    Ok(format!(
        "{name} is suspended: it begins nothing new. What it has goes on, open orders included"
    ))
}

async fn restore(db: &PgPool, participant: &str) -> anyhow::Result<String> {
    let mut tx = db.begin().await?;
    let (id, name) = named(&mut tx, participant).await?;
    let Some(reason) = store::restore(&mut tx, id).await? else {
        bail!("{name} is not suspended");
    };
    let act = Act {
        what: "restored",
        subject: format!("participant:{id}"),
        detail: json!({ "suspended_for": reason }),
    };
    record(&mut tx, act).await?;
    tx.commit().await?;
    Ok(format!("{name} may begin new things again"))
}

async fn vantage(db: &PgPool, act: &OfVantage) -> anyhow::Result<String> {
    let mut tx = db.begin().await?;
    let (what, number, name, said) = match act {
        OfVantage::Add { name, key } => {
            let name = name.trim();
            ensure!(
                (1..=60).contains(&name.chars().count()) && names::is_visible(name),
                "a name has 1 to 60 characters that can be seen"
            );
            let key = PublicKey::from_hex(key)?;
            let now = clock::market_now(&mut *tx).await?;
            let Some(number) = probes::add(&mut *tx, name, &key.to_bytes(), now).await? else {
                bail!("there is a vantage of this name or with this key");
            };
            let said = format!(
                "{name} is vantage {number}: start it there with --number {number}\n\
                 Doors know its key within a minute; from now on it counts."
            );
            ("vantage_added", number, name, said)
        }
        OfVantage::Retire { name } => {
            let now = (clock::wall(), clock::market_now(&mut *tx).await?);
            let Some(number) = probes::retire(&mut *tx, name, now).await? else {
                bail!("no vantage that is not retired is called {name}");
            };
            let said = format!("{name} is retired: it counts no more; what it said before stands");
            ("vantage_retired", number, name.as_str(), said)
        }
    };
    let act = Act {
        what,
        subject: format!("vantage:{number}"),
        detail: json!({ "name": name }),
    };
    record(&mut tx, act).await?;
    tx.commit().await?;
    Ok(said)
}

async fn grade_needs(db: &PgPool, grade: &str, file: &Path) -> anyhow::Result<String> {
    ensure!(
        market::catalogue::Grade::of(grade).is_some(),
        "there is no grade {grade}"
    );
    let text = std::fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
    let needs: Needs = serde_json::from_slice(&text)
        .with_context(|| format!("{} says nothing of what a grade needs", file.display()))?;
    ensure!(needs.units == 1, "the file has to be for one unit");
    let long = serde_json::to_string(&needs)?.len();
    ensure!(
        long <= probes::MOST_NEEDS,
        "the file names too many models: it has {long} bytes of at most {}",
        probes::MOST_NEEDS
    );
    let mut tx = db.begin().await?;
    probes::say_needs(&mut *tx, grade, &needs).await?;
    let act = Act {
        what: "grade_needs_said",
        subject: format!("grade:{grade}"),
        detail: json!({ "needs": needs }),
    };
    record(&mut tx, act).await?;
    tx.commit().await?;
    Ok(format!(
        "probes of {grade} look for what the file says from now on"
    ))
}

async fn named(db: &mut PgConnection, participant: &str) -> anyhow::Result<(i64, String)> {
    let found = store::participant(db, participant).await?;
    found.with_context(|| format!("there is no participant {participant}"))
}

async fn record(db: &mut PgConnection, act: Act) -> anyhow::Result<()> {
    Ok(acts::record(db, &Origin::program(), act).await?)
}
