//! What the tests work with: the artifacts, the application as `spin up` runs it, and requests.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use audit_spin_host::{App, Code, Compiled, Settings, SpinStore, compose};
use audit_testbed::Cluster;
use http::{Method, Request, Response};
use serde_json::Value;

use crate::manifest::Manifest;

/// The artifacts, built if need be: the store and the application.
fn artifacts() -> &'static [PathBuf; 2] {
    static ARTIFACTS: OnceLock<[PathBuf; 2]> = OnceLock::new();
    ARTIFACTS.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
        xtask::spin::artifacts(xtask::root(), target).expect("the components build")
    })
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("the artifact is there")
}

/// The store for Spin.
pub fn store() -> &'static [u8] {
    static STORE: OnceLock<Vec<u8>> = OnceLock::new();
    STORE.get_or_init(|| bytes(&artifacts()[0]))
}

/// The application with its dependency, which inherits this.
pub fn composed(inherited: &[String]) -> Vec<u8> {
    let manifest = Manifest::read();
    compose(&bytes(&artifacts()[1]), manifest.dependency().0, store(), inherited).expect("it is composed")
}

/// The application as `spin.toml` says, with these settings besides.
pub fn app(settings: Settings) -> App {
    static APP: OnceLock<App> = OnceLock::new();
    let manifest = Manifest::read();
    let app = APP.get_or_init(|| {
        App::new(&composed(&manifest.dependency().2), Settings::default()).expect("it compiles")
    });
    app.with(as_in_manifest(settings))
}

/// The settings with the environment of `spin.toml`. What is set already counts, as with `spin up --env`.
pub fn as_in_manifest(mut settings: Settings) -> Settings {
    for (name, value) in Manifest::read().environment() {
        if !settings.environment.iter().any(|(known, _)| *known == name) {
            settings = settings.env(&name, value);
        }
    }
    settings
}

/// The settings for a database, in the variable that `spin.toml` has for it. Time enough for a busy machine.
pub fn database(url: &str, port: u16) -> Settings {
    Settings::default().variable("database_url", url).allow(port).env("AUDIT_DATABASE_TIMEOUT_MS", "20000")
}

/// An application on a database of the shared cluster, and the database's URL.
pub fn app_on_shared() -> (App, String) {
    let cluster = Cluster::shared();
    let url = cluster.database();
    (app(database(&url, cluster.port())), url)
}

/// An instance of the store for Spin with these settings.
pub fn start(settings: &Settings) -> SpinStore {
    static COMPILED: OnceLock<Compiled> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| Compiled::new(store(), Code::Plain).expect("it compiles"));
    SpinStore::start(compiled, settings).expect("it starts")
}

/// The settings of a store on a database.
pub fn postgres(url: &str, port: u16) -> Settings {
    database(url, port).env("AUDIT_BACKEND", "postgres")
}

/// A request of a tenant.
pub fn request(app: &App, method: Method, path: &str, tenant: &str, body: &str) -> Response<String> {
    let request = Request::builder()
        .method(method)
        .uri(format!("http://127.0.0.1:3000{path}"))
        .header("x-workspace-id", tenant)
        .header("x-agent-id", "planner")
        .body(body.to_owned());
    app.request(request.expect("it is a request")).expect("the application answers")
}

/// Calls several tools in one request, and returns the status and the JSON of the answer.
pub fn call(app: &App, tenant: &str, tools: &[&str]) -> (u16, Value) {
    let calls = tools.iter().map(|tool| serde_json::json!({ "tool": tool, "input": "1 2" }));
    let calls = Value::Array(calls.collect()).to_string();
    let answer = request(app, Method::POST, "/tools", tenant, &calls);
    (answer.status().as_u16(), serde_json::from_str(answer.body()).expect("it is JSON"))
}

/// The page of a tenant.
pub fn page(app: &App, tenant: &str, query: &str) -> (u16, String) {
    let answer = request(app, Method::GET, &format!("/audit{query}"), tenant, "");
    (answer.status().as_u16(), answer.into_body())
}
