//! What ids stand for: telling it, keeping what was learned, and retiring the long unused rest.

use std::mem;

use super::{Learned, Scribe};
use crate::columns::{Batch, ConversationRow, EndpointRow, PointRow, SymbolRow, TextRow};
use crate::table::{NONE, PAGE};

/// Entries that were used within this many seconds are never retired …
const RETIRE_AFTER: i64 = 3_600;

/// … or within this many, where a quota refused new ones.
const RETIRE_AFTER_REFUSAL: i64 = 30;

impl Scribe {
    /// Whether a dictionary is so full that what was not learned should be retired.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        self.endpoints.is_pressed()
            || self.conversations.is_pressed()
            || self.objects.is_pressed()
            || self.symbols.is_pressed()
            || self.pages.is_pressed()
            || self.texts.is_pressed()
    }

    /// Marks what was learned as permanent, with everything that it is made of.
    pub fn keep(&mut self, learned: &Learned) {
        self.symbols.keep(&learned.symbols);
        self.conversations.keep(&learned.conversations);
        self.endpoints.keep(&learned.endpoints);
        let symbols = || learned.symbols.iter().filter_map(|id| self.symbols.key(*id));
        let sets: Vec<u32> = symbols().map(|symbol| symbol.objects).collect();
        let spoken: Vec<u32> = symbols().map(|symbol| symbol.conversation).collect();
        self.objects.keep(&sets);
        self.conversations.keep(&spoken);
        let mut points = learned.points.clone();
        points.sort_unstable();
        let is_learned = |base: u32, dense| {
            let next = points.get(points.partition_point(|point| *point < base));
            base != NONE && next.is_some_and(|point| *point < base.saturating_add(length(dense)))
        };
        let pages = self.pages.iter().filter(|(id, page)| {
            is_learned(self.bases.get(*id as usize).copied().unwrap_or(NONE), page.dense)
        });
        let (pages, servers): (Vec<u32>, Vec<u32>) =
            pages.map(|(id, page)| (id, page.server)).unzip();
        self.pages.keep(&pages);
        let all = spoken.iter().chain(&learned.conversations);
        let parties = all.filter_map(|id| self.conversations.key(*id));
        let parties = parties.flat_map(|one| [one.client, one.server]).chain(servers);
        self.endpoints.keep(&parties.collect::<Vec<_>>());
    }

    /// Retires what was long unused and is neither learned nor in use: `conversations` and
    /// `endpoints` are those of open flows. Only between two batches.
    pub fn retire(&mut self, conversations: &[u32], endpoints: &[u32]) {
        let now = self.second;
        let patience = if self.has_refused() { RETIRE_AFTER_REFUSAL } else { RETIRE_AFTER };
        let before = now.saturating_sub(patience);
        self.symbols.retire(before, now, |_| false);
        self.pages.retire(before, now, |_| false);
        let held = marks(self.symbols.iter().map(|(_, symbol)| symbol.objects));
        self.objects.retire(before, now, |id| is_marked(&held, id));
        let spoken = self.symbols.iter().map(|(_, symbol)| symbol.conversation);
        let held = marks(spoken.chain(conversations.iter().copied()));
        self.conversations.retire(before, now, |id| is_marked(&held, id));
        let parties = self.conversations.iter().flat_map(|(_, one)| [one.client, one.server]);
        let servers = self.pages.iter().map(|(_, page)| page.server);
        let held = marks(parties.chain(servers).chain(endpoints.iter().copied()));
        self.endpoints.retire(before, now, |id| is_marked(&held, id));
        let protocols = self.conversations.iter().map(|(_, one)| one.protocol);
        let named = self.pages.iter().flat_map(|(_, page)| [page.protocol, page.name]);
        let ranges = self.objects.iter().flat_map(|(_, set)| set.iter().map(|range| range.name));
        let held = marks(protocols.chain(named).chain(ranges));
        self.texts.retire(before, now, |id| is_marked(&held, id));
        self.list_retired();
    }

    /// Defines and retires again what an undelivered batch did; batches are put back in order.
    pub fn put_back(&mut self, batch: Batch) {
        let Batch { defined, retired, .. } = &mut self.batch;
        defined.append(batch.defined);
        retired.append(batch.retired);
    }

    /// Whether a quota refused something since room was made last.
    #[must_use]
    pub fn has_refused(&self) -> bool {
        self.endpoints.has_refused()
            || self.conversations.has_refused()
            || self.objects.has_refused()
            || self.symbols.has_refused()
            || self.pages.has_refused()
            || self.texts.has_refused()
    }

    fn list_retired(&mut self) {
        let retired = &mut self.batch.retired;
        retired.symbols.extend(self.symbols.take_retired());
        retired.conversations.extend(self.conversations.take_retired());
        retired.endpoints.extend(self.endpoints.take_retired());
        retired.texts.extend(self.texts.take_retired());
        self.objects.take_retired();
        for id in self.pages.take_retired() {
            let Some(slot) = self.bases.get_mut(id as usize) else { continue };
            let base = mem::replace(slot, NONE);
            // The key is gone; a dense page begins where its free list may take it back whole.
            let dense = self.dense_bases.remove(&base);
            let (free, length) = if dense {
                (&mut self.free_pages, PAGE as u32)
            } else {
                (&mut self.free_points, 1)
            };
            free.push(base);
            retired.points.extend(base..base.saturating_add(length));
        }
    }

    pub(super) fn define(&mut self) {
        let defined = &mut self.batch.defined;
        for id in self.texts.take_defined() {
            let Some(text) = self.texts.key(id) else { continue };
            defined.texts.push(TextRow { id, text: text.to_string() });
        }
        for id in self.endpoints.take_defined() {
            let Some(one) = self.endpoints.key(id) else { continue };
            let address = one.address.to_string();
            defined.endpoints.push(EndpointRow { id, vlan: one.vlan.0, address });
        }
        for id in self.conversations.take_defined() {
            let Some(one) = self.conversations.key(id) else { continue };
            defined.conversations.push(ConversationRow {
                id,
                client: one.client,
                server: one.server,
                protocol: one.protocol,
                carrier: one.carrier as u8,
                port: one.port,
            });
        }
        for id in self.symbols.take_defined() {
            let Some(one) = self.symbols.key(id) else { continue };
            defined.symbols.push(SymbolRow {
                id,
                conversation: one.conversation,
                from_client: one.from_client,
                role: one.role as u8,
                activity: one.activity as u8,
                status: one.status,
                function: one.function,
                subfunction: one.subfunction,
                unit: one.unit,
                coarse: one.coarse,
                objects: self.objects.key(one.objects).cloned().unwrap_or_default(),
            });
        }
        self.objects.take_defined();
        for id in self.pages.take_defined() {
            let Some(page) = self.pages.key(id) else { continue };
            let base = self.bases.get(id as usize).copied().unwrap_or(NONE);
            defined.points.push(PointRow {
                id: base,
                length: length(page.dense),
                server: page.server,
                protocol: page.protocol,
                unit: page.unit,
                kind: page.kind,
                address: page.address,
                name_text: page.name,
            });
        }
    }
}

const fn length(dense: bool) -> u32 {
    if dense { PAGE as u32 } else { 1 }
}

fn marks(ids: impl Iterator<Item = u32>) -> Vec<bool> {
    let mut marked = Vec::new();
    for id in ids {
        let place = id as usize;
        if place >= marked.len() {
            marked.resize(place + 1, false);
        }
        if let Some(mark) = marked.get_mut(place) {
            *mark = true;
        }
    }
    marked
}

fn is_marked(marked: &[bool], id: u32) -> bool {
    marked.get(id as usize).copied().unwrap_or(false)
}
