//! Labels: how whoever watches an id that is no payment's comes to the payment that this id points at.
//!
//! The log of a label lies in the partition of the payment with the same id. So a topic hears of both, and an id costs nothing more as long
//! as its label is not bound. A payment's own log goes before its label: nobody can take an id over by a label. A label points at payments
//! and at nothing else, so there are no chains and no circles.

use super::{Hub, history::History, pointing::Pointing, topic::Topic, watchers::Watcher};
use crate::{
    payment::{Bindings, Name, Subject},
    store::StoreError,
};
use std::sync::Arc;

/// How new a history has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Freshness {
    /// It was read after the call.
    Now,
    /// It may have been read a moment ago, since the topics hear of what came later.
    Lately,
}

impl Hub {
    /// Reads what a topic's watchers follow: its own log or, if that is empty, the log of the payment that its id points at.
    pub(super) async fn followed(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        freshness: Freshness,
    ) -> Result<Arc<History>, StoreError> {
        let reads = |topic: &Topic| if freshness == Freshness::Now { topic.reads() } else { 0 };
        let own = self.history(topic, reads(topic)).await?;
        if own.first_is_there() {
            return Ok(own);
        }
        let target = match topic.target().filter(|_| freshness == Freshness::Lately) {
            Some(target) => Some(target),
            None => self.resolve(topic).await?,
        };
        let Some(target) = target else { return Ok(own) };
        let history = self.history(&target, reads(&target)).await?;
        if history.first_is_there() {
            Ok(Arc::new(history.led_by(&topic.subject().id)))
        } else {
            // The payment was erased this very moment; its topic is about to ring.
            Ok(own)
        }
    }

    /// Reads the log of a topic's label, and has the topic follow the payment that the label points at. Returns that payment's topic.
    pub(super) async fn resolve(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
    ) -> Result<Option<Arc<Topic>>, StoreError> {
        let subject = topic.subject();
        let Some(label) = Subject::label(&subject.realm, subject.id.clone()) else { return Ok(None) };
        let flight = topic.flight();
        let asked = flight.label_reads();
        loop {
            // Of many who ask at once, one reads for all who wait.
            if flight.is_unbound_since(asked) {
                return Ok(None);
            }
            let pointing = self.partition(subject.partition()).pointing_or_new(topic, &self.due);
            let Some(pointing) = pointing else { return Ok(None) };
            let _turn = pointing.turn.lock().await;
            if pointing.is_over() {
                // Another reader found the label unbound, or the topic has gone; if it is watched, it gets another one.
                continue;
            }
            let read = flight.begin_label_read();
            let bindings = {
                // The semaphore is never closed.
                let _permit = self.reads.acquire().await;
                let log = self.store.read(&label).await?;
                Bindings::fold(log.entries.iter().map(|entry| &*entry.event))
            };
            let payments = bindings.payments();
            if payments.is_empty() {
                flight.found_unbound(read);
                self.partition(subject.partition()).forget_pointing(subject, &pointing);
                self.release(topic, &pointing);
                return Ok(None);
            }
            pointing.bind(bindings);
            self.watch_payments(&pointing, subject, payments).await?;
            if pointing.choose(topic) {
                topic.ring_followers();
            }
            return Ok(topic.target());
        }
    }

    /// Watches the payments of a label, and reads their logs if nobody did. The end of the asker's topic ends these watches, also if this
    /// future was dropped.
    async fn watch_payments(
        self: &Arc<Self>,
        pointing: &Pointing,
        asker: &Subject,
        payments: Vec<Name>,
    ) -> Result<(), StoreError> {
        for payment in payments {
            let topic = match pointing.topic(&payment) {
                Some(topic) => topic,
                None => {
                    let topic =
                        self.enter(&Subject::payment(asker.realm.clone(), payment), pointing.watcher());
                    if !pointing.add(Arc::clone(&topic)) {
                        self.end_watch(&topic, pointing.watcher());
                        return Ok(());
                    }
                    topic
                }
            };
            // Its last notice may have come before anybody watched it here.
            if !topic.is_read() {
                self.history(&topic, 0).await?;
            }
        }
        Ok(())
    }

    /// Reads the log of a topic's label in a task of its own, since a notice told of it.
    pub(super) fn resolve_later(self: &Arc<Self>, topic: Arc<Topic>) {
        let hub = Arc::clone(self);
        tokio::spawn(async move { hub.ask(|| hub.resolve(&topic)).await });
    }

    /// Tells askers of the news of their payments, until it is dropped.
    pub(super) async fn tell_askers(&self) {
        loop {
            for asker in self.due.askers().await {
                let subject = asker.subject();
                let pointing = self.partition(subject.partition()).pointing(subject);
                if let Some(pointing) = pointing {
                    pointing.choose(&asker);
                    asker.ring_followers();
                }
            }
        }
    }

    /// Starts to watch a log.
    pub(super) fn enter(&self, subject: &Subject, watcher: &Watcher) -> Arc<Topic> {
        let mut partition = self.partition(subject.partition());
        let topic = partition.topic_or_new(subject);
        topic.add(watcher.clone());
        topic
    }

    /// Ends one watch. The last one ends the topic. The last one of a follower ends what the topic did to follow another: topics that are
    /// watched only because they point at each other would otherwise never end.
    pub(super) fn end_watch(&self, topic: &Arc<Topic>, watcher: &Watcher) {
        // Under the partition's lock, as in `enter`, so that no watcher can join a topic that is being forgotten.
        let subject = topic.subject();
        let pointing = {
            let mut partition = self.partition(subject.partition());
            if topic.remove(watcher) {
                partition.forget(subject);
            }
            if topic.is_followed() { None } else { partition.take_pointing(subject) }
        };
        if let Some(pointing) = pointing {
            self.release(topic, &pointing);
        }
    }

    /// Has a topic follow nothing but its own log. The locks are taken one after the other.
    fn release(&self, topic: &Arc<Topic>, pointing: &Pointing) {
        if topic.point_at(None) {
            topic.ring_followers();
        }
        for payment in pointing.end() {
            self.end_watch(&payment, pointing.watcher());
        }
    }
}
