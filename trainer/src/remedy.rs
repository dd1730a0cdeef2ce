//! What to do about an error.

use std::fmt;

/// What to do about an error of this library.
///
/// The error's message ends with the remedy. A program can show its own advice instead: the
/// command `rarefy` names the options that carry out the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Name a folder that holds a run.
    NameRun,
    /// Wait for the other process, or choose another folder.
    Wait,
    /// Choose another folder.
    Elsewhere,
    /// Choose another folder, or replace the run.
    ElsewhereOrReplace,
    /// Finish the run with the same command.
    Finish,
    /// Start another run from the dense network of this one.
    StartFromDense,
    /// Repeat the run from the start.
    Repeat,
    /// Restore the original file, or repeat the run from the start.
    RestoreOrRepeat,
    /// Copy the file out of the run, or choose another folder.
    CopyOrElsewhere,
    /// Remove the file, or choose another folder.
    RemoveOrElsewhere,
    /// Lower the learning rate.
    LowerRate,
    /// Lower the learning rate or the weight decay.
    LowerRateOrDecay,
    /// Lower the learning rate, or augment images less.
    LowerRateOrAugmentLess,
    /// Lower the learning rate or the weight decay, or augment images less.
    LowerRateOrDecayOrAugmentLess,
    /// Provide the weights of a trained dense network.
    GiveWeights,
    /// Leave out the weights, or fine-tune from them.
    LeaveOutOrFinetune,
    /// Complete the weights file, or rewind to the initial weights.
    CompleteOrRewind,
    /// Provide a dataset.
    GiveData,
    /// Make all pictures the same size, or have them resized.
    SameSize,
    /// Use the dataset that the network was trained on.
    SameData,
    /// Normalise pixels in the same way in the recipe and in the dataset.
    SameNormalization,
    /// Check the network connection, or name another mirror.
    OtherMirror,
    /// Let the exporter choose the encodings.
    AnyEncoding,
    /// Let the exporter choose the encodings, or use fewer bits.
    AnyEncodingOrFewerBits,
    /// Request no particular encoding, or use integer weights.
    NoEncodingOrIntegers,
    /// Use integer weights.
    Integers,
    /// Look at the layer, or allow the loss of accuracy.
    LookOrAllowLoss,
    /// Use more bits per weight, or allow the loss of accuracy.
    MoreBitsOrAllowLoss,
    /// Repeat the run, or allow the loss of accuracy.
    RepeatOrAllowLoss,
    /// Move the file, or choose another output file.
    MoveOrOtherFile,
    /// Install probe-rs, or build without running.
    InstallProbeOrBuild,
    /// Build without running, to see whether the network fits.
    BuildOnly,
    /// Connect a debug probe, or build without running.
    ConnectProbeOrBuild,
    /// Allow more time, or run fewer samples.
    MoreTimeOrFewerSamples,
    /// Leave the dense twin out.
    WithoutDense,
    /// Estimate no cycles.
    WithoutCycles,
    /// Start another run from the dense network, or replace the run.
    ReuseDense,
    /// Keep the first layer dense, or choose another pattern.
    KeepFirstOrOtherPattern,
    /// Keep the last layer dense, or choose another pattern.
    KeepLastOrOtherPattern,
    /// Choose another pattern.
    OtherPattern,
    /// Choose a smaller batch size.
    SmallerBatches,
    /// Choose a lower compression.
    LowerCompression,
    /// Choose a lower compression, or another pruner.
    LowerCompressionOrOtherPruner,
    /// Choose a higher compression, or another pruner.
    HigherCompressionOrOtherPruner,
    /// Choose a compression in the range that the message states.
    CompressionInRange,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NameRun => "give a folder made by `rarefy train`",
            Self::Wait => "wait until that process has ended, or choose another folder",
            Self::Elsewhere => "choose another folder",
            Self::ElsewhereOrReplace => "choose another folder, or replace the run",
            Self::Finish => "run the same `rarefy train` again",
            Self::StartFromDense => "start another run from its dense network",
            Self::Repeat => "repeat the run from the start",
            Self::RestoreOrRepeat => "restore the original, or repeat the run from the start",
            Self::CopyOrElsewhere => {
                "copy it elsewhere and name the copy, or choose another folder for the new run"
            }
            Self::RemoveOrElsewhere => "remove it, or choose another folder",
            Self::LowerRate => "lower the learning rate",
            Self::LowerRateOrDecay => "lower the learning rate or the weight decay",
            Self::LowerRateOrAugmentLess => "lower the learning rate, or augment images less",
            Self::LowerRateOrDecayOrAugmentLess => {
                "lower the learning rate or the weight decay, or augment images less"
            }
            Self::GiveWeights => "provide its weights",
            Self::LeaveOutOrFinetune => "leave them out, or fine-tune from them",
            Self::CompleteOrRewind => {
                "add these tensors to the file, or rewind to the initial weights"
            }
            Self::GiveData => "provide a dataset",
            Self::SameSize => "make all pictures the same size, or have them resized",
            Self::SameData => "use the dataset that the network was trained on",
            Self::SameNormalization => "use the same mean and standard deviation in both",
            Self::OtherMirror => "check the network connection, or name another mirror",
            Self::AnyEncoding => "let the encoding be chosen",
            Self::AnyEncodingOrFewerBits => "let the encoding be chosen, or use fewer bits",
            Self::NoEncodingOrIntegers => "request no encoding, or use integer weights",
            Self::Integers => "use integer weights",
            Self::LookOrAllowLoss => {
                "look there for weights or biases far larger than others, or allow the loss"
            }
            Self::MoreBitsOrAllowLoss => {
                "use more bits per weight, such as int8, or allow the loss"
            }
            Self::RepeatOrAllowLoss => "repeat the run, or allow the loss",
            Self::MoveOrOtherFile => "move it, or choose another output file",
            Self::InstallProbeOrBuild => {
                "install it from https://probe.rs, or build the program without running it"
            }
            Self::BuildOnly => {
                "build the program without running it to see whether the network fits"
            }
            Self::ConnectProbeOrBuild => "connect it, or build the program without running it",
            Self::MoreTimeOrFewerSamples => "allow more time, or run fewer samples",
            Self::WithoutDense => "measure without it",
            Self::WithoutCycles => "measure without estimating cycles",
            Self::ReuseDense => {
                "give it as the weights of a run in another folder, or replace the run"
            }
            Self::KeepFirstOrOtherPattern => {
                "keep the first layer dense, or choose another pattern"
            }
            Self::KeepLastOrOtherPattern => "keep the last layer dense, or choose another pattern",
            Self::OtherPattern => "choose another pattern",
            Self::SmallerBatches => "choose smaller batches",
            Self::LowerCompression => "choose a lower compression",
            Self::LowerCompressionOrOtherPruner => "choose a lower compression, or another pruner",
            Self::HigherCompressionOrOtherPruner => {
                "choose a higher compression, or another pruner"
            }
            Self::CompressionInRange => "choose a compression in that range",
        })
    }
}
