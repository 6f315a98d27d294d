//! Which certificates a server is known by.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, Certificate as Made, CertificateParams, CertifiedIssuer, DnType, IsCa,
    KeyPair, date_time_ymd,
};
use tokio::net::TcpListener;
use tokio_rustls::rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::{super::super::failure, servers::serve_tls, *};
use crate::{trouble::Code, upstream::Unanswered};

/// An authority of our own.
pub(super) fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("an authority")
}

/// A server's certificate for a name.
pub(super) fn for_name(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).expect("a name")
}

/// Starts a server with a certificate; answers its URL.
pub(super) async fn start(
    params: CertificateParams,
    authority: &CertifiedIssuer<'static, KeyPair>,
) -> String {
    let key = KeyPair::generate().expect("a key");
    serve(params.signed_by(&key, authority).expect("a certificate"), &key).await
}

/// Starts a server with a certificate that is there; answers its URL.
async fn serve(certificate: Made, key: &KeyPair) -> String {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a good pair");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(serve_tls(listener, config));
    format!("https://localhost:{port}")
}

/// A store's file with `ca_file`, read whole.
pub(super) fn read(dir: &Path, issuer: &str, pem: &str, more: &str) -> Config {
    let (file, ca) = (dir.join("store.toml"), dir.join("ca.pem"));
    fs::write(&ca, pem).expect("written");
    let more = format!("ca_file = \"{}\"\n{more}", ca.display());
    fs::write(&file, store(issuer, &more)).expect("written");
    Config::read(&file).expect("a store")
}

async fn ask(config: &Config) -> Result<u16, Unanswered> {
    let answer = client(config).get(&config.issuer).send().await;
    answer.map(|answer| answer.status().as_u16()).map_err(|error| failure::of(&error))
}

fn untrusted(code: Code, why: &str) -> Result<u16, Unanswered> {
    Err(Unanswered::Untrusted(code, why.to_owned()))
}

#[tokio::test]
async fn a_private_authority_is_known_when_it_is_named() {
    const UNKNOWN: &str = "it is signed by an authority that this machine does not know";
    let dir = tempfile::tempdir().expect("a directory");
    let (ours, other) = (authority("ours"), authority("other"));
    let url = start(for_name("localhost"), &ours).await;
    for more in ["", "ca_only = true"] {
        assert_eq!(ask(&read(dir.path(), &url, &ours.pem(), more)).await, Ok(200), "{more}");
        // The right one may be among others.
        let both = format!("{}{}", other.pem(), ours.pem());
        assert_eq!(ask(&read(dir.path(), &url, &both, more)).await, Ok(200), "{more}");
        let refused = ask(&read(dir.path(), &url, &other.pem(), more)).await;
        assert_eq!(refused, untrusted(Code::ServerCertificateUnknown, UNKNOWN), "{more}");
    }
    let without = Config::parse(&store(&url, "")).expect("a store");
    assert_eq!(ask(&without).await, untrusted(Code::ServerCertificateUnknown, UNKNOWN));
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_refused_with_words() {
    let dir = tempfile::tempdir().expect("a directory");
    let ours = authority("ours");
    let mut expired = for_name("localhost");
    (expired.not_before, expired.not_after) =
        (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let mut early = for_name("localhost");
    (early.not_before, early.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2091, 1, 1));
    let at_another_time = Code::ServerCertificateExpired;
    for (params, code, why) in [
        (expired, at_another_time, "it has expired, or this machine's clock is wrong"),
        (early, at_another_time, "it is not valid yet, or this machine's clock is wrong"),
        (for_name("other.example"), Code::ServerCertificateMisnamed, "it is for another name"),
    ] {
        let url = start(params, &ours).await;
        let config = read(dir.path(), &url, &ours.pem(), "");
        assert_eq!(ask(&config).await, untrusted(code, why));
    }
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_known_by_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let ours = authority("ours");
    // As `rcgen` makes them, and as `openssl req -x509` does.
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = for_name("localhost");
        params.is_ca = is_ca;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let url = serve(certificate, &key).await;
        let refused = ask(&read(dir.path(), &url, &ours.pem(), "")).await;
        let Err(Unanswered::Untrusted(code, _)) = refused else { panic!("{refused:?}") };
        assert_eq!(code, Code::ServerCertificateUnknown);
    }
}
