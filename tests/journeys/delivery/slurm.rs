//! A whole lease on a node of a real Slurm cluster: bought through the API, handed out by the real
//! agent, used with `srun`, and gone at its hour.

#[path = "../../../crates/agent/tests/slurm/cluster.rs"]
mod cluster;

use std::process::Command;

use market::Rules;

use self::cluster::Cluster;
use super::real::Earnest;
use crate::vantages::real::{own_machine, run};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root in a namespace of its own"]
async fn as_root_a_buyer_of_a_slurm_node_runs_steps_and_is_out_at_the_hour() {
    let rules = Rules {
        version: 1,
        current_hour: true,
        ..Rules::none()
    };
    own_machine();
    let cluster = Cluster::start_as_can(&format!("j{}", std::process::id()), &["n1"]);
    // Slow, since a look asks Slurm half a dozen questions, and a minute has to be looked at every
    // twenty seconds of the market.
    let mut earnest = Earnest::begun(rules, 45, 24).await;
    let (node, conf) = (cluster.node("n1"), cluster.conf());
    let conf = conf.to_str().expect("text");
    let mut flags = vec!["--slurm-node", &node, "--slurm-partition", "leases"];
    flags.extend(["--slurm-cpus", "2", "--slurm-conf", conf]);
    let url = earnest.site.app.url.clone();
    let _agent = earnest.agent(&url, &flags).await;
    earnest.buy().await;
    let door = earnest.door().await;
    let step = "echo $SLURM_JOB_ID && srun sh -c 'echo $SLURM_JOB_ID $SLURMD_NODENAME; id -un'";
    let said = earnest.holder(&door, step).await;
    let (job, of_step) = said.split_once('\n').expect("two things");
    assert!(job.parse::<u32>().is_ok(), "{said}");
    assert_eq!(of_step, format!("{job} {node}\n{}\n", door.login));
    let name = format!("{}-{node}", door.login);
    assert!(cluster.is_reserved(&name));
    assert_eq!(cluster.jobs(1), ["RUNNING"]);
    earnest.accepted().await;
    // A step that would go on, and a file.
    let step = "srun sh -c 'echo mine > file'; (srun sleep 7251 >/dev/null 2>&1 &); id -un";
    assert_eq!(earnest.holder(&door, step).await.trim(), door.login);
    assert!(door.home().join("file").exists());
    let runs = || {
        let asked = Command::new("pgrep")
            .args(["-f", "^[^ ]*sleep 7251$"])
            .output();
        asked.expect("pgrep runs").status.success()
    };
    let begun = async || runs().then_some(());
    earnest.site.until("the step runs", begun).await;

    earnest.over().await;
    earnest.out(&door).await;
    earnest.closed().await;
    assert_eq!(cluster.jobs(1), ["CANCELLED"]);
    assert!(!cluster.is_reserved(&name));
    let account = Command::new("getent")
        .args(["passwd", &door.login])
        .status();
    assert!(
        !account.expect("getent runs").success(),
        "it has no account"
    );
    assert!(!runs(), "nothing runs");
    let proven = earnest.site.settled(1).await[0];
    assert!((1..=15).contains(&proven), "some of it ran: {proven}");
    let wiped = earnest.evidence("wiped").await;
    assert_eq!(wiped["said"]["account"], door.login.as_str(), "{wiped}");
    earnest.stop().await;
}
