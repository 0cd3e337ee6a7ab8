//! Batches, spelled back into words as a reader of them would.

use std::collections::BTreeMap;

use hotpath::columns::{Batch, SymbolRow, TrafficRow};
use hotpath::words::{ConnectionState, NoticeKind, Sighted};

#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub id: u64,
    pub time: i64,
    pub first_frame: u64,
    pub frame: u64,
    pub part: u16,
    pub conversation: String,
    pub symbol: SymbolRow,
    pub reply_to: u64,
    pub latency: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Noticed {
    pub kind: &'static str,
    pub conversation: String,
    pub detail: String,
    pub frame: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Connected {
    pub conversation: String,
    pub state: &'static str,
    pub time: i64,
    pub frame: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub endpoint: String,
    pub mac: u64,
    pub ttl: u8,
    pub how: &'static str,
    pub frame: u64,
}

/// Where a tick ends: second, epoch, and all rows so far by table.
pub type Mark = (i64, u32, Vec<u64>);

/// All that was heard, in words; and what the ids stand for at present.
#[derive(Debug, Default)]
pub struct Heard {
    pub messages: Vec<Said>,
    pub notices: Vec<Noticed>,
    pub connections: Vec<Connected>,
    pub traffic: Vec<(String, TrafficRow)>,
    pub facts: Vec<(String, String)>,
    pub sightings: Vec<Seen>,
    pub values: usize,
    pub marks: Vec<Mark>,
    pub untils: Vec<i64>,
    pub texts: BTreeMap<u32, String>,
    pub endpoints: BTreeMap<u32, String>,
    pub conversations: BTreeMap<u32, (u32, u32, u32, u16)>,
    pub symbols: BTreeMap<u32, SymbolRow>,
    pub points: BTreeMap<u32, u32>,
    pub retired: usize,
    rows: Vec<u64>,
}

impl Heard {
    /// Takes over a batch; panics where an id in it stands for nothing.
    pub fn take(&mut self, batch: &Batch) {
        self.define(batch);
        self.mark(batch);
        let tables = &batch.tables;
        for row in 0..tables.messages.len() {
            let symbol = self.symbols[&tables.messages.symbol[row]].clone();
            self.spell(symbol.conversation);
            self.messages.push(Said {
                id: tables.messages.id[row],
                time: tables.messages.time[row],
                first_frame: tables.messages.first_frame[row],
                frame: tables.messages.frame[row],
                part: tables.messages.part[row],
                conversation: self.spell(tables.messages.conversation[row]),
                symbol,
                reply_to: tables.messages.reply_to[row],
                latency: tables.messages.latency[row],
            });
        }
        for point in tables.items.point.iter().chain(&tables.values.point) {
            let (first, length) = self.points.range(..=point).next_back().unwrap_or((&0, &1));
            assert!(point - first < *length, "no such point: {point}");
        }
        self.values += tables.values.len();
        let notices = &tables.notices;
        for row in 0..notices.len() {
            self.spell_endpoint(notices.endpoint[row]);
            self.notices.push(Noticed {
                kind: NoticeKind::ALL[usize::from(notices.kind[row])].name(),
                conversation: self.spell(notices.conversation[row]),
                detail: self.spell_text(notices.detail[row]),
                frame: notices.frame[row],
            });
        }
        let connections = &tables.connections;
        for row in 0..connections.len() {
            self.connections.push(Connected {
                conversation: self.spell(connections.conversation[row]),
                state: ConnectionState::ALL[usize::from(connections.state[row])].name(),
                time: connections.time[row],
                frame: connections.frame[row],
            });
        }
        for row in 0..tables.facts.len() {
            let (key, value) = (tables.facts.key[row], tables.facts.value[row]);
            self.facts.push((self.spell_text(key), self.spell_text(value)));
        }
        let sightings = &tables.sightings;
        for row in 0..sightings.len() {
            self.sightings.push(Seen {
                endpoint: self.spell_endpoint(sightings.endpoint[row]),
                mac: sightings.mac[row],
                ttl: sightings.ttl[row],
                how: Sighted::ALL[usize::from(sightings.arp[row])].name(),
                frame: sightings.frame[row],
            });
        }
        self.take_traffic(batch);
    }

    fn take_traffic(&mut self, batch: &Batch) {
        let all = &batch.tables.traffic;
        for row in 0..all.len() {
            let spelled = self.spell(all.conversation[row]);
            assert!(!spelled.is_empty(), "traffic of no conversation");
            self.traffic.push((
                spelled,
                TrafficRow {
                    conversation: all.conversation[row],
                    second: all.second[row],
                    first_frame: all.first_frame[row],
                    last_frame: all.last_frame[row],
                    client_frames: all.client_frames[row],
                    client_bytes: all.client_bytes[row],
                    server_frames: all.server_frames[row],
                    server_bytes: all.server_bytes[row],
                    retransmissions: all.retransmissions[row],
                    gaps: all.gaps[row],
                    duplicates: all.duplicates[row],
                    client_largest: all.client_largest[row],
                    server_largest: all.server_largest[row],
                    client_head: all.client_head[row],
                    server_head: all.server_head[row],
                },
            ));
        }
    }

    fn define(&mut self, batch: &Batch) {
        let Batch { defined, retired, .. } = batch;
        let ids = [&retired.texts, &retired.endpoints, &retired.conversations, &retired.symbols];
        self.retired += ids.iter().map(|ids| ids.len()).sum::<usize>() + retired.points.len();
        for id in &retired.texts {
            assert!(self.texts.remove(id).is_some(), "text {id} was not defined");
        }
        for id in &retired.endpoints {
            assert!(self.endpoints.remove(id).is_some(), "endpoint {id} was not defined");
        }
        for id in &retired.conversations {
            assert!(self.conversations.remove(id).is_some(), "conversation {id} was not defined");
        }
        for id in &retired.symbols {
            assert!(self.symbols.remove(id).is_some(), "symbol {id} was not defined");
        }
        for id in &retired.points {
            self.points.remove(id);
        }
        for (id, text) in defined.texts.id.iter().zip(&defined.texts.text) {
            assert!(self.texts.insert(*id, text.clone()).is_none(), "text {id} is taken");
        }
        for (id, address) in defined.endpoints.id.iter().zip(&defined.endpoints.address) {
            let old = self.endpoints.insert(*id, address.clone());
            assert!(old.is_none(), "endpoint {id} is taken");
        }
        let all = &defined.conversations;
        for row in 0..all.len() {
            let new = (all.client[row], all.server[row], all.protocol[row], all.port[row]);
            assert!(self.conversations.insert(all.id[row], new).is_none());
        }
        let all = &defined.symbols;
        for row in 0..all.len() {
            let new = SymbolRow {
                id: all.id[row],
                conversation: all.conversation[row],
                from_client: all.from_client[row],
                role: all.role[row],
                activity: all.activity[row],
                status: all.status[row],
                function: all.function[row],
                subfunction: all.subfunction[row],
                unit: all.unit[row],
                coarse: all.coarse[row],
                objects: all.objects[row].clone(),
            };
            assert!(self.symbols.insert(all.id[row], new).is_none());
        }
        for (id, length) in defined.points.id.iter().zip(&defined.points.length) {
            self.points.insert(*id, *length);
        }
    }

    fn mark(&mut self, batch: &Batch) {
        let tables = &batch.tables;
        let marks = &batch.marks;
        self.rows.resize(8, 0);
        for row in 0..marks.len() {
            let stops = [
                marks.messages[row],
                marks.items[row],
                marks.values[row],
                marks.traffic[row],
                marks.connections[row],
                marks.sightings[row],
                marks.facts[row],
                marks.notices[row],
            ];
            let stops = self.rows.iter().zip(stops).map(|(before, rows)| before + rows);
            self.marks.push((marks.second[row], marks.epoch[row], stops.collect()));
        }
        let all = tables.mark(0, 0);
        let all = [
            all.messages,
            all.items,
            all.values,
            all.traffic,
            all.connections,
            all.sightings,
            all.facts,
            all.notices,
        ];
        for (sum, rows) in self.rows.iter_mut().zip(all) {
            *sum += rows;
        }
        self.untils.push(batch.until);
    }

    /// A conversation in words; empty for 0.
    pub fn spell(&self, id: u32) -> String {
        if id == 0 {
            return String::new();
        }
        let (client, server, protocol, port) = self.conversations[&id];
        let [client, server] = [client, server].map(|end| self.spell_endpoint(end));
        format!("{client} > {server} {}/{port}", self.spell_text(protocol))
    }

    fn spell_endpoint(&self, id: u32) -> String {
        if id == 0 { "anybody".to_owned() } else { self.endpoints[&id].clone() }
    }

    fn spell_text(&self, id: u32) -> String {
        if id == 0 { String::new() } else { self.texts[&id].clone() }
    }

    /// Kinds of notices, in order.
    pub fn kinds(&self) -> Vec<&'static str> {
        self.notices.iter().map(|notice| notice.kind).collect()
    }

    /// States of connections, with the conversation's name.
    pub fn states(&self) -> Vec<(&str, &'static str)> {
        self.connections.iter().map(|row| (row.conversation.as_str(), row.state)).collect()
    }

    /// Id, first frame, frame and part of every message.
    pub fn places(&self) -> Vec<(u64, u64, u64, u16)> {
        let place = |said: &Said| (said.id, said.first_frame, said.frame, said.part);
        self.messages.iter().map(place).collect()
    }
}
