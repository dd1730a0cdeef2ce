#![no_std]
#![no_main]
use rarefy_firmware::exit::exit;
#[cortex_m_rt::entry]
fn main() -> ! {
    exit(true)
}
