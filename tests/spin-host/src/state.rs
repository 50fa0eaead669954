//! What the host keeps for an instance, and what it links for it.

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::bindings::spin::fermyon::spin::variables;
use crate::bindings::spin::spin::postgres::postgres;
use crate::postgres::Pools;

/// What the host keeps for an instance.
pub struct State {
    pub table: ResourceTable,
    pub wasi: WasiCtx,
    pub http: WasiHttpCtx,
    pub hooks: NoRequests,
    pub pools: Arc<Pools>,
    /// The addresses, `HOST:PORT`, that the component may call.
    pub allowed: Arc<[String]>,
    /// The variables of the application that the component lists.
    pub variables: Arc<[(String, String)]>,
}

/// Links all that Spin offers and the store uses.
pub fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_sync(linker)?;
    postgres::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    variables::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

/// What becomes of requests that a component sends: `allowed_outbound_hosts` names only databases.
pub struct NoRequests;

type Transfer = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Transfer), Error>;

impl WasiHttpHooks for NoRequests {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Transfer,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

impl variables::Host for State {
    fn get(&mut self, name: String) -> Result<String, variables::Error> {
        let is_valid = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
        if !name.chars().all(is_valid) {
            return Err(variables::Error::InvalidName(name));
        }
        let found = self.variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone()).ok_or(variables::Error::Undefined(name))
    }
}
