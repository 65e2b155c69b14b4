//! `sluice serve`: the marketplace.

use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use sqlx::{Connection, PgPool};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::StopSignals;
use crate::app::{App, Parts};
use crate::clock::{self, MarketClock};
use crate::config::{Flags, Settings};
use crate::db::purpose::{self, Purpose};
use crate::db::{self, Database, Sharing};
use crate::delivery::keeper::Keeper;
use crate::delivery::simulated;
use crate::demo::machines::{self, Machines, Reached, Sandbox, Unfit};
use crate::demo::{self, Demonstration, Login};
use crate::replay::decimal::Decimal;
use crate::sequencer::{self, StartError, Started, scheduler, standby};
use crate::web::server::{self, Limits};
use crate::web::{Options, Web, attendance};
use crate::{audit, router, rules};

/// How long a standby waits before it asks a database that it has lost.
const STANDBY_PAUSE: Duration = Duration::from_secs(1);

/// What `sluice serve` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  sluice serve --listen 127.0.0.1:9000 --clock-speed 60\n  \
    DATABASE_URL=postgres://… sluice serve --standby --listen 127.0.0.1:9001"
)]
pub struct Arguments {
    /// List a demonstration market to buy from, where there is none yet, and simulate delivery
    #[arg(long)]
    demo: bool,
    /// Serve the demonstration where others can reach it: whoever has its logins can use them
    #[arg(long, requires = "demo")]
    demo_in_the_open: bool,
    /// Wait beside the server that leads on the same database, and take over when it is gone
    #[arg(long, conflicts_with = "demo")]
    standby: bool,
    /// Serve from a database that may lose what it acknowledged; for tests only
    #[arg(long, hide = true)]
    allow_unsafe_database: bool,
    #[command(flatten)]
    settings: Flags,
}

/// Serves until asked to stop.
///
/// # Errors
/// The settings, the database or the address can't be used.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(&arguments.settings)?;
    super::start_logging(&settings)?;
    super::block_on(serve(arguments, settings))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(arguments: &Arguments, settings: Settings) -> anyhow::Result<()> {
    ensure!(
        !arguments.demo || arguments.demo_in_the_open || is_closed(&settings),
        "the demonstration would be open to the network, and its logins are printed: \
         listen on 127.0.0.1 without public_url, or say --demo-in-the-open"
    );
    ensure!(
        !arguments.standby || settings.database_url.is_some(),
        "a standby waits on the database of another server: set DATABASE_URL"
    );
    // An address in use is said before anything is started.
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("{} can't be listened on", settings.listen))?;
    let url = settings.database_url.clone();
    let database = Database::open(url, settings.data_dir.clone(), Sharing::Alone).await?;
    let served = serve_from(arguments, &settings, &database, listener).await;
    let closed = database.close().await;
    served?;
    Ok(closed?)
}

/// Whether nobody but this computer's users reaches the pages.
fn is_closed(settings: &Settings) -> bool {
    settings.listen.ip().to_canonical().is_loopback() && settings.public_url.is_none()
}

async fn serve_from(
    arguments: &Arguments,
    settings: &Settings,
    database: &Database,
    listener: TcpListener,
) -> anyhow::Result<()> {
    if !arguments.allow_unsafe_database {
        db::require_durable(database.url()).await?;
    }
    db::migrate(database.url()).await?;
    let mut first = db::first_connection(database.url()).await?;
    let wanted = if arguments.demo {
        Purpose::Demonstration
    } else {
        Purpose::Earnest
    };
    purpose::claim(&mut first, wanted).await?;
    first.close().await?;
    let pool = db::connect(database.url()).await?;
    let demonstration = if arguments.demo {
        Some(demonstrate(settings, database, &pool).await?)
    } else {
        None
    };
    let mut signals = StopSignals::listen().context("listening for signals")?;
    let led = if arguments.standby {
        stand_by(settings, database, &pool, &listener, &mut signals).await?
    } else {
        tokio::select! {
            () = signals.asked() => None,
            led = lead(settings, database, &pool) => Some(led?),
        }
    };
    let Some((clock, started)) = led else {
        return Ok(());
    };
    let machines = match &demonstration {
        Some(demonstration) => {
            let reached = Reached {
                db: pool.clone(),
                sequencer: started.sequencer.clone(),
                feed: started.feed.clone(),
                clock: clock.clone(),
            };
            let folder = settings.data_dir.join("machines");
            let may_open = is_closed(settings);
            open_machines(reached, demonstration, &folder, may_open).await?
        }
        None => None,
    };
    let options = Options {
        test_money: arguments.demo,
        real_machines: machines.is_some(),
        ..Options::from(settings)
    };
    let web = Arc::new(Web::new(options));
    let stopping = web.stopping.clone();
    let tasks = TaskTracker::new();
    start_tasks(&tasks, &pool, arguments.demo, &started, &clock, &stopping);
    if let Some(demonstration) = &demonstration {
        tasks.spawn(demo::live(
            pool.clone(),
            demonstration.cast.clone(),
            started.sequencer.clone(),
            started.feed.clone(),
            clock.clone(),
            stopping.clone(),
        ));
    }
    let app = App::new(Parts {
        db: pool.clone(),
        sequencer: started.sequencer.clone(),
        feed: started.feed.clone(),
        clock,
        audit: audit::Desk::new(database.url()),
        web,
    });
    tasks.spawn(attendance::sweep(app.clone(), stopping.clone()));
    tracing::info!("serving http://{}", listener.local_addr()?);
    if let Some(demonstration) = &demonstration {
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "{}",
            welcome(
                listener.local_addr()?,
                settings,
                demonstration,
                machines.is_some()
            )
        )?;
    }
    let address = listener.local_addr()?;
    let pages = tokio::spawn(server::serve(
        listener,
        router::router(app),
        Limits::from(settings),
        stopping.clone(),
    ));
    if let Some(machines) = machines {
        tasks.spawn(machines.run(format!("http://{address}"), stopping.clone()));
    }
    let was_asked = tokio::select! {
        () = signals.asked() => true,
        () = started.sequencer.ended() => false,
    };
    stopping.cancel();
    tasks.close();
    pages.await?.context("serving pages")?;
    tasks.wait().await;
    stop_sequencer(started).await?;
    pool.close().await;
    ensure!(
        was_asked,
        "the sequencer has ended by itself: another server leads, or see the log"
    );
    Ok(())
}

/// Takes the lead, with the clock going on from the last command.
async fn lead(
    settings: &Settings,
    database: &Database,
    pool: &PgPool,
) -> anyhow::Result<(MarketClock, Started)> {
    let clock = clock::resume(pool, settings.clock_speed.into()).await?;
    let started = start_sequencer(settings, database, &clock).await?;
    Ok((clock, started))
}

/// Waits until nobody leads and then leads; meanwhile says at the address that it is not ready.
/// `None` when it is asked to stop first.
async fn stand_by(
    settings: &Settings,
    database: &Database,
    pool: &PgPool,
    listener: &TcpListener,
    signals: &mut StopSignals,
) -> anyhow::Result<Option<(MarketClock, Started)>> {
    let same = std::net::TcpListener::from(listener.as_fd().try_clone_to_owned()?);
    let over = CancellationToken::new();
    let answering = tokio::spawn(server::serve(
        TcpListener::from_std(same)?,
        router::standby(),
        Limits::from(settings),
        over.clone(),
    ));
    tracing::info!("standing by on http://{}", listener.local_addr()?);
    let waiting = async {
        loop {
            if let Err(error) = standby::wait(database.url()).await {
                tracing::warn!(%error, "the database can't be asked who leads");
                tokio::time::sleep(STANDBY_PAUSE).await;
                continue;
            }
            match lead(settings, database, pool).await {
                // Another standby was faster, or the database is lost: wait again.
                Err(error) if is_passing(&error) => tracing::warn!("{error:#}"),
                led => return led,
            }
        }
    };
    let led = tokio::select! {
        () = signals.asked() => None,
        led = waiting => Some(led?),
    };
    over.cancel();
    answering.await?.context("answering while standing by")?;
    Ok(led)
}

/// Whether a standby that could not lead may be able to later.
fn is_passing(error: &anyhow::Error) -> bool {
    error.is::<sqlx::Error>()
        || matches!(
            error.downcast_ref(),
            Some(StartError::Led | StartError::Database(_))
        )
}

/// Prepares the demonstration, and lives through what it has of a past.
async fn demonstrate(
    settings: &Settings,
    database: &Database,
    pool: &PgPool,
) -> anyhow::Result<Demonstration> {
    let now = clock::stamp(clock::wall());
    let demonstration = demo::open(pool, now, Decimal(settings.usd_cny)).await?;
    if demonstration.has_past_ahead {
        tracing::info!(
            "living through the market's first {} hours",
            demo::PAST_HOURS
        );
        let clock = MarketClock::set_to(demonstration.begins);
        let started = start_sequencer(settings, database, &clock).await?;
        let lived = live_through(pool, &started, &demonstration).await;
        stop_sequencer(started).await?;
        lived?;
    }
    Ok(demonstration)
}

async fn live_through(
    pool: &PgPool,
    started: &Started,
    demonstration: &Demonstration,
) -> anyhow::Result<()> {
    let Demonstration {
        cast,
        begins,
        opens,
        ..
    } = demonstration;
    demo::list(pool, started, *begins, cast).await?;
    demo::live_through(pool, started, cast, *opens).await?;
    let market = started.feed.market().clone();
    demo::open_room(pool, cast, &market).await
}

/// Opens the demonstration's real machines, or says why there are none.
async fn open_machines(
    reached: Reached,
    demonstration: &Demonstration,
    folder: &Path,
    is_closed: bool,
) -> anyhow::Result<Option<Machines>> {
    let agent = std::env::current_exe()?.with_file_name("sluice-agent");
    let sandbox = match is_closed {
        true => Sandbox::find(folder, &agent).await,
        false => Err(Unfit::Open),
    };
    match sandbox {
        Ok(sandbox) => {
            let opened = machines::open(reached, &demonstration.cast, sandbox).await?;
            Ok(Some(opened))
        }
        Err(why) => {
            tracing::info!("all delivery is simulated, no real machines are started: {why}");
            machines::withdraw(&reached.sequencer, &reached.feed).await?;
            Ok(None)
        }
    }
}

/// Where the demonstration is, who can sign in, and what can be done there.
fn welcome(
    address: SocketAddr,
    settings: &Settings,
    demonstration: &Demonstration,
    has_machines: bool,
) -> String {
    let hour = 3600.0 / f64::from(settings.clock_speed);
    let symbol = machines::SYMBOL;
    let delivery = match has_machines {
        true => format!(
            "Its delivery is simulated but for {symbol}: real machines in sandboxes of this computer, \
             to sign in by SSH."
        ),
        false => "Its delivery is simulated.".to_owned(),
    };
    let logins: Vec<String> = demonstration.logins.iter().map(Login::to_string).collect();
    format!(
        "\nSluice 算渠 is open: http://{address}\n\n\
         Sign in with one of these, or sign up and credit yourself test money in the wallet:\n\
         {}\n\
         TOTP is the secret of time-based codes: any authenticator, or `oathtool --totp -b SECRET`.\n\n\
         A market hour passes in {hour:.0} seconds; its traders are simulated, its money is test money.\n\
         {delivery}\n\
         Ctrl-C stops everything; the next start goes on where it was.\n",
        logins.join("\n")
    )
}

async fn start_sequencer(
    settings: &Settings,
    database: &Database,
    clock: &MarketClock,
) -> anyhow::Result<Started> {
    let file = settings.rules.as_ref().map(|path| path.to_string_lossy());
    let options = sequencer::Options {
        database_url: database.url().to_owned(),
        rules: rules::load(file.as_deref())?,
        clock: clock.clone(),
        queue: settings.queue_length,
        batch: settings.batch_max,
    };
    Ok(sequencer::start(options).await?)
}

/// Ends the sequencer after what was queued is done.
async fn stop_sequencer(started: Started) -> anyhow::Result<()> {
    started.sequencer.stop();
    let ended = tokio::task::spawn_blocking(move || started.thread.join()).await?;
    ended.map_err(|_| anyhow!("the sequencer did not end well; see the log"))
}

fn start_tasks(
    tasks: &TaskTracker,
    db: &PgPool,
    demo: bool,
    started: &Started,
    clock: &MarketClock,
    stopping: &CancellationToken,
) {
    let Started {
        sequencer, feed, ..
    } = started;
    let ticks = scheduler::run(
        sequencer.clone(),
        feed.clone(),
        clock.clone(),
        stopping.clone(),
    );
    tasks.spawn(ticks);
    let keeper = Keeper {
        db: db::for_keeper(db),
        sequencer: sequencer.clone(),
        feed: feed.clone(),
        clock: clock.clone(),
    };
    tasks.spawn(keeper.run(stopping.clone()));
    if demo {
        tasks.spawn(simulated::run(
            db.clone(),
            sequencer.clone(),
            feed.clone(),
            clock.clone(),
            demo::SEED,
            stopping.clone(),
        ));
    }
}
