//! The body of a request: read and decompressed within bounds of memory and time. Small bodies need no leave. Of large ones
//! there are never more than two at a time.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Buf as _, Bytes, Incoming};
use hyper::header::{self, HeaderMap};
use hyper::{Request, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::reply::Refused;

/// The longest body, as it comes and decompressed, in bytes.
pub(super) const MAX_BODY: usize = 64 << 20;

/// The longest body that needs no leave, in bytes.
const SMALL: usize = 256 << 10;

/// How many bodies may be larger at a time.
const LARGE_ONES: usize = 2;

/// How long a large body waits for its leave.
const WAIT_FOR_LEAVE: Duration = Duration::from_secs(10);

/// How long a body may pause, and how long it may take.
const MAX_PAUSE: Duration = Duration::from_secs(10);
const MAX_TIME: Duration = Duration::from_secs(30);

/// How long the rest of a body that nobody wants is read, so that its sender gets to read the answer.
const MAX_DISCARD: Duration = Duration::from_secs(2);

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Deflate,
}

impl Compression {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refused> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(Self::None) };
        match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::None),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            _ => Err(Refused::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Content-Encoding: accepted are gzip, deflate and none",
            )),
        }
    }
}

/// Gives large bodies their leave.
#[derive(Clone, Debug)]
pub(super) struct Leave(Arc<Semaphore>);

impl Default for Leave {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_ONES)))
    }
}

/// The leave of a large body; none yet of a small one.
pub(super) type Granted = Option<OwnedSemaphorePermit>;

impl Leave {
    async fn get(&self, granted: &mut Granted) -> Result<(), Refused> {
        if granted.is_none() {
            let busy = || {
                Refused::new(StatusCode::SERVICE_UNAVAILABLE, "too many large requests at a time; try again")
            };
            let permit = timeout(WAIT_FOR_LEAVE, Arc::clone(&self.0).acquire_owned()).await;
            *granted = Some(permit.map_err(|_| busy())?.map_err(|_| busy())?);
        }
        Ok(())
    }
}

fn too_large() -> Refused {
    let why =
        format!("the body has more than {} MiB, compressed or not; send smaller batches", MAX_BODY >> 20);
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, why)
}

/// Reads the body of a request as it comes.
pub(super) async fn read(
    request: &mut Request<Incoming>,
    leave: &Leave,
) -> Result<(Bytes, Granted), Refused> {
    let slow = |_| Refused::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly");
    let body = request.body_mut();
    let mut granted = None;
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > MAX_BODY {
        return Err(too_large());
    }
    if announced > SMALL {
        leave.get(&mut granted).await?;
    }
    let mut read = Vec::with_capacity(announced);
    let end = Instant::now() + MAX_TIME;
    loop {
        let frame = timeout_at(end.min(Instant::now() + MAX_PAUSE), body.frame()).await.map_err(slow)?;
        let Some(frame) = frame else { return Ok((read.into(), granted)) };
        let cut =
            |error: hyper::Error| Refused::new(StatusCode::BAD_REQUEST, format!("the body is cut: {error}"));
        let Ok(piece) = frame.map_err(cut)?.into_data() else { continue };
        let size = read.len() + piece.remaining();
        if size > MAX_BODY {
            return Err(too_large());
        }
        if size > SMALL {
            leave.get(&mut granted).await?;
        }
        read.extend_from_slice(&piece);
    }
}

/// Reads what is left of a body that nobody wants, for a while.
pub(super) async fn discard(request: &mut Request<Incoming>) {
    let all = async { while let Some(Ok(_)) = request.body_mut().frame().await {} };
    let _ = timeout(MAX_DISCARD, all).await;
}

/// Decompresses a body.
pub(super) async fn decompress(
    body: Bytes,
    compression: Compression,
    leave: &Leave,
    granted: &mut Granted,
) -> Result<Bytes, Refused> {
    let reader = body.reader();
    let decoder: Box<dyn io::Read + Send> = match compression {
        Compression::None => return Ok(reader.into_inner()),
        Compression::Gzip => Box::new(MultiGzDecoder::new(reader)),
        Compression::Deflate => Box::new(ZlibDecoder::new(reader)),
    };
    let most = if granted.is_some() { MAX_BODY } else { SMALL };
    let mut decompressing = on_thread(Decompressing { decoder, out: Vec::new() }.up_to(most)).await?;
    if decompressing.out.len() > SMALL {
        leave.get(granted).await?;
        decompressing = on_thread(decompressing.up_to(MAX_BODY)).await?;
    }
    if decompressing.out.len() > MAX_BODY {
        return Err(too_large());
    }
    Ok(decompressing.out.into())
}

/// Runs what computes on a thread that may.
pub(super) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let panicked = |_| Refused::new(StatusCode::BAD_REQUEST, "the body cannot be read");
    tokio::task::spawn_blocking(work).await.map_err(panicked)?
}

struct Decompressing {
    decoder: Box<dyn io::Read + Send>,
    out: Vec<u8>,
}

impl Decompressing {
    /// Goes on until there is more than this, or the end.
    fn up_to(mut self, most: usize) -> impl FnOnce() -> Result<Self, Refused> + Send + 'static {
        move || {
            let more = (most + 1).saturating_sub(self.out.len()) as u64;
            let broken = |error| {
                Refused::new(StatusCode::BAD_REQUEST, format!("the body is not well compressed: {error}"))
            };
            self.decoder.by_ref().take(more).read_to_end(&mut self.out).map_err(broken)?;
            Ok(self)
        }
    }
}
