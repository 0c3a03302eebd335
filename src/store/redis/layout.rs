//! The layout of a prefix: which keys there are, how they are named and what they hold. A key of its own holds the number of
//! the layout.
//!
//! Every connection reads that number before it is used. A gateway never reads or writes another layout than its own: it
//! would find nothing under its names and call each payment unknown. Nothing here converts one layout into another.

use super::{
    error::{Unfit, in_words, refusal},
    plan::Plan,
};
use redis::{Pipeline, ServerError, Value, aio::MultiplexedConnection};

/// The number of the layout that this version reads and writes. Layout 1 had the partition's number as hash tag, one stream
/// of delivery records for each source, and no key for its number.
pub(super) const LAYOUT: &str = "2";

/// Adds the question for the number of the layout.
pub(super) fn ask(questions: &mut Pipeline, plan: &Plan) {
    questions.cmd("GET").arg(plan.layout());
}

/// Checks the answer to [`ask`]. Where the prefix is still empty, writes the number of our layout; of several gateways that do
/// so at the same time, the first one wins, and the others check its number.
pub(super) async fn check(
    connection: &mut MultiplexedConnection,
    plan: &Plan,
    answer: &Value,
) -> Result<(), Unfit> {
    if let Some(number) = read(answer)? {
        return compare(plan, &number);
    }
    if let Some(key) = key_of_layout_1(connection, plan).await? {
        let found = format!("1 ({key} exists, {} does not)", plan.layout());
        return Err(other(plan, &found));
    }
    let mut commands = Pipeline::with_capacity(1);
    commands.cmd("SET").arg(plan.layout()).arg(LAYOUT).arg("NX").arg("GET");
    let answers = send(connection, &commands, 1).await?;
    let [answer] = &answers[..] else { return Err(Unfit::NotYet("no answer".to_owned())) };
    // With NX and GET the answer is what the key held before: if it was missing, it holds our number now.
    read(answer)?.map_or(Ok(()), |number| compare(plan, &number))
}

/// Returns a key that only layout 1 has, if there is one: the head of a partition, which lives as long as the prefix.
async fn key_of_layout_1(
    connection: &mut MultiplexedConnection,
    plan: &Plan,
) -> Result<Option<String>, Unfit> {
    let heads: Vec<_> = (0..=u8::MAX).map(|partition| plan.head_of_layout_1(partition)).collect();
    let mut commands = Pipeline::with_capacity(heads.len());
    // The slots differ, so one EXISTS for all of them would fail on a cluster.
    for head in &heads {
        commands.cmd("EXISTS").arg(head);
    }
    let answers = send(connection, &commands, heads.len()).await?;
    // In a cluster, each server knows only those keys that it has.
    let is_elsewhere = |error: &&ServerError| ["MOVED", "ASK"].contains(&error.code());
    if let Some(error) = answers.iter().filter_map(refusal).find(|error| !is_elsewhere(error)) {
        return Err(Unfit::refused(error));
    }
    let found =
        heads.into_iter().zip(answers).find(|(_, answer)| matches!(answer, Value::Int(found) if *found != 0));
    Ok(found.map(|(head, _)| head))
}

async fn send(
    connection: &mut MultiplexedConnection,
    commands: &Pipeline,
    count: usize,
) -> Result<Vec<Value>, Unfit> {
    let answers = connection.send_packed_commands(commands, 0, count).await;
    answers.map_err(|error| Unfit::NotYet(in_words(&error)))
}

/// Reads the number of a layout; nothing if the key of the layout is missing.
fn read(answer: &Value) -> Result<Option<String>, Unfit> {
    match answer {
        Value::Nil => Ok(None),
        Value::BulkString(number) => Ok(Some(String::from_utf8_lossy(number).into_owned())),
        Value::ServerError(error) => Err(Unfit::refused(error)),
        _ => Err(Unfit::NotYet("it does not tell the layout of its keys".to_owned())),
    }
}

fn compare(plan: &Plan, number: &str) -> Result<(), Unfit> {
    if number == LAYOUT { Ok(()) } else { Err(other(plan, &format!("{number} ({} says so)", plan.layout()))) }
}

/// Says what was found, what is needed and what to do.
fn other(plan: &Plan, found: &str) -> Unfit {
    let prefix = plan.prefix();
    Unfit::Wrong(vec![format!(
        "the keys of prefix {prefix} have layout {found}, and this version of Paystream needs layout {LAYOUT} and converts \
         none: give another prefix under [store], or delete all keys that begin with {prefix}:, or run the version that \
         wrote them"
    )])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_layout_is_refused_with_what_was_found_what_is_needed_and_what_to_do() {
        let plan = Plan::new("ps".to_owned());
        assert_eq!(compare(&plan, LAYOUT), Ok(()));
        for number in ["1", "3", "02", "", "two"] {
            let Err(Unfit::Wrong(faults)) = compare(&plan, number) else { panic!("{number} is accepted") };
            let told = faults.join("; ");
            for part in [
                format!("have layout {number} (ps:layout says so)"),
                "needs layout 2".to_owned(),
                "give another prefix under [store]".to_owned(),
                "delete all keys that begin with ps:".to_owned(),
            ] {
                assert!(told.contains(&part), "{told}");
            }
        }
    }
}
