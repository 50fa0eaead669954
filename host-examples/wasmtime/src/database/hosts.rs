//! Connects to one of several hosts, which are tried in turn. tokio-postgres limits only the time until a
//! host accepts a connection. Here each host has its share of the time until the user is logged in, so that a
//! host which accepts and then does not answer leaves time for the next one. Names are resolved here too, so that
//! messages name a host only once its name is known to be one.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::sync::Arc;

use deadpool_postgres::{ConfigConnectImpl, Connect};
use tokio::net::lookup_host;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, LoadBalanceHosts};
use tokio_postgres::{Client, Config, Error};

use crate::database::servers::Servers;
use crate::database::tls::Connector;

type Connecting<'a> = Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + 'a>>;

/// Connects to the first host on which the user can log in.
#[derive(Clone)]
pub(super) struct InTurn {
    tls: Connector,
    servers: Arc<Servers>,
    /// Of each host, where the URL has none.
    passwords: Vec<Option<Vec<u8>>>,
}

impl InTurn {
    pub(super) fn new(tls: Connector, servers: Arc<Servers>, passwords: Vec<Option<Vec<u8>>>) -> Self {
        Self { tls, servers, passwords }
    }

    /// Connects to the `n`-th host.
    async fn connect_to(&self, n: usize, mut host: Config) -> Result<(Client, JoinHandle<()>), Error> {
        if let Some(Some(password)) = self.passwords.get(n) {
            host.password(password);
        }
        let host = self.resolved(n, host).await;
        ConfigConnectImpl { tls: self.tls.clone() }.connect(&host).await
    }

    /// The configuration with the addresses that the name of its host leads to, all of which are tried. A name that leads
    /// nowhere stays, and tokio-postgres says why.
    async fn resolved(&self, n: usize, host: Config) -> Config {
        #[cfg(unix)]
        if let [Host::Unix(folder)] = host.get_hosts() {
            self.servers.ask(n);
            if folder.is_dir() {
                self.servers.find(n);
            }
        }
        let ([Host::Tcp(name)], []) = (host.get_hosts(), host.get_hostaddrs()) else { return host };
        let port = host.get_ports().first().copied().unwrap_or(5432);
        self.servers.ask(n);
        let Ok(addresses) = lookup_host((name.as_str(), port)).await else { return host };
        let mut resolved = without_host(&host);
        resolved.port(port);
        for address in addresses {
            resolved.host(name).hostaddr(address.ip());
        }
        if resolved.get_hosts().is_empty() {
            return host;
        }
        self.servers.find(n);
        resolved
    }
}

impl Connect for InTurn {
    fn connect(&self, config: &Config) -> Connecting<'_> {
        let mut hosts: Vec<_> = one_per_host(config).into_iter().enumerate().collect();
        if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
            hosts.sort_by_cached_key(|_| RandomState::new().hash_one(()));
        }
        // The last host may take all the time that is left.
        let (last, alone) = hosts.pop().unwrap_or_else(|| (0, config.clone()));
        Box::pin(async move {
            for (n, host) in hosts {
                let share = host.get_connect_timeout().copied();
                let connecting = self.connect_to(n, host);
                let connected = match share {
                    Some(share) => timeout(share, connecting).await.ok(),
                    None => Some(connecting.await),
                };
                if let Some(Ok(connected)) = connected {
                    return Ok(connected);
                }
            }
            self.connect_to(last, alone).await
        })
    }
}

/// The configuration for each host by itself.
fn one_per_host(config: &Config) -> Vec<Config> {
    let (addresses, ports) = (config.get_hostaddrs(), config.get_ports());
    let alone = |(n, host): (usize, &Host)| {
        let mut alone = without_host(config);
        match host {
            Host::Tcp(name) => alone.host(name),
            #[cfg(unix)]
            Host::Unix(folder) => alone.host_path(folder),
        };
        if let Some(address) = addresses.get(n) {
            alone.hostaddr(*address);
        }
        if let Some(port) = ports.get(n).or(ports.first()) {
            alone.port(*port);
        }
        alone
    };
    config.get_hosts().iter().enumerate().map(alone).collect()
}

/// A copy without hosts. `Config` has no way to remove them.
fn without_host(config: &Config) -> Config {
    let mut copy = Config::new();
    copy.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts());
    if let Some(user) = config.get_user() {
        copy.user(user);
    }
    if let Some(password) = config.get_password() {
        copy.password(password);
    }
    if let Some(name) = config.get_dbname() {
        copy.dbname(name);
    }
    if let Some(options) = config.get_options() {
        copy.options(options);
    }
    if let Some(name) = config.get_application_name() {
        copy.application_name(name);
    }
    if let Some(time) = config.get_connect_timeout() {
        copy.connect_timeout(*time);
    }
    if let Some(time) = config.get_tcp_user_timeout() {
        copy.tcp_user_timeout(*time);
    }
    if let Some(time) = config.get_keepalives_interval() {
        copy.keepalives_interval(time);
    }
    if let Some(times) = config.get_keepalives_retries() {
        copy.keepalives_retries(times);
    }
    copy
}
