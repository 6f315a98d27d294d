//! A browser is sent to a provider; the code that it brings back becomes claims.

use std::time::{Duration, UNIX_EPOCH};

use counterfoil_protocol::UnixTime;
use openidconnect::{
    AccessToken, AccessTokenHash, AuthType, AuthenticationFlow, AuthorizationCode,
    ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, LoginHint, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, SignatureVerificationError, TokenResponse as _,
    core::{
        CoreAuthPrompt, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenClaims,
        CoreIdTokenVerifier, CoreJwsSigningAlgorithm, CoreResponseType, CoreUserInfoClaims,
    },
};

use super::{Provider, Sent, Trouble, discovery::Metadata, trouble::printable};
use crate::{
    mail::address,
    people::provider::{Claims, LEEWAY},
};

/// The signatures that are believed. None with our secret as its key: it is not a signature.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// The longest subject, in bytes (OpenID Connect Core §2).
const MAX_SUBJECT: usize = 255;

/// The crate's client, as discovery makes it.
type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

impl Provider {
    /// Where a browser is sent. With `again` the provider is to ask the person once more, known there by this address.
    pub async fn authorization_url(
        &self,
        sent: &Sent,
        again: Option<&str>,
    ) -> Result<String, Trouble> {
        let metadata = self.metadata().await?;
        let client = self.client(&metadata)?;
        let (state, nonce) = (sent.state.clone(), sent.nonce.clone());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier(sent));
        let scopes = self.settings.scopes.iter().filter(|scope| *scope != "openid");
        let mut request = client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .add_scopes(scopes.cloned().map(Scope::new))
            .set_pkce_challenge(challenge);
        if let Some(email) = again {
            request = request
                .add_prompt(CoreAuthPrompt::Login)
                .set_max_age(Duration::ZERO)
                .set_login_hint(LoginHint::new(email.to_owned()));
        }
        Ok(request.url().0.into())
    }

    /// Judges whose answer it is that a browser brings (RFC 9207 §2.4).
    pub async fn judge_issuer(&self, named: Option<&str>) -> Result<(), Trouble> {
        let good = if let Some(issuer) = named {
            issuer == self.issuer()
        } else {
            let metadata = self.metadata().await?;
            !metadata.additional_metadata().authorization_response_iss_parameter_supported
        };
        if good { Ok(()) } else { Err(Trouble::Issuer) }
    }

    /// Redeems the code that a browser brought back, and verifies what the provider says of its person.
    pub async fn redeem(&self, sent: &Sent, code: &str) -> Result<Claims, Trouble> {
        let metadata = self.metadata().await?;
        let client = self.client(&metadata)?;
        let answer = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| Trouble::Down(error.to_string()))?
            .set_pkce_verifier(verifier(sent))
            .request_async(self)
            .await?;
        let missing = || Trouble::Token("there is none".to_owned());
        let token = answer.id_token().ok_or_else(missing)?;
        let nonce = Nonce::new(sent.nonce.clone());
        let access_token = answer.access_token();
        let claims = match self.verified(&metadata, token, &nonce, access_token) {
            Err(error) if is_unknown_key(&error) => match self.with_newer_keys(&metadata).await? {
                Some(newer) => self.verified(&newer, token, &nonce, access_token),
                None => Err(error),
            },
            judged => judged,
        };
        let claims = claims.map_err(disbelieved)?;
        let mut said = said(claims)?;
        // Many providers say the address at the userinfo endpoint alone (OpenID Connect Core §5.4).
        if said.email.is_none()
            && let Ok(request) =
                client.user_info(access_token.clone(), Some(claims.subject().clone()))
        {
            let found: Result<CoreUserInfoClaims, _> = request.request_async(self).await;
            if let Ok(found) = found {
                said.email = found.email().and_then(|email| address::normal(email));
                said.email_verified = found.email_verified() == Some(true);
            } else {
                tracing::info!(provider = self.name(), "there is no user info");
            }
        }
        Ok(said)
    }

    fn client(&self, metadata: &Metadata) -> Result<Client, Trouble> {
        let secret =
            self.secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
        let id = ClientId::new(self.settings.client_id.clone());
        let redirect = RedirectUrl::new(self.redirect_uri.clone());
        let redirect = redirect.map_err(|error| Trouble::Down(error.to_string()))?;
        let by_post = metadata.token_endpoint_auth_methods_supported().is_some_and(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let how = if by_post { AuthType::RequestBody } else { AuthType::BasicAuth };
        let client = CoreClient::from_provider_metadata(metadata.clone(), id, secret);
        Ok(client.set_redirect_uri(redirect).set_auth_type(how))
    }

    /// The claims of an ID token: signature, `iss`, `aud`, `exp`, `nonce` by the crate; `azp`, `iat` and `at_hash` here.
    fn verified<'t>(
        &self,
        metadata: &Metadata,
        token: &'t CoreIdToken,
        nonce: &Nonce,
        access_token: &AccessToken,
    ) -> Result<&'t CoreIdTokenClaims, ClaimsVerificationError> {
        let now = self.clock.now();
        let verifier = CoreIdTokenVerifier::new_public_client(
            ClientId::new(self.settings.client_id.clone()),
            metadata.issuer().clone(),
            metadata.jwks().clone(),
        )
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || (UNIX_EPOCH + since_epoch(now - LEEWAY)).into())
        .set_issue_time_verifier_fn(move |at| {
            if at.timestamp() > now.0 + LEEWAY { Err("issued later".to_owned()) } else { Ok(()) }
        });
        let claims = token.claims(&verifier, nonce)?;
        let other = |what: &str| ClaimsVerificationError::Other(what.to_owned());
        let azp = claims.authorized_party();
        if azp.is_some_and(|azp| azp.as_str() != self.settings.client_id) {
            return Err(other("azp is another client"));
        }
        if let Some(expected) = claims.access_token_hash() {
            let signature = ClaimsVerificationError::SignatureVerification;
            let algorithm = token.signing_alg().map_err(signature)?;
            let key = token.signing_key(&verifier).map_err(signature)?;
            let hash = AccessTokenHash::from_token(access_token, algorithm, key);
            if hash.ok().as_ref() != Some(expected) {
                return Err(other("at_hash is of another access token"));
            }
        }
        Ok(claims)
    }
}

/// What the claims of a verified token say.
fn said(claims: &CoreIdTokenClaims) -> Result<Claims, Trouble> {
    let subject = claims.subject().as_str();
    if subject.is_empty() || subject.len() > MAX_SUBJECT {
        return Err(Trouble::Token("sub is empty or too long".to_owned()));
    }
    let methods = claims.auth_method_refs().into_iter().flatten().map(|it| it.as_str());
    let context = claims.auth_context_ref().map(|it| it.as_str());
    Ok(Claims {
        subject: subject.to_owned(),
        email: claims.email().and_then(|email| address::normal(email)),
        email_verified: claims.email_verified() == Some(true),
        methods: methods.chain(context).map(str::to_owned).collect(),
        authenticated_at: claims.auth_time().map(|at| UnixTime(at.timestamp())),
    })
}

fn verifier(sent: &Sent) -> PkceCodeVerifier {
    PkceCodeVerifier::new(sent.verifier.as_str().to_owned())
}

fn since_epoch(at: UnixTime) -> Duration {
    Duration::from_secs(u64::try_from(at.0).unwrap_or_default())
}

/// Why a token is not believed, with what is wrong with its signature.
fn disbelieved(error: ClaimsVerificationError) -> Trouble {
    Trouble::Token(match error {
        ClaimsVerificationError::SignatureVerification(error) => printable(error),
        other => printable(other),
    })
}

fn is_unknown_key(error: &ClaimsVerificationError) -> bool {
    use ClaimsVerificationError::SignatureVerification;
    matches!(error, SignatureVerification(SignatureVerificationError::NoMatchingKey))
}
