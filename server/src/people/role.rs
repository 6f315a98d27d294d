//! Roles, and what each may do: the one table that pages, consent and store go by.

/// What a person is to a company.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Does everything, and alone makes and removes owners.
    Owner,
    /// Does everything but that.
    Admin,
    /// Looks at applications, connections and deliveries, sends test events and has deliveries retried.
    Developer,
    /// Looks at connections and their history, and changes nothing.
    Support,
}

/// Something that is done for a company.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// Approve a connection: let a store or an application act for the company.
    Approve,
    /// Look at connected stores and applications, and their history.
    SeeConnections,
    /// End a connection.
    EndConnections,
    /// Look at the company's applications.
    SeeApplications,
    /// Make, change and delete applications and their secrets.
    ManageApplications,
    /// Look at webhook endpoints and deliveries.
    SeeWebhooks,
    /// Send test events, have deliveries retried.
    OperateWebhooks,
    /// Make and change webhook endpoints and their secrets.
    ManageWebhooks,
    /// Look at who acts for the company.
    SeePeople,
    /// Invite and remove people, change roles below owner, and set what people need to approve.
    ManagePeople,
    /// Make and remove owners.
    ManageOwners,
}

#[cfg(test)]
impl Act {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Approve,
        Self::SeeConnections,
        Self::EndConnections,
        Self::SeeApplications,
        Self::ManageApplications,
        Self::SeeWebhooks,
        Self::OperateWebhooks,
        Self::ManageWebhooks,
        Self::SeePeople,
        Self::ManagePeople,
        Self::ManageOwners,
    ];
}

impl Role {
    /// All of them, the most powerful first.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Developer, Self::Support];

    /// Whether a person of this role may do that.
    #[must_use]
    pub fn may(self, act: Act) -> bool {
        use Act::{ManageOwners, OperateWebhooks, SeeApplications, SeeConnections, SeeWebhooks};
        match self {
            Self::Owner => true,
            Self::Admin => act != ManageOwners,
            Self::Developer => {
                matches!(act, SeeApplications | SeeConnections | SeeWebhooks | OperateWebhooks)
            }
            Self::Support => act == SeeConnections,
        }
    }

    /// The word in database, commands and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Support => "support",
        }
    }

    /// The role of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// What it means, for who gives it.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Owner => "does everything, and makes owners",
            Self::Admin => "approves and ends connections, manages applications and people",
            Self::Developer => {
                "looks at applications, connections and deliveries, sends test events"
            }
            Self::Support => "looks at connections and their history",
        }
    }

    /// The role as a page names it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Admin => "Admin",
            Self::Developer => "Developer",
            Self::Support => "Support",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_do_what() {
        let table = [
            (Act::Approve, "oa.."),
            (Act::SeeConnections, "oads"),
            (Act::EndConnections, "oa.."),
            (Act::SeeApplications, "oad."),
            (Act::ManageApplications, "oa.."),
            (Act::SeeWebhooks, "oad."),
            (Act::OperateWebhooks, "oad."),
            (Act::ManageWebhooks, "oa.."),
            (Act::SeePeople, "oa.."),
            (Act::ManagePeople, "oa.."),
            (Act::ManageOwners, "o..."),
        ];
        assert_eq!(table.map(|(act, _)| act), Act::ALL);
        for (act, roles) in table {
            let may: String = Role::ALL
                .map(|role| if role.may(act) { &role.as_str()[..1] } else { "." })
                .concat();
            assert_eq!(may, roles, "{act:?}");
        }
    }

    #[test]
    fn words() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        for word in ["", "member", "Owner", "root"] {
            assert_eq!(Role::parse(word), None);
        }
    }
}
