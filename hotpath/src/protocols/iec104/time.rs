//! Time tags (IEC 60870-5-4, clause 6.8; IEC 60870-5-101, clauses 7.2.6.18 to 7.2.6.20).
//!
//! Stations mostly send their local time and do not say so: it is taken as it stands.

/// Octets of a `CP24Time2a`.
pub(super) const SHORT: usize = 3;
/// Octets of a `CP56Time2a`.
pub(super) const LONG: usize = 7;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// The bit of the minutes that says that the time is not to be trusted.
const INVALID: u8 = 0x80;
/// Two digits of a year from here on are of the twentieth century.
const CENTURY: u8 = 70;

/// Nanoseconds within the hour; `None` if the tag is invalid.
fn within_hour(low: u8, high: u8, minute: u8) -> Option<i64> {
    let milliseconds = u16::from_le_bytes([low, high]);
    let minutes = minute & 0x3F;
    (minute & INVALID == 0 && milliseconds < 60_000 && minutes < 60)
        .then(|| i64::from(minutes) * 60 * SECOND + i64::from(milliseconds) * 1_000_000)
}

/// The moment of a short tag that is nearest to `now`, in nanoseconds since the epoch; 0 if the tag
/// is invalid.
pub(super) fn short(tag: [u8; SHORT], now: i64) -> i64 {
    let [low, high, minute] = tag;
    let Some(within) = within_hour(low, high, minute) else { return 0 };
    let away = (within - now.rem_euclid(HOUR) + HOUR / 2).rem_euclid(HOUR) - HOUR / 2;
    now.saturating_add(away)
}

/// The moment of a long tag in nanoseconds since the epoch; 0 if the tag is invalid.
pub(super) fn long(tag: [u8; LONG]) -> i64 {
    let [low, high, minute, hour, day, month, year] = tag;
    let (hour, day, month, year) = (hour & 0x1F, day & 0x1F, month & 0x0F, year & 0x7F);
    let Some(within) = within_hour(low, high, minute) else { return 0 };
    let sound = hour < 24 && (1..=12).contains(&month) && (1..=31).contains(&day) && year < 100;
    if !sound {
        return 0;
    }
    let century = if year < CENTURY { 2000 } else { 1900 };
    let days = days_since_epoch(century + i64::from(year), i64::from(month), i64::from(day));
    (days * 24 + i64::from(hour)) * HOUR + within
}

/// Days from 1970-01-01 in the Gregorian calendar: years begin in March, so that a leap day ends
/// them.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::{HOUR, SECOND, long, short};

    #[test]
    fn long_tags() {
        // 2016-07-21 15:54:57.001, a Thursday.
        let tag = [0xA9, 0xDE, 54, 15, 0x95, 7, 16];
        assert_eq!(long(tag), 1_469_116_497_001_000_000);
        assert_eq!(long([0xA9, 0xDE, 0x80 | 0x36, 15, 0x95, 7, 16]), 0, "said to be invalid");
        assert_eq!(long([0xA9, 0xDE, 54, 15, 0x80, 7, 16]), 0, "no day");
        assert_eq!(long([0xA9, 0xDE, 54, 15, 0x95, 13, 16]), 0, "no month");
        assert_eq!(long([0x60, 0xEA, 54, 15, 0x95, 7, 16]), 0, "60,000 ms");
        assert_eq!(long([0, 0, 0, 0, 1, 1, 70]), 0, "the epoch itself");
        assert_eq!(long([0, 0, 0, 0, 29, 2, 24]), 1_709_164_800 * SECOND, "a leap day");
        assert_eq!(long([0, 0, 0, 0, 1, 3, 0]), 951_868_800 * SECOND, "2000 was a leap year");
    }

    #[test]
    fn short_tags_are_near() {
        let now = 500_000 * HOUR + 59 * 60 * SECOND;
        assert_eq!(short([0, 0, 1], now), now + 2 * 60 * SECOND, "in the next hour");
        assert_eq!(short([0, 0, 40], now), now - 19 * 60 * SECOND);
        assert_eq!(short([0xD0, 7, 59], now), now + 2 * SECOND);
        assert_eq!(short([0, 0, 0x81], now), 0, "said to be invalid");
    }
}
