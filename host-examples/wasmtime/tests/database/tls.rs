//! For encryption, `sslmode` and the certificates mean what they mean to libpq.

use audit_fixtures::Entries as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use audit_host::{Database, Error, SinkError};
use audit_testbed::{ANSWER, Cluster, database_name};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::{entry, open, other_error};

/// A server with a certificate of an authority of its own for `localhost` and 127.0.0.1.
struct Server {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let cluster = Cluster::start();
        let folder = tempfile::tempdir().unwrap();
        let (right, wrong) = (authority("right"), authority("wrong"));
        fs::write(folder.path().join("right.crt"), right.pem()).unwrap();
        fs::write(folder.path().join("wrong.crt"), wrong.pem()).unwrap();
        fs::write(folder.path().join("both.crt"), wrong.pem() + &right.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &right).unwrap();
        cluster.tls(&certificate.pem(), &key.serialize_pem());
        Server { cluster, folder }
    })
}

impl Server {
    fn root(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether a connection with these parameters is encrypted, or why there is none.
    fn connect(&self, host: &str, parameters: &str) -> Result<bool, SinkError> {
        let url = self.cluster.database().replace("127.0.0.1", host);
        let separator = if parameters.is_empty() { "" } else { "?" };
        // As long as this value lives, the server shows its connection.
        let database = open(&format!("{url}{separator}{parameters}"));
        database.insert_entries(vec![entry(0)])?;
        let name = database_name(&url);
        let sql = format!(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
             WHERE datname = '{name}' AND application_name = 'audit-store'"
        );
        Ok(self.cluster.value(&self.cluster.url("postgres"), &sql) == "t")
    }
}

#[track_caller]
fn assert_untrusted(answer: Result<bool, SinkError>) {
    let text = other_error(answer);
    assert!(text.contains("is not trusted"), "{text}");
}

fn encoded(path: &Path) -> String {
    path.display().to_string().replace('/', "%2F")
}

#[test]
fn modes_that_check_no_certificate_encrypt_where_the_server_can() {
    let server = server();
    for (parameters, encrypted) in [
        ("", true),
        ("sslmode=disable", false),
        ("sslmode=allow", true),
        ("sslmode=prefer", true),
        ("sslmode=require", true),
        ("sslmode=require&channel_binding=require", true),
    ] {
        assert_eq!(server.connect("127.0.0.1", parameters), Ok(encrypted), "{parameters}");
    }
}

#[test]
fn a_certificate_is_checked_against_the_root() {
    let server = server();
    for mode in ["require", "verify-ca", "verify-full"] {
        let with = |root: &str| {
            let root = encoded(&server.root(root));
            server.connect("127.0.0.1", &format!("sslmode={mode}&sslrootcert={root}"))
        };
        assert_eq!(with("right.crt"), Ok(true), "{mode}");
        assert_eq!(with("both.crt"), Ok(true), "{mode}");
        assert_untrusted(with("wrong.crt"));
    }
}

#[test]
fn only_verify_full_checks_the_name_of_the_host() {
    let server = server();
    let root = encoded(&server.root("right.crt"));
    let with = |host, mode| server.connect(host, &format!("sslmode={mode}&sslrootcert={root}"));
    assert_eq!(with("localhost", "verify-full"), Ok(true));
    // The address is the server's, but the name is not.
    let elsewhere = |mode| {
        let parameters = format!("sslmode={mode}&sslrootcert={root}&hostaddr=127.0.0.1");
        server.connect("database.example", &parameters)
    };
    assert_eq!(elsewhere("verify-ca"), Ok(true));
    assert_untrusted(elsewhere("verify-full"));
}

#[test]
fn without_a_root_certificate_those_of_the_system_are_trusted() {
    let server = server();
    for parameters in ["sslmode=verify-full", "sslmode=verify-ca&sslrootcert=system", "sslrootcert=system"] {
        let url = server.cluster.database() + "?" + parameters;
        match Database::new(&url, ANSWER, ANSWER) {
            Ok(database) => assert_untrusted(database.insert_entries(vec![entry(0)]).map(|_| true)),
            // The system may have no certificates.
            Err(Error::Config(text)) => assert!(text.contains("sslrootcert"), "{text}"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_server_without_tls_is_refused_where_it_is_required() {
    let url = Cluster::shared().database();
    open(&format!("{url}?sslmode=prefer")).insert_entries(vec![entry(0)]).unwrap();
    let text = other_error(open(&format!("{url}?sslmode=require")).insert_entries(vec![entry(0)]));
    assert!(text.contains("does not support TLS"), "{text}");
}

#[test]
fn a_self_signed_certificate_can_be_trusted() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    // PostgreSQL's manual makes such a certificate.
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    cluster.tls(&certificate.pem(), &key.serialize_pem());
    let server = Server { cluster, folder };
    fs::write(server.root("own.crt"), certificate.pem()).unwrap();
    fs::write(server.root("other.crt"), authority("other").pem()).unwrap();
    let with = |root: &str| {
        let root = encoded(&server.root(root));
        server.connect("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={root}"))
    };
    assert_eq!(with("own.crt"), Ok(true));
    assert_untrusted(with("other.crt"));
}

#[test]
fn a_client_can_have_a_certificate() {
    let server = server();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["audit".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(server.root("client.crt"), certificate.pem()).unwrap();
    fs::write(server.root("client.key"), key.serialize_pem()).unwrap();
    let (certificate, key) = (encoded(&server.root("client.crt")), encoded(&server.root("client.key")));
    let parameters = format!("sslmode=require&sslcert={certificate}&sslkey={key}");
    assert_eq!(server.connect("127.0.0.1", &parameters), Ok(true));
    let url = server.cluster.database() + "?sslcert=" + &certificate;
    assert!(matches!(Database::new(&url, ANSWER, ANSWER), Err(Error::Config(_))));
}
