//! Whose certificates are believed.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, pem::PemObject as _},
    },
};

use super::CertificatesError;

/// The authorities of the machine and of the operator. The machine's are read when first needed: most commands call
/// nobody.
pub(super) struct Tls {
    extra: Vec<CertificateDer<'static>>,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    /// With the operator's own authorities, if there is a file of them.
    pub(super) fn open(certificates: Option<&Path>) -> Result<Self, CertificatesError> {
        let Some(path) = certificates else {
            return Ok(Self { extra: Vec::new(), config: OnceLock::new() });
        };
        let wrong = |reason: String| CertificatesError { path: path.to_owned(), reason };
        let extra = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong(error.to_string()))?;
        if extra.is_empty() {
            return Err(wrong("there is no certificate in it".to_owned()));
        }
        let mut roots = RootCertStore::empty();
        for certificate in &extra {
            roots.add(certificate.clone()).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(Self { extra, config: OnceLock::new() })
    }

    pub(super) fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(self.config.get_or_init(|| self.configured())))
    }

    fn configured(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let machine = rustls_native_certs::load_native_certs();
        for error in machine.errors {
            tracing::warn!(%error, "a certificate authority of this machine cannot be read");
        }
        roots.add_parsable_certificates(machine.certs);
        roots.add_parsable_certificates(self.extra.iter().cloned());
        if roots.is_empty() {
            tracing::error!(
                "this machine knows no certificate authority, so no https address can be called: install ca-certificates"
            );
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the usual versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}
