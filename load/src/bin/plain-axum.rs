//! `plain-axum`: a simple implementation as a baseline. It uses axum's `Sse`, a tokio broadcast channel for each watched channel, and Redis
//! in between. It has no signatures, no log and no resumption.

use anyhow::Result;
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::sse::{Event, KeepAlive, Sse},
    routing::{get, post},
};
use clap::Parser;
use futures_util::{Stream, StreamExt as _, stream};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddrV4,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::broadcast;

/// How many events a slow reader may be behind. One that is further behind silently loses events.
const BEHIND: usize = 16;

#[derive(Parser, Debug)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8091")]
    listen: SocketAddrV4,
    /// The Redis through which events are passed on.
    #[arg(long, default_value = "redis://127.0.0.1:6379/?protocol=resp3")]
    redis: String,
    /// How many connections may wait to be accepted; by default as many as with tokio's listener. All others retry after a second, which is
    /// most of what a storm shows.
    #[arg(long, default_value_t = 128)]
    backlog: u32,
}

type Channels = Mutex<HashMap<String, broadcast::Sender<Arc<str>>>>;

#[derive(Clone)]
struct App {
    channels: Arc<Channels>,
    redis: MultiplexedConnection,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let client = redis::Client::open(arguments.redis.as_str())?;
    let channels = Arc::<Channels>::default();
    let mut subscription = client.get_async_pubsub().await?;
    subscription.psubscribe("pay:*").await?;
    tokio::spawn(forward(subscription, Arc::clone(&channels)));
    let redis = client.get_multiplexed_async_connection().await?;
    let routes = Router::new()
        .route("/sub/{channel}", get(subscribe))
        .route("/pub/{channel}", post(publish))
        .with_state(App { channels, redis });
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(arguments.listen.into())?;
    let listener = socket.listen(arguments.backlog)?;
    #[expect(clippy::disallowed_methods, reason = "the baseline is what everybody writes")]
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn forward(mut subscription: redis::aio::PubSub, channels: Arc<Channels>) {
    let mut messages = subscription.on_message();
    while let Some(message) = messages.next().await {
        let Ok(payload) = message.get_payload::<String>() else { continue };
        let name = message.get_channel_name().trim_start_matches("pay:");
        let sender = locked(&channels).get(name).cloned();
        if let Some(sender) = sender {
            // Sending fails if no stream reads the channel any more.
            let _ = sender.send(payload.into());
        }
    }
}

async fn publish(
    State(mut app): State<App>,
    Path(channel): Path<String>,
    body: String,
) -> Result<StatusCode, StatusCode> {
    let published: redis::RedisResult<()> = app.redis.publish(format!("pay:{channel}"), body).await;
    published.map(|()| StatusCode::OK).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

async fn subscribe(
    State(app): State<App>,
    Path(channel): Path<String>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let receiver =
        locked(&app.channels).entry(channel).or_insert_with(|| broadcast::channel(BEHIND).0).subscribe();
    let events = stream::unfold(receiver, |mut receiver| async {
        loop {
            match receiver.recv().await {
                Ok(data) => return Some((Ok(Event::default().data(&*data)), receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
