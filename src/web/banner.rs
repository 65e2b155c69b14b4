//! What every page says where the market is a demonstration: that its money is none, and what of its
//! delivery is none.

use crate::app::App;
use crate::web::Locale;

/// The words above every page of a demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Banner {
    speed: i64,
    real_machines: bool,
}

impl Banner {
    /// The banner, where one is due.
    pub fn of(app: &App) -> Option<Self> {
        let options = &app.web.options;
        options.test_money.then(|| Self {
            speed: app.clock.speed(),
            real_machines: options.real_machines,
        })
    }

    /// What it says. A clock at speed 1 is real time, which needs no words.
    pub fn text(self, locale: Locale) -> String {
        let speed = self.speed.to_string();
        match (self.speed > 1, self.real_machines) {
            (true, false) => locale.tr("banner.fast", [("n", &speed)]),
            (true, true) => locale.tr("banner.fast_machines", [("n", &speed)]),
            (false, false) => locale.t("banner.plain").into_owned(),
            (false, true) => locale.t("banner.plain_machines").into_owned(),
        }
    }
}
