//! The connections: a bounded number of them, of which none can hold up the others. When there are too many, the oldest one that
//! still has to send a request gives way.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::request::Receiver;

/// Fewer than the files that a process may have open by default.
const MAX_CONNECTIONS: usize = 512;

/// How long a connection may be without a request, and how long the headers of one may take.
const MAX_IDLE: Duration = Duration::from_secs(20);

/// How long connections may take to end when the program ends.
const MAX_END: Duration = Duration::from_secs(10);

/// How long to wait after an error of the operating system, such as that too many files are open.
const PAUSE: Duration = Duration::from_millis(50);

/// What a connection gets for which there is no room, before it has sent anything.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// The connections, by their age.
#[derive(Clone, Default)]
struct Connections(Arc<Mutex<BTreeMap<u64, Arc<Connection>>>>);

#[derive(Default)]
struct Connection {
    /// A request has come whole, and is being answered.
    is_busy: AtomicBool,
    gives_way: Notify,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection. Where there are too many, the oldest one that still has to send a request is ended. None: there is
    /// no such one.
    fn add(&self, number: u64) -> Option<Arc<Connection>> {
        let added = Arc::new(Connection::default());
        let mut all = self.lock();
        if all.len() >= MAX_CONNECTIONS {
            let idle = all.iter().find(|(_, one)| !one.is_busy.load(Ordering::Relaxed)).map(|(n, _)| *n)?;
            all.remove(&idle)?.gives_way.notify_one();
        }
        all.insert(number, Arc::clone(&added));
        Some(added)
    }
}

/// Answers requests until `end` is ready, and then those that have begun.
pub(super) async fn serve(listener: TcpListener, receiver: Arc<Receiver>, end: impl Future<Output = ()>) {
    let connections = Connections::default();
    let (ending, ends) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut end = pin!(end);
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            () = &mut end => break,
            accepted = listener.accept() => accepted,
        };
        while tasks.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        number += 1;
        let Some(one) = connections.add(number) else {
            let _ = stream.try_write(TOO_MANY);
            continue;
        };
        let all = connections.clone();
        let (receiver, ends) = (Arc::clone(&receiver), ends.clone());
        tasks.spawn(async move {
            answer_all(stream, &receiver, &one, ends).await;
            all.lock().remove(&number);
        });
    }
    drop(listener);
    let _ = ending.send(true);
    let all_end = async { while tasks.join_next().await.is_some() {} };
    let _ = timeout(MAX_END, all_end).await;
}

/// Answers the requests of a connection, one after the other.
async fn answer_all(
    stream: TcpStream,
    receiver: &Receiver,
    connection: &Connection,
    mut ends: watch::Receiver<bool>,
) {
    // Answers are small, and wait for nothing.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| async {
        let has_come = || connection.is_busy.store(true, Ordering::Relaxed);
        let reply = receiver.answer(request, has_come).await;
        connection.is_busy.store(false, Ordering::Relaxed);
        Ok::<_, Infallible>(reply)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(MAX_IDLE);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = serving.as_mut() => return,
        () = connection.gives_way.notified() => return,
        _ = ends.wait_for(|ends| *ends) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}
