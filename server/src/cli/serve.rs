//! `serve`: the server itself.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{Router, routing::get};
use ipnet::IpNet;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::interval,
};

use crate::{
    app::App,
    clock,
    config::{Config, Overrides, Retention},
    data, events, http,
    serving::{self, descriptors, tls::Tls},
    store::StoreError,
    trail,
    webhooks::sender,
};

/// How often what has passed its time is removed, and what was noted of accesses is written.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// The bounds of the histogram of request times, in seconds.
const REQUEST_SECONDS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0];

/// The bounds of the histogram of requests that share a commit.
const COMMIT_REQUESTS: [f64; 6] = [1.0, 2.0, 4.0, 16.0, 64.0, 256.0];

#[derive(clap::Args)]
pub struct Arguments {
    /// The public origin of this server, as in `https://pay.example`
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
    for variable in &config.ignored_variables {
        tracing::warn!(
            variable,
            "this environment variable sets nothing: there is no such setting"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let commits = Matcher::Full("counterfoil_store_commit_requests".to_owned());
    let metrics = PrometheusBuilder::new()
        .set_buckets(&REQUEST_SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(commits, &COMMIT_REQUESTS))
        .context("the histograms' bounds")?
        .install_recorder()?;
    let (listener, metrics_listener) = (
        bind(config.listen).await?,
        match config.metrics_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        },
    );
    let tls = match (&config.tls_certificate, &config.tls_key) {
        (Some(certificate), Some(key)) => Some(Arc::new(Tls::open(certificate, key)?)),
        _ => None,
    };
    let upstreams = config.upstream.iter().map(|upstream| upstream.connections);
    let calls = upstreams.fold(config.outbound.connections, usize::saturating_add);
    let limits = serving::Limits::new(&config.limits).within(descriptors::raise(), calls);
    let app = App::open(config, super::operator::credentials().as_deref(), clock::system())?;
    let app = Arc::new(app);
    let issuer = &app.config.issuer;
    if let Some(before) = data::remember_issuer(&app.config.data_dir, issuer)? {
        tracing::warn!(
            before,
            issuer,
            "the issuer is another one now: tokens of the one before are not believed"
        );
    }
    app.warm_up();
    if let Some(tls) = &tls {
        reload_on_hangup(Arc::clone(tls))?;
    }
    tokio::spawn(sweep(Arc::clone(&app), metrics.clone()));
    tokio::spawn(send_mail(Arc::clone(&app)));
    let sending = tokio::spawn(sender::run(Arc::clone(&app), stop.clone()));
    if let Some(listener) = metrics_listener {
        let stop = stop.clone();
        let routes = metrics_routes(metrics);
        tokio::spawn(
            async move { serving::run(listener, None, routes, limits, stopped(stop)).await },
        );
    }
    tracing::info!(address = %listener.local_addr()?, issuer = app.config.issuer, "listening");
    let stopping = Arc::clone(&app);
    serving::run(listener, tls, http::router(app), limits, stopped(stop)).await;
    note_accesses(&stopping).await;
    let _ = sending.await;
    tracing::info!("stopped");
    Ok(())
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Turns true at SIGTERM or SIGINT.
fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        let _ = stop.send(true);
    });
    Ok(stopping)
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // The sender goes away only after it has sent.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Takes up a renewed certificate at SIGHUP.
fn reload_on_hangup(tls: Arc<Tls>) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match tls.reload() {
                Ok(()) => tracing::info!("certificate re-read"),
                Err(error) => {
                    tracing::error!(%error, "certificate not re-read; going on with the old one");
                }
            }
        }
    });
    Ok(())
}

fn metrics_routes(metrics: PrometheusHandle) -> Router {
    Router::new().route("/metrics", get(async move || metrics.render()))
}

/// Sends the letters in the outbox, for ever.
async fn send_mail(app: Arc<App>) {
    if let (outbox, true) = app.mail.outbox() {
        tracing::warn!(outbox = %outbox.display(), "no mail server is configured: letters stay in this directory");
    }
    app.mail.run().await;
}

/// Writes when connections were last used.
async fn note_accesses(app: &App) {
    if let Err(error) = app.last_access.flush(&*app.store).await {
        tracing::error!(%error, "last accesses were not written; they are kept for the next time");
    }
}

/// Removes what has passed its time, for ever.
async fn sweep(app: Arc<App>, metrics: PrometheusHandle) {
    let mut turns = interval(SWEEP_INTERVAL);
    loop {
        turns.tick().await;
        if let Err(error) = app.store.sweep(app.now()).await {
            tracing::error!(%error, "the store was not swept");
        }
        let log_days = app.config.webhooks.log_days;
        if let Err(error) = app.store.forget_deliveries(app.now() - log_days * 24 * 3_600).await {
            tracing::error!(%error, "the log of notifications was not swept");
        }
        note_accesses(&app).await;
        if let Err(error) = app.keys.sweep(app.now()) {
            tracing::error!(%error, "signing keys that are retired for long were not removed");
        }
        if let Err(error) = forget(&app).await {
            tracing::error!(%error, "what is too old was not removed");
        }
        if let Err(error) =
            trail::keep(&app.config.data_dir, &app.vault, &*app.store, app.now()).await
        {
            events::audit_trail_doubtful(&error);
        }
        app.limits.sweep();
        metrics.run_upkeep();
    }
}

/// Removes what is kept no longer, as `[retention]` says.
async fn forget(app: &App) -> Result<(), StoreError> {
    let (now, retention) = (app.now(), &app.config.retention);
    if let Some(before) = Retention::before(retention.audit_days, now) {
        app.store.cut_audit(before, now).await?;
    }
    if let Some(before) = Retention::before(retention.ended_families_days, now) {
        app.store.forget_ended(before).await?;
    }
    Ok(())
}
