//! Servers over HTTPS.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;

use crate::common::Workspace;
use crate::short;
use crate::web::{Exchange, Proxy};

/// A server with a certificate of an authority of its own, in `authority.pem`.
struct Server(Child, String);

impl Server {
    fn start(workspace: &Workspace) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = names.signed_by(&key, &authority).unwrap();
        workspace.file("authority.pem", authority.pem());
        let files = [
            workspace.file("certificate.pem", certificate.pem()),
            workspace.file("key.pem", key.serialize_pem()),
        ];
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp/server_tls.py");
        let mut command = Command::new("python3");
        let mut child = command.arg(script).args(files).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self(child, format!("https://localhost:{}/mcp", port.trim()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_over_https_is_reached_if_its_certificate_is_trusted() {
    let workspace = Workspace::new();
    let server = Server::start(&workspace);
    let call = json!({"id": 1, "method": "tools/call", "params": {"name": "t"}});
    let mut command = workspace.audit(["mcp", "--http", "0", "--to", &server.1]);
    command.env("SSL_CERT_FILE", workspace.path().join("authority.pem"));
    let proxy = Proxy::run(command);
    for _ in 0..2 {
        let reply = Exchange::post(proxy.port, &[], &call).reply();
        assert_eq!((reply.status, &reply.json()["id"]), (200, &json!(1)));
    }
    proxy.stop();
    let proxy = Proxy::start(&workspace, &server.1, &[]);
    let reply = Exchange::post(proxy.port, &[], &call).reply();
    assert_eq!(reply.status, 502);
    assert!(reply.text().contains("certificate"), "{}", reply.text());
    proxy.stop();
    assert_eq!(short(&workspace.events()), ["t ok", "t ok", "t error transport"]);
}
