//! What a kernel repeats, and what each repetition costs: the table that `cargo xtask bench kernels`
//! fits and prints.

/// What is repeated in an inference, each with a cost of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// An inference, besides its layers.
    Inference,
    /// A layer, besides its weights.
    Layer,
    /// A layer of a network with maps: the walk reads its geometry.
    Walk,
    /// A layer again for each encoding of the network beyond one: the walk asks which it is.
    Mixed,
    /// A logit: the class is the largest.
    Logit,
    /// A byte of a padded input, copied.
    CopiedByte,
    /// A row of it.
    CopiedRow,
    /// A word of a map with a margin, cleared.
    ClearedWord,
    /// A weight of compressed rows.
    CsrWeight,
    /// A row of compressed rows.
    CsrRow,
    /// A weight of packed words, with those that fill a row up.
    WordsWeight,
    /// A row of packed words.
    WordsRow,
    /// A run of rows of one length.
    WordsRun,
    /// A row of eight words or more.
    WordsLong,
    /// Two words behind the first eight and the rounds of eight, or one.
    WordsPair,
    /// A round of eight words behind the first eight.
    WordsRound,
    /// A row of the last layer.
    WordsLast,
    /// A row that reads both inputs of a pair of columns, one of which is not 0.
    ColumnsBoth,
    /// A row that reads an input that is not 0 and not its partner.
    ColumnsWeight,
    /// An input that is not 0 and has rows that do not read its partner.
    ColumnsSection,
    /// A pair of columns that rows read, one of whose inputs is not 0.
    ColumnsVisit,
    /// A pair that no row reads, one of whose inputs is not 0.
    ColumnsEmpty,
    /// An input, 0 or not.
    ColumnsInput,
    /// A sum of columns, set up and finished.
    ColumnsOutput,
    /// A weight of the entropy-coded encoding.
    RiceWeight,
    /// A row of it.
    RiceRow,
    /// A run of rows of one length.
    RiceRun,
    /// An input that it lists as used.
    RiceInput,
    /// A run of such inputs.
    RiceList,
    /// A weight of dense rows, 0 or not, in a group of columns; those computed again included.
    DenseWeight,
    /// A weight of the columns that fill no group.
    DenseRest,
    /// A dense row, those computed again included.
    DenseRow,
    /// A weight of floats.
    FloatsWeight,
    /// A row of floats.
    FloatsRow,
    /// A quad of taps for eight positions, multiplied.
    ConvQuad,
    /// The same where the kernel looks for zeros first, more.
    ConvLook,
    /// A quad of taps that only reads zeros, left out.
    ConvSkipped,
    /// Two taps for eight positions, besides their products.
    ConvPair,
    /// The same where the kernel looks for zeros first, more.
    ConvPairLook,
    /// The products of two taps for four of eight positions.
    ConvHalf,
    /// A quad of taps for four positions.
    ConvQuad4,
    /// Two taps for four positions.
    ConvPair4,
    /// Two taps for eight positions at stride 2; of cores without the DSP extension one, at any stride.
    ConvTap8,
    /// The same for four positions.
    ConvTap4,
    /// A block of eight positions.
    ConvBlock8,
    /// A block of four positions.
    ConvBlock4,
    /// A block of eight positions that are pooled, more.
    ConvPooled8,
    /// A block of four positions that are pooled, more.
    ConvPooled4,
    /// Four positions to which another map is added.
    ConvAdded,
    /// A column of blocks of a channel.
    ConvColumn,
    /// A channel.
    ConvChannel,
    /// A tap where positions are taken one at a time.
    ConvSingle,
    /// A position of a channel there.
    ConvPosition,
    /// A value stored there.
    ConvStored,
    /// A tap that is placed by the walk that looks for quads.
    PlacedTap,
    /// A group of taps of that walk.
    PlacedGroup,
    /// A quad that it makes.
    PlacedQuad,
    /// A row of the kernel that it passes.
    PlacedRow,
    /// A tap that is placed without looking for quads.
    LooseTap,
    /// A row of the kernel that is passed so.
    LooseRow,
    /// Two taps that become a pair.
    ArrangedPair,
    /// A weight of a convolution that is read, of packed words, with those that fill a row up.
    TapWords,
    /// The same of compressed rows.
    TapCsr,
    /// A weight of a dense row, 0 or not.
    TapDense,
    /// One that is not 0, more.
    TapKept,
    /// A weight of the entropy-coded encoding.
    TapRice,
    /// A row of it.
    TapRiceRow,
    /// A value that pooling on its own reads.
    PoolRead,
    /// A row of a window of it.
    PoolRow,
    /// A value that it gives.
    PoolGiven,
    /// A channel of it.
    PoolChannel,
}

/// The table: instructions of each unit on Cortex-M4, M3 and M0.
pub const COSTS: [(Unit, [f64; 3]); 71] = [
    (Unit::Inference, [90.9, 92.5, 110.0]),
    (Unit::Layer, [106.0, 109.0, 178.0]),
    (Unit::Walk, [0.00, 0.00, 0.00]),
    (Unit::Mixed, [194.0, 144.0, 20.1]),
    (Unit::Logit, [8.00, 8.00, 9.00]),
    (Unit::CopiedByte, [9.00, 9.00, 10.00]),
    (Unit::CopiedRow, [20.00, 20.00, 30.00]),
    (Unit::ClearedWord, [0.60, 0.60, 1.00]),
    (Unit::CsrWeight, [4.27, 4.29, 6.42]),
    (Unit::CsrRow, [20.3, 20.1, 40.5]),
    (Unit::WordsWeight, [3.00, 4.00, 6.50]),
    (Unit::WordsRow, [1.98, 2.33, 5.08]),
    (Unit::WordsRun, [12.6, 12.3, 38.1]),
    (Unit::WordsLong, [3.00, 3.00, 8.00]),
    (Unit::WordsPair, [1.00, 1.00, 1.00]),
    (Unit::WordsRound, [3.00, 3.00, 4.00]),
    (Unit::WordsLast, [8.00, 8.00, 12.00]),
    (Unit::ColumnsBoth, [3.67, 6.79, 11.5]),
    (Unit::ColumnsWeight, [4.37, 5.33, 7.72]),
    (Unit::ColumnsSection, [3.26, 2.98, 5.25]),
    (Unit::ColumnsVisit, [24.3, 27.7, 50.8]),
    (Unit::ColumnsEmpty, [23.3, 25.5, 23.9]),
    (Unit::ColumnsInput, [1.60, 1.60, 2.38]),
    (Unit::ColumnsOutput, [4.99, 4.95, 9.14]),
    (Unit::RiceWeight, [24.5, 24.5, 51.3]),
    (Unit::RiceRow, [74.0, 73.6, 120.0]),
    (Unit::RiceRun, [31.4, 31.6, 55.8]),
    (Unit::RiceInput, [10.9, 10.8, 33.2]),
    (Unit::RiceList, [33.7, 33.5, 34.6]),
    (Unit::DenseWeight, [1.57, 2.38, 3.75]),
    (Unit::DenseRest, [8.00, 8.00, 8.00]),
    (Unit::DenseRow, [25.4, 25.3, 30.3]),
    (Unit::FloatsWeight, [12.9, 131.0, 242.0]),
    (Unit::FloatsRow, [55.6, 129.0, 206.0]),
    (Unit::ConvQuad, [35.00, 0.00, 0.00]),
    (Unit::ConvLook, [6.00, 0.00, 0.00]),
    (Unit::ConvSkipped, [10.00, 0.00, 0.00]),
    (Unit::ConvPair, [11.00, 0.00, 0.00]),
    (Unit::ConvPairLook, [4.00, 0.00, 0.00]),
    (Unit::ConvHalf, [10.00, 0.00, 0.00]),
    (Unit::ConvQuad4, [20.00, 0.00, 0.00]),
    (Unit::ConvPair4, [17.00, 0.00, 0.00]),
    (Unit::ConvTap8, [37.00, 21.00, 29.00]),
    (Unit::ConvTap4, [21.00, 13.00, 17.00]),
    (Unit::ConvBlock8, [60.00, 60.00, 150.00]),
    (Unit::ConvBlock4, [45.00, 45.00, 100.00]),
    (Unit::ConvPooled8, [10.00, 10.00, 40.00]),
    (Unit::ConvPooled4, [5.00, 5.00, 20.00]),
    (Unit::ConvAdded, [35.00, 35.00, 45.00]),
    (Unit::ConvColumn, [60.00, 60.00, 80.00]),
    (Unit::ConvChannel, [150.00, 150.00, 250.00]),
    (Unit::ConvSingle, [6.00, 6.00, 8.00]),
    (Unit::ConvPosition, [30.00, 30.00, 40.00]),
    (Unit::ConvStored, [15.00, 15.00, 20.00]),
    (Unit::PlacedTap, [9.00, 0.00, 0.00]),
    (Unit::PlacedGroup, [10.00, 0.00, 0.00]),
    (Unit::PlacedQuad, [40.00, 0.00, 0.00]),
    (Unit::PlacedRow, [6.00, 0.00, 0.00]),
    (Unit::LooseTap, [10.00, 10.00, 12.00]),
    (Unit::LooseRow, [8.00, 8.00, 10.00]),
    (Unit::ArrangedPair, [11.00, 0.00, 0.00]),
    (Unit::TapWords, [12.00, 12.00, 16.00]),
    (Unit::TapCsr, [14.00, 14.00, 18.00]),
    (Unit::TapDense, [9.00, 9.00, 12.00]),
    (Unit::TapKept, [6.00, 6.00, 8.00]),
    (Unit::TapRice, [50.00, 55.00, 90.00]),
    (Unit::TapRiceRow, [80.00, 80.00, 130.00]),
    (Unit::PoolRead, [6.00, 6.00, 8.00]),
    (Unit::PoolRow, [12.00, 12.00, 16.00]),
    (Unit::PoolGiven, [20.00, 20.00, 30.00]),
    (Unit::PoolChannel, [60.00, 60.00, 80.00]),
];
