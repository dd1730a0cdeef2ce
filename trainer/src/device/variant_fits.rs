//! Which of the containers that a network can be exported to suits which chip.

use serde::Serialize;

use super::boards::firmware_folder;
use super::chips::Chip;
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
/// equally accurate ones the smallest. A variant that an export rejects because it loses too much
/// accuracy suits none. `progress` receives a line per step.
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
    let mut chips = chips.to_vec();
    chips.sort_by_key(order);
    let mut found = Vec::new();
    for chip in &chips {
        let mut nearest: Option<Fit> = None;
        let mut chosen = None;
        for (index, variant) in variants.iter().enumerate() {
            let fit = sizes.fit(chip, (index, &variant.bytes), progress)?;
            if fit.fits {
                chosen = Some(Chosen::new(variant));
                nearest = Some(fit);
                break;
            }
            let over = |fit: &Fit| fit.flash_over + fit.ram_over;
            if nearest
                .as_ref()
                .is_none_or(|other| over(&fit) < over(other))
            {
                nearest = Some(fit);
            }
        }
        let entry = nearest.map(|fit| VariantFit { fit, chosen });
        found.extend(entry);
    }
    let smallest = found.iter().find(|entry| entry.chosen.is_some());
    let smallest = smallest.map(|entry| entry.fit.chip.name);
    Ok(VariantFits {
        chips: found,
        smallest,
    })
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
