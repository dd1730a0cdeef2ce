//! Draws reports as SVG pictures.

pub mod bytes;
pub mod contact;
pub mod curves;
pub mod flame;

/// The comment on the second line of every picture, by which it is recognised.
const MARK: &str = "<!-- drawn by rarefy -->";

/// Returns whether `file` is a picture of this module.
#[must_use]
pub fn is_ours(file: &[u8]) -> bool {
    let mut lines = file.split(|&byte| byte == b'\n');
    lines.nth(1) == Some(MARK.as_bytes())
}

/// Returns `svg` with [`MARK`] on its second line.
fn marked(svg: &str) -> String {
    match svg.split_once('\n') {
        Some((first, rest)) => format!("{first}\n{MARK}\n{rest}"),
        None => svg.to_owned(),
    }
}
