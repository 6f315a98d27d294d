//! A store that speaks the wire protocol itself, without a daemon: for tests of the server alone, and for load.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use counterfoil_protocol::{
    UnixTime,
    encoding::base64url,
    jwk::PublicKey,
    pkce::Challenge,
    proof::{Draft, Signer},
    registration::{RegistrationRequest, RegistrationResponse},
    token::TokenResponse,
    uri::HttpUri,
};
use reqwest::{Client, RequestBuilder, Response, redirect::Policy};

use crate::{Browser, Decision, Server};

/// What a store holds after it was connected.
pub type Tokens = TokenResponse;

/// The time now.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tests of the real binaries live in real time")]
pub fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    UnixTime(i64::try_from(since).unwrap_or(i64::MAX))
}

/// Random text of 43 characters.
#[must_use]
pub fn random_name() -> String {
    let mut bytes = [0; 32];
    #[expect(clippy::disallowed_methods, reason = "tests of the real binaries are random")]
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    base64url(&bytes)
}

/// A P-256 key that signs proofs.
pub struct Key {
    pair: EcdsaKeyPair,
    public: PublicKey,
    random: SystemRandom,
}

impl Key {
    /// Makes a key.
    pub fn generate() -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let point = pair.public_key().as_ref().try_into()?;
        #[expect(clippy::disallowed_methods, reason = "tests of the real binaries are random")]
        let random = SystemRandom::new();
        Ok(Self { pair, public: PublicKey::from_uncompressed(point)?, random })
    }

    /// A proof for one request.
    pub fn proof(&self, method: &str, url: &str, access_token: Option<&str>) -> Result<String> {
        let uri = HttpUri::parse(url)?;
        let jti = random_name();
        let draft = Draft {
            method,
            uri: &uri,
            iat: now(),
            jti: &jti,
            access_token,
            nonce: None,
            successor: None,
        };
        draft.sign(self)
    }
}

impl Signer for Key {
    type Error = anyhow::Error;

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64]> {
        Ok(self.pair.sign(&self.random, message)?.as_ref().try_into()?)
    }
}

/// A WordPress store with a key.
pub struct Store {
    /// The key.
    pub key: Key,
    /// The store's URL.
    pub site_url: String,
    /// The secret name.
    pub registration_id: String,
    /// The client id, once registered.
    pub client_id: String,
    issuer: String,
    http: Client,
}

impl Store {
    /// Registers a store.
    pub async fn register(server: &Server, site_url: &str) -> Result<Self> {
        let http = Client::builder().redirect(Policy::none()).no_proxy().build()?;
        let mut store = Self {
            key: Key::generate()?,
            site_url: site_url.to_owned(),
            registration_id: random_name(),
            client_id: String::new(),
            issuer: server.issuer(),
            http,
        };
        let url = store.url("/oauth/native/installations");
        let body = RegistrationRequest {
            platform: "wordpress".to_owned(),
            registration_id: Some(store.registration_id.clone()),
            site_url: store.site_url.clone(),
            redirect_uri: store.callback(),
            dpop_jkt: store.key.public.thumbprint(),
            plugin_version: "1.0.0".to_owned(),
            platform_version: Some("6.8".to_owned()),
        };
        let proof = store.key.proof("POST", &url, None)?;
        let response =
            store.http.post(&url).header("DPoP", proof).json(&body.to_json()).send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "registration: {status} {text}");
        store.client_id = serde_json::from_str::<RegistrationResponse>(&text)?.client_id;
        Ok(store)
    }

    /// The store's callback.
    #[must_use]
    pub fn callback(&self) -> String {
        format!("{}/wp-admin/admin-post.php?action=counterfoil_callback", self.site_url)
    }

    /// Registers, has the merchant approve, redeems the code.
    pub async fn connect(
        server: &Server,
        site_url: &str,
        browser: &mut Browser,
    ) -> Result<(Self, Tokens)> {
        let store = Self::register(server, site_url).await?;
        let (code, verifier) = store.approve(browser).await?;
        let response = store.redeem(&code, &verifier, &random_name()).await?;
        let tokens = read_tokens(response).await?;
        Ok((store, tokens))
    }

    /// Has the merchant approve. Answers the code and the PKCE verifier.
    pub async fn approve(&self, browser: &mut Browser) -> Result<(String, String)> {
        let (verifier, state) = (random_name(), random_name());
        let challenge = Challenge::of(&verifier)?;
        let (redirect_uri, resource, jkt) =
            (self.callback(), self.resource(), self.key.public.thumbprint().to_string());
        let query = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &redirect_uri),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("dpop_jkt", &jkt),
            ("resource", &resource),
            ("state", &state),
        ];
        let url =
            counterfoil_protocol::callback::with_parameters(&self.url("/oauth/authorize"), &query);
        let landed = browser.decide(&url, Decision::Approve).await?;
        ensure!(
            landed.starts_with(&redirect_uri) && landed.contains(&format!("state={state}")),
            "sent to {landed}"
        );
        let code = landed.split("code=").nth(1).and_then(|rest| rest.split('&').next());
        Ok((code.with_context(|| format!("no code in {landed}"))?.to_owned(), verifier))
    }

    /// Redeems a code.
    pub async fn redeem(&self, code: &str, verifier: &str, name: &str) -> Result<Response> {
        let redirect_uri = self.callback();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect_uri),
            ("code_verifier", verifier),
        ];
        self.token_request(&fields, name).await
    }

    /// Refreshes.
    pub async fn refresh(&self, refresh_token: &str, name: &str) -> Result<Response> {
        self.token_request(
            &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)],
            name,
        )
        .await
    }

    /// A request at the partner API, with token and proof.
    pub fn api(
        &self,
        method: reqwest::Method,
        path: &str,
        access_token: &str,
    ) -> Result<RequestBuilder> {
        let url = format!("{}{path}", self.resource());
        let proof = self.key.proof(method.as_str(), &url, Some(access_token))?;
        let request = self.http.request(method, &url).header("DPoP", proof);
        Ok(request.header("Authorization", format!("DPoP {access_token}")))
    }

    /// The partner API's resource identifier.
    #[must_use]
    pub fn resource(&self) -> String {
        self.url("/api/partner/v1")
    }

    async fn token_request(&self, fields: &[(&str, &str)], name: &str) -> Result<Response> {
        let url = self.url("/oauth/token");
        let resource = self.resource();
        let mut form = vec![("client_id", self.client_id.as_str()), ("resource", &resource)];
        form.extend_from_slice(fields);
        let proof = self.key.proof("POST", &url, None)?;
        let request = self.http.post(&url).header("DPoP", proof);
        Ok(request
            .header("Idempotency-Key", format!("wordpress-token-{name}"))
            .form(&form)
            .send()
            .await?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }
}

/// Reads a successful token answer.
pub async fn read_tokens(response: Response) -> Result<Tokens> {
    let status = response.status();
    let text = response.text().await?;
    ensure!(status.is_success(), "token request: {status} {text}");
    Ok(serde_json::from_str(&text)?)
}
