//! The proxy over HTTP (the transport "Streamable HTTP"): a server for the clients of this machine, which passes everything on to
//! another server.

mod allowed;
mod body;
mod proxy;
mod upstream;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Uri;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use self::allowed::Allowed;
use self::proxy::Proxy;
use self::upstream::Upstream;
use super::Session;
use super::observer::Observer;
use super::tracker::{Gone, Moment};
use crate::args::HttpArgs;
use crate::message::{Failure, warn};

/// How long exchanges may still take after a signal asked this program to end.
const LAST: Duration = Duration::from_secs(1);

/// Serves until a signal asks this program to end.
pub(super) fn run(
    args: &HttpArgs,
    listen: SocketAddr,
    to: &Uri,
    session: Session,
) -> Result<ExitCode, Failure> {
    let upstream = Upstream::new(to)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listener = runtime
        .block_on(TcpListener::bind(listen))
        .map_err(|error| Failure::because(format!("--http {listen}"), error))?;
    let address = listener.local_addr()?;
    let fail_closed = session.fail_closed;
    let (watch, recorder) = session.watch();
    let (observer, observing) = Observer::start(Arc::clone(&watch))?;
    let allowed = Allowed::new(address, args);
    let shown = upstream.shown();
    let proxy = Proxy::new(allowed, upstream, Arc::clone(&watch), observer.clone(), fail_closed);
    warn(format_args!("listening on http://{address}{}, for {shown}", to.path()));
    let served = runtime.block_on(serve(listener, proxy));
    // What is still open ends here, and is recorded as such.
    runtime.shutdown_timeout(LAST);
    observer.close();
    let _ = observing.join();
    watch.track(|tracker| tracker.end_all(Gone::Client, Moment::now()));
    recorder.close();
    served?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(listener: TcpListener, proxy: Proxy) -> io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let router = Router::new().fallback(proxy::pass_on).with_state(Arc::new(proxy));
    // Each event goes on at once.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let mut serving = std::pin::pin!(serving.into_future());
    tokio::select! {
        ended = &mut serving => return ended,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let _ = stop.send(());
    // Streams that stay open do not hold up the end.
    let _ = tokio::time::timeout(LAST, serving).await;
    Ok(())
}
