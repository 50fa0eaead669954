//! A cluster offers TLS once it has a certificate, and the proxy passes encrypted connections on.

use std::io::{Read, Write};
use std::net::TcpStream;

use audit_testbed::{Cluster, Proxy};

/// The server's answer to SSLRequest: `S` for yes, `N` for no.
fn offer(port: u16) -> char {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("the port is open");
    connection.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).expect("it reads");
    let mut answer = [0];
    connection.read_exact(&mut answer).expect("it answers");
    answer[0].into()
}

#[test]
fn a_certificate_turns_tls_on() {
    let cluster = Cluster::start();
    let proxy = Proxy::to(cluster.port());
    assert_eq!([offer(cluster.port()), offer(proxy.port())], ['N', 'N']);
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    cluster.tls(&certified.cert.pem(), &certified.signing_key.serialize_pem());
    assert_eq!([offer(cluster.port()), offer(proxy.port())], ['S', 'S']);
    assert_eq!(cluster.value(&cluster.url("postgres"), "SHOW ssl"), "on");
}
