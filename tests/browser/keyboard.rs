//! The buyer's whole path by keyboard alone: only keys are pressed, and wherever the focus comes to
//! it can be seen.

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use sluice::web::server::Limits;

use crate::app::TestApp;
use crate::market::{deliver, hour};
use crate::support::{Person, first_hour};

/// Why whoever looks can't see where the focus is; nothing where they can.
const UNSEEN: &str = "
    const at = document.activeElement;
    if (!at || at === document.body) return null;
    const name = at.outerHTML.slice(0, 90);
    // The parts of a day have the focus, and the day has the ring.
    const is_seen = at.matches(':focus-visible, [type=date]:focus-within');
    if (!is_seen) return 'not focus-visible: ' + name;
    const ringed = (one) => {
        if (!one) return false;
        const style = getComputedStyle(one);
        return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
    };
    const around = at.closest('.affixed, .choice, .find, label');
    if (!ringed(at) && !ringed(around) && !ringed(at.nextElementSibling)) return 'no ring: ' + name;
    const box = at.getBoundingClientRect();
    const is_there = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    return is_there ? null : 'out of sight: ' + name;";

/// More stops than any page has between two things of the path.
const FAR: usize = 70;

/// Somebody with a keyboard and nothing else.
struct Typist {
    person: Person,
}

impl Typist {
    async fn press(&self, keys: impl IntoIterator<Item = char>) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for value in keys {
            actions = actions
                .then(KeyAction::Down { value })
                .then(KeyAction::Up { value });
        }
        let pressed = self.person.browser.client.perform_actions(actions).await;
        pressed.expect("keys can be pressed");
    }

    async fn key(&self, key: Key) {
        self.press([char::from(key)]).await;
    }

    /// Whether the focus is on what a selector finds.
    async fn is_at(&self, css: &str) -> bool {
        let script = format!("return document.activeElement.matches(`{css}`)");
        self.person.script(&script).await == true
    }

    /// Presses Tab until the focus is on what a selector finds; sees it at every stop.
    async fn tab_to(&self, css: &str) {
        self.person.find(css).await;
        let mut stops = Vec::new();
        while !self.is_at(css).await {
            assert!(stops.len() < FAR, "Tab never comes to {css}: {stops:#?}");
            self.key(Key::Tab).await;
            let unseen = self.person.script(UNSEEN).await;
            assert!(unseen.is_null(), "on the way to {css}: {unseen}");
            let at = "return document.activeElement.outerHTML.slice(0, 60)";
            stops.push(self.person.script(at).await);
        }
    }

    /// Types into a field in the place of what is there.
    async fn type_into(&self, css: &str, text: &str) {
        self.tab_to(css).await;
        let all = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down {
                value: char::from(Key::Control),
            })
            .then(KeyAction::Down { value: 'a' })
            .then(KeyAction::Up { value: 'a' })
            .then(KeyAction::Up {
                value: char::from(Key::Control),
            });
        let selected = self.person.browser.client.perform_actions(all).await;
        selected.expect("keys can be pressed");
        self.press(text.chars()).await;
    }

    /// What the field that the focus is in has.
    async fn value(&self) -> String {
        let value = self
            .person
            .script("return document.activeElement.value")
            .await;
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Goes down a list until it has this.
    async fn pick(&self, css: &str, value: &str) {
        self.tab_to(css).await;
        for _ in 0..40 {
            if self.value().await == value {
                return;
            }
            self.key(Key::Down).await;
        }
        panic!("{css} has no {value}");
    }
}

async fn sign_up_and_deposit(typist: &Typist) {
    typist.person.go("/").await;
    // The first stop leads past the head of the page.
    typist.key(Key::Tab).await;
    assert!(typist.is_at(".skip").await);
    typist.key(Key::Enter).await;
    assert!(
        typist.is_at("#main").await,
        "the skip link leads to the content"
    );
    typist.person.go("/").await;
    typist.tab_to(".tools a[href='/sign-up']").await;
    typist.key(Key::Enter).await;
    typist.type_into("#name", "听澜科技").await;
    typist.type_into("#login", "tinglan").await;
    typist.type_into("#password", "short").await;
    typist.key(Key::Enter).await;
    typist.person.find("#password-error").await;
    assert!(
        typist.is_at("#password").await,
        "the field that is wrong is gone on with"
    );
    typist
        .press("a river through the western hills".chars())
        .await;
    typist.tab_to("main form .primary").await;
    typist.key(Key::Space).await;
    typist.type_into("#amount", "12480").await;
    typist.key(Key::Enter).await;
    typist.person.find(".notice.good").await;
}

/// The sentence and the map of hours, by Tab and arrows.
async fn find_hours(typist: &Typist) {
    typist.tab_to(".sections a[href='/']").await;
    typist.key(Key::Enter).await;
    typist.type_into(".sentence [name=units]", "8").await;
    typist.key(Key::Enter).await;
    typist.person.wait_for("total", "320.00").await;
    // One arrow picks the next length and the page comes anew; the focus stays where it was.
    typist.tab_to(".sentence [name=hours]").await;
    let before = typist.value().await;
    typist.key(Key::Down).await;
    typist.person.wait_for("total", "640.00").await;
    assert!(
        typist.is_at(".sentence [name=hours]").await,
        "the focus stays in the list"
    );
    assert_ne!(typist.value().await, before);
    typist.tab_to(".buy-bill a[href^='/market/']").await;
    typist.key(Key::Enter).await;
    // The week is one stop; an arrow goes to the next hour, another one to the next day.
    typist.tab_to(".map td a").await;
    typist.key(Key::Right).await;
    typist.key(Key::Down).await;
    assert!(typist.is_at(".map td a").await);
    let unseen = typist.person.script(UNSEEN).await;
    assert!(unseen.is_null(), "in the map: {unseen}");
    let href = "return document.activeElement.getAttribute('href')";
    let picked = typist.person.script(href).await;
    typist.key(Key::Enter).await;
    typist.person.find("#ticket").await;
    let at = typist.person.browser.client.current_url().await;
    let at = at.expect("a page is open");
    assert!(
        picked
            .as_str()
            .is_some_and(|href| href.contains(at.query().unwrap_or("none")))
    );
}

/// The ticket and its confirmation.
async fn order(typist: &Typist) {
    typist.type_into("#units", "8").await;
    typist.person.wait_for("sum", "640.00").await;
    typist.tab_to("#bill .primary").await;
    typist.key(Key::Enter).await;
    typist
        .tab_to("form[action$='/orders'] input[name=image]")
        .await;
    typist.key(Key::Down).await;
    let picked = "return document.activeElement.name === 'image' && document.activeElement.checked";
    assert_eq!(
        typist.person.script(picked).await,
        true,
        "an arrow picks the next image"
    );
    typist.tab_to("form[action$='/orders'] .primary").await;
    typist.key(Key::Space).await;
    typist.person.find(".timeline").await;
}

async fn report(typist: &Typist) {
    typist.tab_to(".sections a[href='/leases']").await;
    typist.key(Key::Enter).await;
    typist.tab_to("main a[href='/leases/l1']").await;
    typist.key(Key::Enter).await;
    typist.tab_to("a[href='/leases/l1/problem']").await;
    typist.key(Key::Enter).await;
    typist.pick("#reason", "slow").await;
    typist.type_into("#minutes", "10").await;
    typist.type_into("#text", "吞吐掉到二十分之一").await;
    typist.person.wait_for("sum", "13.33").await;
    typist.tab_to("form[action$='/problem'] .primary").await;
    typist.key(Key::Enter).await;
    typist.person.find(".room").await;
    let url = typist.person.browser.client.current_url().await;
    assert_eq!(url.expect("a page is open").path(), "/disputes/d1");
}

#[tokio::test]
async fn a_buyer_needs_no_mouse() {
    let rules = sluice::rules::load(None).expect("the standard rules");
    let app = TestApp::with(rules, Limits::default()).await;
    let typist = Typist {
        person: Person::new(&app, "en").await,
    };
    sign_up_and_deposit(&typist).await;
    find_hours(&typist).await;
    order(&typist).await;
    let start = first_hour(&app);
    app.clock().set(hour(start + 1));
    app.submit(deliver(1, start, 40)).await;
    report(&typist).await;
    typist.person.browser.close().await;
    app.stop().await;
}
