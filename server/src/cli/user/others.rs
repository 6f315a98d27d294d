//! What is done about people who are there.

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::{
    cli::{
        confirm::Confirm,
        operator::{Operator, moment},
        part,
    },
    http::pages::moment::Moment,
    mail::{Message, letters},
    store::{Operators as _, People as _, RoleChange, RoleChanged, UserFacts},
};

pub(super) async fn list(
    operator: &Operator,
    company: Option<&str>,
    part: &part::Arguments,
) -> anyhow::Result<()> {
    let company = operator.narrowed_to(company).await?;
    let users = operator.store.users(company.as_deref(), part.part(), operator.now).await?;
    let next = part.next(users.len(), users.last().map(|last| &*last.email));
    let lines: Vec<_> = users.iter().map(line).collect();
    let text = if lines.is_empty() { "nobody".to_owned() } else { lines.join("\n") };
    let values: Vec<_> = users.iter().map(described).collect();
    operator.show(&json!({ "users": values, "next_after": next }), &text)
}

pub(super) async fn show(operator: &Operator, email: &str) -> anyhow::Result<()> {
    let user = find(operator, email).await?;
    operator.show(&described(&user), &line(&user))
}

pub(super) async fn disable(operator: &Operator, email: &str) -> anyhow::Result<()> {
    let user = find(operator, email).await?;
    let ended = operator.store.shut_out(&user.id, &operator.actor, operator.now).await?;
    let ended = ended.with_context(|| format!("{email} is shut out already"))?;
    operator.answer(
        &json!({ "user_id": user.id, "email": email, "disabled": true, "sessions_ended": ended }),
        &format!("{email} is shut out; sessions ended: {ended}"),
    )
}

pub(super) async fn enable(operator: &Operator, email: &str) -> anyhow::Result<()> {
    let user = find(operator, email).await?;
    let enabled = operator.store.let_in(&user.id, &operator.actor, operator.now).await?;
    ensure!(enabled, "{email} is not shut out");
    operator.answer(
        &json!({ "user_id": user.id, "email": email, "disabled": false }),
        &format!("{email} can sign in again"),
    )
}

pub(super) async fn reset_codes(
    operator: &Operator,
    email: &str,
    confirm: &Confirm,
) -> anyhow::Result<()> {
    let user = find(operator, email).await?;
    let off = || format!("{email} has no one-time codes turned on; there is nothing to reset");
    user.codes_since.with_context(off)?;
    confirm.ask(&format!(
        "{email} needs the password alone from now on, and is signed out everywhere. Be sure that it is they who ask"
    ))?;
    let ended = operator.store.reset_codes(&user.id, &operator.actor, operator.now).await?;
    let ended = ended.with_context(off)?;
    let Operator { config, mail, now, .. } = operator;
    let letter = letters::Notice {
        brand: &config.brand.name,
        what: WHAT,
        otherwise: "change your password at once, and tell support that you did not ask for this.",
        link: &format!("{}/account", config.issuer),
        at: &Moment::from(*now).to_string(),
    };
    let written = async { mail.send(Message::new(email, &letter)?).await };
    let untold = || {
        format!(
            "the codes of {email} were reset, but the letter that tells them was not written; tell them"
        )
    };
    written.await.with_context(untold)?;
    operator.answer(
        &json!({
            "user_id": user.id, "email": email, "codes_reset": true, "sessions_ended": ended,
            "letter": mail.outbox().0,
        }),
        &format!(
            "{email} has no codes any more; sessions ended: {ended}. A letter that tells them is in {}",
            mail.outbox().0.display()
        ),
    )
}

/// What the person is told.
const WHAT: &str = "Support turned off the one-time codes of your account, with your recovery codes, and signed you out \
    everywhere. You sign in with your password alone until you turn codes on again.";

pub(super) async fn remove(operator: &Operator, email: &str, company: &str) -> anyhow::Result<()> {
    let user = find(operator, email).await?;
    let company = operator.company(company).await?;
    ensure!(
        user.disabled_at.is_none(),
        "{email} is shut out, and can do nothing; to remove, first: user enable {email}"
    );
    let change = RoleChange {
        company_id: company.id.clone(),
        user_id: user.id.clone(),
        role: None,
        actor: operator.actor.clone(),
        now: operator.now,
    };
    match operator.store.change_role(change).await? {
        RoleChanged::Done => {}
        RoleChanged::Gone => bail!("{email} has no place in {:?}", company.name),
        RoleChanged::LastOwner => bail!(
            "{email} is the last owner of {:?}; nothing was changed. Make another one first: user add --role owner",
            company.name
        ),
        RoleChanged::NotAllowed => bail!("{:?} was closed meanwhile", company.name),
    }
    operator.answer(
        &json!({ "user_id": user.id, "email": email, "company_id": company.id, "company": company.name, "removed": true }),
        &format!("{email} does not act for {:?} any more", company.name),
    )
}

async fn find(operator: &Operator, email: &str) -> anyhow::Result<UserFacts> {
    let found = operator.store.user_facts(email, operator.now).await?;
    found.with_context(|| format!("there is nobody with the address {email}; see: user list"))
}

fn line(user: &UserFacts) -> String {
    let places: Vec<_> = user
        .places
        .iter()
        .map(|place| format!("{} of {:?}", place.role.as_str(), place.company.name))
        .collect();
    let places = if places.is_empty() { "no company".to_owned() } else { places.join(", ") };
    let codes = if user.codes_since.is_some() { ", codes on" } else { "" };
    let state = user.disabled_at.map(|at| format!(", shut out {}", moment(at))).unwrap_or_default();
    format!("{}  {}: {places}, {} signed in{codes}{state}", user.id, user.email, user.sessions)
}

fn described(user: &UserFacts) -> Value {
    let places = user.places.iter().map(|place| {
        json!({ "company_id": place.company.id, "company": place.company.name, "role": place.role.as_str() })
    });
    json!({
        "user_id": user.id, "email": user.email, "created_at": moment(user.created_at),
        "disabled_at": user.disabled_at.map(moment), "sessions": user.sessions,
        "codes_since": user.codes_since.map(moment), "companies": places.collect::<Vec<_>>(),
    })
}
