//! The picture of an application: uploaded, drawn anew, served.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::{find, must_be_done, show};
use crate::{
    app::App,
    http::{
        error::Refusal,
        pages::{
            frame::see_other,
            guard::{Visit, not_found},
        },
    },
    icon::{self, IconError},
    store::{AppChange, Membership},
};

/// `POST …/{app}/icon`.
pub async fn upload(mut visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let found = find(&visit, &place).await?;
    let Some(file) = visit.file.take() else {
        let notice = "Choose a file first.";
        return show::page(&visit, &place, &found, StatusCode::BAD_REQUEST, Some(notice)).await;
    };
    match icon::draw(file).await {
        Ok(picture) => {
            let change = AppChange::Icon(Some(picture));
            must_be_done(visit.app.store.change_app(found.edit(&visit), change).await?)?;
            Ok(see_other(&found.path("")))
        }
        Err(error) => {
            let status = match error {
                IconError::Busy => StatusCode::SERVICE_UNAVAILABLE,
                IconError::Large => StatusCode::PAYLOAD_TOO_LARGE,
                IconError::Format | IconError::Damaged | IconError::Pixels => {
                    StatusCode::BAD_REQUEST
                }
            };
            show::page(&visit, &place, &found, status, Some(&error.to_string())).await
        }
    }
}

/// `POST …/{app}/icon/remove`.
pub async fn remove(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let found = find(&visit, &place).await?;
    let change = AppChange::Icon(None);
    must_be_done(visit.app.store.change_app(found.edit(&visit), change).await?)?;
    Ok(see_other(&found.path("")))
}

/// `GET /icons/{name}`: a picture of ours, under the hash of its bytes. A browser may do nothing with it but show it.
pub async fn serve(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let hash = name.strip_suffix(".png").ok_or_else(not_found)?;
    let png = app.store.picture(hash).await?.ok_or_else(not_found)?;
    let headers = [
        (header::CONTENT_TYPE, "image/png"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    Ok((headers, png).into_response())
}
