//! What the tables hold, told by hashes: whether a call changed anything, and in which table.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use crate::support::app::TestApp;

/// Tables that a refused call may write, with the reason.
const BESIDES: [(&str, &str); 1] = [(
    "kept_forms",
    "what was typed is kept for who signs in next; it is nobody's data yet",
)];

/// Each table's number of rows and the hash of their contents.
pub(crate) type Tables = BTreeMap<String, (i64, String)>;

/// Reads all of them.
pub(crate) async fn tables(app: &TestApp) -> Tables {
    let pool = &app.database.pool;
    let names = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
    let names: Vec<String> = sqlx::query_scalar(names)
        .fetch_all(pool)
        .await
        .expect("the tables have names");
    let hashes = names
        .iter()
        .filter(|name| BESIDES.iter().all(|(besides, _)| besides != name))
        .map(|name| {
            // When somebody was last seen is noted once a minute, whatever they ask; and a stream
            // ends whenever it is noticed that its reader has gone.
            let seen = match name.as_str() {
                "sessions" => "seen_at",
                "api_tokens" => "used_at,used_from",
                "api_sessions" => "seen_at,ended_at,is_done",
                _ => "",
            };
            format!(
                "SELECT '{name}', count(*),
                     coalesce(md5(string_agg(r::text, ' ' ORDER BY r::text)), '')
                 FROM (SELECT to_jsonb(t) - '{{{seen}}}'::text[] AS r FROM {name} t) rows"
            )
        })
        .collect::<Vec<_>>()
        .join(" UNION ALL ");
    let rows: Vec<(String, i64, String)> = sqlx::query_as(AssertSqlSafe(hashes))
        .fetch_all(pool)
        .await
        .expect("the tables can be read");
    rows.into_iter()
        .map(|(name, count, hash)| (name, (count, hash)))
        .collect()
}

/// The names of those that differ.
pub(crate) fn changed(before: &Tables, after: &Tables) -> String {
    let names: Vec<&str> = after
        .iter()
        .filter(|(name, now)| before.get(*name) != Some(*now))
        .map(|(name, _)| name.as_str())
        .collect();
    names.join(", ")
}
