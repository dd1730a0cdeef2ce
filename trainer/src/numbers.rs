//! Formats numbers for tables and pictures.

/// Formats `number` with thousands separators: 266,200.
pub(crate) fn thousands(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(0_u64).to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats `number` with four significant digits: 0.01235, 1234.6, 1.235e-7.
pub(crate) fn significant(number: f64) -> String {
    let size = number.abs();
    if !(1e-4..1e6).contains(&size) && size > 0.0 {
        return format!("{number:.3e}");
    }
    let before = size.max(f64::MIN_POSITIVE).log10().floor() as i32;
    let digits = (3 - before).clamp(1, 8) as usize;
    format!("{number:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_are_significant() {
        let texts = [0.012_345_6, 1_234.56, 1.234_567e-7, 0.999_96, -2.5].map(significant);
        assert_eq!(texts, ["0.01235", "1234.6", "1.235e-7", "1.0000", "-2.500"]);
        assert_eq!(significant(3e7), "3.000e7");
    }

    #[test]
    fn thousands_are_separated() {
        let texts = [0_u64, 999, 1000, 266_200, 1_234_567].map(thousands);
        assert_eq!(texts, ["0", "999", "1,000", "266,200", "1,234,567"]);
    }
}
