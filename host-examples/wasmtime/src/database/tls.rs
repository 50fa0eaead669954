//! Encryption and certificates with rustls. The parameters `sslmode`, `sslrootcert`, `sslcert` and `sslkey`
//! mean what they mean in libpq: <https://www.postgresql.org/docs/current/libpq-ssl.html>.

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

use crate::database::libpq::{self, Libpq};

/// What is checked of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Nothing,
    Chain,
    ChainAndName,
}

/// The mode and the connector that the parameters ask for, and libpq's variable where there is no `sslrootcert`.
pub(super) fn connector(
    parameters: &[(String, String)],
    libpq: &Libpq,
    config: &Config,
) -> Result<(SslMode, Connector), String> {
    // As in libpq, the last value of a parameter counts.
    let value = |key| parameters.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let of_libpq = libpq.roots();
    let (source, roots) = match value("sslrootcert") {
        Some(path) => ("sslrootcert", Some(path)),
        None => (libpq::ROOTS, of_libpq.as_deref()),
    };
    let roots = roots.filter(|path| !path.is_empty());
    let (mode, check) = mode_and_check(value("sslmode"), roots)?;
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match check {
        Check::Nothing => Arc::new(Unchecked(provider.clone())),
        Check::Chain | Check::ChainAndName => {
            let roots = load_roots(source, roots.filter(|path| *path != "system"))?;
            Arc::new(Checked { provider: provider.clone(), roots, name: check == Check::ChainAndName })
        }
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS cannot be used: {error}"))?;
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
        _ => {
            return Err(
                "the database URL has only one of sslcert and sslkey; accepted are both or none".into()
            );
        }
    };
    if config.get_ssl_negotiation() == SslNegotiation::Direct {
        tls.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok((mode, Connector::new(tls)))
}

/// What `sslmode` asks for. Its default, and the meaning of `require`, depend on `sslrootcert`.
fn mode_and_check(sslmode: Option<&str>, roots: Option<&str>) -> Result<(SslMode, Check), String> {
    let default = if roots == Some("system") { "verify-full" } else { "prefer" };
    match sslmode.unwrap_or(default) {
        "disable" => Ok((SslMode::Disable, Check::Nothing)),
        "allow" | "prefer" => Ok((SslMode::Prefer, Check::Nothing)),
        "require" if roots.is_some() => Ok((SslMode::Require, Check::Chain)),
        "require" => Ok((SslMode::Require, Check::Nothing)),
        "verify-ca" => Ok((SslMode::Require, Check::Chain)),
        "verify-full" => Ok((SslMode::Require, Check::ChainAndName)),
        _ => Err("the database URL has an invalid value for sslmode; accepted are disable, allow, prefer, \
                  require, verify-ca and verify-full"
            .into()),
    }
}

/// Reads the certificates of a PEM file.
fn certificates(parameter: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => Err(format!(
            "{parameter}: {path} has no certificate; accepted is a file with certificates as PEM"
        )),
        read => read.map_err(|error| format!("{parameter}: {path} cannot be read: {error}")),
    }
}

/// The certificates that are trusted: those in the file, which `source` names, or those of the system.
fn load_roots(source: &str, path: Option<&str>) -> Result<Roots, String> {
    let certificates = match path {
        Some(path) => certificates(source, path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates.iter().cloned());
    if certificates.is_empty() {
        return Err(
            "the system has no certificates to check that of the database; name a file with sslrootcert"
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

/// Checks the chain of certificates, and with `name` also the name of the host.
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
        // The server's own certificate may be the trusted one. If it is made as PostgreSQL's manual says, it
        // is also the certificate of an authority, which rustls does not accept for a server.
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

/// Accepts any certificate, also in a version that rustls cannot read. It does not check signatures: anybody
/// may have made the key, so they would prove nothing.
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
