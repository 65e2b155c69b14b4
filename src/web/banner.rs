//! What every page says where the market is a demonstration: that its money and delivery are none.

use crate::app::App;
use crate::web::Locale;

/// The words above every page of a demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Banner {
    speed: i64,
}

impl Banner {
    /// The banner, where one is due.
    pub fn of(app: &App) -> Option<Self> {
        let speed = app.clock.speed();
        app.web.options.test_money.then_some(Self { speed })
    }

    /// What it says. A clock at speed 1 is real time, which needs no words.
    pub fn text(self, locale: Locale) -> String {
        if self.speed > 1 {
            locale.tr("banner.fast", [("n", &self.speed.to_string())])
        } else {
            locale.t("banner.plain").into_owned()
        }
    }
}
