//! The server: where it listens, and how it starts and ends.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdListener},
    sync::Arc,
};

use axum::{Router, extract::DefaultBodyLimit, middleware};
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};

use crate::{
    Error, Opened, Result, assets,
    connections::Limited,
    guard::{Guard, guard},
    pages,
    secret::Secret,
    studio::{App, Studio},
    work,
};

/// No request has more to say.
const MOST_BYTES: usize = 64 * 1024;

/// Where the studio listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StudioConfig {
    /// The address; the loopback one, 127.0.0.1, so that no other machine reaches it.
    pub address: IpAddr,
    /// The port. `None`: that of the last time in this folder where it is free, and else any; 0: any.
    pub port: Option<u16>,
}

impl Default for StudioConfig {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            port: None,
        }
    }
}

/// A studio that is being served, on threads of its own, until it is dropped.
pub struct Server {
    address: String,
    studio: App,
    stop: watch::Sender<bool>,
    runtime: Option<Runtime>,
}

impl Server {
    /// Listens, and begins to read features.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on, the studio's folder cannot be written into, or this machine gives
    /// no random numbers.
    pub fn start(opened: Opened, config: &StudioConfig) -> Result<Self> {
        let studio = Arc::new(Studio::new(opened)?);
        let folder = studio.opened.own_folder();
        let mut secret = Secret::open(&folder)?;
        let runtime = Runtime::new().map_err(|source| Error::Threads { source })?;
        let (listener, here) = {
            let _within = runtime.enter();
            listen(config, secret.port)?
        };
        if secret.port.is_some_and(|last| last != here.port()) {
            secret.renew()?;
        }
        secret.port = Some(here.port());
        secret.save(&folder)?;
        let shown = match here.ip().is_unspecified() {
            true => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), here.port()),
            false => here,
        };
        let address = format!("http://{shown}/?token={}", secret.token);
        let guarded = Guard {
            secret,
            port: here.port(),
            beyond_loopback: !here.ip().is_loopback(),
        };
        work::at_start(&studio)?;
        let worker = Arc::downgrade(&studio);
        studio
            .jobs
            .start(move |work, running| match worker.upgrade() {
                Some(studio) => work::run(&studio, work, running),
                None => Err("the studio has ended".into()),
            })?;
        let router = router(Arc::clone(&studio), guarded);
        let (stop, mut stopped) = watch::channel(false);
        runtime.spawn(async move {
            let stopped = async move {
                // The server that is dropped says so, too.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            // It ends by being stopped; what a connection fails with is the connection's.
            let _ = axum::serve(Limited::new(listener), router)
                .with_graceful_shutdown(stopped)
                .await;
        });
        Ok(Self {
            address,
            studio,
            stop,
            runtime: Some(runtime),
        })
    }

    /// The address to open, with the token: `http://127.0.0.1:4711/?token=...`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// Takes the port asked for, that of the last time, or any; within a runtime.
fn listen(config: &StudioConfig, last: Option<u16>) -> Result<(TcpListener, SocketAddr)> {
    let at = |address| -> io::Result<_> {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let here = listener.local_addr()?;
        Ok((TcpListener::from_std(listener)?, here))
    };
    let of_port = |port| SocketAddr::new(config.address, port);
    if let (None, Some(port)) = (config.port, last)
        && let Ok(listening) = at(of_port(port))
    {
        return Ok(listening);
    }
    let address = of_port(config.port.unwrap_or(0));
    at(address).map_err(|source| Error::Listen { address, source })
}

fn router(studio: App, guarded: Guard) -> Router {
    Router::new()
        .merge(assets::routes())
        .merge(pages::routes())
        .with_state(studio)
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(middleware::from_fn_with_state(Arc::new(guarded), guard))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.studio.jobs.stop();
        let _ = self.stop.send(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address: it holds the token.
        f.debug_struct("Server")
            .field("studio", &self.studio.opened)
            .finish_non_exhaustive()
    }
}
