//! Asking for a proof of the books.

use axum::extract::State;
use axum::response::Redirect;

use crate::app::App;

/// `POST /ops/ledger/audit`: begins an audit beside the running market. It reads and changes
/// nothing, so whoever may read the books may ask for it; while one runs, asking again is no
/// second one.
pub async fn audit(State(app): State<App>) -> Redirect {
    app.audit.begin();
    Redirect::to("/ops/ledger#audit")
}
