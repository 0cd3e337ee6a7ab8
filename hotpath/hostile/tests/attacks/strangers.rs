//! Strangers without number: half-open connections, conversations, symbols.

use hostile::frames::Listed;
use hostile::mutation::Dice;
use hostile::wire::{Socket, adu, tcp, udp};

use super::measure::{CENSUS, assert_linear};

const SERVER: Socket = ([10, 0, 0, 2], 502);
const SYN: u8 = 0x02;

fn stranger(dice: &mut Dice) -> Socket {
    let address = (dice.roll() as u32).to_be_bytes();
    ([172, address[0], address[1], address[2]], dice.roll() as u16 | 1)
}

/// At the default bounds: ids ever given, reserves and finite names included.
fn assert_plateau(sizes: [usize; 5]) {
    let bounds = [65_536, 65_536, 131_072, 131_072, 4_096 * 64];
    for (size, bound) in sizes.into_iter().zip(bounds) {
        assert!(size <= bound * 9 / 8 + 2_048, "{sizes:?}");
    }
}

#[test]
fn half_open_connections() {
    let cost = assert_linear("half-open connections", 100_000, 40.0, |count| {
        let mut dice = Dice::new(1);
        (0..count).map(move |_| {
            let frame = tcp(stranger(&mut dice), SERVER, (dice.roll() as u32, 0, SYN), b"");
            Listed { wait: 0, ..frame }
        })
    });
    assert!(cost.held[0] <= 65_536 && cost.most < CENSUS);
    assert_plateau(cost.sizes);
}

/// Flows that say the beginning of something, and then nothing, while seconds go by.
#[test]
fn flows_that_stay_undecided() {
    let cost = assert_linear("flows that stay undecided", 40_000, 60.0, |count| {
        let mut dice = Dice::new(2);
        (0..count).map(move |number| {
            let half = &adu(1, 1, &[3, 0, 0, 0, 1])[..7];
            let frame = udp(stranger(&mut dice), ([10, 0, 0, 2], 9_999), half);
            Listed { wait: u8::from(number % 4 == 0), ..frame }
        })
    });
    assert!(cost.held[2] <= 32 << 20);
}

fn random_request(dice: &mut Dice, from: Socket) -> Listed {
    let [unit, function, a, b, c, ..] = dice.roll().to_be_bytes();
    let pdu = [function & 0x7F, a, b, 0, 1 + c % 100];
    Listed { wait: 0, ..udp(from, SERVER, &adu(1, unit, &pdu)) }
}

#[test]
fn symbols_of_one_client() {
    let cost = assert_linear("random symbols of one client", 100_000, 12.0, |count| {
        let mut dice = Dice::new(3);
        (0..count).map(move |_| random_request(&mut dice, ([10, 0, 0, 66], 40_000)))
    });
    assert!(cost.sizes[3] <= 16_384 + 4_096, "one client has its quota: {cost:?}");
}

#[test]
fn symbols_of_everybody() {
    let cost = assert_linear("random symbols of strangers", 100_000, 48.0, |count| {
        let mut dice = Dice::new(4);
        (0..count).map(move |_| {
            let from = stranger(&mut dice);
            random_request(&mut dice, from)
        })
    });
    assert_plateau(cost.sizes);
}

/// Time that jumps makes every census due.
#[test]
fn seconds_that_fly() {
    let cost = assert_linear("a second a frame", 40_000, 400.0, |count| {
        let mut dice = Dice::new(5);
        (0..count).map(move |_| {
            let from = stranger(&mut dice);
            Listed { wait: 201, ..random_request(&mut dice, from) }
        })
    });
    assert_plateau(cost.sizes);
}
