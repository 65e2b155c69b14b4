//! An entry for each form.

use super::Kind::{
    Choice, Count, Day, FormId, Free, Key, Line, Login, Money, Named, Password, Secret, Text, Tick,
    Whole,
};
use super::{Form, NOTICE, application, form, ticket};

/// Nothing was typed that could be lost: a button.
const BUTTON: &str = "nothing is typed";
/// What was typed is a secret.
const SECRET: &str = "passwords and codes are not kept";
/// Sent by those who have not signed in.
const OPEN: &str = "nobody has to sign in for it";

/// Every one of them.
pub(in super::super) fn forms() -> Vec<Form> {
    let mut forms = Vec::new();
    forms.extend(of_people());
    forms.extend(of_programs());
    forms.extend(of_buyers());
    forms.extend(of_providers());
    forms.extend(of_the_marketplace());
    forms
}

fn of_people() -> Vec<Form> {
    vec![
        form("/sign-up", "nobody")
            .on("/sign-up")
            .field(Line, "name", "听澜科技")
            .field(Login, "login", "tinglan")
            .field(Password, "password", "a river through the western hills")
            .field(Free, "next", "")
            .makes(&[("participants", 1), ("users", 1)])
            .repeats(&["acts", "sessions"])
            .lost(OPEN),
        form("/sign-in", "nobody")
            .on("/sign-in")
            .field(Login, "login", "buyer-of-a")
            .says(NOTICE)
            .field(Secret, "password", "a river through the hills")
            .says(NOTICE)
            .field(Free, "next", "")
            .notes(&["acts"])
            .repeats(&["sessions"])
            .lost(OPEN),
        form("/sign-out", "buyer-of-b").lost(BUTTON),
        form("/second-factor", "entering-member")
            .once()
            .on("/second-factor")
            .field(Secret, "code", "{code}")
            .field(Free, "next", "")
            .notes(&["acts", "second_factors"])
            .lost(SECRET),
        form("/second-factor/enrolment", "buyer-of-b")
            .on("/second-factor")
            .field(Free, "next", "")
            .makes(&[("second_factors", 1)])
            .lost(BUTTON),
        form("/second-factor/confirmation", "enrolling")
            .once()
            .on("/second-factor")
            .field(Secret, "code", "{code}")
            .field(Free, "next", "")
            .makes(&[("recovery_codes", 10)])
            .lost(SECRET),
        form("/second-factor/codes", "with-factor")
            .once()
            .on("/second-factor")
            .field(Secret, "code", "{code}")
            .notes(&["acts", "second_factors"])
            .makes(&[("recovery_codes", 10)])
            .lost(SECRET),
        form("/second-factor/removal", "with-factor")
            .once()
            .on("/second-factor")
            .drawn("form[action='/second-factor/codes']")
            .again("form[action='/second-factor/codes']")
            .field(Secret, "code", "{code}")
            .notes(&["acts", "second_factors"])
            .lost(SECRET),
        form("/settings/password", "owner-of-b")
            .on("/settings")
            .field(Free, "username", "")
            .field(Password, "password", "another river through the hills")
            .field(Secret, "current", "a river through the hills")
            .notes(&["acts"])
            .lost(SECRET),
        form("/settings/sessions/end-others", "owner-of-b").lost(BUTTON),
        form("/settings/sessions/{id}/end", "buyer-of-a")
            .once()
            .about("9101")
            .lost(BUTTON),
        form("/settings/members/{id}/roles", "owner-of-a")
            .on("/settings/members")
            .field(Tick, "owner", "")
            .field(Tick, "buyer", "")
            .field(Tick, "approver", "")
            .field(Tick, "finance", "on")
            .field(Tick, "operator", "")
            .makes(&[("member_roles", 1)]),
        form("/settings/members/{id}/removal", "owner-of-a")
            .once()
            .lost(BUTTON),
        form("/settings/members/approval", "owner-of-a")
            .on("/settings/members")
            .field(Money, "above", "300")
            .optional(),
        form("/settings/members/invitations", "owner-of-a")
            .on("/settings/members")
            .field(Line, "note", "给小林")
            .optional()
            .field(Tick, "owner", "")
            .field(Tick, "buyer", "on")
            .field(Tick, "approver", "")
            .field(Tick, "finance", "")
            .field(Tick, "operator", "")
            .field(Free, "token", "")
            .makes(&[("invitations", 1)]),
        form("/join", "nobody")
            .on("/join?invitation=9001")
            .field(Free, "invitation", "")
            .field(Login, "login", "xiaolin")
            .field(Password, "password", "a river through the eastern hills")
            .makes(&[("users", 1)])
            .repeats(&["acts", "sessions"])
            .lost(OPEN),
        form(
            "/settings/members/invitations/{id}/revocation",
            "owner-of-a",
        )
        .once()
        .about("9102")
        .lost(BUTTON),
        form("/preferences", "buyer-of-a")
            .on("/")
            .field(Free, "back", "")
            .field(Free, "locale", "")
            .field(Free, "theme", "")
            .lost(OPEN),
    ]
}

fn of_programs() -> Vec<Form> {
    vec![
        form("/settings/tokens", "buyer-of-a")
            .on("/settings/tokens")
            .field(Line, "name", "夜间训练")
            .field(Tick, "read", "on")
            .field(Tick, "place", "on")
            .field(Tick, "cancel", "")
            .field(Choice, "days", "30")
            .field(Free, "token", "")
            .makes(&[("api_tokens", 1)]),
        form("/settings/tokens/{id}/revocation", "owner-of-a")
            .once()
            .lost(BUTTON),
    ]
}

fn of_buyers() -> Vec<Form> {
    let report = || {
        form("/leases/{id}/problem", "buyer-of-a")
            .on("/leases/l2/problem")
            .field(Choice, "reason", "slow")
            .field(Day, "day", "")
            .optional()
            .field(Choice, "hour", "")
            .optional()
            .field(Whole, "hours", "")
            .optional()
            .field(Text, "text", "只有一半的速度")
            .field(FormId, "form_id", "")
            .makes(&[("disputes", 1), ("dispute_claims", 1)])
    };
    vec![
        ticket(),
        form("/orders/{id}/replace", "buyer-of-a")
            .on("/orders/o3/replacement?units=4&price=9.00")
            .again("form[action$='/replacement']")
            .field(Whole, "units", "")
            .field(Money, "price", "")
            .field(Free, "was", ""),
        form("/orders/{id}/cancel", "buyer-of-a").lost(BUTTON),
        form("/orders/requests/{id}/approve", "approver-of-a").lost(BUTTON),
        form("/orders/requests/{id}/decline", "approver-of-a")
            .once()
            .on("/orders/requests/r2")
            .field(Text, "reason", "太贵，下周再说。"),
        form("/orders/requests/{id}/withdraw", "buyer-of-a").lost(BUTTON),
        form("/leases/{id}/hand-back", "buyer-of-a")
            .on("/leases/l1/hand-back")
            .drawn("form[method=post][action$='/hand-back']")
            .again("form[method=get][action$='/hand-back']")
            .field(Day, "day", "")
            .optional()
            .field(Choice, "hour", "")
            .optional()
            .field(Whole, "hours", "")
            .optional()
            .field(Named, "back", ""),
        form("/leases/{id}/access", "buyer-of-a")
            .on("/leases/l1")
            .field(Choice, "image", "pytorch-2.6")
            .field(Choice, "ssh_key", "1")
            .optional(),
        form("/keys", "buyer-of-a")
            .on("/keys")
            .field(
                Key,
                "public_key",
                include_str!("../../../keys/rsa_2048.pub"),
            )
            .field(Line, "name", "笔记本")
            .optional()
            .field(Free, "back", "")
            .makes(&[("ssh_keys", 1)]),
        form("/keys/{id}/name", "buyer-of-a")
            .on("/keys")
            .field(Line, "name", "台式机")
            .says("name-1-error"),
        form("/keys/{id}/remove", "buyer-of-a").lost(BUTTON),
        report()
            .field(Free, "by", "minutes")
            .field(Whole, "minutes", "10")
            .field(Whole, "units", "1")
            .field(Free, "amount", "")
            .field(Named, "claim", "1.6666"),
        report()
            .field(Free, "by", "amount")
            .field(Free, "minutes", "")
            .field(Free, "units", "1")
            .field(Money, "amount", "1")
            .field(Named, "claim", "1.0000"),
        form("/disputes/{id}/messages", "buyer-of-a")
            .on("/disputes/d1")
            .field(Text, "text", "一直连不上")
            .field(FormId, "form_id", "")
            .makes(&[("dispute_messages", 1)]),
        form("/wallet/deposits", "finance-of-a")
            .on("/wallet")
            .field(Money, "amount", "70")
            .field(Free, "form_id", "")
            .makes(&[("deposits", 1), ("journal_entries", 1)]),
    ]
}

fn of_providers() -> Vec<Form> {
    vec![
        application("/provide/apply/draft", "owner-of-b", true)
            .drawn("form[action='/provide/apply']")
            .again("form[action='/provide/apply']")
            .repeats(&["applications"])
            .makes(&[("applications", 1)]),
        application("/provide/apply", "owner-of-a", false).makes(&[("applications", 1)]),
        form("/provide/pools", "operator-of-p")
            .on("/provide/pools/new")
            .field(Line, "name", "二期")
            .field(Choice, "grade", "A100-80GB")
            .field(Choice, "level", "SILVER")
            .field(Choice, "access", "instant")
            .field(Whole, "units", "8")
            .ends()
            .field(FormId, "form_id", "")
            .makes(&[("pools", 1), ("pool_openings", 1)]),
        form("/provide/pools/{id}/units", "operator-of-p")
            .on("/provide/pools/p1")
            .field(Whole, "units", "72")
            .says("grow-units-error"),
        form("/provide/pools/{id}/tariffs", "operator-of-p")
            .on("/provide/pools/p1")
            .field(Choice, "days", "weekend")
            .field(Choice, "begins", "0")
            .says("days-error")
            .field(Choice, "ends", "24")
            .says("days-error")
            .field(Whole, "min_hours", "2")
            .field(Whole, "units", "8")
            .field(Money, "price", "12.00")
            .ends()
            .field(FormId, "client_id", "")
            .makes(&[("orders", 1)]),
        form("/provide/pools/{id}/tariffs/{ask}", "operator-of-p")
            .on("/provide/pools/p1")
            .field(Money, "price", "11.00")
            .says("price-o1-error")
            .field(Whole, "units", "64")
            .says("units-o1-error"),
        form("/provide/pools/{id}/tariffs/{ask}/end", "operator-of-p").lost(BUTTON),
        form("/provide/pools/{id}/pause", "operator-of-p").lost(BUTTON),
        form("/provide/pools/{id}/resume", "operator-of-p").lost(BUTTON),
        form("/provide/pools/{id}/hosts/{host}", "operator-of-p")
            .on("/provide/pools/p1")
            .field(Whole, "fails_every", "24")
            .says("every-1-error")
            .field(Whole, "fails_minutes", "30")
            .says("minutes-1-error"),
        form("/provide/pools/{id}/machines", "operator-of-p")
            .on("/provide/pools/p1/machines")
            .field(Line, "name", "二号机")
            .field(Whole, "units", "16")
            .field(Line, "address", "gpu-2.example.cn")
            .makes(&[("hosts", 1)]),
        form("/provide/pools/{id}/machines/{host}/token", "operator-of-p")
            .on("/provide/pools/p1/machines")
            .field(Free, "token", "")
            .makes(&[("agent_tokens", 1)])
            .lost(BUTTON),
        form(
            "/provide/pools/{id}/machines/{host}/revoke",
            "operator-of-p",
        )
        .on("/provide/pools/p1/machines")
        .field(Choice, "reason", "machine_gone")
        .says("reason-2-error")
        .field(Free, "agent", ""),
        form("/provide/pools/{id}/maintenance", "operator-of-p")
            .on("/provide/pools/p1/machines")
            .ends()
            .field(Line, "note", "换电源")
            .field(FormId, "form_id", "")
            .makes(&[("maintenances", 1)]),
    ]
}

fn of_the_marketplace() -> Vec<Form> {
    let proposal = || {
        form("/disputes/{id}/proposals", "arbiter")
            .on("/disputes/d1")
            .field(Text, "reason", "读数证实了它")
            .makes(&[("dispute_proposals", 1)])
    };
    vec![
        proposal()
            .field(Free, "by", "minutes")
            .field(Count, "minutes", "3")
            .field(Whole, "units", "1")
            .field(Free, "amount", "")
            .field(Named, "award", "0.5000"),
        proposal()
            .field(Free, "by", "amount")
            .field(Free, "minutes", "")
            .field(Free, "units", "1")
            .field(Money, "amount", "0.5")
            .field(Named, "award", "0.5000"),
        form("/disputes/{id}/decision", "arbiter")
            .on("/disputes/d2")
            .field(Choice, "proposal", "")
            .says(NOTICE)
            .field(Choice, "decision", "approve")
            .says(NOTICE)
            .field(Text, "opinion", "同意"),
        form("/ops/applications/{id}/certify", "operations")
            .once()
            .on("/ops/applications/1")
            .field(Text, "note", "材料齐全")
            .optional(),
        form("/ops/applications/{id}/refuse", "operations")
            .once()
            .on("/ops/applications/2")
            .reasoned("code_invalid"),
        form("/ops/participants/{id}/suspend", "operations")
            .once()
            .on("/ops/participants/n6")
            .reasoned("abuse"),
        form("/ops/participants/{id}/cancel", "operations").lost(BUTTON),
        form("/ops/participants/{id}/restore", "operations")
            .once()
            .about("n5")
            .on("/ops/participants/n5")
            .field(Text, "note", "材料已补齐")
            .optional(),
        form("/ops/cases/{id}/close", "operations")
            .once()
            .on("/ops/cases")
            .field(Text, "note", "已核对日志，属于重装误报")
            .says("note-1-error"),
        form("/ops/halts", "operations")
            .on("/ops/halts")
            .field(Line, "symbol", "A100-80GB.GUZ-GAN.GOLD")
            .field(Whole, "minutes", "30")
            .reasoned("incident")
            .field(FormId, "form_id", "")
            .makes(&[("interventions", 1)]),
        form("/ops/relations", "surveillance")
            .on("/ops/relations")
            .field(Line, "one", "n5")
            .field(Line, "other", "待审算力")
            .field(Choice, "reason", "declared")
            .field(Text, "note", "股东名册第 3 页")
            .field(FormId, "form_id", "")
            .makes(&[("interventions", 1)]),
        form("/ops/leases/{id}/default", "operations")
            .on("/ops/leases/l2/default")
            .field(Choice, "reason", "not_delivered")
            .field(Text, "note", "三台主机全部下线")
            .field(Named, "shown", "")
            .field(FormId, "form_id", "")
            .makes(&[("interventions", 1)]),
        form("/ops/ledger/audit", "auditor").lost(BUTTON),
    ]
}
