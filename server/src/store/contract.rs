//! What every store must do: one story an operation, and the races that only one may win.
//!
//! A store takes part with one line, `every_story!(super::fresh)`, where `fresh` makes an empty [`Place`].

pub mod accounts;
pub mod applications;
pub mod audit;
pub mod clients;
pub mod commerce;
pub mod connections;
pub mod credentials;
pub mod durability;
pub mod ends;
pub mod grants;
pub mod identities;
pub mod key_rotations;
pub mod operators;
pub mod partner;
pub mod people;
pub mod races;
pub mod requests;
pub mod webhooks;
mod world;

use std::{any::Any, future::Future, sync::Arc};

use self::world::World;
use super::Store;

/// Somewhere a store keeps what it remembers. It is gone when this is dropped.
pub struct Place {
    /// Opens a store there, with all that is remembered; several may be open at a time.
    pub open: Box<dyn Fn() -> Arc<dyn Store> + Send + Sync>,
    /// What must outlive the stores.
    #[expect(dead_code, reason = "held, not read")]
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Tells one story on eight threads.
pub fn tell<F: Future<Output = ()>>(story: impl Fn(World) -> F, place: Place) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(8).build().expect("threads");
    runtime.block_on(async { story(World::new(place).await).await });
}

/// Makes a test of every story. `$fresh` is named as a module beside it would.
macro_rules! every_story {
    ($fresh:path) => {
        $crate::store::contract::every_story! {
            $fresh;
            accounts: closed_companies, companies, hand_overs, people, sessions;
            applications: changes, changes_of_many, deletions, deletions_against_approvals, limits, lists, pictures, secrets;
            audit: actors, audit_cuts, audit_of_two_writers, audit_of_what_failed, audit_pages;
            clients: all_installations, apps, histories, installations, lapsed_installations, overtaken_registrations, rekeyed_after_a_reset,
                releases, resets, staged_keys, sweeps;
            connections: connections_of_a_company, connections_that_end, histories_of_companies, last_accesses, ownership;
            credentials: codes_of_many, passwords, resets, second_factors, sessions_of_a_person;
            commerce: customers, merchant_settings, recurring_payments, settings_of_many, wallets;
            durability: errors_leave_nothing, everything_is_there_again, one_error_among_many,
                two_at_the_same_place;
            ends: by_end_of_family, by_end_of_grant, by_expiry, by_promotion, by_release, by_reset,
                by_revoked_access, of_another_grant, of_own_grants;
            grants: connected_companies, ended_families, own_grants, recoveries, recovery_leaves_a_pending_approval, recovery_refused,
                redemptions, redemptions_refused, reuses, rotations, rotations_refused,
                sole_clients_have_one_family, untouched_until_used;
            identities: attempts, attempts_of_many, links, links_of_many, people_who_are_made,
                sessions_through_providers, unlinked;
            key_rotations: against_recoveries_and_approvals, against_refreshes, of_many, refused, rotated,
                the_old_key_opens_nothing;
            operators: added, all_companies, all_payment_links, answers_of_a_key, codes_of_a_person_shut_out, codes_of_a_person_who_lost_them, people_shut_out, renamed_companies, revoked_grants, revoked_installations;
            partner: changes_of_many, creations_of_many, holders, links, links_that_need_a_subscription,
                links_of_a_connection_that_was_made_anew, links_of_an_ended_grant, receipts,
                receipts_of_a_connection_that_was_made_anew,
                resets_disable_subscriptions, secrets, subscriptions, subscriptions_of_many;
            people: codes_for_approvals, invitations, joining, joins_of_many, owners_of_many, roles_change;
            races: approvals, decisions, ends_against_rotations, own_grants_of_many, recoveries_of_many,
                redemptions_of_many, registrations, resets_of_many, rotations_of_many;
            requests: approvals_by_whoever_may_not, approvals_refused, approved, consents, denied, grants_of_companies, promotions,
                promotions_of_moved_stores, pushed_requests;
            webhooks: claims_lapse_and_are_shared, endpoints_are_looked_after, in_order, of_an_ended_connection,
                receipts_of_the_engine, sent_by_hand, sent_by_hand_by_many, to_whom,
                what_is_old_is_forgotten, written_with_what_they_tell_of;
        }
    };
    ($fresh:path; $($group:ident: $($story:ident),+;)+) => {
        $(mod $group {
            $(#[test]
            fn $story() {
                use $crate::store::contract;
                contract::tell(contract::$group::$story, $fresh());
            })+
        })+
    };
}

pub(crate) use every_story;
