use async_trait::async_trait;
use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Sqlite, accounts, audit, columns::time};
use crate::{
    audit::{Actor, AuditEvent},
    people::role::{Act, Role},
    store::{
        Company, Invitation, Invited, Joined, Joiner, People, Person, Result, RoleChange,
        RoleChanged, StoreError,
    },
};

/// Invitations of a company that may wait.
const MOST_INVITATIONS: i64 = 100;

/// People of a company that are listed.
const MOST_PEOPLE: u32 = 1_000;

pub(super) const PEOPLE: &str =
    "SELECT user.id, email, role, EXISTS (SELECT 1 FROM second_factor f WHERE f.user_id = user.id AND confirmed_at IS NOT NULL)
     FROM membership JOIN user ON user.id = membership.user_id
     WHERE membership.company_id = ? AND disabled_at IS NULL ORDER BY email LIMIT ?";

const INVITATION: &str =
    "SELECT invitation.id, hash, company.id, company.name, email, role, invitation.created_at, expires_at
     FROM invitation JOIN company ON company.id = company_id WHERE closed_at IS NULL AND expires_at > ?1 AND ";

#[async_trait]
impl People for Sqlite {
    async fn people(&self, company_id: &str) -> Result<Vec<Person>> {
        self.read(|db| {
            let mut statement = db.prepare_cached(PEOPLE)?;
            let mut rows = statement.query(params![company_id, MOST_PEOPLE])?;
            let mut people = Vec::new();
            while let Some(row) = rows.next()? {
                let role = role(&row.get::<_, String>(2)?)?;
                let (user_id, email) = (row.get(0)?, row.get(1)?);
                people.push(Person { user_id, email, role, has_code: row.get(3)? });
            }
            Ok(people)
        })
    }

    async fn change_role(&self, change: RoleChange) -> Result<RoleChanged> {
        self.write(move |db| change_role(db, &change)).await
    }

    async fn invite(&self, invitation: Invitation, actor: &Actor) -> Result<Invited> {
        let actor = actor.clone();
        self.write(move |db| invite(db, &invitation, &actor)).await
    }

    async fn invitations(&self, company_id: &str, now: UnixTime) -> Result<Vec<Invitation>> {
        self.read(|db| {
            let sql = format!("{INVITATION} company_id = ?2 ORDER BY email");
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query(params![now.0, company_id])?;
            let mut invitations = Vec::new();
            while let Some(row) = rows.next()? {
                invitations.push(read_invitation(row)?);
            }
            Ok(invitations)
        })
    }

    async fn withdraw_invitation(
        &self,
        company_id: &str,
        id: &str,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<bool> {
        let (company_id, id, actor) = (company_id.to_owned(), id.to_owned(), actor.clone());
        self.write(move |db| {
            let sql = "SELECT email, role FROM invitation WHERE company_id = ? AND id = ?";
            let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            let found = db.prepare_cached(sql)?.query_row([&company_id, &id], read).optional()?;
            let Some((email, word)) = found else { return Ok(false) };
            if !may(db, &actor, &company_id, act_on(role(&word)?))? {
                return Ok(false);
            }
            db.prepare_cached("DELETE FROM invitation WHERE id = ?")?.execute([&id])?;
            let event = AuditEvent::new(now, "invitation_withdrawn", &actor).company(&company_id);
            audit::note(db, &event.subject(&email).detail(&word))?;
            Ok(true)
        })
        .await
    }

    async fn invitation(&self, hash: &[u8; 32], now: UnixTime) -> Result<Option<Invitation>> {
        self.read(|db| invitation(db, hash, now))
    }

    async fn join(&self, hash: &[u8; 32], joiner: Joiner, now: UnixTime) -> Result<Joined> {
        let hash = *hash;
        self.write(move |db| join(db, &hash, joiner, now)).await
    }

    async fn approval_needs_code(&self, company_id: &str) -> Result<bool> {
        self.read(|db| {
            let sql = "SELECT approval_needs_code FROM company WHERE id = ?";
            let needed = db.prepare_cached(sql)?.query_row([company_id], |row| row.get(0));
            Ok(needed.optional()?.unwrap_or(false))
        })
    }

    async fn set_approval_needs_code(
        &self,
        company_id: &str,
        needed: bool,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<bool> {
        let (company_id, actor) = (company_id.to_owned(), actor.clone());
        self.write(move |db| {
            if !may(db, &actor, &company_id, Act::ManagePeople)? {
                return Ok(false);
            }
            let sql = "UPDATE company SET approval_needs_code = ?1 WHERE id = ?2 AND approval_needs_code <> ?1";
            if db.prepare_cached(sql)?.execute(params![needed, company_id])? == 1 {
                let detail = if needed { "needed" } else { "not needed" };
                let event = AuditEvent::new(now, "approval_code_set", &actor).company(&company_id);
                audit::note(db, &event.detail(detail))?;
            }
            Ok(true)
        })
        .await
    }
}

fn role(word: &str) -> Result<Role> {
    Role::parse(word).ok_or(StoreError::Corrupt("a role that there is not"))
}

/// What somebody must be allowed to give or take this role.
fn act_on(role: Role) -> Act {
    if role == Role::Owner { Act::ManageOwners } else { Act::ManagePeople }
}

/// Whether somebody may do that for a company at this moment; the page may have been open for a while. Operators may.
fn may(db: &Connection, actor: &Actor, company_id: &str, act: Act) -> Result<bool> {
    let open = "SELECT 1 FROM company WHERE id = ? AND closed_at IS NULL";
    if !db.prepare_cached(open)?.exists([company_id])? {
        return Ok(false);
    }
    match actor {
        Actor::User(id) => Ok(place(db, id, company_id)?.is_some_and(|role| role.may(act))),
        Actor::Operator(_) | Actor::System => Ok(true),
        Actor::Client(_) => Ok(false),
    }
}

/// A person's role in a company.
fn place(db: &Connection, user_id: &str, company_id: &str) -> Result<Option<Role>> {
    let sql = "SELECT role FROM membership JOIN user ON user.id = user_id
               WHERE user_id = ? AND company_id = ? AND disabled_at IS NULL";
    let word = db
        .prepare_cached(sql)?
        .query_row([user_id, company_id], |row| row.get::<_, String>(0))
        .optional()?;
    word.map(|word| role(&word)).transpose()
}

fn change_role(db: &Connection, change: &RoleChange) -> Result<RoleChanged> {
    let RoleChange { company_id, user_id, role: becomes, actor, now } = change;
    let Some(was) = place(db, user_id, company_id)? else { return Ok(RoleChanged::Gone) };
    let leaves = becomes.is_none() && *actor == Actor::User(user_id.clone());
    let allowed = may(db, actor, company_id, act_on(was))?
        && becomes.map_or(Ok(true), |role| may(db, actor, company_id, act_on(role)))?;
    if !allowed && !leaves {
        return Ok(RoleChanged::NotAllowed);
    }
    let others = "SELECT 1 FROM membership JOIN user ON user.id = user_id
                  WHERE company_id = ? AND user_id <> ? AND role = 'owner' AND disabled_at IS NULL";
    if was == Role::Owner
        && *becomes != Some(Role::Owner)
        && !db.prepare_cached(others)?.exists([company_id, user_id])?
    {
        return Ok(RoleChanged::LastOwner);
    }
    let (event, detail) = if let Some(becomes) = becomes {
        accounts::place_in_company(db, user_id, company_id, *becomes)?;
        ("role_changed", format!("{} to {}", was.as_str(), becomes.as_str()))
    } else {
        let sql = "DELETE FROM membership WHERE user_id = ? AND company_id = ?";
        db.prepare_cached(sql)?.execute([user_id, company_id])?;
        ("person_removed", was.as_str().to_owned())
    };
    let event = AuditEvent::new(*now, event, actor).company(company_id).subject(user_id);
    audit::note(db, &event.detail(&detail))?;
    Ok(RoleChanged::Done)
}

fn invite(db: &Connection, invitation: &Invitation, actor: &Actor) -> Result<Invited> {
    let Invitation { id, hash, company, email, role, created_at, expires_at } = invitation;
    if !may(db, actor, &company.id, act_on(*role))? {
        return Ok(Invited::NotAllowed);
    }
    let member = "SELECT 1 FROM user JOIN membership ON user_id = user.id WHERE email = ? AND company_id = ?";
    if db.prepare_cached(member)?.exists([email, &company.id])? {
        return Ok(Invited::Member);
    }
    // What is written over must have been this person's to give as well.
    let before =
        "SELECT role FROM invitation WHERE company_id = ? AND email = ? AND expires_at > ?";
    let before = db
        .prepare_cached(before)?
        .query_row(params![company.id, email, created_at.0], |row| row.get::<_, String>(0))
        .optional()?;
    if let Some(word) = &before
        && !may(db, actor, &company.id, act_on(self::role(word)?))?
    {
        return Ok(Invited::NotAllowed);
    }
    let waiting = "SELECT count(*) FROM invitation WHERE company_id = ? AND expires_at > ?";
    let waiting: i64 = db
        .prepare_cached(waiting)?
        .query_row(params![company.id, created_at.0], |row| row.get(0))?;
    if before.is_none() && waiting >= MOST_INVITATIONS {
        return Ok(Invited::TooMany);
    }
    db.prepare_cached("DELETE FROM invitation WHERE company_id = ? AND email = ?")?
        .execute([&company.id, email])?;
    let sql = "INSERT INTO invitation (id, hash, company_id, email, role, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)";
    let values = params![id, hash, company.id, email, role.as_str(), created_at.0, expires_at.0];
    db.prepare_cached(sql)?.execute(values)?;
    let event = AuditEvent::new(*created_at, "invited", actor).company(&company.id);
    audit::note(db, &event.subject(email).detail(role.as_str()))?;
    Ok(Invited::Done)
}

fn invitation(db: &Connection, hash: &[u8; 32], now: UnixTime) -> Result<Option<Invitation>> {
    let sql = format!("{INVITATION} hash = ?2");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![now.0, hash])?;
    rows.next()?.map(read_invitation).transpose()
}

fn read_invitation(row: &Row<'_>) -> Result<Invitation> {
    Ok(Invitation {
        id: row.get(0)?,
        hash: row.get(1)?,
        company: Company { id: row.get(2)?, name: row.get(3)? },
        email: row.get(4)?,
        role: role(&row.get::<_, String>(5)?)?,
        created_at: time(row, 6)?,
        expires_at: time(row, 7)?,
    })
}

fn join(db: &Connection, hash: &[u8; 32], joiner: Joiner, now: UnixTime) -> Result<Joined> {
    let Some(found) = invitation(db, hash, now)? else { return Ok(Joined::Gone) };
    let Invitation { id, company, email, role, .. } = found;
    let user_id = match joiner {
        Joiner::New(user) if user.email == email && accounts::add_user(db, &user, now)? => {
            let actor = Actor::User(user.id.clone());
            audit::note(db, &AuditEvent::new(now, "person_added", &actor).subject(&user.id))?;
            user.id
        }
        Joiner::New(_) => return Ok(Joined::NotTheirs),
        Joiner::Known { user_id } => {
            let theirs = "SELECT 1 FROM user WHERE id = ? AND email = ? AND disabled_at IS NULL";
            if !db.prepare_cached(theirs)?.exists([&user_id, &email])? {
                return Ok(Joined::NotTheirs);
            }
            user_id
        }
    };
    db.prepare_cached("DELETE FROM invitation WHERE id = ?")?.execute([&id])?;
    // An invitation gives a place; it never takes a better one away.
    if place(db, &user_id, &company.id)?.is_none() {
        accounts::place_in_company(db, &user_id, &company.id, role)?;
        let actor = Actor::User(user_id.clone());
        let event = AuditEvent::new(now, "joined", &actor).company(&company.id).subject(&user_id);
        audit::note(db, &event.detail(role.as_str()))?;
    }
    Ok(Joined::Done(company, role))
}
