//! Items and values: which process variables a message touches.

use super::{Place, Scribe};
use crate::columns::{ItemRow, ValueRow};
use crate::net::Arrival;
use crate::protocols::{Message, Object};
use crate::table::{Full, NONE, PAGE, Page, blamed};

impl Scribe {
    pub(super) fn items(&mut self, place: &Place, message: &Message<'_>, id: u64, now: Arrival) {
        let first_item = self.next_item;
        for object in message.objects {
            let page = self.page(place, message.unit, object, now);
            let point = self.point(&page, object.address, place.client, now);
            self.batch.tables.items.push(ItemRow {
                message: id,
                point,
                access: object.access as u8,
                count: object.count,
                status: object.status,
            });
            self.next_item += 1;
        }
        // Values come object by object and in address order: one page serves many.
        let mut current: Option<(u16, Page, u32)> = None;
        for value in message.values {
            let Some(object) = message.objects.get(usize::from(value.object)) else { continue };
            let address = object.address.saturating_add(u64::from(value.offset));
            let known = current.filter(|(place, page, _)| {
                *place == value.object && page.dense && page.address == address & !(PAGE - 1)
            });
            let point = if let Some((_, page, base)) = known {
                base.saturating_add((address - page.address) as u32)
            } else {
                let mut page = self.page(place, message.unit, object, now);
                page.address = if page.dense { address & !(PAGE - 1) } else { address };
                let point = self.point(&page, address, place.client, now);
                let base = point.saturating_sub((address - page.address) as u32);
                current = (point != NONE).then_some((value.object, page, base));
                point
            };
            let text = value.text.map_or(NONE, |text| self.text(text, place.server, now));
            self.batch.tables.values.push(ValueRow {
                item: first_item + u64::from(value.object),
                point,
                kind: value.kind as u8,
                number: value.kind.number(value.raw),
                raw: value.raw,
                text,
                quality: value.quality,
                source_time: value.source_time,
            });
        }
    }

    fn page(&mut self, place: &Place, unit: u32, object: &Object<'_>, now: Arrival) -> Page {
        let name = object.name.map_or(NONE, |name| self.text(name, place.client, now));
        let dense = name == NONE
            && place.spoken.objects.get(usize::from(object.kind)).is_some_and(|kind| kind.dense);
        let address = if dense { object.address & !(PAGE - 1) } else { object.address };
        Page {
            server: place.server,
            protocol: place.protocol,
            unit,
            kind: object.kind,
            dense,
            address,
            name,
        }
    }

    fn point(&mut self, page: &Page, address: u64, client: u32, now: Arrival) -> u32 {
        match self.pages.intern(page, blamed(client), self.second) {
            Ok(id) => {
                let base = self.base(id, page.dense);
                base.saturating_add((address - page.address) as u32)
            }
            Err(Full) => self.complain("points", client, now),
        }
    }

    fn base(&mut self, id: u32, dense: bool) -> u32 {
        if let Some(&base) = self.bases.get(id as usize) {
            if base != NONE {
                return base;
            }
        } else {
            self.bases.resize(id as usize + 1, NONE);
        }
        let (free, length) =
            if dense { (&mut self.free_pages, PAGE as u32) } else { (&mut self.free_points, 1) };
        let base = free.pop().unwrap_or_else(|| {
            let base = self.next_point;
            self.next_point = base.saturating_add(length);
            base
        });
        if let Some(slot) = self.bases.get_mut(id as usize) {
            *slot = base;
        }
        if dense {
            self.dense_bases.insert(base);
        }
        base
    }
}
