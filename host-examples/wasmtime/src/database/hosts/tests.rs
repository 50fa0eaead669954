//! A host is connected to with the same parameters, whether by itself or among others.

use super::*;

const PARAMETERS: &str = "user=u password=p dbname=d options=-csearch_path=s application_name=a \
                          connect_timeout=3 tcp_user_timeout=4 keepalives=0 keepalives_idle=5 \
                          keepalives_interval=6 keepalives_retries=7 target_session_attrs=read-write \
                          channel_binding=require load_balance_hosts=random sslmode=require \
                          sslnegotiation=direct";

fn config(hosts: &str) -> Config {
    format!("{hosts} {PARAMETERS}").parse().unwrap()
}

#[test]
fn each_host_keeps_all_parameters() {
    let both = config("host=a,/run/b hostaddr=127.0.0.1,127.0.0.2 port=1,2");
    let alone = ["host=a hostaddr=127.0.0.1 port=1", "host=/run/b hostaddr=127.0.0.2 port=2"];
    assert_eq!(one_per_host(&both), alone.map(config));
    let one_port = config("host=a,b port=1");
    assert_eq!(one_per_host(&one_port), ["host=a port=1", "host=b port=1"].map(config));
}
