//! The market: a pure, deterministic state machine of books, pools, accounts and leases.
