//! What a member may do.

use std::collections::BTreeSet;

/// A role that a member has in their participant, or on the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Everything of the participant, members included.
    Owner,
    /// Buys and reports problems.
    Buyer,
    /// Decides on orders that need a second person.
    Approver,
    /// Moves money in and out.
    Finance,
    /// Runs a provider's pools and tariffs.
    Operator,
    /// The platform: certifies, suspends, watches over the market.
    Operations,
    /// The platform: rules on disputes.
    Arbiter,
    /// The platform: watches for abuse.
    Surveillance,
    /// The platform: reads all and changes nothing.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 9] = [
        Self::Owner,
        Self::Buyer,
        Self::Approver,
        Self::Finance,
        Self::Operator,
        Self::Operations,
        Self::Arbiter,
        Self::Surveillance,
        Self::Auditor,
    ];

    /// Those of the marketplace's own people.
    pub const PLATFORM: [Self; 4] = [
        Self::Operations,
        Self::Arbiter,
        Self::Surveillance,
        Self::Auditor,
    ];

    /// Its name in the tables.
    pub fn code(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Buyer => "buyer",
            Self::Approver => "approver",
            Self::Finance => "finance",
            Self::Operator => "operator",
            Self::Operations => "operations",
            Self::Arbiter => "arbiter",
            Self::Surveillance => "surveillance",
            Self::Auditor => "auditor",
        }
    }

    /// The role of this name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.code() == code)
    }

    /// Whether the marketplace's own people have it.
    pub fn is_of_platform(self) -> bool {
        matches!(
            self,
            Self::Operations | Self::Arbiter | Self::Surveillance | Self::Auditor
        )
    }
}

/// The roles of a member. An owner has every role of their participant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// The roles of these names; others are passed over.
    pub fn of(codes: &[String]) -> Self {
        Self(
            codes
                .iter()
                .filter_map(|code| Role::from_code(code))
                .collect(),
        )
    }

    /// Whether one of these roles is held.
    pub fn have(&self, any: &[Role]) -> bool {
        any.iter().any(|role| {
            let owns = !role.is_of_platform() && self.0.contains(&Role::Owner);
            owns || self.0.contains(role)
        })
    }

    /// The roles that were given, in their order.
    pub fn given(&self) -> impl Iterator<Item = Role> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_all_of_a_participants_roles_and_none_of_the_platforms() {
        let owner = Roles::of(&["owner".to_owned()]);
        for role in Role::ALL {
            assert_eq!(owner.have(&[role]), !role.is_of_platform(), "{role:?}");
            assert_eq!(Role::from_code(role.code()), Some(role));
        }
        let buyer = Roles::of(&["buyer".to_owned(), "unheard_of".to_owned()]);
        assert!(buyer.have(&[Role::Finance, Role::Buyer]));
        assert!(!buyer.have(&[Role::Owner]));
    }
}
