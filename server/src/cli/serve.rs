//! `serve`: the server itself.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use ipnet::IpNet;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    app::App,
    clock,
    config::{Config, Overrides},
    http, serving,
};

#[derive(clap::Args)]
pub struct Arguments {
    /// The public origin of this server: https://pay.example
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Where to listen: 127.0.0.1:8480
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// A proxy whose X-Forwarded-For is believed. Repeatable.
    #[arg(long, value_name = "CIDR", value_parser = network)]
    trusted_proxy: Vec<IpNet>,
    /// Certificate chain (PEM), for TLS without a proxy.
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// Private key (PEM) of the certificate.
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
}

impl Arguments {
    /// Hands the arguments to the settings.
    pub fn give(self, overrides: &mut Overrides) {
        overrides.issuer = self.issuer;
        overrides.listen = self.listen;
        overrides.trusted_proxies = self.trusted_proxy;
        overrides.tls_certificate = self.tls_certificate;
        overrides.tls_key = self.tls_key;
    }
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| "write a network like 10.0.0.0/8, or an address".to_owned())
}

/// Serves until it is told to stop.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    super::logging::start(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listen = config.listen;
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let limits = serving::Limits::new(&config.limits);
    let credentials = super::operator::credentials();
    let app = App::open(config, credentials.as_deref(), clock::system())?;
    // The first random number takes some 25 ms; no request shall wait for it.
    app.entropy.fill(&mut [0]);
    let app = Arc::new(app);
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    };
    tracing::info!(address = %listener.local_addr()?, issuer = app.config.issuer, "listening");
    serving::run(listener, http::router(app), limits, shutdown).await;
    tracing::info!("stopped");
    Ok(())
}
