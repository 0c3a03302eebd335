//! Which primary serves which slot. A single server and a Sentinel group are a map with one node.
//!
//! [`Map`] is one state of it and pure. [`Board`] shows the newest one to all who route by it, and takes what they learn from redirections.

use super::{
    node::Node,
    slot::{self, SLOTS},
};
use crate::payment::PartitionSet;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{Notify, watch};

/// How many partitions may be heard at a node that imports their slots; there are no more.
const GUESTS: usize = 256;

/// One state of the topology.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Map {
    /// The nodes that own slots.
    nodes: Vec<Node>,
    /// For each slot the place of its owner in `nodes`; beyond them where nobody serves the slot.
    owners: Vec<u16>,
    /// The nodes that import the slots of these partitions now. Appends that run there are published there alone.
    guests: BTreeMap<u8, Node>,
}

impl Map {
    /// A map in which one node serves all slots.
    pub(super) fn single(node: Node) -> Self {
        Self { nodes: vec![node], owners: vec![0; usize::from(SLOTS)], guests: BTreeMap::new() }
    }

    /// A map in which nobody serves anything.
    pub(super) fn empty() -> Self {
        Self { nodes: Vec::new(), owners: vec![u16::MAX; usize::from(SLOTS)], guests: BTreeMap::new() }
    }

    /// Gives the slots from `first` to `last` to a node.
    pub(super) fn give(&mut self, first: u16, last: u16, node: Node) {
        let place = self.nodes.iter().position(|known| *known == node).unwrap_or_else(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        });
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        if let Some(owners) = self.owners.get_mut(usize::from(first)..=usize::from(last)) {
            owners.fill(place);
        }
    }

    /// Leaves out the nodes that own nothing any more.
    fn tidy(&mut self) {
        let mut tidy = Self::empty();
        for slot in 0..SLOTS {
            if let Some(owner) = self.owner(slot) {
                tidy.give(slot, slot, owner.clone());
            }
        }
        tidy.guests = std::mem::take(&mut self.guests);
        // A guest that has come to own its partition is none any more.
        tidy.guests = std::mem::take(&mut tidy.guests)
            .into_iter()
            .filter(|(partition, node)| tidy.owner(slot::of_partition(*partition)) != Some(node))
            .collect();
        *self = tidy;
    }

    /// The node that serves a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Node> {
        self.nodes.get(usize::from(*self.owners.get(usize::from(slot))?))
    }

    /// The nodes that serve slots.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Whether the node serves a slot or imports one.
    pub(super) fn names(&self, node: &Node) -> bool {
        self.nodes.contains(node) || self.guests.values().any(|guest| guest == node)
    }

    /// The partitions that a node serves.
    pub(super) fn partitions(&self, node: &Node) -> PartitionSet {
        (0..=u8::MAX).filter(|partition| self.owner(slot::of_partition(*partition)) == Some(node)).collect()
    }

    /// The partitions whose slots a node imports.
    pub(super) fn guests(&self, node: &Node) -> PartitionSet {
        self.guests.iter().filter(|(_, guest)| *guest == node).map(|(partition, _)| *partition).collect()
    }

    /// How many slots are served.
    pub(super) fn served(&self) -> usize {
        self.owners.iter().filter(|owner| usize::from(**owner) < self.nodes.len()).count()
    }
}

/// Shows the newest map.
#[derive(Debug)]
pub(super) struct Board {
    map: watch::Sender<Arc<Map>>,
    /// Asks for a look at the topology before the next one is due.
    doubted: Notify,
    /// Whether the servers are a cluster, whose redirections are followed.
    is_cluster: bool,
}

impl Board {
    pub(super) fn new(map: Map, is_cluster: bool) -> Self {
        Self { map: watch::Sender::new(Arc::new(map)), doubted: Notify::new(), is_cluster }
    }

    pub(super) const fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    pub(super) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.borrow())
    }

    /// The maps that follow.
    pub(super) fn changes(&self) -> watch::Receiver<Arc<Map>> {
        self.map.subscribe()
    }

    /// Whether a node serves a slot.
    pub(super) fn is_owner(&self, slot: u16, node: &Node) -> bool {
        self.map.borrow().owner(slot) == Some(node)
    }

    /// Shows another map, unless nothing changed. Returns the map before it if something did.
    pub(super) fn show(&self, mut map: Map) -> Option<Arc<Map>> {
        let mut before = None;
        self.map.send_if_modified(|shown| {
            map.guests.clone_from(&shown.guests);
            map.tidy();
            if **shown == map {
                return false;
            }
            before = Some(std::mem::replace(shown, Arc::new(map)));
            true
        });
        before
    }

    /// Takes what a redirection `MOVED` says, at once, and asks for a look at the rest.
    pub(super) fn moved(&self, slot: u16, node: &Node) {
        self.map.send_if_modified(|shown| {
            if shown.owner(slot) == Some(node) || slot >= SLOTS {
                return false;
            }
            let mut map = Map::clone(shown);
            map.give(slot, slot, node.clone());
            map.tidy();
            *shown = Arc::new(map);
            true
        });
        self.doubt();
    }

    /// Takes what a redirection `ASK` says: the node imports the slot.
    pub(super) fn imports(&self, slot: u16, node: &Node) {
        let Some(partition) = slot::partition(slot) else { return };
        self.map.send_if_modified(|shown| {
            if shown.guests.get(&partition) == Some(node) || shown.guests.len() >= GUESTS {
                return false;
            }
            let mut map = Map::clone(shown);
            map.guests.insert(partition, node.clone());
            *shown = Arc::new(map);
            true
        });
    }

    /// Takes back that a node imports the slot of a partition, since it does not.
    pub(super) fn imports_not(&self, partition: u8, node: &Node) {
        self.map.send_if_modified(|shown| {
            let is_guest = shown.guests.get(&partition) == Some(node);
            if is_guest {
                let mut map = Map::clone(shown);
                map.guests.remove(&partition);
                *shown = Arc::new(map);
            }
            is_guest
        });
    }

    /// Asks for a look at the topology.
    pub(super) fn doubt(&self) {
        self.doubted.notify_one();
    }

    /// Returns once somebody has asked for a look.
    pub(super) async fn doubted(&self) {
        self.doubted.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_slot_changes_its_owner_alone_and_a_guest_becomes_the_owner() {
        let (a, b) = (Node::new("a", 1), Node::new("b", 2));
        let mut map = Map::empty();
        map.give(0, SLOTS - 1, a.clone());
        let board = Board::new(map, true);
        let slot = slot::of_partition(7);
        board.imports(slot, &b);
        let map = board.map();
        assert!(map.names(&b) && map.nodes() == [a.clone()] && map.guests(&b).contains(7));
        assert!(board.is_owner(slot, &a));
        board.moved(slot, &b);
        let map = board.map();
        assert_eq!((map.partitions(&b).len(), map.partitions(&a).len()), (1, 255));
        assert!(map.guests(&b).is_empty() && map.nodes().len() == 2);
        assert_eq!(map.served(), usize::from(SLOTS));
        assert!(board.show(Map::single(b.clone())).is_some());
        assert_eq!(board.map().nodes(), [b]);
    }
}
