//! Items and values: which process variables a message touches.

use std::iter::repeat_n;

use smallvec::SmallVec;

use super::{Place, Scribe};
use crate::columns::ItemRow;
use crate::net::Arrival;
use crate::protocols::{Block, Message, Object, Value, Values};
use crate::table::{Full, NONE, PAGE, Page, blamed};

/// The place of an object in its message, a page of its points, and the first id in it.
type Known = (u16, Page, u32);

/// A page whose point at `address` has an id.
fn known(object: u16, page: Page, address: u64, point: u32) -> Option<Known> {
    let base = point.saturating_sub(address.saturating_sub(page.address) as u32);
    (point != NONE).then_some((object, page, base))
}

/// A block of values, and what all of them share.
struct Run<'a> {
    block: Block<'a>,
    text: Option<&'a str>,
    quality: u32,
    source_time: i64,
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
        match message.values {
            Values::Blocks(blocks) => {
                for block in blocks.iter() {
                    let run = Run { block, text: None, quality: 0, source_time: 0 };
                    self.values(place, message, &run, first_item, &mut current, now);
                }
            }
            Values::Each(values) => {
                let mut raws: SmallVec<[u64; 32]> = SmallVec::new();
                for alike in values.chunk_by(Value::leads_to) {
                    let Some(&Value { object, offset, kind, text, quality, source_time, .. }) =
                        alike.first()
                    else {
                        break;
                    };
                    raws.clear();
                    raws.extend(alike.iter().map(|value| value.raw));
                    let block = Block { object, offset, kind, raws: &raws };
                    let run = Run { block, text, quality, source_time };
                    self.values(place, message, &run, first_item, &mut current, now);
                }
            }
        }
    }

    /// Most rows of all are values: they are written run by run and column by column.
    fn values(
        &mut self,
        place: &Place,
        message: &Message<'_>,
        run: &Run<'_>,
        first_item: u64,
        current: &mut Option<Known>,
        now: Arrival,
    ) {
        let Run { block: Block { object: number, kind, raws, .. }, quality, source_time, .. } =
            *run;
        let Some(object) = message.objects.get(usize::from(number)) else {
            debug_assert!(false, "a value of no object");
            return;
        };
        self.value_points(place, message.unit, object, &run.block, current, now);
        let text = run.text.map_or(NONE, |text| self.text(text, place.server, now));
        let columns = &mut self.batch.tables.values;
        columns.item.extend(repeat_n(first_item + u64::from(number), raws.len()));
        columns.kind.extend(repeat_n(kind as u8, raws.len()));
        kind.numbers(raws, &mut columns.number);
        columns.raw.extend_from_slice(raws);
        columns.text.extend(repeat_n(text, raws.len()));
        columns.quality.extend(repeat_n(quality, raws.len()));
        columns.source_time.extend(repeat_n(source_time, raws.len()));
    }

    /// Values come object by object and in address order: one page serves many.
    fn value_points(
        &mut self,
        place: &Place,
        unit: u32,
        object: &Object<'_>,
        block: &Block<'_>,
        current: &mut Option<Known>,
        now: Arrival,
    ) {
        let mut address = object.address.saturating_add(u64::from(block.offset));
        let mut left = block.raws.len() as u64;
        while left > 0 {
            let served = current.filter(|(number, page, _)| {
                *number == block.object && page.dense && page.address == address & !(PAGE - 1)
            });
            let (point, dense) = if let Some((_, page, base)) = served {
                (base.saturating_add((address - page.address) as u32), true)
            } else {
                let mut page = self.page(place, unit, object, now);
                page.address = if page.dense { address & !(PAGE - 1) } else { address };
                let point = self.point(&page, address, place.client, now);
                *current = known(block.object, page, address, point);
                (point, page.dense)
            };
            let on_page = if dense { left.min(PAGE - (address & (PAGE - 1))) } else { 1 };
            let points = &mut self.batch.tables.values.point;
            if point == NONE {
                points.extend(repeat_n(NONE, on_page as usize));
            } else {
                points.extend((0..on_page as u32).map(|offset| point.saturating_add(offset)));
            }
            address = address.saturating_add(on_page);
            left -= on_page;
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
