//! Large numbers in few characters, for a table that has little room.

/// Smaller numbers are shown as they are.
const LARGE: u64 = 1_000_000;

/// Milliseconds, or how many whole minutes, hours, days or years they are: `34h`.
pub(super) fn millis(millis: u64) -> String {
    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const YEAR: u64 = 365 * DAY;
    match millis {
        ..LARGE => millis.to_string(),
        LARGE..36_000_000 => format!("{}m", millis / MINUTE),
        36_000_000..172_800_000 => format!("{}h", millis / HOUR),
        172_800_000..864_000_000_000 => format!("{}d", millis / DAY),
        864_000_000_000..315_360_000_000_000 => format!("{}y", millis / YEAR),
        _ => ">9999y".to_owned(),
    }
}

/// Bytes, or how many KiB, MiB and so on they are: `953M`.
pub(super) fn bytes(bytes: u64) -> String {
    if bytes < LARGE {
        return bytes.to_string();
    }
    let mut number = bytes;
    for unit in ["K", "M", "G", "T", "P"] {
        number /= 1024;
        if number < 10_000 {
            return format!("{number}{unit}");
        }
    }
    format!("{}E", number / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_number_takes_few_characters() {
        for (number, shown) in [
            (0, "0"),
            (999_999, "999999"),
            (1_000_000, "16m"),
            (36_000_000, "10h"),
            (123_456_789, "34h"),
            (172_800_000, "2d"),
            (366 * 86_400_000, "366d"),
            (u64::MAX, ">9999y"),
        ] {
            assert_eq!(millis(number), shown);
        }
        for (number, shown) in
            [(999_999, "999999"), (1 << 20, "1024K"), (999_999_999, "953M"), (u64::MAX, "15E")]
        {
            assert_eq!(bytes(number), shown);
        }
        for power in 0..64 {
            assert!(millis(1 << power).len() <= 6 && bytes(1 << power).len() <= 6, "{power}");
        }
    }
}
