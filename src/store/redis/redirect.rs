//! Redirections of a cluster. Pure.

use super::node::Node;
use redis::ServerError;

/// Where a server sends a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Redirect {
    /// The slot belongs to this node.
    Moved(u16, Node),
    /// The slot is on its way to this node, and this key is there already, or is new.
    Ask(u16, Node),
    /// Some of the keys are here and others there, so nobody can run the command now.
    Split,
}

/// Reads an error of the node `from`; nothing if it is no redirection.
pub(super) fn read(error: &ServerError, from: &Node) -> Option<Redirect> {
    let code = error.code();
    if code == "TRYAGAIN" {
        return Some(Redirect::Split);
    }
    if code != "MOVED" && code != "ASK" {
        return None;
    }
    let mut words = error.details()?.split(' ');
    let slot = words.next()?.parse().ok()?;
    let node = Node::read(words.next()?, from)?;
    Some(if code == "MOVED" { Redirect::Moved(slot, node) } else { Redirect::Ask(slot, node) })
}
