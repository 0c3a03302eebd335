//! All shards: where each command goes, and what happens to one that a server sends elsewhere.

use super::{
    error::{passes, refusal, told},
    job::{Job, Stray, To, Write},
    link::{AGAIN, PATIENCE},
    map::Board,
    node::Node,
    redirect::{self, Redirect},
    shard::{Mould, Shard},
    slot,
    writer::{QUEUE, closed},
};
use crate::{limits::LimitHit, metrics::StoreFault, payment::PartitionSet, store::StoreError};
use futures_util::future::join_all;
use redis::{Cmd, Pipeline, Value};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout_at},
};

/// How long a shard is kept from its start although the map does not name it: a redirection may be ahead of the map.
const KEPT: Duration = Duration::from_secs(30);

/// How often the metrics are told how the servers do.
const OBSERVED: Duration = Duration::from_secs(1);

/// The most redirections that are followed without a pause.
const HOPS: u32 = 3;

/// The shards by their servers. Dropping it ends their connections.
#[derive(Debug)]
pub(super) struct Shards {
    mould: Mould,
    shards: Mutex<HashMap<Node, Arc<Shard>>>,
    /// Whether somebody receives the notices.
    is_heard: AtomicBool,
    /// The servers that the metrics show.
    shown: Mutex<Vec<Node>>,
    /// Room for the writes that wait for a slot to be moved.
    waiting: Arc<Semaphore>,
}

/// A command that was not answered yet.
struct Question {
    place: usize,
    slot: u16,
    /// The server that imports the slot, if the last answer said so.
    importing: Option<Node>,
}

impl Shards {
    /// Starts a shard for each node of the map. `strays` brings what a shard sends away.
    pub(super) fn start(mould: Mould, strays: mpsc::Receiver<Stray>) -> Arc<Self> {
        let shards = Arc::new(Self {
            mould,
            shards: Mutex::default(),
            is_heard: AtomicBool::new(false),
            shown: Mutex::default(),
            waiting: Arc::new(Semaphore::new(QUEUE)),
        });
        shards.settle();
        tokio::spawn(carry(Arc::downgrade(&shards), strays));
        tokio::spawn(follow(Arc::downgrade(&shards), Arc::clone(shards.board())));
        shards
    }

    pub(super) fn board(&self) -> &Arc<Board> {
        &self.mould.routes.board
    }

    pub(super) const fn mould(&self) -> &Mould {
        &self.mould
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Node, Arc<Shard>>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shard of a server, which is started if there is none.
    pub(super) fn shard(&self, node: &Node) -> Arc<Shard> {
        let mut shards = self.lock();
        let shard = shards.entry(node.clone()).or_insert_with(|| Arc::new(Shard::start(&self.mould, node)));
        if self.is_heard.load(Ordering::Relaxed) {
            shard.listen();
        }
        Arc::clone(shard)
    }

    /// Has a shard for each node of the map, and none for others but those that were started a moment ago.
    fn settle(&self) {
        let map = self.board().map();
        for node in map.nodes() {
            self.shard(node);
        }
        self.lock().retain(|node, shard| map.names(node) || shard.started.elapsed() < KEPT);
    }

    /// Shows in the metrics how the servers do that own slots, and forgets the others.
    fn observe(&self) {
        let (map, metrics) = (self.board().map(), &self.mould.metrics);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.iter().filter(|node| !map.nodes().contains(node)) {
            metrics.store_servers.forget(&gone.to_string());
        }
        *shown = map.nodes().to_vec();
        for node in map.nodes() {
            let shard = self.shard(node);
            let is_up = shard.reader.up_now().is_some();
            metrics.store_servers.show(&node.to_string(), is_up, shard.writer.waiting());
        }
    }

    /// Begins to receive the notices. Returns whether they were not received before.
    pub(super) fn listen(&self) -> bool {
        let is_first = !self.is_heard.swap(true, Ordering::Relaxed);
        self.settle();
        is_first
    }

    /// Receives no notices any more.
    pub(super) fn close(&self) {
        self.lock().values().for_each(|shard| shard.fall_silent());
    }

    /// Subscribes again at the server of a partition whose notice is overdue.
    pub(super) fn missed(&self, partition: u8) {
        if let Some(owner) = self.board().map().owner(slot::of_partition(partition)) {
            self.shard(owner).doubt();
        }
        self.board().doubt();
    }

    /// Writes, and returns the server's answer once the write is as durable as configured.
    pub(super) async fn write(self: &Arc<Self>, write: Write, must_last: bool) -> Result<Value, StoreError> {
        let slot = match &write {
            Write::Append(append) => slot::of_partition(append.partition),
            Write::Command(command) => slot::of_command(command).unwrap_or_default(),
        };
        let (reply, answer) = oneshot::channel();
        let until = Instant::now() + PATIENCE;
        self.give(Job { write, slot, must_last, is_asking: false, until, reply });
        match timeout_at(until, answer).await {
            Ok(answer) => answer.map_err(|_| closed())?,
            Err(_) => {
                let trouble = self.owner(slot).and_then(|shard| shard.writer.trouble());
                let trouble = trouble.map_or_else(|| "no answer in time".to_owned(), |why| why.to_string());
                Err(StoreError::Unavailable(trouble))
            }
        }
    }

    /// The shard that serves a slot.
    fn owner(&self, slot: u16) -> Option<Arc<Shard>> {
        let map = self.board().map();
        map.owner(slot).map(|owner| self.shard(owner))
    }

    /// Gives a job to the owner of its slot. One of several shards that has been gone for long refuses at once: the webhooks that wait for
    /// it would else take up the room of those for the others.
    fn give(self: &Arc<Self>, job: Job) {
        match self.owner(job.slot) {
            Some(shard) if self.has_several() && shard.writer.is_long_down() => {
                job.answer(Err(lost(shard.connector.node(), shard.writer.trouble())));
            }
            Some(shard) => shard.writer.take(job),
            None => self.give_later(job, AGAIN, "no server serves the slot".to_owned()),
        }
    }

    /// Whether there is more than one shard.
    pub(super) fn has_several(&self) -> bool {
        self.board().map().nodes().len() > 1
    }

    /// Takes what a shard sends away.
    fn take(self: &Arc<Self>, Stray { job, to }: Stray) {
        match to {
            _ if job.reply.is_closed() => {}
            To::Owner => self.give(job),
            To::Importing(node) => self.shard(&node).writer.take(job),
            To::OwnerAfter(pause, why) => self.give_later(job, pause, why),
        }
    }

    /// Gives a job to the owner of its slot after a pause, apart from the jobs that need none.
    fn give_later(self: &Arc<Self>, job: Job, pause: Duration, why: String) {
        let Ok(room) = Arc::clone(&self.waiting).try_acquire_owned() else {
            self.mould.metrics.limit_hits.count(LimitHit::StoreQueue);
            return job.answer(Err(StoreError::Overloaded));
        };
        let at = Instant::now() + pause;
        if at >= job.until {
            return job.answer(Err(StoreError::Unavailable(why)));
        }
        let shards = Arc::downgrade(self);
        tokio::spawn(async move {
            sleep_until(at).await;
            drop(room);
            if let Some(shards) = shards.upgrade() {
                shards.give(job);
            }
        });
    }

    /// Sends commands that only read, each to where its key is, and returns their answers. A command without a key goes where the next one
    /// goes. Errors that pass by themselves are retried for at most [`PATIENCE`]; any other error of a server is returned at once.
    pub(super) async fn ask(&self, commands: &Pipeline) -> Result<Vec<Value>, StoreError> {
        self.ask_each(commands, PATIENCE).await.into_iter().collect()
    }

    /// The same with an answer or an error for each command, after at most `patience`.
    pub(super) async fn ask_each(
        &self,
        commands: &Pipeline,
        patience: Duration,
    ) -> Vec<Result<Value, StoreError>> {
        let until = Instant::now() + patience;
        let commands: Vec<&Cmd> = commands.cmd_iter().collect();
        let mut answers: Vec<Option<Result<Value, StoreError>>> = commands.iter().map(|_| None).collect();
        let mut open = questions(&commands);
        let mut trouble = "no answer in time".to_owned();
        for round in 0_u32.. {
            let mut again = Vec::new();
            let mut pauses = round >= HOPS;
            let asked = self.by_server(open).into_iter().map(|(node, asked)| {
                let commands = &commands;
                async move { (self.ask_one(node.as_ref(), &asked, commands, until).await, node, asked) }
            });
            for (told_of, node, asked) in join_all(asked).await {
                match (told_of, node) {
                    (Ok(values), Some(node)) => {
                        for (question, value) in asked.into_iter().zip(values) {
                            let place = question.place;
                            match self.judge(question, value, &node) {
                                Judged::Answered(answer) => {
                                    if let Some(known) = answers.get_mut(place) {
                                        *known = Some(answer);
                                    }
                                }
                                Judged::Again(question, why) => {
                                    trouble = why;
                                    pauses |= question.importing.is_none();
                                    again.push(question);
                                }
                            }
                        }
                    }
                    (Ok(_), None) => again.extend(asked),
                    (Err(why), node) => {
                        pauses = true;
                        trouble = why;
                        let is_lost = self.has_several()
                            && node.is_some_and(|node| self.shard(&node).reader.is_long_down());
                        if !is_lost {
                            again.extend(
                                asked.into_iter().map(|question| Question { importing: None, ..question }),
                            );
                        }
                    }
                }
            }
            if again.is_empty() || Instant::now() + AGAIN >= until {
                break;
            }
            open = again;
            if pauses {
                sleep(AGAIN).await;
            }
        }
        let unanswered = || Err(StoreError::Unavailable(trouble.clone()));
        answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
    }

    /// Distributes questions over the servers that can answer them; nobody, where no server serves the slot.
    fn by_server(&self, questions: Vec<Question>) -> BTreeMap<Option<Node>, Vec<Question>> {
        let map = self.board().map();
        let mut by_server: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for question in questions {
            let node = question.importing.as_ref().or_else(|| map.owner(question.slot)).cloned();
            by_server.entry(node).or_default().push(question);
        }
        by_server
    }

    /// Sends questions to one server, in one round trip.
    async fn ask_one(
        &self,
        node: Option<&Node>,
        questions: &[Question],
        commands: &[&Cmd],
        until: Instant,
    ) -> Result<Vec<Value>, String> {
        let Some(node) = node else { return Err("no server serves the slot".to_owned()) };
        let shard = self.shard(node);
        let down =
            || shard.reader.trouble().map_or_else(|| "no answer in time".to_owned(), |why| why.to_string());
        if self.has_several() && shard.reader.is_long_down() {
            return Err(down());
        }
        let mut pipeline = Pipeline::with_capacity(questions.len());
        for Question { place, importing, .. } in questions {
            if importing.is_some() {
                pipeline.cmd("ASKING");
            }
            if let Some(command) = commands.get(*place) {
                pipeline.add_command(Cmd::clone(command));
            }
        }
        let asking = questions.iter().filter(|question| question.importing.is_some()).count();
        let Ok(mut up) = timeout_at(until, shard.reader.up()).await else { return Err(down()) };
        match timeout_at(until, up.send(&pipeline, questions.len() + asking)).await {
            Ok(Ok(answers)) => {
                let mut answers = answers.into_iter();
                let answer = |question: &Question| {
                    if question.importing.is_some() {
                        answers.next();
                    }
                    answers.next().unwrap_or_default()
                };
                Ok(questions.iter().map(answer).collect())
            }
            Ok(Err(why)) => {
                shard.reader.broken(up.number, &why);
                self.board().doubt();
                Err(why)
            }
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    /// Decides whether an answer is one, or has to be asked for again.
    fn judge(&self, question: Question, value: Value, node: &Node) -> Judged {
        let board = self.board();
        let Some(error) = refusal(&value) else { return Judged::Answered(Ok(value)) };
        let why = told(error);
        let importing = match redirect::read(error, node).filter(|_| board.is_cluster()) {
            Some(Redirect::Moved(slot, owner)) => {
                self.mould.metrics.store_fault(&node.to_string(), StoreFault::Redirected);
                board.moved(slot, &owner);
                None
            }
            Some(Redirect::Ask(slot, importing)) => {
                self.mould.metrics.store_fault(&node.to_string(), StoreFault::Redirected);
                board.imports(slot, &importing);
                Some(importing)
            }
            Some(Redirect::Split) => None,
            None if passes(error) => {
                if error.code() == "READONLY" {
                    self.shard(node).reader.leave("it has become a replica");
                    board.doubt();
                }
                None
            }
            None => return Judged::Answered(Err(StoreError::Unavailable(why))),
        };
        Judged::Again(Question { importing, ..question }, why)
    }

    /// The partitions, by the servers that serve them.
    pub(super) fn partitions(&self) -> Vec<(Node, PartitionSet)> {
        let map = self.board().map();
        let partitions = map.nodes().iter().map(|node| (node.clone(), map.partitions(node)));
        // A node may own slots, and none of those that partitions have.
        partitions.filter(|(_, partitions)| !partitions.is_empty()).collect()
    }
}

/// What an answer is worth.
enum Judged {
    Answered(Result<Value, StoreError>),
    /// It has to be asked for again, for this reason.
    Again(Question, String),
}

/// The questions that commands ask. One without a key goes where the next one goes.
fn questions(commands: &[&Cmd]) -> Vec<Question> {
    let mut next = 0;
    let mut questions: Vec<_> = (0..commands.len())
        .zip(commands)
        .rev()
        .map(|(place, command)| {
            next = slot::of_command(command).unwrap_or(next);
            Question { place, slot: next, importing: None }
        })
        .collect();
    questions.reverse();
    questions
}

fn lost(node: &Node, trouble: Option<Arc<str>>) -> StoreError {
    let why = trouble.unwrap_or_else(|| "it is lost".into());
    StoreError::Unavailable(format!("the server {node} of this payment: {why}"))
}

/// Takes what shards send away, until they are gone.
async fn carry(shards: Weak<Shards>, mut strays: mpsc::Receiver<Stray>) {
    while let Some(stray) = strays.recv().await {
        let Some(shards) = shards.upgrade() else { return };
        shards.take(stray);
    }
}

/// Starts and ends shards as the map changes.
async fn follow(shards: Weak<Shards>, board: Arc<Board>) {
    let mut changes = board.changes();
    drop(board);
    loop {
        {
            let Some(shards) = shards.upgrade() else { return };
            shards.settle();
            shards.observe();
        }
        // Also without a change, since a shard that owns nothing is kept for a while.
        if let Ok(Err(_)) = tokio::time::timeout(OBSERVED, changes.changed()).await {
            return;
        }
    }
}
