//! Reads arrays in numpy's format, versions 1 to 3 (numpy's page `numpy.lib.format`).
//!
//! A file is a magic number, a version, the length of a header, the header (a Python dictionary
//! with the keys `descr`, `fortran_order` and `shape`), and the elements. Arrays of numbers are
//! read, in either byte order and in C or Fortran order; arrays of Python objects, which are
//! pickled, are rejected.

use std::io::{self, Read};

use super::array::{Array, Values};
use super::error::TableError;
use crate::memory;

const MAGIC: &[u8] = b"\x93NUMPY";

/// The largest header that is read, in bytes; that of an array of numbers has about a hundred.
const MOST_HEADER: usize = 1 << 16;

/// The largest array that is read, in bytes.
const MOST_BYTES: usize = 1 << 34;

/// The contents of a header.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    /// The type of the elements without their byte order, such as `f4`.
    kind: String,
    big_endian: bool,
    fortran: bool,
    shape: Vec<usize>,
}

/// Reads the array `name` from `reader`, which holds `declared` bytes, header included, if that is
/// known.
///
/// # Errors
/// Returns an error that begins with `name` if the array is truncated, is followed by other data,
/// or is not one of numbers, or if there is not enough memory for what its header declares.
pub(super) fn read(
    name: &str,
    reader: &mut dyn Read,
    declared: Option<u64>,
) -> Result<Array, TableError> {
    let header = read_header(name, reader)?;
    let size = element_size(name, &header)?;
    let too_large = || {
        let problem = format!(
            "has the shape {:?}, more than {MOST_BYTES} bytes",
            header.shape
        );
        TableError::new(name, problem, "save fewer rows")
    };
    let bytes = header
        .shape
        .iter()
        .try_fold(size, |bytes, &length| bytes.checked_mul(length));
    let bytes = bytes
        .filter(|&bytes| bytes <= MOST_BYTES)
        .ok_or_else(too_large)?;
    check_room(name, bytes, declared)?;
    let mut elements = Vec::with_capacity(bytes + 1);
    let mut bounded = reader.take(bytes as u64 + 1);
    bounded
        .read_to_end(&mut elements)
        .map_err(|error| unreadable(name, &error))?;
    if elements.len() < bytes {
        let problem = format!(
            "is truncated: its elements take {bytes} bytes, but {} are there",
            elements.len()
        );
        return Err(TableError::new(name, problem, "save it again"));
    }
    if elements.len() > bytes {
        let problem = "has more elements than its header says";
        return Err(TableError::new(name, problem, "save one array per file"));
    }
    let values = decode(&header.kind, header.big_endian, elements);
    let Header { fortran, shape, .. } = header;
    let values = match fortran && shape.len() > 1 {
        true => {
            let reversed: Vec<usize> = shape.iter().rev().copied().collect();
            let axes: Vec<usize> = (0..shape.len()).rev().collect();
            values.transposed(&reversed, &axes)
        }
        false => values,
    };
    Ok(Array { shape, values })
}

/// Checks that `bytes` of elements can be in what holds `declared` bytes, and in memory, before any
/// of them is unpacked.
fn check_room(name: &str, bytes: usize, declared: Option<u64>) -> Result<(), TableError> {
    if let Some(declared) = declared.filter(|&declared| declared < bytes as u64) {
        let problem = format!(
            "is truncated: its header declares {bytes} bytes of elements, but the file only {declared} in all"
        );
        return Err(TableError::new(name, problem, "save it again"));
    }
    if memory::require(bytes, name).is_err() {
        let problem = format!(
            "declares {} MiB of elements, more than the memory that is available",
            bytes.div_ceil(1 << 20)
        );
        return Err(TableError::new(name, problem, "save fewer rows"));
    }
    Ok(())
}

/// Returns the error for a failure to read or decompress the array `name`.
pub(super) fn unreadable(name: &str, error: &io::Error) -> TableError {
    let problem = format!("cannot be read ({error})");
    TableError::new(
        name,
        problem,
        "the file is truncated or damaged; save it again",
    )
}

/// Reads the parts before the elements.
fn read_header(name: &str, reader: &mut dyn Read) -> Result<Header, TableError> {
    let foreign = |problem: &str| {
        TableError::new(
            name,
            problem,
            "save an array with numpy.save or numpy.savez",
        )
    };
    let mut fill = |bytes: &mut [u8]| {
        reader
            .read_exact(bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => foreign("ends within its header"),
                _ => unreadable(name, &error),
            })
    };
    let mut start = [0; 8];
    fill(&mut start)?;
    if !start.starts_with(MAGIC) {
        return Err(foreign("is not in numpy's format"));
    }
    let length = match start[6] {
        1 => {
            let mut length = [0; 2];
            fill(&mut length)?;
            usize::from(u16::from_le_bytes(length))
        }
        2 | 3 => {
            let mut length = [0; 4];
            fill(&mut length)?;
            u32::from_le_bytes(length) as usize
        }
        version => {
            return Err(foreign(&format!(
                "has version {version} of numpy's format, not 1, 2 or 3"
            )));
        }
    };
    if length > MOST_HEADER {
        let problem = format!("has a header of {length} bytes, so it holds records");
        return Err(TableError::new(name, problem, "save an array of numbers"));
    }
    let mut text = vec![0; length];
    fill(&mut text)?;
    parse(name, &String::from_utf8_lossy(&text))
}

/// Parses the dictionary of a header.
fn parse(name: &str, text: &str) -> Result<Header, TableError> {
    let value = |key: &str| {
        let (_, rest) = text.split_once(&format!("'{key}'"))?;
        Some(rest.trim_start().strip_prefix(':')?.trim_start())
    };
    let damaged = || {
        let problem = "has a damaged header";
        TableError::new(
            name,
            problem,
            "save it again with numpy.save or numpy.savez",
        )
    };
    let descr = value("descr").ok_or_else(damaged)?;
    if descr.starts_with('[') {
        let problem = "holds records of several columns";
        return Err(TableError::new(name, problem, "save an array of numbers"));
    }
    let descr = descr.split('\'').nth(1).ok_or_else(damaged)?;
    let kind = descr.trim_start_matches(['<', '>', '|', '=']);
    let order = value("fortran_order").ok_or_else(damaged)?;
    let fortran = order.starts_with("True");
    if !fortran && !order.starts_with("False") {
        return Err(damaged());
    }
    let shape = value("shape").and_then(|shape| shape.strip_prefix('('));
    let (shape, _) = shape
        .and_then(|shape| shape.split_once(')'))
        .ok_or_else(damaged)?;
    let lengths = shape
        .split(',')
        .map(str::trim)
        .filter(|length| !length.is_empty());
    let shape = lengths.map(str::parse).collect::<Result<_, _>>();
    Ok(Header {
        kind: kind.to_owned(),
        big_endian: descr.starts_with('>'),
        fortran,
        shape: shape.map_err(|_| damaged())?,
    })
}

/// Returns the size of an element in bytes.
fn element_size(name: &str, header: &Header) -> Result<usize, TableError> {
    Ok(match header.kind.as_str() {
        "u1" | "i1" | "b1" => 1,
        "u2" | "i2" => 2,
        "u4" | "i4" | "f4" => 4,
        "u8" | "i8" | "f8" => 8,
        kind if kind.starts_with('O') => {
            let problem = "is an array of Python objects, which are pickled and never read";
            let advice = "give it a number type, such as x.astype('float32'), and save it again";
            return Err(TableError::new(name, problem, advice));
        }
        kind => {
            let problem = format!("has elements of numpy's type {kind}");
            let advice = "convert it to uint8, int8, int16, float32 or float64 and save it again";
            return Err(TableError::new(name, problem, advice));
        }
    })
}

/// Returns the elements in `bytes`, of numpy's type `kind`, one that has an [`element_size`].
pub(super) fn decode(kind: &str, big: bool, elements: Vec<u8>) -> Values {
    /// Converts each `N` bytes.
    fn numbers<const N: usize, T>(bytes: &[u8], big: bool, from: fn([u8; N]) -> T) -> Vec<T> {
        let (elements, _) = bytes.as_chunks::<N>();
        let number = |&(mut element): &[u8; N]| {
            if big {
                element.reverse();
            }
            from(element)
        };
        elements.iter().map(number).collect()
    }
    let bytes = &elements[..];
    match kind {
        "i1" => Values::SignedBytes(numbers(bytes, big, i8::from_le_bytes)),
        "u2" => Values::Integers(numbers(bytes, big, |it| u16::from_le_bytes(it).into())),
        "i2" => Values::Integers(numbers(bytes, big, |it| i16::from_le_bytes(it).into())),
        "u4" => Values::Integers(numbers(bytes, big, |it| u32::from_le_bytes(it).into())),
        "i4" => Values::Integers(numbers(bytes, big, |it| i32::from_le_bytes(it).into())),
        "u8" => Values::Integers(numbers(bytes, big, |it| {
            i64::try_from(u64::from_le_bytes(it)).unwrap_or(i64::MAX)
        })),
        "i8" => Values::Integers(numbers(bytes, big, i64::from_le_bytes)),
        "f4" => Values::Singles(numbers(bytes, big, f32::from_le_bytes)),
        "f8" => Values::Doubles(numbers(bytes, big, f64::from_le_bytes)),
        // Bytes are not copied.
        _ => Values::Bytes(elements),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a file of version 1 with the given header and elements.
    fn file(header: &str, elements: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), elements].concat()
    }

    /// Returns a header as numpy writes it.
    fn header(descr: &str, fortran: bool, shape: &str) -> String {
        let fortran = if fortran { "True" } else { "False" };
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
    }

    fn array(bytes: &[u8]) -> Result<Array, String> {
        read("x of a.npz", &mut &bytes[..], None).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_of_every_type_and_byte_order_are_read() {
        for (descr, elements, values) in [
            ("|u1", &[0, 255][..], Values::Bytes(vec![0, 255])),
            ("|b1", &[0, 1], Values::Bytes(vec![0, 1])),
            ("|i1", &[0x80, 0x7f], Values::SignedBytes(vec![-128, 127])),
            ("<i2", &[0xfe, 0xff, 1, 2], Values::Integers(vec![-2, 513])),
            (">i2", &[0xff, 0xfe, 2, 1], Values::Integers(vec![-2, 513])),
            (
                "<u2",
                &[0xfe, 0xff, 1, 2],
                Values::Integers(vec![65534, 513]),
            ),
            (
                "<i4",
                &[0xfe, 0xff, 0xff, 0xff, 1, 0, 0, 0],
                Values::Integers(vec![-2, 1]),
            ),
            (
                "<u8",
                &[
                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 7, 0, 0, 0, 0, 0, 0, 0,
                ],
                Values::Integers(vec![i64::MAX, 7]),
            ),
            (
                "<f4",
                &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0],
                Values::Singles(vec![1.0, -2.0]),
            ),
            (
                ">f8",
                &[0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0],
                Values::Doubles(vec![1.0, -2.0]),
            ),
        ] {
            let found = array(&file(&header(descr, false, "(2,)"), elements)).unwrap();
            assert_eq!(
                found,
                Array {
                    shape: vec![2],
                    values
                },
                "{descr}"
            );
        }
    }

    #[test]
    fn fortran_order_and_later_versions_are_read() {
        // numpy: np.asfortranarray([[1, 2, 3], [4, 5, 6]]) is stored by columns.
        let text = header("|u1", true, "(2, 3)");
        let found = array(&file(&text, &[1, 4, 2, 5, 3, 6])).unwrap();
        assert_eq!(found.shape, [2, 3]);
        assert_eq!(found.values, Values::Bytes(vec![1, 2, 3, 4, 5, 6]));
        let text = header("|u1", false, "()");
        let length = u32::try_from(text.len()).unwrap().to_le_bytes();
        let later = [MAGIC, &[3, 0], &length, text.as_bytes(), &[9]].concat();
        let found = array(&later).unwrap();
        assert_eq!(
            (found.shape.len(), found.values),
            (0, Values::Bytes(vec![9]))
        );
    }

    #[test]
    fn other_arrays_are_refused_in_a_sentence() {
        let whole = file(&header("<f4", false, "(2,)"), &[0; 8]);
        for end in 0..whole.len() {
            let error = array(&whole[..end]).unwrap_err();
            let is_said = error.contains("truncated") || error.contains("ends within its header");
            assert!(error.starts_with("x of a.npz ") && is_said, "{error}");
        }
        let bomb = file(&header("|u1", false, "(1000000,)"), &[0; 9]);
        let error = read("x of a.npz", &mut &bomb[..], Some(bomb.len() as u64)).unwrap_err();
        let words = "declares 1000000 bytes of elements, but the file only";
        assert!(error.to_string().contains(words), "{error}");
        let records =
            "{'descr': [('a', '<f4'), ('b', '<i4')], 'fortran_order': False, 'shape': (2,)}";
        for (bytes, words) in [
            (
                file(&header("|O", false, "(2,)"), &[0; 9]),
                "Python objects",
            ),
            (file(&header("<U5", false, "(2,)"), &[0; 40]), "type U5"),
            (file(&header("<c8", false, "(2,)"), &[0; 16]), "type c8"),
            (
                file(&header("|u1", false, "(2,)"), &[0; 3]),
                "more elements",
            ),
            (
                file(&header("|u1", false, "(-2,)"), &[0; 3]),
                "damaged header",
            ),
            (
                file(&header("|u1", false, "(99999999999,)"), &[]),
                "more than",
            ),
            (
                file(&header("|u1", false, "(4294967296, 4294967296)"), &[]),
                "more than",
            ),
            (file(records, &[0; 16]), "records"),
            (file("{'descr': '<f4'}", &[]), "damaged header"),
            (b"PK\x03\x04 and more".to_vec(), "not in numpy's format"),
            ([MAGIC, &[9, 0, 0, 0]].concat(), "version 9"),
        ] {
            let error = array(&bytes).unwrap_err();
            assert!(
                error.contains(words) && error.contains(": "),
                "{words}: {error}"
            );
        }
    }
}
