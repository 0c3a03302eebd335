//! What a run needs before it begins: descriptors, a gateway if it has one of its own, addresses, and the plan.

use crate::{
    clock,
    common::Common,
    gateway::{Gateway, Role, Secrets, Settings, free_address},
    plan::{Dialect, Plan, Provider, STREAMS_PER_SOURCE, Target, Token, unix_s},
    readers::Readers,
};
use anyhow::{Result, anyhow};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// How long a server may take to accept the connection that is tried before a run.
const CONNECT: Duration = Duration::from_secs(5);

/// Raises the limit of descriptors to the hard limit, because each stream needs one.
pub(crate) fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // If it cannot be raised, the streams beyond it fail, and the report says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The preset of a provider.
pub(crate) const fn provider_name(provider: Provider) -> &'static str {
    match provider {
        Provider::Generic => "generic",
        Provider::Stripe => "stripe",
    }
}

/// Starts the gateway that `--spawn` names, if there is one, and returns it with its secrets.
pub(crate) fn start_gateway(common: &Common) -> Result<Option<(Gateway, Secrets)>> {
    let Some(program) = &common.spawn else { return Ok(None) };
    let secrets = Secrets::fresh();
    let mut gateway = Gateway::start(&Settings {
        program,
        role: Role::All,
        address: free_address()?,
        core: common.server_core,
        redis: common.redis.as_deref(),
        provider: provider_name(common.provider),
        stream: "",
        tls: common.tls,
        secrets: &secrets,
    })?;
    gateway.wait_until_ready()?;
    Ok(Some((gateway, secrets)))
}

/// Makes the plan of a run.
pub(crate) fn plan(common: &Common, readers: &Readers, gateway: Option<&(Gateway, Secrets)>) -> Plan {
    let streams = gateway.map_or(common.public, |(gateway, _)| gateway.address);
    let posts = gateway.map_or(common.ingest.unwrap_or(common.public), |(gateway, _)| gateway.posts);
    let (secret, token) = match gateway {
        Some((_, secrets)) => (secrets.source.clone(), Token::Minted(secrets.token_key.clone())),
        None => (given(&common.secret, "PAYSTREAM_SOURCE_SECRET").unwrap_or_default(), given_token(common)),
    };
    let source = if gateway.is_some() { "load" } else { &common.source };
    let (subscribe, publish) = match common.dialect {
        Dialect::Paystream => ("/v1/payments/{}/events".to_owned(), format!("/webhooks/{source}")),
        Dialect::Plain => (common.subscribe.clone(), common.publish.clone()),
    };
    let now_us = clock::now_us();
    Plan {
        target: Target {
            dialect: common.dialect,
            streams,
            posts,
            tls: gateway.and_then(|(gateway, _)| gateway.certificate.clone()),
            subscribe,
            publish,
            create: common.create,
            provider: common.provider,
            secret,
            token,
        },
        name: format!("{:x}x{:x}", unix_s(), now_us % 0x1_0000),
        epoch_us: now_us,
        streams: readers.streams,
        payments: readers.payments,
        first: 0,
        step: 1,
        gateways: common.gateways.clone(),
        tick_us: tick_us(common.processes, readers),
        opening: common.opening.unwrap_or(readers.opening),
        sources: sources(common, streams, readers.streams),
        churn: readers.churn,
        stalled: readers.stalled,
        slow: readers.slow,
        patience_us: common.patience * 1_000_000,
        longest_wait_ms: common.longest_wait,
    }
}

/// Fails if nothing accepts a connection where streams are to be opened, or where events are to be posted.
pub(crate) fn ensure_listening(common: &Common, plan: &Plan) -> Result<()> {
    let Target { streams, posts, .. } = plan.target;
    if plan.streams > 0 {
        ensure_accepts(streams, "--public", plan.target.dialect)?;
    }
    if posts != streams || plan.streams == 0 {
        let option = if common.ingest.is_some() { "--ingest" } else { "--public" };
        ensure_accepts(posts, option, plan.target.dialect)?;
    }
    Ok(())
}

fn ensure_accepts(address: SocketAddr, option: &str, dialect: Dialect) -> Result<()> {
    let spawn = match dialect {
        Dialect::Paystream => ", or let this tool start a gateway for the run with --spawn PROGRAM",
        Dialect::Plain => "",
    };
    TcpStream::connect_timeout(&address, CONNECT).map(drop).map_err(|error| {
        anyhow!("no server accepts connections at {address}: {error}. Start one there, name the address of another with {option}{spawn}")
    })
}

/// The token for a server that was not started for this run.
fn given_token(common: &Common) -> Token {
    if let Some(token) = given(&common.token, "PAYSTREAM_TOKEN") {
        return Token::One(token);
    }
    given(&common.token_key, "PAYSTREAM_TOKEN_KEY").map_or(Token::None, Token::Minted)
}

/// A secret from the command line, or else from the environment. The command line's parser does not read the environment itself:
/// it would count a variable that is exported as an option that was typed, and refuse it beside `--spawn`.
fn given(typed: &Option<String>, variable: &str) -> Option<String> {
    typed.clone().or_else(|| std::env::var(variable).ok()).filter(|secret| !secret.is_empty())
}

/// How often each reader sends its state, drops streams for churn and reads those that are slow, in microseconds. Many readers send their
/// states less often, because each wakes this process.
fn tick_us(processes: usize, readers: &Readers) -> u64 {
    /// What the descriptions of slow readers and of churn presume.
    const USUAL_US: u64 = 50_000;
    let is_idle = readers.slow == 0 && readers.churn == 0.0;
    if is_idle { (processes as u64 * 10_000).clamp(USUAL_US, 1_000_000) } else { USUAL_US }
}

/// Addresses to connect from: with many streams on one machine, several loopback addresses, unless `--from` names some.
fn sources(common: &Common, server: SocketAddr, streams: usize) -> Vec<Ipv4Addr> {
    if common.from.is_empty() && server.ip().is_loopback() && server.is_ipv4() && streams > STREAMS_PER_SOURCE
    {
        let last = u8::try_from(streams / STREAMS_PER_SOURCE + 2).unwrap_or(u8::MAX);
        return (2..=last).map(|last| Ipv4Addr::new(127, 0, 0, last)).collect();
    }
    common.from.clone()
}
