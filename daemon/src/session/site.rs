//! The site that the connection is for: bound by its own words, once, after a connect.

use super::{Action, Context, Done, Session};
use crate::{
    config::Config,
    evidence::Evidence,
    site::Site,
    trouble::{Code, Trouble},
};

impl Session {
    /// What tells a caller from the site that is bound, or, for a callback, from the one that began the attempt.
    pub(crate) fn what_tells(
        &self,
        site: &Site,
        is_callback: bool,
        cx: &Context<'_>,
    ) -> Vec<Evidence> {
        if self.is_in_safe_mode(cx.config) {
            return Vec::new();
        }
        let facts = &self.facts;
        let begun = facts.pending.as_ref().filter(|_| is_callback).and_then(|it| it.site.as_ref());
        let expected = facts.site.as_ref().or(begun);
        expected.map_or_else(Vec::new, |own| site.differences(own, cx.config.site.check_path))
    }

    /// Whether the next site that uses the connection is the one it is for.
    pub(crate) fn binds(&self, config: &Config) -> bool {
        self.facts.site.is_none()
            && self.facts.connection.is_some()
            && !self.is_in_safe_mode(config)
    }

    pub(super) fn site_seen(&mut self, site: Site, cx: &Context<'_>) -> Vec<Action> {
        if self.binds(cx.config) {
            self.facts.site = Some(site);
        } else if !self.what_tells(&site, false, cx).is_empty() {
            // Another was quicker.
            return vec![Action::Reply(Err(Trouble::of(Code::SiteMismatch)))];
        }
        vec![Action::Reply(Ok(Done::SiteBound))]
    }

    pub(super) fn site_adopted(&mut self, site: Site) -> Vec<Action> {
        self.facts.site = Some(site);
        vec![Action::Reply(Ok(Done::SiteBound))]
    }
}
