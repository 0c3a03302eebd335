//! The receipts of payments: for each stream and each process that has noted something of a payment one text, to which lines are added, and
//! beside them a head that counts them. They may be lost in a crash, so they go into the tree with the layer and not into the journal.

mod ask;

use super::{
    batch::Batch,
    layer::Layer,
    layout::{self, ReceiptHead},
    recent::Recent,
};
use crate::{
    payment::{Subject, Time},
    receipts::{RECEIPT_BYTES, RECEIPT_NODES, RECEIPT_STREAMS, ReceiptBatch, ReceiptLines},
    store::{Receipt, StoreError},
};

/// Adds lines to receipts, as far as there is room. After an error, those before it are added.
pub(super) fn add(batch: &mut Batch<'_>, receipts: ReceiptBatch, now: Time) -> Result<(), StoreError> {
    for (subject, ReceiptLines { lines, left_out }) in receipts {
        let head_key = layout::receipt_head(&subject);
        let mut head =
            batch.get(&head_key)?.map_or(Ok(ReceiptHead::default()), |head| layout::decode(&head))?;
        head.last = now;
        head.left_out += left_out;
        for (keeper, added) in lines {
            let key = layout::receipt(&subject, &keeper.field());
            let known = batch.get(&key)?;
            let (count, most) = match keeper.is_node() {
                true => (&mut head.nodes, RECEIPT_NODES),
                false => (&mut head.streams, RECEIPT_STREAMS),
            };
            if known.is_none() && *count >= most {
                head.left_out += added.lines().count() as u64;
                continue;
            }
            *count += usize::from(known.is_none());
            let mut text = known.map(Vec::from).unwrap_or_default();
            for line in added.split_inclusive('\n') {
                if text.len() + line.len() <= RECEIPT_BYTES {
                    text.extend_from_slice(line.as_bytes());
                } else {
                    head.left_out += 1;
                }
            }
            batch.set_volatile(key, Some(text));
        }
        batch.set_volatile(head_key, Some(layout::encode(&head)?));
    }
    Ok(())
}

/// The keys of a payment's receipt, as of the changes of a batch: that of its head first. None if there is no receipt.
pub(super) fn keys_of(batch: &Batch<'_>, subject: &Subject) -> Result<Vec<Vec<u8>>, StoreError> {
    let head = layout::receipt_head(subject);
    if !batch.has(&head)? {
        return Ok(Vec::new());
    }
    let texts = batch.pairs(&layout::receipt(subject, ""))?;
    Ok(std::iter::once(head).chain(texts.into_iter().map(|(key, _)| key)).collect())
}

/// Removes a payment's receipt.
pub(super) fn remove(batch: &mut Batch<'_>, subject: &Subject) -> Result<(), StoreError> {
    keys_of(batch, subject)?.into_iter().try_for_each(|key| batch.remove(key))
}

/// Reads a payment's receipt.
fn read(recent: &Recent, subject: &Subject) -> Result<Option<Receipt>, StoreError> {
    let Some(head) = recent.get(&Layer::default(), &layout::receipt_head(subject))? else { return Ok(None) };
    let ReceiptHead { left_out, .. } = layout::decode(&head)?;
    let prefix = layout::receipt(subject, "");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let texts = recent.pairs(&Layer::default(), &prefix)?;
    let lines =
        texts.iter().map(|(key, value)| (text(key.get(prefix.len()..).unwrap_or_default()), text(value)));
    Ok(Some(Receipt { lines: lines.collect(), left_out }))
}

/// What one step of the search for receipts that are too old has found.
struct Expired {
    /// The keys of receipts that are too old.
    keys: Vec<Vec<u8>>,
    /// Where the next step goes on, unless this was the last one.
    next: Option<Vec<u8>>,
}

/// Looks for receipts to which nothing was added since `before`: at `heads` of them, from the one after `after` on. Those that are in no
/// tree yet are new.
fn expired(recent: &Recent, before: Time, after: &[u8], heads: usize) -> Result<Expired, StoreError> {
    let (mut keys, mut next) = (Vec::new(), None);
    for (looked, pair) in (1..).zip(recent.tree.now().after(layout::RECEIPT_HEADS, after)) {
        let (key, _) = pair?;
        if let Some(head) = recent.get(&Layer::default(), &key)?
            && layout::decode::<ReceiptHead>(&head)?.last < before
        {
            let texts = recent.pairs(&Layer::default(), &layout::receipts_of_head(&key))?;
            keys.push(key.to_vec());
            keys.extend(texts.into_iter().map(|(key, _)| key));
        }
        if looked == heads {
            next = Some(key.to_vec());
            break;
        }
    }
    Ok(Expired { keys, next })
}
