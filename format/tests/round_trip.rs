//! Tests that networks are read as they were written.

use proptest::prelude::*;
use rarefy_format::{Model, NetworkSpec, WriteError, write};
use rarefy_test_support::networks;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_network_is_read_as_written(seed in any::<u64>()) {
        let network = networks::any(seed);
        let bytes = match write(&network) {
            Ok(bytes) => bytes,
            // A random network may be too large for its fields, but must not fail otherwise.
            Err(WriteError::Layer { .. }) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(format!("{error}"))),
        };
        let model = Model::parse(&bytes).unwrap();
        prop_assert_eq!(NetworkSpec::from_model(&model), network);
        prop_assert_eq!(write(&NetworkSpec::from_model(&model)).unwrap(), bytes);
    }
}

#[test]
fn most_random_networks_can_be_written() {
    let written = (0..1000).filter(|&seed| write(&networks::any(seed)).is_ok());
    let written = written.count();
    assert!(written > 900, "{written} of 1000");
    let reasons: std::collections::BTreeMap<String, usize> = (0..1000)
        .filter_map(|seed| write(&networks::any(seed)).err())
        .fold(Default::default(), |mut reasons, error| {
            *reasons.entry(error.to_string()).or_default() += 1;
            reasons
        });
    println!("{reasons:#?}");
}
