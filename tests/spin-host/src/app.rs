//! A component that answers HTTP, as Spin runs one of WASI 0.2: each request has an instance of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::error::Context as _;
use wasmtime::{Cache, CacheConfig, Config, Engine, OptLevel, Result, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi_http::WasiHttpCtx;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::sync::ProxyPre;

use crate::postgres::Pools;
use crate::state::{NoRequests, State, link};

/// What `spin.toml` and the command line give a component.
#[derive(Clone, Default)]
pub struct Settings {
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// The variables of the application that the component lists.
    pub variables: Vec<(String, String)>,
    /// The databases that it may call, each as `HOST:PORT`.
    pub allowed: Vec<String>,
    /// The folder that is mounted at `/`.
    pub files: Option<PathBuf>,
}

impl Settings {
    /// With this environment variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// With this variable of the application.
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// With permission to call the database on this port of 127.0.0.1.
    pub fn allow(mut self, port: u16) -> Self {
        self.allowed.push(format!("127.0.0.1:{port}"));
        self
    }

    pub(crate) fn state(&self, pools: &Arc<Pools>) -> Result<State> {
        let mut wasi = WasiCtxBuilder::new();
        for (name, value) in &self.environment {
            wasi.env(name, value);
        }
        if let Some(folder) = &self.files {
            wasi.preopened_dir(folder, "/", wasmtime_wasi::FsPerms::ReadWrite)?;
        }
        Ok(State {
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: NoRequests,
            pools: Arc::clone(pools),
            allowed: self.allowed.clone().into(),
            variables: self.variables.clone().into(),
        })
    }
}

/// How a component is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Quickly, for tests.
    Plain,
    /// So that it runs fast, for figures.
    Fast,
}

/// The engine, which keeps compiled components in the user's cache folder.
pub(crate) fn engine(code: Code) -> Result<Engine> {
    let mut config = Config::new();
    config.concurrency_support(false);
    if code == Code::Plain {
        config.cranelift_opt_level(OptLevel::None);
    }
    config.cache(Cache::new(CacheConfig::new()).ok());
    Engine::new(&config)
}

/// A compiled application. Its instances share the pool of connections, as in one `spin up`.
#[derive(Clone)]
pub struct App {
    linked: ProxyPre<State>,
    pools: Arc<Pools>,
    settings: Settings,
}

impl App {
    /// Compiles a component whose dependencies are composed into it.
    ///
    /// # Errors
    /// Where it is none, or imports what Spin does not offer.
    pub fn new(component: &[u8], settings: Settings) -> Result<Self> {
        let engine = engine(Code::Plain)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker)?;
        let component = Component::new(&engine, component)?;
        let linked = ProxyPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { linked, pools: Arc::default(), settings })
    }

    /// The same application with other settings.
    pub fn with(&self, settings: Settings) -> Self {
        Self { settings, pools: Arc::default(), ..self.clone() }
    }

    /// Answers a request with a fresh instance.
    ///
    /// # Errors
    /// Where the component traps, or sends no answer.
    pub fn request(&self, request: Request<String>) -> Result<Response<String>> {
        let mut store = Store::new(self.linked.engine(), self.settings.state(&self.pools)?);
        let proxy = self.linked.instantiate(&mut store)?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let body =
            |body: String| Full::new(Bytes::from(body)).map_err(|never| -> ErrorCode { match never {} });
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request.map(body))?;
        let out = http.new_response_outparam(sender)?;
        thread::scope(|scope| {
            // The component sends its answer while it is read.
            let handler =
                scope.spawn(move || proxy.wasi_http_incoming_handler().call_handle(&mut store, request, out));
            let answer = receiver.blocking_recv().ok().map(|answer| -> Result<Response<String>> {
                let (head, body) = answer?.into_parts();
                let runtime = tokio::runtime::Builder::new_current_thread().build()?;
                let body = runtime.block_on(body.collect())?.to_bytes();
                Ok(Response::from_parts(head, String::from_utf8(body.into())?))
            });
            let ended = handler.join().expect("the host does not panic");
            ended.context("the component failed")?;
            answer.context("the component has sent no answer")?
        })
    }
}
