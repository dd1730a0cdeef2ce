//! Distinguishes wrong usage (exit code 2) from failures (exit code 1).
//!
//! Wrong usage is an error in the command line itself: unknown names, numbers out of range,
//! options that are missing or contradict each other. clap finds most of these; the rest are
//! errors of the library or made by [`wrong`].

use std::any::TypeId;
use std::fmt::Display;
use std::num::{IntErrorKind, NonZeroUsize, ParseIntError};
use std::str::FromStr;

use anyhow::Error;
use clap::{Arg, Command};

use crate::data::catalogue::CatalogueError;
use crate::deploy::DeployError;
use crate::device::{BoardError, ChipError};
use crate::graph::ArchitectureError;
use crate::pruning::{InvalidCompression, PruneError};
use crate::training::TrainError;

/// Wrong usage found by a command.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUsage(String);

/// Returns an error of wrong usage with this `reason`.
pub(super) fn wrong(reason: impl Into<String>) -> Error {
    WrongUsage(reason.into()).into()
}

/// Returns `command` with options that accept negative numbers as values, so that their parsers
/// can reject these with the allowed range. Otherwise, clap takes them for unknown options.
pub(super) fn with_numbers(command: Command) -> Command {
    command.mut_args(number).mut_subcommands(with_numbers)
}

/// Gives a numeric option a parser whose error states the allowed numbers.
fn number(option: Arg) -> Arg {
    if option.is_positional() || !option.get_action().takes_values() {
        return option;
    }
    let kind = option.get_value_parser().type_id();
    let option = option.allow_negative_numbers(true);
    if kind == TypeId::of::<NonZeroUsize>() {
        option.value_parser(|text: &str| whole::<NonZeroUsize>(text, 1, &NonZeroUsize::MAX))
    } else if kind == TypeId::of::<usize>() {
        // All of these are counts; the library checks their range.
        option.value_parser(|text: &str| whole::<usize>(text, 1, &usize::MAX))
    } else if kind == TypeId::of::<u64>() {
        option.value_parser(|text: &str| whole::<u64>(text, 0, &u64::MAX))
    } else if kind == TypeId::of::<f64>() {
        option.value_parser(|text: &str| text.parse::<f64>().map_err(|_| "give a number"))
    } else {
        option
    }
}

/// Parses a whole number; the error asks for at least `least` or at most `most`.
fn whole<T>(text: &str, least: usize, most: &T) -> Result<T, String>
where
    T: FromStr<Err = ParseIntError> + Display,
{
    text.parse()
        .map_err(|error: ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow => format!("give a whole number of at most {most}"),
            _ => format!("give a whole number of at least {least}"),
        })
}

/// Removes repetitions from the `values` of an option: those that are the `same` as an earlier
/// one.
pub(super) fn each_once<T>(values: &mut Vec<T>, same: impl Fn(&T, &T) -> bool) {
    let mut kept: Vec<T> = Vec::new();
    for value in values.drain(..) {
        if !kept.iter().any(|other| same(other, &value)) {
            kept.push(value);
        }
    }
    *values = kept;
}

/// Returns whether `error` is wrong usage.
pub(super) fn is_wrong(error: &Error) -> bool {
    let of = error;
    of.downcast_ref::<WrongUsage>().is_some()
        || of.downcast_ref::<InvalidCompression>().is_some()
        || of.downcast_ref().is_some_and(PruneError::is_wrong_usage)
        || of.downcast_ref().is_some_and(TrainError::is_wrong_usage)
        || of.downcast_ref().is_some_and(DeployError::is_wrong_usage)
        || matches!(of.downcast_ref(), Some(BoardError::Unknown { .. }))
        || matches!(of.downcast_ref(), Some(ChipError::Unknown { .. }))
        || matches!(of.downcast_ref(), Some(ArchitectureError::Unknown(_)))
        || matches!(
            of.downcast_ref(),
            Some(
                CatalogueError::Unknown { .. }
                    | CatalogueError::Unpublished { .. }
                    | CatalogueError::Embedded { .. }
            )
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_values_count_once() {
        let mut values = vec!["b", "a", "b", "c", "a"];
        each_once(&mut values, |a, b| a == b);
        assert_eq!(values, ["b", "a", "c"]);
    }
}
