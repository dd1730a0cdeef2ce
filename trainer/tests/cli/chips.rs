//! Chips by name: `rarefy chips`, and `--chip` with names that cannot be used.

use std::fs;

use serde_json::Value;

use crate::program::{json, misuse, misused, refusal, refused, run, says, texts};
use crate::runs;

/// Returns the names that `rarefy chips` lists.
fn listed(arguments: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let report = json(folder.path(), &format!("chips {arguments}"));
    let chips = report["chips"].as_array().unwrap().iter();
    chips
        .map(|chip: &Value| chip["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn chips_are_listed_and_filtered() {
    assert!(listed("").len() > 3_000);
    let all = listed("stm32f411");
    assert!(all.contains(&"STM32F411CE".to_owned()), "{all:?}");
    let large = listed("stm32f411 --flash 512 --ram 128 --core M4");
    assert!(large.contains(&"STM32F411CE".to_owned()), "{large:?}");
    assert!(!large.contains(&"STM32F411CC".to_owned()), "{large:?}");
    assert_eq!(listed("STM32F411CEUx"), ["STM32F411CE"]);

    // The registry tells neither a Cortex-M0 from an M0+, nor the extensions of a RISC-V.
    let plus = listed("STM32G071 --core cortex-m0+");
    assert!(plus.contains(&"STM32G071RB".to_owned()), "{plus:?}");
    assert_eq!(listed("STM32G071 --core Cortex-M0+"), plus);
    let riscv = listed("--core risc-v");
    assert!(riscv.contains(&"esp32c3".to_owned()), "{riscv:?}");
    assert_eq!(listed("--core RISC-V"), riscv);

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let words = texts(&run(folder, "chips STM32G071RB")).0;
    says(
        &words,
        &["Cortex-M0/M0+", "the registry does not tell which"],
    );
    let report = json(folder, "chips nRF52833_xxAA");
    let chip = &report["chips"][0];
    assert_eq!(chip["core"], "Cortex-M4F");
    assert_eq!(chip["flash"]["length"], 512 << 10);
    assert_eq!(chip["ram"]["origin"], 0x2000_0000);
    let error = refusal(folder, "chips stm32f411 --ram 4096");
    says(&error, &["no chip has all of these properties", "--ram"]);
}

#[test]
fn a_chip_that_cannot_be_used_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("model.rfy"), &runs::pruned().container).unwrap();
    let measure = |chip: &str| format!("measure model.rfy --data digits --chip {chip}");
    let near = ["STM32F411CC", "STM32F411CE", "STM32F411RC", "rarefy chips"];
    for command in [
        measure("STM32F411"),
        "fits model.rfy --chip STM32F411".into(),
    ] {
        says(&misuse(folder, &command), &near);
    }
    says(
        &misuse(folder, "chips STM32F499"),
        &["did you mean", "STM32F4"],
    );
    says(
        &refusal(folder, &measure("ESP32-S3")),
        &["the core of esp32s3 is Xtensa", "Cortex-M"],
    );
    says(
        &misuse(folder, &measure("CH32V003")),
        &["there is no chip \"CH32V003\"", "their core is RISC-V"],
    );
    says(
        &refusal(folder, &measure("STM32N657")),
        &["STM32N657 has no flash of its own"],
    );
    says(
        &refusal(folder, &measure("RP2350")),
        &["RP235x", "boot header", "--build-only"],
    );
}

#[test]
fn a_container_is_exported_only_for_a_chip_that_takes_it() {
    let folder = runs::folder();
    let folder = folder.path();
    let export = |chip: &str| format!("export run -o m.rfy --chip {chip}");
    // 4 KB of flash and 1 KB of RAM.
    let words = ["LPC810M021FN8", "does not fit", "too small", "rarefy fits"];
    refused(folder, &export("LPC810M021FN8"), &words);
    misused(
        folder,
        &export("STM32F411"),
        &["did you mean", "STM32F411CE"],
    );
    json(folder, &export("STM32F411CE"));
    assert!(folder.join("m.rfy").is_file());
}
