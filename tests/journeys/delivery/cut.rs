//! The network between a real agent and the exchange, cut both ways and one way: what ran meanwhile
//! is told afterwards, counted once, and paid; and the lease ends at its hour all the same.

use std::net::SocketAddr;
use std::time::Duration;

use market::{Rules, Timestamp};
use sluice_agent::spool::Spool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::real::{Agent, Door, Earnest};
use crate::support::market::hour;

/// Where the network is cut. What was open when that changed ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// Nowhere.
    Nowhere,
    /// Nothing can be reached.
    BothWays,
    /// What is said arrives, and of the answers only each connection's first: the agent is cut off in
    /// the middle of what it has to tell, again and again.
    Answers,
    /// Nothing that is said arrives, and nobody says so.
    Requests,
}

/// The network before an exchange; it ends with the test's runtime.
struct Network {
    /// The exchange, by way of it.
    url: String,
    cut: watch::Sender<Cut>,
}

impl Network {
    async fn before(exchange: &str) -> Self {
        let exchange = exchange.trim_start_matches("http://");
        let exchange: SocketAddr = exchange.parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("it has one"));
        let (cut, of) = watch::channel(Cut::Nowhere);
        tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                let mut of = of.clone();
                tokio::spawn(async move {
                    let cut = *of.borrow_and_update();
                    tokio::select! {
                        () = carry(agent, exchange, cut) => {}
                        _ = of.changed() => {}
                    }
                });
            }
        });
        Self { url, cut }
    }

    fn set(&self, cut: Cut) {
        self.cut.send_replace(cut);
    }
}

/// Carries what is said as far as the network goes, until one end closes.
async fn carry(mut agent: TcpStream, exchange: SocketAddr, cut: Cut) {
    let (mut asked, mut said) = (vec![0; 65_536], vec![0; 65_536]);
    if cut == Cut::BothWays {
        return;
    }
    if cut == Cut::Requests {
        while let Ok(1..) = agent.read(&mut asked).await {}
        return;
    }
    let exchange = TcpStream::connect(exchange).await;
    let mut exchange = exchange.expect("it listens");
    let mut requests = 0;
    loop {
        tokio::select! {
            read = agent.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                requests += i32::from(asked[..length].starts_with(b"POST "));
                if exchange.write_all(&asked[..length]).await.is_err() {
                    return;
                }
            }
            read = exchange.read(&mut said) => {
                let Ok(length @ 1..) = read else { return };
                let is_lost = cut == Cut::Answers && requests > 1;
                if is_lost || agent.write_all(&said[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A lease that runs beyond a network.
struct Beyond {
    earnest: Earnest,
    network: Network,
}

impl Beyond {
    /// The minutes that the exchange was told so far, with the number of each reading.
    async fn told(&self) -> Vec<(Timestamp, i64)> {
        let told = "SELECT minute::bigint, sequence FROM readings WHERE units = 1
             ORDER BY sequence, minute";
        let told: Vec<(i64, i64)> = sqlx::query_as(told)
            .fetch_all(&self.earnest.site.app.database.pool)
            .await
            .expect("readings are read");
        let at = |minute: i64| Timestamp(minute * 60_000_000);
        let told = told.into_iter();
        told.map(|(minute, number)| (at(minute), number)).collect()
    }

    /// How many minutes from one instant to before another were told.
    async fn told_of(&self, from: Timestamp, to: Timestamp) -> usize {
        let told = self.told().await;
        told.iter()
            .filter(|(at, _)| from <= *at && *at < to)
            .count()
    }

    /// What the agent said last of how much waits at its side.
    async fn waiting(&self) -> i64 {
        let waiting = sqlx::query_scalar("SELECT waiting FROM agents");
        let waiting = waiting.fetch_one(&self.earnest.site.app.database.pool);
        waiting.await.expect("the agent is read")
    }

    fn now(&self) -> Timestamp {
        self.earnest.site.app.clock().now()
    }

    async fn pass(&self, minutes: i64) {
        let until = self.now().plus_minutes(minutes);
        while self.now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until what ran since an instant has been told, but for the last minutes.
    async fn told_since(&self, from: Timestamp, what: &str) {
        let to = self.now().min(hour(2)).plus_minutes(-2);
        self.earnest
            .site
            .until(what, async || {
                let told = self.told().await;
                let is_there = told.last().is_some_and(|(at, _)| *at >= to);
                (is_there && self.told_of(from, to).await > 0).then_some(())
            })
            .await;
    }

    /// Nothing gets through for some minutes, and afterwards everything.
    async fn cut_both_ways(&self) {
        self.network.set(Cut::BothWays);
        let from = self.now().plus_minutes(1);
        self.pass(5).await;
        assert_eq!(self.told_of(from, hour(2)).await, 0, "nothing got through");
        self.network.set(Cut::Nowhere);
        self.told_since(from, "what ran meanwhile is told").await;
    }

    /// The exchange hears everything, and the agent of nothing that it was taken.
    async fn lose_answers(&self) {
        self.network.set(Cut::Answers);
        let from = self.now().plus_minutes(1);
        let unheard = self.earnest.site.until("it tells them again", async || {
            // The last that waits may be on its way for the first time.
            let (waiting, told) = (self.waiting().await, self.told_of(from, hour(2)).await);
            (waiting > 3 && told > 3).then_some(())
        });
        unheard.await;
        self.network.set(Cut::Nowhere);
        self.earnest
            .site
            .until("it hears that they were taken", async || {
                (self.waiting().await <= 1).then_some(())
            })
            .await;
    }

    /// Nothing that the agent says arrives, beyond the lease's end and what is waited for after it.
    async fn swallow_requests(&self, door: &Door) {
        self.network.set(Cut::Requests);
        let from = self.now().plus_minutes(1);
        self.earnest.over().await;
        self.earnest.out(door).await;
        let waited_for = hour(2).plus_minutes(10);
        assert!(self.now() < waited_for, "it ends by the agent's own clock");
        let stage = sqlx::query_scalar("SELECT stage FROM stays");
        let stage = stage.fetch_one(&self.earnest.site.app.database.pool);
        let stage: String = stage.await.expect("the stay is read");
        assert_eq!(stage, "prepared", "the exchange knows nothing of it");
        assert_eq!(self.told_of(from, hour(2)).await, 0, "nothing got through");
        // It is not waited for longer than ten minutes.
        self.earnest
            .site
            .until("the hour is settled by what was told", async || {
                (self.earnest.site.settled(1).await.len() == 1).then_some(())
            })
            .await;
        self.network.set(Cut::Nowhere);
        self.told_since(from, "what ran until its end is told")
            .await;
    }

    /// Each reading has come once, and each minute is paid.
    async fn is_whole(&self, agent: Agent) {
        let accepted = "SELECT ceil(extract(epoch FROM accepted_at) / 60)::bigint FROM stays";
        let accepted: i64 = sqlx::query_scalar(accepted)
            .fetch_one(&self.earnest.site.app.database.pool)
            .await
            .expect("the stay is read");
        let told = self.told().await;
        let numbers = "SELECT sequence FROM readings ORDER BY sequence";
        let numbers: Vec<i64> = sqlx::query_scalar(numbers)
            .fetch_all(&self.earnest.site.app.database.pool)
            .await
            .expect("readings are read");
        let all = i64::try_from(numbers.len()).expect("few");
        assert_eq!(numbers, (1..=all).collect::<Vec<_>>(), "each once");
        let paid = told.iter().filter(|(at, _)| at.0 >= accepted * 60_000_000);
        let paid = i64::try_from(paid.count()).expect("few");
        let site = &self.earnest.site;
        site.until("every minute counts", async || {
            (site.counted(1).await == [paid]).then_some(())
        })
        .await;
        let first = site.settled(1).await[0];
        assert!(first < paid, "{first} of {paid} minutes came in time");
        // What the machine has: nothing that waits, and a chain as long as what was told.
        drop(agent);
        let number: i64 = sqlx::query_scalar("SELECT id FROM agents")
            .fetch_one(&site.app.database.pool)
            .await
            .expect("the agent is read");
        let number = u64::try_from(number).expect("positive");
        let spool = Spool::open(&self.earnest.state().join("spool"), number, 1 << 20);
        let spool = spool.expect("it is whole");
        assert_eq!(spool.waiting(), 0);
        let head = spool.head(1).map(|head| head.sequence);
        assert_eq!(head, u64::try_from(all).ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root in a namespace of its own"]
async fn as_root_an_agent_that_is_cut_off_ends_the_lease_and_loses_no_minute() {
    let rules = Rules {
        version: 1,
        current_hour: true,
        // What comes late corrects for so long.
        claim_window_hours: 24,
        reading_deadline_hours: Some(24),
        ..Rules::none()
    };
    let mut earnest = Earnest::begun(rules, 15, 90).await;
    let network = Network::before(&earnest.site.app.url).await;
    let agent = earnest.agent(&network.url, &[]).await;
    earnest.buy().await;
    let door = earnest.door().await;
    earnest
        .holder(&door, "sleep 3600 >/dev/null 2>&1 & true")
        .await;
    let beyond = Beyond { earnest, network };
    beyond.cut_both_ways().await;
    beyond.lose_answers().await;
    beyond.earnest.accepted().await;
    beyond.swallow_requests(&door).await;
    beyond.earnest.closed().await;
    beyond.is_whole(agent).await;
    beyond.earnest.stop().await;
}
