//! `wasi:io/streams`, as wasmtime has it, but for one call: `output-stream.write` writes on the thread of the caller.
//! Wasmtime hands the bytes to a thread pool, which costs more than to write them, and the component waits for them anyway.

use wasmtime::Result;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sync::io::poll::Pollable;
use wasmtime_wasi::p2::bindings::sync::io::streams::{
    Host, HostInputStream, HostOutputStream, InputStream, OutputStream, StreamError as Error,
};
use wasmtime_wasi::p2::{StreamError, StreamResult};
use wasmtime_wasi::runtime::in_tokio;

/// The streams in a table of resources.
pub(crate) struct Streams<'t>(pub(crate) &'t mut ResourceTable);

impl HasData for Streams<'static> {
    type Data<'a> = Streams<'a>;
}

impl Host for Streams<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> Result<Error> {
        self.0.convert_stream_error(error)
    }
}

impl HostOutputStream for Streams<'_> {
    fn write(&mut self, stream: Resource<OutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        let stream = self.0.get_mut(&stream)?;
        if bytes.len() > stream.check_write()? {
            return Err(StreamError::trap("more bytes than the stream has a permit for"));
        }
        in_tokio(stream.blocking_write_and_flush(bytes.into()))
    }

    fn check_write(&mut self, stream: Resource<OutputStream>) -> StreamResult<u64> {
        HostOutputStream::check_write(self.0, stream)
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<OutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        HostOutputStream::blocking_write_and_flush(self.0, stream, bytes)
    }

    fn flush(&mut self, stream: Resource<OutputStream>) -> StreamResult<()> {
        HostOutputStream::flush(self.0, stream)
    }

    fn blocking_flush(&mut self, stream: Resource<OutputStream>) -> StreamResult<()> {
        HostOutputStream::blocking_flush(self.0, stream)
    }

    fn subscribe(&mut self, stream: Resource<OutputStream>) -> Result<Resource<Pollable>> {
        HostOutputStream::subscribe(self.0, stream)
    }

    fn write_zeroes(&mut self, stream: Resource<OutputStream>, len: u64) -> StreamResult<()> {
        HostOutputStream::write_zeroes(self.0, stream, len)
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<OutputStream>,
        len: u64,
    ) -> StreamResult<()> {
        HostOutputStream::blocking_write_zeroes_and_flush(self.0, stream, len)
    }

    fn splice(
        &mut self,
        to: Resource<OutputStream>,
        from: Resource<InputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        HostOutputStream::splice(self.0, to, from, len)
    }

    fn blocking_splice(
        &mut self,
        to: Resource<OutputStream>,
        from: Resource<InputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        HostOutputStream::blocking_splice(self.0, to, from, len)
    }

    fn drop(&mut self, stream: Resource<OutputStream>) -> Result<()> {
        HostOutputStream::drop(self.0, stream)
    }
}

impl HostInputStream for Streams<'_> {
    fn read(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<Vec<u8>> {
        HostInputStream::read(self.0, stream, len)
    }

    fn blocking_read(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<Vec<u8>> {
        HostInputStream::blocking_read(self.0, stream, len)
    }

    fn skip(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        HostInputStream::skip(self.0, stream, len)
    }

    fn blocking_skip(&mut self, stream: Resource<InputStream>, len: u64) -> StreamResult<u64> {
        HostInputStream::blocking_skip(self.0, stream, len)
    }

    fn subscribe(&mut self, stream: Resource<InputStream>) -> Result<Resource<Pollable>> {
        HostInputStream::subscribe(self.0, stream)
    }

    fn drop(&mut self, stream: Resource<InputStream>) -> Result<()> {
        HostInputStream::drop(self.0, stream)
    }
}
