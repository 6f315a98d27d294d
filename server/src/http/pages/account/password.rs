//! `POST /account/password`: another password, by somebody who knows the old one.

use axum::{http::StatusCode, response::Response};

use super::render;
use crate::{
    events,
    http::{
        address::ClientAddress,
        error::Refusal,
        pages::{
            confirmation, frame,
            guard::Visit,
            password::{allowed, chosen},
            problem::Problem,
            session::Standing,
            visitor::{append_cookies, mark_browser},
        },
    },
    store::PasswordChange,
};

const MEANWHILE: &str = "The password was changed in another browser meanwhile.";

/// Changes it. Every session ends but this one, which goes on under another name.
pub async fn change(visit: Visit) -> Result<Response, Refusal> {
    let (app, user) = (&visit.app, &visit.signed_in.user);
    allowed(app)?;
    if let Err(problem) = confirmation::judge(&visit, "password").await? {
        return render(&visit, None, Some(&problem)).await;
    }
    let hashed = match chosen(app, &visit.form, &user.email).await? {
        Ok(hashed) => hashed,
        Err(problem) => return render(&visit, None, Some(&problem)).await,
    };
    // Whoever gave the second factor at sign-in has not done so again.
    let address = ClientAddress::of(&visit.parts.extensions);
    let mut new = app.new_session(user, &visit.parts.headers, address, Standing::Whole);
    new.session.provider.clone_from(&visit.signed_in.session.provider);
    let change = PasswordChange {
        user_id: user.id.clone(),
        was: user.password_hash.clone(),
        becomes: hashed,
        session: new.session,
        now: app.now(),
    };
    if !app.store.change_password(change).await? {
        let problem = Problem::new(StatusCode::CONFLICT, MEANWHILE);
        return render(&visit, None, Some(&problem)).await;
    }
    events::password_changed(&user.id);
    app.notify(
        user,
        "Your password was changed. Every other browser was signed out.",
        "ask for a new password at once: \"Forgotten your password?\" on the sign-in page.",
    )
    .await;
    let mut response = frame::see_other("/account?done=password");
    append_cookies(&mut response, [new.set, mark_browser(app, &user.email)]);
    Ok(response)
}
