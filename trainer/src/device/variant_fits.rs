//! Which of the containers that a network can be exported to suits which chip.

use serde::Serialize;

use super::chips::Chip;
use super::firmware::firmware_folder;
use super::fits::{Fit, FitsError, Sizes, order};
use super::options::MeasureOptions;
use crate::deploy::{Setting, Variant};

/// Which container suits one chip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VariantFit {
    /// How the chosen container fits or, if none does, the one that lacks the fewest bytes.
    #[serde(flatten)]
    pub fit: Fit,
    /// The container; `None` if none fits.
    pub chosen: Option<Chosen>,
}

/// The container that suits a chip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chosen {
    /// The settings that give the container.
    pub settings: Vec<Setting>,
    /// Accuracy on all test images with the device's arithmetic, 0 to 1; R² if targets are numbers.
    pub accuracy: f64,
    /// Mean squared error on all test images; `None` if targets are classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mse: Option<f64>,
    /// Size of the container in bytes.
    pub bytes: usize,
}

impl Chosen {
    /// Describes `variant`.
    fn new(variant: &Variant) -> Self {
        Self {
            settings: variant.settings.clone(),
            accuracy: variant.report.accuracy.deployed,
            mse: variant.report.mse.map(|mse| mse.deployed),
            bytes: variant.bytes.len(),
        }
    }
}

/// Which container suits each of several chips.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VariantFits {
    /// One entry per chip, the smallest flash first, then the smallest RAM.
    pub chips: Vec<VariantFit>,
    /// Name of the first chip that any container fits.
    pub smallest: Option<&'static str>,
}

/// Determines for each of `chips` which of `variants` suits it: the most accurate one that fits, of
/// equally accurate ones the one whose program takes the least flash and RAM together. A variant
/// that an export rejects because it loses too much accuracy suits none. `progress` receives a line
/// per step.
///
/// # Errors
/// Returns the errors of [`fits`](fn@super::fits).
pub fn fits_variants(
    chips: &[Chip],
    variants: &[Variant],
    options: &MeasureOptions<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<VariantFits, FitsError> {
    let firmware = firmware_folder()?;
    let mut sizes = Sizes::new(options, &firmware);
    let variants = by_accuracy(variants);
    let accuracies = variants.iter().map(|it| it.report.accuracy.deployed);
    let accuracies: Vec<f64> = accuracies.collect();
    let mut chips = chips.to_vec();
    chips.sort_by_key(order);
    let mut found = Vec::new();
    for chip in &chips {
        let nearest = nearest(&accuracies, &mut |index| {
            sizes.fit(chip, (index, &variants[index].bytes), progress)
        })?;
        let entry = nearest.map(|(index, fit)| VariantFit {
            chosen: fit.fits.then(|| Chosen::new(variants[index])),
            fit,
        });
        found.extend(entry);
    }
    let smallest = found.iter().find(|entry| entry.chosen.is_some());
    let smallest = smallest.map(|entry| entry.fit.chip.name);
    Ok(VariantFits {
        chips: found,
        smallest,
    })
}

/// Returns the index of the container that suits a chip, and how it fits: the first in descending
/// order of `accuracies` that fits or, of equally accurate ones, the one that takes the least flash
/// and RAM together; if none fits, the one that lacks the fewest bytes. `fit` is called no more
/// often than that needs.
///
/// # Errors
/// Returns the errors of `fit`.
fn nearest(
    accuracies: &[f64],
    fit: &mut dyn FnMut(usize) -> Result<Fit, FitsError>,
) -> Result<Option<(usize, Fit)>, FitsError> {
    let over = |fit: &Fit| fit.flash_over + fit.ram_over;
    let taken = |fit: &Fit| fit.flash_used + fit.ram_used;
    let mut best: Option<(usize, Fit)> = None;
    for (index, accuracy) in accuracies.iter().enumerate() {
        let chosen = best.as_ref().filter(|(_, fit)| fit.fits);
        if chosen.is_some_and(|(other, _)| *accuracy < accuracies[*other]) {
            break;
        }
        let found = fit(index)?;
        let is_better = match &best {
            None => true,
            Some((_, other)) if found.fits && other.fits => taken(&found) < taken(other),
            Some((_, other)) => over(&found) < over(other),
        };
        if is_better {
            best = Some((index, found));
        }
    }
    Ok(best)
}

/// Returns the `variants` that keep their accuracy: the most accurate ones first, of equally
/// accurate ones the smallest.
fn by_accuracy(variants: &[Variant]) -> Vec<&Variant> {
    let kept = variants.iter();
    let kept = kept.filter(|variant| !variant.report.accuracy.is_lossy());
    let mut kept: Vec<&Variant> = kept.collect();
    kept.sort_by(|a, b| {
        let accuracy = |variant: &Variant| variant.report.accuracy.deployed;
        (accuracy(b).total_cmp(&accuracy(a))).then(a.bytes.len().cmp(&b.bytes.len()))
    });
    kept
}

#[cfg(test)]
mod tests {
    use super::super::stack::StackNeed;
    use super::*;

    /// Returns the choice among containers of the given accuracy, flash and RAM without a stack on
    /// a chip of 16,384 and 4,096 bytes, and how many were compared.
    fn choice(containers: &[(f64, u64, u64)]) -> (Option<usize>, bool, usize) {
        let chip = Chip::find("STM32F030F4").unwrap();
        let accuracies: Vec<f64> = containers.iter().map(|it| it.0).collect();
        let mut compared = 0;
        let found = nearest(&accuracies, &mut |index| {
            compared += 1;
            let (_, flash, ram) = containers[index];
            Ok(Fit::new(&chip, flash, ram, StackNeed::RESERVE))
        });
        let found = found.unwrap();
        let fits = found.as_ref().is_some_and(|(_, fit)| fit.fits);
        (found.map(|(index, _)| index), fits, compared)
    }

    #[test]
    fn of_equally_accurate_containers_the_total_of_flash_and_ram_decides() {
        let equal = [(0.9, 9_000, 900), (0.9, 9_100, 700), (0.9, 9_050, 800)];
        assert_eq!(choice(&equal), (Some(1), true, 3));
        // A less accurate container is not even compared.
        let less = [(0.9, 9_000, 900), (0.8, 100, 100)];
        assert_eq!(choice(&less), (Some(0), true, 1));
        // One that fits goes before a more accurate one that does not.
        let misfit = [(0.9, 99_000, 900), (0.8, 16_000, 100), (0.8, 15_000, 100)];
        assert_eq!(choice(&misfit), (Some(2), true, 3));
        // None fits: the one that lacks least.
        let none = [(0.9, 16_500, 900), (0.8, 16_400, 900), (0.7, 16_450, 900)];
        assert_eq!(choice(&none), (Some(1), false, 3));
        assert_eq!(choice(&[]), (None, false, 0));
    }
}
