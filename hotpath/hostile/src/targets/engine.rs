use hotpath::columns::{Batch, Tables};
use hotpath::record::Recorder;

use crate::frames::{self, Listed};
use crate::reader::{Listener, small};

/// Frames through the whole hot path with small bounds: every batch keeps its contract, and where
/// batches end changes nothing.
pub fn engine(bytes: &[u8]) {
    let Some((first, list)) = bytes.split_first() else { return };
    let listed = frames::read(list);
    let is_recorded = first & 1 == 1;
    let cut = play(&listed, is_recorded);
    let uncut: Vec<Listed> =
        listed.into_iter().map(|one| Listed { how: one.how & !16, ..one }).collect();
    let whole = play(&uncut, is_recorded);
    assert!(cut == whole, "where batches end changes what is told");
}

/// Rows of all tables, and the records.
fn play(listed: &[Listed], is_recorded: bool) -> (Tables, Vec<u8>) {
    let mut listener = Listener::new(&small());
    listener.kept = Some(Vec::new());
    if is_recorded {
        listener.engine.record(Recorder::new(None));
    }
    for one in listed {
        listener.hear(one);
    }
    listener.finish();
    let (mut tables, mut records) = (Tables::default(), Vec::new());
    for batch in listener.kept.unwrap_or_default() {
        let Batch { tables: rows, records: lines, .. } = batch;
        append(&mut tables, rows);
        records.extend(lines);
    }
    // NaN stands for text, and is no number: bits tell whether values are the same.
    tables.values.number.clear();
    (tables, records)
}

fn append(all: &mut Tables, more: Tables) {
    all.messages.append(more.messages);
    all.items.append(more.items);
    all.values.append(more.values);
    all.traffic.append(more.traffic);
    all.connections.append(more.connections);
    all.sightings.append(more.sightings);
    all.facts.append(more.facts);
    all.notices.append(more.notices);
}
