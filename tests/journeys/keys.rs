//! Keys: what is taken, what is refused and why, and what a lease says of the one that opens it.

use axum::http::StatusCode;
use sluice::web::Role;

use crate::support::app::TestApp;
use crate::support::market::hour;
use crate::support::people;
use crate::support::visitor::Visitor;

const SYMBOL: &str = "A100-80GB.GUZ-GAN.SILVER";
const ED25519: &str = include_str!("../keys/ed25519.pub");
const RSA: &str = include_str!("../keys/rsa_2048.pub");
const FINGERPRINT: &str = "SHA256:UCUiLr7Pjs9wFFJMDByLgc3NrtdU344OgUM45wZPcIQ";
const ADD: &str = "form[action='/keys']";

#[tokio::test]
async fn a_key_is_added_named_and_removed() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let empty = ada.get("/keys").await;
    assert!(empty.text(".empty").contains("No keys yet"));
    // Twice at once is one key.
    let typed = [("public_key", ED25519), ("name", "laptop")];
    let mut twin = ada.clone();
    let (one, two) = tokio::join!(
        ada.submit(&empty, ADD, &typed),
        twin.submit(&empty, ADD, &typed)
    );
    assert_eq!(
        (one.location(), two.location()),
        ("/keys?added", "/keys?added")
    );
    let keys = ada.get("/keys").await;
    let row = keys.text("li.key > div");
    assert!(row.contains("laptop Ed25519"), "{row}");
    assert!(row.contains(FINGERPRINT), "{row}");
    let other_name = ada
        .submit(&keys, ADD, &[("public_key", ED25519), ("name", "x")])
        .await;
    let said = other_name.text("#public_key-error");
    assert!(said.contains("“laptop”"), "{said}");
    let renamed = ada
        .submit(&keys, "form[action$='/name']", &[("name", "夜间训练")])
        .await;
    assert_eq!(renamed.location(), "/keys");
    let wrong = ada
        .submit(&keys, "form[action$='/name']", &[("name", "a\u{202e}b")])
        .await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text("[id^=name-][id$=-error]").contains("1 to 60"));
    let keys = ada.get("/keys").await;
    assert_eq!(keys.text("li.key > div > b"), "夜间训练");
    for _ in 0..2 {
        let removed = ada.submit(&keys, "form[action$='/remove']", &[]).await;
        assert_eq!(removed.location(), "/keys");
    }
    let keys = ada.get("/keys").await;
    assert!(keys.has(".empty"));
    // One that was removed can come back, and what was done is on record.
    ada.submit(&keys, ADD, &typed).await;
    let acts: Vec<String> =
        sqlx::query_scalar("SELECT act FROM acts WHERE subject LIKE 'ssh_key:%' ORDER BY id")
            .fetch_all(&app.database.pool)
            .await
            .expect("the acts can be read");
    assert_eq!(
        acts,
        ["key_added", "key_renamed", "key_removed", "key_added"]
    );
    app.stop().await;
}

#[tokio::test]
async fn what_is_no_good_key_is_refused_at_its_field_and_a_private_one_is_not_shown_again() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "10").await;
    let page = ada.get("/keys").await;
    let enormous = format!("ssh-ed25519 {}", "A".repeat(40_000));
    for (typed, said) in [
        ("", "Paste a public key"),
        ("hello", "can’t be read"),
        (&*enormous, "too long"),
        (include_str!("../keys/rsa_1024.pub"), "2048"),
        (include_str!("../keys/dsa.pub"), "DSA"),
        ("ssh-ed25519 AAAA\nssh-ed25519 BBBB", "One key at a time"),
    ] {
        let wrong = ada
            .submit(&page, ADD, &[("public_key", typed), ("name", "n")])
            .await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{typed}");
        let error = wrong.text("#public_key-error");
        assert!(error.contains(said), "{typed}: {error}");
        let (_, fields) = wrong.form(ADD);
        assert!(fields.contains(&("name".to_owned(), "n".to_owned())));
        assert!(fields.contains(&("public_key".to_owned(), typed.to_owned())));
    }
    let secret = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktSECRETHALF";
    for typed in [
        [("public_key", secret), ("name", "laptop")],
        [("public_key", ED25519), ("name", secret)],
    ] {
        let refused = ada.submit(&page, ADD, &typed).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text("#public_key-error").contains("private key"));
        assert!(!refused.body.contains("SECRETHALF"), "{}", refused.body);
    }
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM ssh_keys")
        .fetch_one(&app.database.pool)
        .await
        .expect("keys are counted");
    assert_eq!(count, 0);
    app.stop().await;
}

#[tokio::test]
async fn anothers_key_is_as_if_it_did_not_exist() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let mut eve = Visitor::member(&app, "eve", "1000").await;
    ada.post("/keys", &[("public_key", ED25519)]).await;
    let taken = eve.post("/keys", &[("public_key", ED25519)]).await;
    assert_eq!(taken.location(), "/keys?added", "both may have one key");
    for path in [
        "/keys/1/remove",
        "/keys/1/name",
        "/keys/99/remove",
        "/keys/x/name",
    ] {
        let page = eve.post(path, &[("name", "mine")]).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
    // Nor can an order name it.
    let confirm = eve.ticket(SYMBOL, &[("units", "8")]).await;
    let form = "form[action$='/orders']";
    let forged = eve.submit(&confirm, form, &[("ssh_key", "1")]).await;
    assert!(forged.has("#ssh_key-error"), "{}", forged.status);
    let own = eve.submit(&confirm, form, &[("ssh_key", "2")]).await;
    assert_eq!(own.location(), "/leases/l1?bought");
    let mut clerk = people::member(&app, 3, &[Role::Finance], "clerk").await;
    assert_eq!(clerk.get("/keys").await.status, StatusCode::FORBIDDEN);
    app.stop().await;
}

#[tokio::test]
async fn a_lease_says_how_to_get_in_and_lets_it_be_changed_until_it_starts() {
    let app = TestApp::start().await;
    let mut ada = Visitor::member(&app, "ada", "1000").await;
    let confirm = ada.ticket(SYMBOL, &[("units", "8")]).await;
    // A key that is added on the way leads back to the confirmation.
    let add = confirm.attribute("a[href^='/keys?back=']", "href");
    let keys = ada.get(&add).await;
    let added = ada
        .submit(&keys, ADD, &[("public_key", ED25519), ("name", "laptop")])
        .await;
    assert!(
        added.location().starts_with("/market/"),
        "{}",
        added.location()
    );
    let back = added.location().to_owned();
    let confirm = ada.get(&back).await;
    assert!(
        confirm
            .text("#ssh_key option[selected]")
            .contains(FINGERPRINT)
    );
    let chosen = [("image", "pytorch-2.6")];
    ada.submit(&confirm, "form[action$='/orders']", &chosen)
        .await;
    let lease = ada.get("/leases/l1").await;
    let login = lease.text("#login");
    for said in [
        "no machine behind this lease",
        "PyTorch 2.6",
        "laptop",
        FINGERPRINT,
    ] {
        assert!(login.contains(said), "{said}: {login}");
    }
    ada.post("/keys", &[("public_key", RSA), ("name", "cluster")])
        .await;
    let change = "form[action='/leases/l1/access']";
    for (image, key, field) in [
        ("ubuntu-22.04-cann-8", "later", "image"),
        ("bare", "7", "ssh_key"),
        ("", "", "image"),
    ] {
        let typed = [("image", image), ("ssh_key", key)];
        let wrong = ada.post("/leases/l1/access", &typed).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(wrong.has(&format!("#{field}-error")), "{image} {key}");
    }
    let lease = ada.get("/leases/l1").await;
    let changed = ada
        .submit(&lease, change, &[("image", "bare"), ("ssh_key", "2")])
        .await;
    assert_eq!(changed.location(), "/leases/l1#login");
    let login = ada.get("/leases/l1").await.text("#login dl");
    assert!(login.contains("cluster"), "{login}");
    // A removed key is said to be.
    ada.post("/keys/2/remove", &[]).await;
    assert!(
        ada.get("/leases/l1")
            .await
            .text("#login dl")
            .contains("removed")
    );
    let mut eve = Visitor::member(&app, "eve", "10").await;
    let typed = [("image", "bare"), ("ssh_key", "later")];
    for path in ["/leases/l1/access", "/leases/l9/access"] {
        assert_eq!(eve.post(path, &typed).await.status, StatusCode::NOT_FOUND);
    }
    // Once it has begun nothing of it changes.
    app.clock().set(hour(1));
    let late = ada
        .submit(&lease, change, &[("image", "pytorch-2.6")])
        .await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(late.text("#image-error").contains("has begun"));
    assert!(!late.has(change));
    app.stop().await;
}
