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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let texts = [0_u64, 999, 1000, 266_200, 1_234_567].map(thousands);
        assert_eq!(texts, ["0", "999", "1,000", "266,200", "1,234,567"]);
    }
}
