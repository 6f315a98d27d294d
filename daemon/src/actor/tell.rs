//! What of the session's changes is a business event.

use crate::{
    events,
    session::{Action, Event, Facts, Failure, ResetOutcome, Waiting},
    trouble::Code,
};

/// Tells what one event came to: called once, after the facts are on the disk.
pub(super) fn tell(event: &Event, before: &Facts, after: &Facts, actions: &[Action]) {
    match event {
        Event::Registered { outcome: Ok(registration), .. } => {
            events::registered(&registration.client_id);
        }
        Event::Pushed { outcome: Ok(_), .. } if after.pending.is_some() => events::connect_begun(),
        Event::Registered { outcome: Err(trouble), .. }
        | Event::Pushed { outcome: Err(trouble), .. } => events::connect_failed(trouble.code),
        Event::CallbackReceived { .. } => tell_callback(before, after, actions),
        Event::Redeemed { outcome: Ok(grant), .. } => {
            events::connected(&grant.company.id, &grant.grant_id);
        }
        Event::Redeemed { outcome: Err(Failure::Final(trouble)), .. } => {
            events::connect_failed(trouble.code);
        }
        Event::Refreshed { outcome: Ok(grant), .. } => events::renewed(grant.expires_at),
        Event::Refreshed { outcome: Err(Failure::Passing(trouble)), .. } => {
            events::renewal_failed(trouble.code);
        }
        Event::Refreshed { outcome: Err(Failure::Final(trouble)), .. } => {
            events::connection_lost(trouble.code);
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
        _ => {}
    }
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
