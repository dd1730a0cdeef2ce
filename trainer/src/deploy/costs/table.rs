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
    (Unit::Inference, [93.1, 91.1, 76.8]),
    (Unit::Layer, [47.8, 50.7, 107.0]),
    (Unit::Walk, [8.22, 3.44, 2.73]),
    (Unit::Mixed, [150.0, 150.0, 4.34]),
    (Unit::Logit, [4.63, 4.65, 4.38]),
    (Unit::CopiedByte, [3.39, 4.73, 0.00]),
    (Unit::CopiedRow, [103.0, 73.8, 104.0]),
    (Unit::ClearedWord, [0.00, 0.39, 1.28]),
    (Unit::CsrWeight, [4.37, 4.37, 6.73]),
    (Unit::CsrRow, [19.0, 19.0, 31.6]),
    (Unit::CsrSum, [14.3, 14.3, 30.0]),
    (Unit::WordsWeight, [3.49, 4.45, 6.36]),
    (Unit::WordsRow, [3.71, 3.96, 9.67]),
    (Unit::WordsRun, [5.43, 4.48, 17.1]),
    (Unit::WordsLong, [0.00, 0.00, 0.00]),
    (Unit::WordsPair, [2.07, 2.56, 8.89]),
    (Unit::WordsRound, [0.00, 0.40, 2.46]),
    (Unit::WordsLast, [13.1, 15.0, 28.8]),
    (Unit::ColumnsBoth, [4.18, 7.18, 11.5]),
    (Unit::ColumnsWeight, [4.26, 5.26, 7.84]),
    (Unit::ColumnsSection, [1.91, 2.04, 14.7]),
    (Unit::ColumnsVisit, [28.7, 31.3, 33.5]),
    (Unit::ColumnsEmpty, [23.1, 25.3, 24.1]),
    (Unit::ColumnsInput, [1.17, 1.19, 1.95]),
    (Unit::ColumnsOutput, [3.74, 3.73, 8.48]),
    (Unit::RiceWeight, [21.8, 21.7, 45.8]),
    (Unit::RiceGap, [4.42, 4.44, 8.98]),
    (Unit::RiceRow, [58.8, 58.7, 92.0]),
    (Unit::RiceRun, [42.2, 42.3, 76.6]),
    (Unit::RiceInput, [10.8, 10.8, 31.9]),
    (Unit::RiceList, [22.3, 22.3, 22.9]),
    (Unit::DenseWeight, [1.57, 2.38, 3.75]),
    (Unit::DenseRest, [6.35, 6.38, 8.00]),
    (Unit::DenseRow, [22.3, 22.3, 31.0]),
    (Unit::FloatsWeight, [13.0, 131.0, 241.0]),
    (Unit::FloatsRow, [53.1, 115.0, 200.0]),
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
    (Unit::ConvBlock8, [61.4, 55.8, 134.0]),
    (Unit::ConvBlock4, [54.7, 48.8, 89.3]),
    (Unit::ConvPooled8, [2.39, 1.94, 15.1]),
    (Unit::ConvPooled4, [3.07, 3.21, 33.5]),
    (Unit::ConvAdded, [32.9, 32.2, 38.4]),
    (Unit::ConvColumn, [0.00, 0.00, 0.00]),
    (Unit::ConvChannel, [319.0, 294.0, 398.0]),
    (Unit::ConvSingle, [6.01, 7.09, 7.87]),
    (Unit::ConvPosition, [24.5, 23.8, 30.5]),
    (Unit::ConvStored, [52.7, 53.9, 62.2]),
    (Unit::PlacedTap, [0.00, 0.00, 0.00]),
    (Unit::PlacedGroup, [17.3, 0.00, 0.00]),
    (Unit::PlacedQuad, [34.0, 0.00, 0.00]),
    (Unit::PlacedRow, [4.51, 0.00, 0.00]),
    (Unit::LooseTap, [3.96, 13.7, 31.6]),
    (Unit::LooseRow, [13.8, 15.1, 25.2]),
    (Unit::ArrangedPair, [0.64, 0.00, 0.00]),
    (Unit::TapWords, [15.4, 6.72, 18.3]),
    (Unit::TapCsr, [19.5, 10.6, 15.6]),
    (Unit::TapDense, [5.79, 7.57, 10.0]),
    (Unit::TapKept, [11.0, 0.00, 0.00]),
    (Unit::TapRice, [77.7, 69.2, 99.4]),
    (Unit::TapRiceRow, [138.0, 170.0, 395.0]),
    (Unit::PoolRead, [6.94, 6.93, 8.99]),
    (Unit::PoolRow, [18.4, 18.5, 21.6]),
    (Unit::PoolGiven, [21.8, 20.8, 34.5]),
    (Unit::PoolChannel, [379.0, 388.0, 537.0]),
    (Unit::CsrLayer, [82.6, 80.0, 207.0]),
    (Unit::ColumnsLayer, [124.0, 122.0, 152.0]),
    (Unit::RiceLayer, [233.0, 230.0, 371.0]),
    (Unit::DenseLayer, [96.5, 95.2, 61.6]),
    (Unit::FloatsLayer, [72.0, 133.0, 106.0]),
    (Unit::ConvLayer, [429.0, 181.0, 148.0]),
];
