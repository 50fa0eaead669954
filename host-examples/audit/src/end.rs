//! Being told to end, by a signal.

use std::io;

#[cfg(unix)]
use crate::message::TROUBLE;

/// Is ready once the program is told to end. A second signal ends it at once.
#[cfg(unix)]
pub(crate) fn told() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(i32::from(TROUBLE));
        });
    })
}

/// Is ready once the program is told to end.
#[cfg(not(unix))]
pub(crate) fn told() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without it, the program cannot be told to end but by force.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
