//! The second boot stage of an RP2040: the chip's ROM loads it from the first 256 bytes of flash,
//! and it sets up the flash for execution in place.

/// For the W25Q family of flashes, which the Raspberry Pi Pico has.
#[unsafe(link_section = ".boot2")]
#[used]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;
