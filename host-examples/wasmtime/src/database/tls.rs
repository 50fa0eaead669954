//! Encryption and certificates, by rustls, as libpq's `sslmode` and its companions describe them:
//! <https://www.postgresql.org/docs/current/libpq-ssl.html>.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, SslNegotiation};
pub(super) use tokio_postgres_rustls::MakeRustlsConnect as Connector;

/// How far a server's certificate is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Nothing,
    Chain,
    ChainAndName,
}

/// What the parameters ask for.
pub(super) fn connector(
    parameters: &[(String, String)],
    config: &Config,
) -> Result<(SslMode, Connector), String> {
    // As in libpq, the last one counts.
    let value = |key| parameters.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let roots = value("sslrootcert").filter(|path| !path.is_empty());
    let default = if roots == Some("system") { "verify-full" } else { "prefer" };
    let (mode, check) = match value("sslmode").unwrap_or(default) {
        "disable" => (SslMode::Disable, Check::Nothing),
        "allow" | "prefer" => (SslMode::Prefer, Check::Nothing),
        "require" if roots.is_some() => (SslMode::Require, Check::Chain),
        "require" => (SslMode::Require, Check::Nothing),
        "verify-ca" => (SslMode::Require, Check::Chain),
        "verify-full" => (SslMode::Require, Check::ChainAndName),
        _ => {
            return Err(
                "the database URL has a wrong value for sslmode; accepted are disable, allow, prefer, \
                        require, verify-ca and verify-full"
                    .into(),
            );
        }
    };
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match check {
        Check::Nothing => Arc::new(Unchecked(provider.clone())),
        Check::Chain | Check::ChainAndName => {
            let roots = load_roots(roots.filter(|path| *path != "system"))?;
            Arc::new(Checked { provider: provider.clone(), roots, name: check == Check::ChainAndName })
        }
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("no TLS: {error}"))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut tls = match (value("sslcert"), value("sslkey")) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = certificates("sslcert", certificate)?;
            let unreadable = |error| format!("sslkey: {key} cannot be read: {error}");
            let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("sslcert and sslkey: {error}"))?
        }
        _ => return Err("the database URL has one of sslcert and sslkey; accepted are both or none".into()),
    };
    if config.get_ssl_negotiation() == SslNegotiation::Direct {
        tls.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok((mode, Connector::new(tls)))
}

fn certificates(parameter: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => Err(format!(
            "{parameter}: {path} has no certificate; accepted is a file with certificates as PEM"
        )),
        read => read.map_err(|error| format!("{parameter}: {path} cannot be read: {error}")),
    }
}

/// Those that are trusted: the file's, else the system's.
fn load_roots(path: Option<&str>) -> Result<Roots, String> {
    let certificates = match path {
        Some(path) => certificates("sslrootcert", path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates.iter().cloned());
    if certificates.is_empty() {
        return Err(
            "the system has no certificates to check the database's with; name a file with sslrootcert"
                .into(),
        );
    }
    Ok(Roots { store, certificates })
}

#[derive(Debug)]
struct Roots {
    store: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

/// Checks the chain of certificates, and the name of the host if it is to.
#[derive(Debug)]
struct Checked {
    provider: Arc<CryptoProvider>,
    roots: Roots,
    name: bool,
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let chain = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots.store,
            intermediates,
            now,
            algorithms,
        );
        // A server's own certificate may be the trusted one. Made as PostgreSQL's manual says, it is then one of an
        // authority, which rustls takes for no server's.
        let pinned = self.roots.certificates.iter().any(|root| root == end_entity);
        match chain {
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))) if pinned => {}
            chain => chain?,
        }
        if self.name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Takes any certificate, also of a version that rustls cannot read. A signature by a key that anybody may have made
/// proves nothing either.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
