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
    /// A row of the last layer, which stores its sum as it is.
    CsrSum,
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
    /// A gap between two weights that is coded.
    RiceGap,
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
    /// A dense layer of compressed rows, more than one of packed words.
    CsrLayer,
    /// One of columns.
    ColumnsLayer,
    /// One of the entropy-coded encoding.
    RiceLayer,
    /// One of dense rows.
    DenseLayer,
    /// One of floats.
    FloatsLayer,
    /// A convolution.
    ConvLayer,
}

/// The table: instructions of each unit on Cortex-M4, M3 and M0.
pub const COSTS: [(Unit, [f64; 3]); 79] = [
    (Unit::Inference, [77.6, 82.1, 78.6]),
    (Unit::Layer, [55.1, 53.8, 103.0]),
    (Unit::Walk, [17.1, 4.34, 3.49]),
    (Unit::Mixed, [24.5, 24.6, 36.8]),
    (Unit::Logit, [4.52, 4.60, 4.44]),
    (Unit::CopiedByte, [5.85, 5.85, 0.40]),
    (Unit::CopiedRow, [60.3, 62.3, 105.0]),
    (Unit::ClearedWord, [0.00, 0.00, 2.40]),
    (Unit::CsrWeight, [4.37, 4.37, 6.71]),
    (Unit::CsrRow, [18.9, 19.0, 31.9]),
    (Unit::CsrSum, [14.6, 14.4, 30.0]),
    (Unit::WordsWeight, [3.49, 4.50, 6.42]),
    (Unit::WordsRow, [3.67, 3.67, 9.31]),
    (Unit::WordsRun, [5.12, 5.04, 18.6]),
    (Unit::WordsLong, [0.00, 0.00, 0.00]),
    (Unit::WordsPair, [2.13, 2.33, 8.29]),
    (Unit::WordsRound, [0.00, 0.02, 2.13]),
    (Unit::WordsLast, [13.5, 15.4, 29.2]),
    (Unit::ColumnsBoth, [4.17, 7.17, 11.5]),
    (Unit::ColumnsWeight, [4.26, 5.26, 7.84]),
    (Unit::ColumnsSection, [2.07, 2.22, 14.8]),
    (Unit::ColumnsVisit, [28.5, 31.1, 33.3]),
    (Unit::ColumnsEmpty, [23.0, 25.1, 24.1]),
    (Unit::ColumnsInput, [1.18, 1.21, 1.90]),
    (Unit::ColumnsOutput, [3.81, 3.76, 8.42]),
    (Unit::RiceWeight, [21.7, 21.7, 45.7]),
    (Unit::RiceGap, [4.36, 4.38, 8.86]),
    (Unit::RiceRow, [61.6, 61.5, 98.3]),
    (Unit::RiceRun, [39.6, 39.7, 70.3]),
    (Unit::RiceInput, [11.0, 10.9, 32.8]),
    (Unit::RiceList, [22.1, 22.1, 20.8]),
    (Unit::DenseWeight, [1.57, 2.38, 3.76]),
    (Unit::DenseRest, [6.43, 6.40, 8.00]),
    (Unit::DenseRow, [21.8, 21.8, 29.9]),
    (Unit::FloatsWeight, [13.0, 131.0, 241.0]),
    (Unit::FloatsRow, [53.0, 108.0, 183.0]),
    (Unit::ConvQuad, [35.0, 0.00, 0.00]),
    (Unit::ConvLook, [6.00, 0.00, 0.00]),
    (Unit::ConvSkipped, [10.0, 0.00, 0.00]),
    (Unit::ConvPair, [11.0, 0.00, 0.00]),
    (Unit::ConvPairLook, [4.00, 0.00, 0.00]),
    (Unit::ConvHalf, [10.0, 0.00, 0.00]),
    (Unit::ConvQuad4, [20.0, 0.00, 0.00]),
    (Unit::ConvPair4, [17.0, 0.00, 0.00]),
    (Unit::ConvTap8, [37.0, 21.0, 29.0]),
    (Unit::ConvTap4, [21.0, 13.0, 17.0]),
    (Unit::ConvBlock8, [58.3, 54.4, 131.0]),
    (Unit::ConvBlock4, [46.9, 44.7, 80.4]),
    (Unit::ConvPooled8, [0.38, 1.05, 13.8]),
    (Unit::ConvPooled4, [4.62, 3.76, 35.4]),
    (Unit::ConvAdded, [32.4, 32.3, 37.7]),
    (Unit::ConvColumn, [0.82, 0.12, 0.38]),
    (Unit::ConvChannel, [297.0, 271.0, 378.0]),
    (Unit::ConvSingle, [5.85, 7.01, 7.77]),
    (Unit::ConvPosition, [25.7, 24.2, 30.9]),
    (Unit::ConvStored, [52.9, 53.2, 60.3]),
    (Unit::PlacedTap, [0.00, 0.00, 0.00]),
    (Unit::PlacedGroup, [15.8, 0.00, 0.00]),
    (Unit::PlacedQuad, [39.7, 0.00, 0.00]),
    (Unit::PlacedRow, [7.92, 0.00, 0.00]),
    (Unit::LooseTap, [5.33, 12.3, 24.9]),
    (Unit::LooseRow, [10.2, 13.7, 20.5]),
    (Unit::ArrangedPair, [2.12, 0.00, 0.00]),
    (Unit::TapWords, [13.9, 9.00, 21.4]),
    (Unit::TapCsr, [17.5, 10.9, 20.3]),
    (Unit::TapDense, [7.12, 8.52, 12.0]),
    (Unit::TapKept, [8.19, 0.00, 0.00]),
    (Unit::TapRice, [77.7, 71.6, 111.0]),
    (Unit::TapRiceRow, [99.5, 160.0, 282.0]),
    (Unit::PoolRead, [6.93, 6.93, 8.99]),
    (Unit::PoolRow, [18.4, 18.4, 21.5]),
    (Unit::PoolGiven, [21.7, 20.8, 34.6]),
    (Unit::PoolChannel, [385.0, 394.0, 545.0]),
    (Unit::CsrLayer, [82.7, 81.3, 209.0]),
    (Unit::ColumnsLayer, [123.0, 123.0, 161.0]),
    (Unit::RiceLayer, [227.0, 225.0, 381.0]),
    (Unit::DenseLayer, [94.7, 96.3, 62.9]),
    (Unit::FloatsLayer, [73.6, 195.0, 262.0]),
    (Unit::ConvLayer, [1526.0, 1069.0, 1935.0]),
];
