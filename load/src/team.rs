//! The team of readers of a run: one thread of this process, or several processes. Both take the same commands and send the same states.

use crate::{
    pauses::Look,
    plan::Plan,
    reader::{Command, Reader, Shared, State, poll_and_waker},
    stats::Seen,
};
use anyhow::{Context as _, Result, bail};
use std::{
    io::{BufRead as _, BufReader, Write as _, stdin, stdout},
    process::{Child, ChildStdin, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How long a reader may take to send what it saw.
const LAST_WORD: Duration = Duration::from_secs(20);

/// How many streams per second all readers together close at the least, which they do before they end.
const CLOSED_PER_SECOND: u64 = 10_000;

enum Line {
    Thread(mpsc::Sender<Command>, Arc<mio::Waker>),
    Process(Box<Child>, ChildStdin),
}

struct Member {
    line: Line,
    plan: Plan,
    sent: u64,
    state: State,
    gone: bool,
}

impl Member {
    /// Sends a command that is answered with a state.
    fn tell(&mut self, command: &Command) -> Result<()> {
        self.sent += 1;
        self.line.send(command)
    }
}

impl Line {
    fn send(&mut self, command: &Command) -> Result<()> {
        match self {
            Self::Thread(commands, waker) => {
                // A reader that has ended is noticed by its replies.
                let _ = commands.send(command.clone());
                waker.wake()?;
            }
            Self::Process(_, input) => {
                let mut line = serde_json::to_string(command)?;
                line.push('\n');
                input.write_all(line.as_bytes()).context("a reader process has ended")?;
            }
        }
        Ok(())
    }
}

/// All readers of a run.
pub(crate) struct Team {
    members: Vec<Member>,
    /// A reader's index and its state, or none if that reader has ended.
    replies: mpsc::Receiver<(usize, Option<State>)>,
}

/// The states of all readers together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    /// Whether all readers have answered the newest command.
    pub(crate) current: bool,
    pub(crate) ready: usize,
    /// When the last reader had opened all streams that it was asked for.
    pub(crate) ready_at_us: Option<u64>,
    pub(crate) missing: Option<u64>,
    pub(crate) deliveries: u64,
    pub(crate) failed: u64,
}

impl Team {
    /// Starts one thread, or as many processes as were asked for if that is more than one.
    pub(crate) fn start(plan: &Plan, processes: usize, shared: &Shared) -> Result<Self> {
        let (send, replies) = mpsc::channel();
        let members = (0..processes).map(|index| {
            let plan = plan.of_process(index, processes);
            let line = match processes {
                1 => in_thread(plan.clone(), shared.clone(), send.clone())?,
                _ => in_process(&plan, index, send.clone())?,
            };
            Ok(Member { line, plan, sent: 0, state: State::default(), gone: false })
        });
        Ok(Self { members: members.collect::<Result<_>>()?, replies })
    }

    /// Sends a command to all readers.
    pub(crate) fn tell(&mut self, command: &Command) -> Result<()> {
        for member in &mut self.members {
            member.tell(command)?;
        }
        Ok(())
    }

    /// Asks each reader from now on how much is missing at its streams, of so many accepted events of each payment.
    pub(crate) fn expect(&mut self, accepted: &[u32]) -> Result<()> {
        for member in &mut self.members {
            let payments =
                (0..member.plan.share(member.plan.streams)).map(|stream| member.plan.payment_of(stream));
            let of = payments.map(|payment| accepted.get(payment).copied().unwrap_or_default());
            member.tell(&Command::Expect(of.collect()))?;
        }
        Ok(())
    }

    /// Asks all readers what they have seen so far.
    pub(crate) fn seen(&mut self) -> Result<Seen> {
        self.last_words(&Command::Report)
    }

    /// Tells readers in other processes of the machine's pauses. A reader in this process sees them itself.
    pub(crate) fn tell_looks(&mut self, looks: Vec<Look>) -> Result<()> {
        let command = Command::Looks(looks);
        self.members.iter_mut().try_for_each(|member| member.line.send(&command))
    }

    /// Takes the states that have come, and waits for at most this long for the first.
    pub(crate) fn hear(&mut self, wait: Duration) -> Result<Standing> {
        let mut next = self.replies.recv_timeout(wait).ok();
        while let Some((index, state)) = next {
            if let Some(member) = self.members.get_mut(index) {
                match state {
                    // What it saw stays, because the next state may come before anybody has looked.
                    Some(state) => {
                        member.state = State { seen: state.seen.or(member.state.seen.take()), ..state }
                    }
                    None => member.gone = true,
                }
            }
            next = self.replies.try_recv().ok();
        }
        if self.members.iter().any(|member| member.gone && member.state.seen.is_none()) {
            bail!("a reader ended before the run was over");
        }
        let states = || self.members.iter().map(|member| &member.state);
        let all_ready = states().all(|state| state.ready_at_us.is_some());
        Ok(Standing {
            current: self.members.iter().all(|member| member.state.commands == member.sent),
            ready: states().map(|state| state.ready).sum(),
            ready_at_us: states().filter_map(|state| state.ready_at_us).max().filter(|_| all_ready),
            missing: states().map(|state| state.missing).sum(),
            deliveries: states().map(|state| state.deliveries).sum(),
            failed: states().map(|state| state.failed).sum(),
        })
    }

    /// The ids of all processes of this tool, including this one.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let children = self.members.iter().filter_map(|member| match &member.line {
            Line::Process(child, _) => Some(child.id()),
            Line::Thread(..) => None,
        });
        std::iter::once(std::process::id()).chain(children).collect()
    }

    /// Ends all readers and returns what they saw.
    pub(crate) fn finish(mut self) -> Result<Seen> {
        let sum = self.last_words(&Command::Finish)?;
        for member in &mut self.members {
            if let Line::Process(child, _) = &mut member.line {
                child.wait()?;
            }
        }
        Ok(sum)
    }

    /// Sends a command that each reader answers with what it saw, and adds the answers.
    fn last_words(&mut self, command: &Command) -> Result<Seen> {
        for member in &mut self.members {
            member.state.seen = None;
        }
        self.tell(command)?;
        let streams = self.members.first().map_or(0, |member| member.plan.streams);
        let patience = LAST_WORD + Duration::from_secs(streams as u64 / CLOSED_PER_SECOND);
        let deadline = Instant::now() + patience;
        while self.members.iter().any(|member| member.state.seen.is_none()) {
            if Instant::now() > deadline {
                bail!("a reader did not report what it saw within {} s", patience.as_secs());
            }
            self.hear(Duration::from_millis(100))?;
        }
        let mut sum = Seen::default();
        for seen in self.members.iter_mut().filter_map(|member| member.state.seen.take()) {
            sum.add(&seen);
        }
        Ok(sum)
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Line::Process(child, _) = &mut member.line {
                // It has ended already, unless this happens after an error.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

type Replies = mpsc::Sender<(usize, Option<State>)>;

fn in_thread(plan: Plan, shared: Shared, replies: Replies) -> Result<Line> {
    let (commands, inbox) = mpsc::channel();
    let (poll, waker) = poll_and_waker()?;
    thread::Builder::new().name("reader".to_owned()).spawn(move || {
        // The receiver is gone when the run is over; then nothing needs the state.
        let tell = |state| drop(replies.send((0, Some(state))));
        let _ = Reader::new(plan, poll, inbox, shared, tell).and_then(Reader::run);
        drop(replies.send((0, None)));
    })?;
    Ok(Line::Thread(commands, Arc::new(waker)))
}

fn in_process(plan: &Plan, index: usize, replies: Replies) -> Result<Line> {
    let mut child = std::process::Command::new(std::env::current_exe()?)
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a reader process")?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("a reader process was started without pipes");
    };
    let mut line = serde_json::to_string(plan)?;
    line.push('\n');
    input.write_all(line.as_bytes())?;
    thread::Builder::new().name(format!("ears-{index}")).spawn(move || {
        for line in BufReader::new(output).lines() {
            let Some(state) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else { break };
            drop(replies.send((index, Some(state))));
        }
        drop(replies.send((index, None)));
    })?;
    Ok(Line::Process(Box::new(child), input))
}

/// `load worker`: runs readers in a process of their own, which takes commands as lines on its standard input.
pub(crate) fn worker() -> Result<()> {
    let mut lines = stdin().lock().lines();
    let plan = lines.next().context("the standard input has no plan")??;
    let plan = serde_json::from_str(&plan).context("the first line of the standard input is not a plan")?;
    drop(lines);
    let (commands, inbox) = mpsc::channel();
    let (poll, waker) = poll_and_waker()?;
    thread::spawn(move || {
        for line in stdin().lock().lines() {
            let Some(command) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else { break };
            if commands.send(command).is_err() {
                break;
            }
            let _ = waker.wake();
        }
        drop(commands);
        let _ = waker.wake();
    });
    let tell = |state: State| {
        if let Ok(line) = serde_json::to_string(&state) {
            // If nothing reads the pipe, the run is over, and the closed input ends this process too.
            let _ = writeln!(stdout(), "{line}");
        }
    };
    let shared = Shared { is_apart: true, ..Shared::default() };
    Reader::new(plan, poll, inbox, shared, tell)?.run()?;
    Ok(())
}
