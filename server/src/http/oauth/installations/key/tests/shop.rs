//! A store that is registered, approved and holds tokens, and the requests that it makes.

use axum::{body::Body, http::Request};
use counterfoil_protocol::{
    access_token::Claims,
    encoding::{base64url, from_base64url, sha256},
    jwk::Thumbprint,
    proof::Draft,
    token::{AUTHORIZATION_CODE, INSTALLATION_KEY, REFRESH_TOKEN},
    uri::HttpUri,
};
use form_urlencoded::Serializer;
use serde_json::{Value, json};

use crate::testing::{
    Answer, Key, TestServer,
    approval::{Asked, VERIFIER},
};

pub(super) const PATH: &str = "/oauth/native/installations/key";
const TOKEN: &str = "/oauth/token";
const SITE: &str = "https://shop.example";

/// A connected store.
pub(super) struct Shop<'a> {
    pub(super) server: &'a TestServer,
    pub(super) key: Key,
    pub(super) client_id: String,
    pub(super) tokens: Value,
    platform: &'a str,
}

/// A request to change the key; by default the honest one.
#[derive(Clone)]
pub(super) struct Ask<'k> {
    pub(super) signer: Option<&'k Key>,
    pub(super) previous: Option<&'k Key>,
    /// What `DPoP-Previous` names.
    pub(super) successor: Option<Thumbprint>,
    pub(super) client_id: String,
    pub(super) token: String,
    pub(super) idempotency: Option<String>,
    /// The endpoint that the proofs are for.
    pub(super) at: &'k str,
}

impl<'a> Shop<'a> {
    pub(super) async fn connect(server: &'a TestServer, platform: &'a str) -> Self {
        let (key, client_id, tokens) = (Key::new(), String::new(), Value::Null);
        let mut shop = Self { server, key, client_id, tokens, platform };
        let registered = shop.register(&shop.key, None).await;
        shop.client_id = json(&registered)["client_id"].as_str().expect("a client").to_owned();
        let code = shop.approved(&shop.key).await;
        let redeemed = shop.redeem(&code, &shop.key).await;
        shop.accept(&redeemed);
        shop
    }

    pub(super) async fn register(&self, key: &Key, previous: Option<&Key>) -> Answer {
        let path = "/oauth/native/installations";
        let body = json!({
            "platform": self.platform, "registrationId": base64url(&[1; 32]), "siteUrl": SITE,
            "redirectUri": self.callback(), "dpopJkt": key.thumbprint().to_string(), "pluginVersion": "1",
        });
        let proof = self.proof(key, path, None, None);
        let previous = previous.map(|previous| self.proof(previous, path, None, None));
        let headers = [("dpop", Some(proof)), ("dpop-previous", previous)];
        self.post(path, "application/json", body.to_string(), headers).await
    }

    /// Has a merchant approve the store with its key; answers the code.
    pub(super) async fn approved(&self, key: &Key) -> String {
        self.server.merchant("co", "Anvils").await;
        let profile = self.server.app.profiles.get(self.platform).expect("a profile");
        let asked = Asked {
            client_id: &self.client_id,
            callback: &self.callback(),
            scope: &profile.scope_set(),
            key: Some(key.thumbprint()),
        };
        self.server.approve("co", &asked).await.code
    }

    pub(super) async fn redeem(&self, code: &str, key: &Key) -> Answer {
        let callback = self.callback();
        let form = [("code", code), ("redirect_uri", &callback), ("code_verifier", VERIFIER)];
        self.token(AUTHORIZATION_CODE, &form, key, self.idempotency()).await
    }

    pub(super) async fn refresh(&self, token: &str, key: &Key) -> Answer {
        self.refresh_as(token, key, self.idempotency()).await
    }

    pub(super) async fn refresh_as(&self, token: &str, key: &Key, name: String) -> Answer {
        self.token(REFRESH_TOKEN, &[("refresh_token", token)], key, name).await
    }

    pub(super) async fn recover(&self, key: &Key) -> Answer {
        self.token(INSTALLATION_KEY, &[], key, self.idempotency()).await
    }

    pub(super) async fn revoke(&self, token: &str) -> Answer {
        let form = [("token", token), ("client_id", &self.client_id)];
        let form = Serializer::new(String::new()).extend_pairs(form).finish();
        self.post("/oauth/revoke", "application/x-www-form-urlencoded", form, []).await
    }

    /// The honest request for `new` in the place of the store's key.
    pub(super) fn ask<'k>(&'k self, new: &'k Key) -> Ask<'k> {
        Ask {
            signer: Some(new),
            previous: Some(&self.key),
            successor: Some(new.thumbprint()),
            client_id: self.client_id.clone(),
            token: self.held().to_owned(),
            idempotency: Some(self.idempotency()),
            at: PATH,
        }
    }

    pub(super) async fn rotate(&self, ask: &Ask<'_>) -> Answer {
        let headers = self.headers(ask);
        let body = json!({ "client_id": ask.client_id, "refresh_token": ask.token });
        self.post(PATH, "application/json", body.to_string(), headers).await
    }

    pub(super) fn headers(&self, ask: &Ask<'_>) -> [(&'static str, Option<String>); 3] {
        let previous =
            ask.previous.map(|key| self.proof(key, ask.at, ask.successor.as_ref(), None));
        let proof = ask.signer.map(|key| self.proof(key, ask.at, None, None));
        let idempotency = ask.idempotency.clone();
        [("dpop", proof), ("dpop-previous", previous), ("idempotency-key", idempotency)]
    }

    /// Keeps the tokens of an answer; answers the claims of the access token.
    #[track_caller]
    pub(super) fn accept(&mut self, answer: &Answer) -> Claims {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store");
        self.tokens = json(answer);
        let token = self.tokens["access_token"].as_str().expect("a token");
        let payload = token.split('.').nth(1).and_then(from_base64url).expect("a payload");
        serde_json::from_slice(&payload).expect("claims")
    }

    /// The refresh token that the store holds.
    pub(super) fn held(&self) -> &str {
        self.tokens["refresh_token"].as_str().expect("a refresh token")
    }

    /// A new `Idempotency-Key` of the platform's shape.
    pub(super) fn idempotency(&self) -> String {
        let profile = self.server.app.profiles.get(self.platform).expect("a profile");
        let prefix = profile.idempotency_prefix.as_deref().unwrap_or_default();
        format!("{prefix}{}", base64url(&sha256(self.name().as_bytes())))
    }

    pub(super) async fn post(
        &self,
        path: &str,
        media_type: &str,
        body: String,
        headers: impl IntoIterator<Item = (&'static str, Option<String>)>,
    ) -> Answer {
        let mut request = Request::post(path).header("content-type", media_type);
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        self.server.send(request.body(Body::from(body)).expect("a request")).await
    }

    async fn token(
        &self,
        grant_type: &str,
        fields: &[(&str, &str)],
        key: &Key,
        idempotency: String,
    ) -> Answer {
        let app = &self.server.app;
        let form = Serializer::new(String::new())
            .extend_pairs([("grant_type", grant_type), ("client_id", &self.client_id)])
            .append_pair("resource", &app.uris.resource)
            .extend_pairs(fields)
            .finish();
        let proof = self.proof(key, TOKEN, None, Some(&app.new_nonce()));
        let headers = [("dpop", Some(proof)), ("idempotency-key", Some(idempotency))];
        self.post(TOKEN, "application/x-www-form-urlencoded", form, headers).await
    }

    fn proof(
        &self,
        key: &Key,
        path: &str,
        successor: Option<&Thumbprint>,
        nonce: Option<&str>,
    ) -> String {
        let uri = HttpUri::parse(&format!("https://pay.example{path}")).expect("a URI");
        let (iat, jti) = (self.server.app.now(), self.name());
        let draft = Draft {
            method: "POST",
            uri: &uri,
            iat,
            jti: &jti,
            access_token: None,
            nonce,
            successor,
        };
        draft.sign(key).expect("signs")
    }

    fn callback(&self) -> String {
        match self.platform {
            "wordpress" => format!("{SITE}/wp-admin/admin-post.php?action=counterfoil_callback"),
            _ => format!("{SITE}/plugins/store/makepay/oauth/callback"),
        }
    }

    fn name(&self) -> String {
        self.server.app.entropy.id("name_")
    }
}

pub(super) fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).expect("JSON")
}

/// Asserts that an answer is this refusal.
#[track_caller]
pub(super) fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), json(answer)["error"].as_str()), (status, Some(code)));
}
