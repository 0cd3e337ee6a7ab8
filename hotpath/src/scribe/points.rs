//! Items and values: which process variables a message touches.

use super::{Place, Scribe};
use crate::columns::ItemRow;
use crate::net::Arrival;
use crate::protocols::{Message, Object, Value};
use crate::table::{Full, NONE, PAGE, Page, blamed};

/// The place of an object in its message, a page of its points, and the first id in it.
type Known = (u16, Page, u32);

/// A page whose point at `address` has an id.
fn known(object: u16, page: Page, address: u64, point: u32) -> Option<Known> {
    let base = point.saturating_sub(address.saturating_sub(page.address) as u32);
    (point != NONE).then_some((object, page, base))
}

impl Scribe {
    pub(super) fn items(&mut self, place: &Place, message: &Message<'_>, id: u64, now: Arrival) {
        let first_item = self.next_item;
        let mut current = None;
        for (number, object) in (0..).zip(message.objects) {
            let page = self.page(place, message.unit, object, now);
            let point = self.point(&page, object.address, place.client, now);
            current = current.or_else(|| known(number, page, object.address, point));
            self.batch.tables.items.push(ItemRow {
                message: id,
                point,
                access: object.access as u8,
                count: object.count,
                status: object.status,
            });
            self.next_item += 1;
        }
        let objects = message.objects.len();
        // A value of no object would be a decoder's bug.
        let is_sound = message.values.iter().all(|value| usize::from(value.object) < objects);
        debug_assert!(is_sound, "a value of no object");
        if is_sound && !message.values.is_empty() {
            self.value_points(place, message, current, now);
            self.value_texts(place, message.values, now);
            self.values(message.values, first_item);
        }
    }

    /// Column by column: most rows of all are values.
    fn values(&mut self, values: &[Value<'_>], first_item: u64) {
        let columns = &mut self.batch.tables.values;
        columns.item.extend(values.iter().map(|value| first_item + u64::from(value.object)));
        columns.kind.extend(values.iter().map(|value| value.kind as u8));
        columns.number.extend(values.iter().map(|value| value.kind.number(value.raw)));
        columns.raw.extend(values.iter().map(|value| value.raw));
        columns.quality.extend(values.iter().map(|value| value.quality));
        columns.source_time.extend(values.iter().map(|value| value.source_time));
    }

    fn value_texts(&mut self, place: &Place, values: &[Value<'_>], now: Arrival) {
        if values.iter().all(|value| value.text.is_none()) {
            let column = &mut self.batch.tables.values.text;
            column.resize(column.len() + values.len(), NONE);
            return;
        }
        for value in values {
            let text = value.text.map_or(NONE, |text| self.text(text, place.server, now));
            self.batch.tables.values.text.push(text);
        }
    }

    /// Values come object by object and in address order: one page serves many.
    fn value_points(
        &mut self,
        place: &Place,
        message: &Message<'_>,
        mut current: Option<Known>,
        now: Arrival,
    ) {
        for value in message.values {
            let Some(object) = message.objects.get(usize::from(value.object)) else { continue };
            let address = object.address.saturating_add(u64::from(value.offset));
            let served = current.filter(|(place, page, _)| {
                *place == value.object && page.dense && page.address == address & !(PAGE - 1)
            });
            let point = if let Some((_, page, base)) = served {
                base.saturating_add((address - page.address) as u32)
            } else {
                let mut page = self.page(place, message.unit, object, now);
                page.address = if page.dense { address & !(PAGE - 1) } else { address };
                let point = self.point(&page, address, place.client, now);
                current = known(value.object, page, address, point);
                point
            };
            self.batch.tables.values.point.push(point);
        }
    }

    fn page(&mut self, place: &Place, unit: u32, object: &Object<'_>, now: Arrival) -> Page {
        let name = object.name.map_or(NONE, |name| self.text(name, place.client, now));
        let dense =
            place.spoken.objects.get(usize::from(object.kind)).is_some_and(|kind| kind.dense);
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
