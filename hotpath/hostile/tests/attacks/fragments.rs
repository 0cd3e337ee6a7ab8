//! Fragments that never become a packet, overlap, or are many; tags and headers without end.

use hostile::frames::Listed;
use hostile::mutation::Dice;
use hostile::wire::{ethernet, fragment};

use super::measure::{CENSUS, assert_linear};

const SERVER: [u8; 4] = [10, 0, 0, 2];

#[test]
fn fragments_that_never_become_a_packet() {
    let cost = assert_linear("lone fragments", 50_000, 12.0, |count| {
        let mut dice = Dice::new(1);
        (0..count).map(move |number| {
            let [a, b, c, ..] = dice.roll().to_be_bytes();
            fragment([172, a, b, c], SERVER, 6, (number as u16, 8, true), &[0; 8])
        })
    });
    assert!(cost.held[3] <= 4 << 20 && cost.most < CENSUS);
}

#[test]
fn tiny_fragments_backwards() {
    let cost = assert_linear("tiny fragments backwards", 40_000, 12.0, |count| {
        (0..count).map(|number| {
            let (id, place) = (number / 100, 99 - number % 100);
            fragment([10, 0, 0, 1], SERVER, 17, (id as u16, 8 * place as u16, place < 99), &[0; 8])
        })
    });
    assert!(cost.held[3] <= 4 << 20);
}

#[test]
fn fragments_that_overlap() {
    let cost = assert_linear("overlapping fragments", 40_000, 300.0, |count| {
        let mut dice = Dice::new(2);
        (0..count).map(move |number| {
            let id = (number / 200) as u16;
            let payload = vec![dice.roll() as u8; 8 * (1 + dice.below(180))];
            let place = 8 * dice.below(1_000) as u16;
            fragment([10, 0, 0, 1], SERVER, 17, (id, place, true), &payload)
        })
    });
    assert!(cost.held[3] <= 4 << 20 && cost.most < 2_000);
}

#[test]
fn tags_and_headers_without_end() {
    let cost = assert_linear("a thousand VLAN tags", 20_000, 12.0, |count| {
        let tags = [0x81, 0, 0, 7].repeat(1_000);
        (0..count).map(move |_| ethernet([10, 0, 0, 1], SERVER, &tags, &[]))
    });
    assert!(cost.rows < 3.0);
    assert_linear("IPv6 extension headers", 20_000, 12.0, |count| {
        // Hop-by-hop and routing headers that name each other.
        let chain = [[43, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat().repeat(80);
        let head = [&[0x60, 0, 0, 0][..], &(chain.len() as u16).to_be_bytes(), &[0, 64]].concat();
        let packet = [&head[..], &[0xFD; 32], &chain].concat();
        (0..count)
            .map(move |_| -> Listed { ethernet([10, 0, 0, 1], SERVER, &[0x86, 0xDD], &packet) })
    });
}
