//! What of the session's changes is a business event.

use crate::{
    events,
    session::{
        Action, Event, Facts, Failure, ResetOutcome, Unrecovered, Unrotated, Unsubscribed, Waiting,
    },
    trouble::{Code, Happened},
};

/// Tells what one event came to: called once, after the facts are on the disk.
pub(super) fn tell(event: &Event, before: &Facts, after: &Facts, actions: &[Action]) {
    if before.keys.current != after.keys.current {
        events::key_rotated(&before.keys.current, &after.keys.current);
    }
    match event {
        Event::Registered { outcome: Ok(registration), .. } => {
            events::registered(&registration.client_id);
        }
        Event::Pushed { outcome: Ok(_), .. } if after.pending.is_some() => events::connect_begun(),
        Event::Registered { outcome: Err(trouble), .. }
        | Event::Pushed { outcome: Err(trouble), .. } => events::connect_failed(trouble.code),
        Event::CallbackReceived { .. } => tell_callback(before, after, actions),
        Event::Redeemed { outcome: Ok(grant), .. } => {
            let company = &grant.company;
            events::connected(company.name.as_deref().unwrap_or(&company.id), &grant.grant_id);
        }
        Event::Redeemed { outcome: Err(Failure::Final(trouble)), .. } => {
            events::connect_failed(trouble.code);
        }
        Event::Refreshed { outcome: Ok(grant), .. } => events::renewed(grant.expires_at),
        Event::Refreshed { outcome: Err(Failure::Passing(trouble)), .. } => {
            events::renewal_failed(trouble.code);
        }
        Event::Refreshed { outcome: Err(Failure::Final(trouble)), .. }
            if after.recovery.is_some() && lost(after).is_none() =>
        {
            events::recovery_begun(trouble.code);
        }
        Event::Refreshed { outcome: Err(Failure::Final(_)), .. } => tell_loss(before, after),
        Event::Recovered { outcome: Ok(grant), .. } => events::recovered(&grant.grant_id),
        Event::Recovered { outcome: Err(reason), .. } => tell_unrecovered(reason, before, after),
        Event::KeyStaged { outcome: Ok(key) } => events::key_staged(key),
        Event::Rotated { outcome: Err(reason), .. } => {
            tell_unrotated(reason);
            tell_loss(before, after);
        }
        Event::DisconnectAsked { .. }
            if before.connection.is_some() && after.connection.is_none() =>
        {
            events::disconnected(false);
        }
        Event::ResetFinished { outcome: ResetOutcome::Confirmed, .. } => events::disconnected(true),
        Event::ResetFinished { outcome: ResetOutcome::Failed(trouble), .. } => {
            events::disconnect_unconfirmed(Some(trouble.code));
        }
        Event::ResetFinished { .. } => events::disconnect_unconfirmed(None),
        Event::Subscribed { outcome: Ok(given), .. } if after.webhook != before.webhook => {
            events::webhook_given(given.id.as_deref());
        }
        Event::Subscribed { outcome: Err(Unsubscribed::Failed(failure)), .. } => match failure {
            Failure::Passing(trouble) => events::webhook_failed(trouble.code),
            Failure::Final(trouble) => events::webhook_refused(trouble.code),
        },
        _ => {}
    }
}

fn tell_unrecovered(reason: &Unrecovered, before: &Facts, after: &Facts) {
    match reason {
        Unrecovered::Passing(trouble) => events::recovery_failed(trouble.code),
        Unrecovered::Capped(trouble) | Unrecovered::Final(trouble) => {
            events::recovery_refused(trouble.code);
        }
        Unrecovered::NotOffered => {}
    }
    tell_loss(before, after);
}

fn tell_unrotated(reason: &Unrotated) {
    match reason {
        Unrotated::Ended { trouble, .. } => events::recovery_begun(trouble.code),
        Unrotated::NotOffered => {}
        Unrotated::Passing(trouble) | Unrotated::Refused(trouble) => {
            events::key_rotation_failed(trouble.code);
        }
    }
}

fn tell_loss(before: &Facts, after: &Facts) {
    if let Some(now) = lost(after).filter(|now| lost(before) != Some(now)) {
        events::connection_lost(now.trouble.code);
    }
}

fn lost(facts: &Facts) -> Option<&Happened> {
    facts.connection.as_ref()?.lost.as_ref()
}

/// A callback that left the attempt alone is nothing that happened to the connection.
fn tell_callback(before: &Facts, after: &Facts, actions: &[Action]) {
    if before.exchange.is_none() && after.exchange.is_some() {
        events::connect_approved();
    } else if before.pending.is_some() && after.pending.is_none() {
        let refusal = actions.iter().find_map(|action| match action {
            Action::Reply(Err(trouble)) | Action::Settle(Waiting::Callback, Err(trouble)) => {
                Some(trouble.code)
            }
            _ => None,
        });
        events::connect_failed(refusal.unwrap_or(Code::Internal));
    }
}
