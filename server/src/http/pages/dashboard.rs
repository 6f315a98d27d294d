//! What surrounds the pages of somebody who is signed in: who that is, the company, and its parts.

use super::{applications, connections, guard::Visit, people, webhooks};
use crate::{
    people::role::{Act, Role},
    store::Membership,
};

/// A part of a company's pages.
#[derive(Debug, Eq, PartialEq)]
pub struct Section {
    /// Its name in the navigation.
    pub title: &'static str,
    /// Where it begins, below `/companies/{company}/`.
    pub path: &'static str,
    /// What there is to do.
    pub about: &'static str,
    /// Whoever may do this is shown it.
    pub act: Act,
}

/// The parts, in the order in which they are shown.
pub const SECTIONS: &[Section] = &[
    Section {
        title: "Connected apps",
        path: connections::SECTION,
        about: "The stores and applications that act for this company: what they may do, when they last did, and how to end it.",
        act: Act::SeeConnections,
    },
    Section {
        title: "Applications",
        path: applications::SECTION,
        about: "Applications of your own, which other companies connect.",
        act: Act::SeeApplications,
    },
    Section {
        title: "Webhooks",
        path: webhooks::SECTION,
        about: "Where stores and applications are told of payments, and whether they take it.",
        act: Act::SeeWebhooks,
    },
    Section {
        title: "People",
        path: people::SECTION,
        about: "Who acts for this company, in which role, and who is invited.",
        act: Act::SeePeople,
    },
];

/// The parts that a role is shown.
#[must_use]
pub fn sections(role: Role) -> Vec<&'static Section> {
    SECTIONS.iter().filter(|section| role.may(section.act)).collect()
}

/// What surrounds a page.
pub struct Dashboard<'a> {
    /// The token for forms on this page.
    pub csrf: String,
    /// Who is signed in.
    pub email: &'a str,
    /// The company, and the part of it where the page is.
    pub company: Option<(&'a Membership, &'static str)>,
}

impl<'a> Dashboard<'a> {
    /// Around a page of nobody's company.
    #[must_use]
    pub fn of_person(visit: &'a Visit) -> Self {
        Self { csrf: visit.csrf(), email: &visit.signed_in.user.email, company: None }
    }

    /// Around a page of a company; `section` is the path of one of [`SECTIONS`].
    #[must_use]
    pub fn of_company(visit: &'a Visit, place: &'a Membership, section: &'static str) -> Self {
        Self { company: Some((place, section)), ..Self::of_person(visit) }
    }

    /// The parts of the company that the person is shown.
    #[must_use]
    pub fn sections(&self) -> Vec<&'static Section> {
        self.company.map_or_else(Vec::new, |(place, _)| sections(place.role))
    }

    /// Whether the page belongs to this part.
    #[must_use]
    pub fn is_in(&self, section: &Section) -> bool {
        self.company.is_some_and(|(_, path)| path == section.path)
    }
}
