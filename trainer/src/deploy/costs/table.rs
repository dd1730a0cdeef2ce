//! The operations that kernels repeat, and the cost of each: the table that `cargo xtask bench
//! kernels` fits and prints.

/// An operation that an inference repeats, with a cost of its own. The cost of an operation that
/// contains others excludes theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// An inference, excluding its layers.
    Inference,
    /// A layer, excluding its weights.
    Layer,
    /// A layer of a network with maps: reading its geometry.
    Walk,
    /// Dispatch cost of mixing encodings: per layer, for each encoding of the network beyond the
    /// first.
    Mixed,
    /// A logit, for finding the largest.
    Logit,
    /// A byte of a padded input that is copied.
    CopiedByte,
    /// A row of a padded input that is copied.
    CopiedRow,
    /// A word of a map with a margin that is cleared.
    ClearedWord,
    /// A weight of compressed rows.
    CsrWeight,
    /// A row of compressed rows.
    CsrRow,
    /// A row of compressed rows in the last layer, which stores the sum itself.
    CsrSum,
    /// A weight of packed words, including those that pad a row.
    WordsWeight,
    /// A row of packed words.
    WordsRow,
    /// A run of rows of equal length.
    WordsRun,
    /// A row of at least eight words; on RV32IM, of at least nine.
    WordsLong,
    /// Two words, or the last one, after the first eight words and the rounds of eight.
    WordsPair,
    /// A round of eight words after the first eight.
    WordsRound,
    /// A row of packed words in the last layer.
    WordsLast,
    /// A row that reads both inputs of a pair, counted if at least one of them is nonzero.
    ColumnsBoth,
    /// A row that reads a nonzero input, but not its partner.
    ColumnsWeight,
    /// A nonzero input that some row reads without its partner.
    ColumnsSection,
    /// A pair of inputs, at least one of them nonzero, that some row reads.
    ColumnsVisit,
    /// A pair of inputs, at least one of them nonzero, that no row reads.
    ColumnsEmpty,
    /// An input of a layer in `columns`, zero or not.
    ColumnsInput,
    /// An output of a layer in `columns`: initialising and storing its sum.
    ColumnsOutput,
    /// A weight of entropy-coded rows.
    RiceWeight,
    /// A coded gap between two weights of entropy-coded rows.
    RiceGap,
    /// An entropy-coded row.
    RiceRow,
    /// A run of entropy-coded rows of equal length.
    RiceRun,
    /// An input in the list of used inputs of entropy-coded rows.
    RiceInput,
    /// A run of consecutive inputs in that list.
    RiceList,
    /// A weight of dense rows, zero or not, in a group of columns; those of recomputed rows count
    /// again.
    DenseWeight,
    /// A weight of dense rows in the columns left over from groups.
    DenseRest,
    /// A dense row; a recomputed row counts again.
    DenseRow,
    /// An f32 weight that reads a nonzero byte of the input.
    FloatsByte,
    /// An f32 weight that reads a zero byte of the input.
    FloatsZeroByte,
    /// An f32 weight that reads a nonzero activation.
    FloatsWeight,
    /// An f32 weight that reads an activation of 0.
    FloatsZero,
    /// A row of f32 weights.
    FloatsRow,
    /// A row of f32 weights in the last layer, which stores the sum as an integer.
    FloatsSum,
    /// A quad of taps multiplied for eight positions.
    ConvQuad,
    /// The additional cost of a multiplied quad when the kernel tests for zeros.
    ConvLook,
    /// A quad of taps that is skipped, since it reads only zeros.
    ConvSkipped,
    /// A pair of taps for eight positions, excluding the products.
    ConvPair,
    /// The additional cost of a pair when the kernel tests for zeros.
    ConvPairLook,
    /// The products of a pair of taps for four of eight positions.
    ConvHalf,
    /// A quad of taps for four positions.
    ConvQuad4,
    /// A pair of taps for four positions.
    ConvPair4,
    /// A pair of taps for eight positions at stride 2; on cores without the DSP extension a single
    /// tap at any stride.
    ConvTap8,
    /// The same as [`ConvTap8`](Self::ConvTap8), for four positions.
    ConvTap4,
    /// A block of eight positions.
    ConvBlock8,
    /// A block of four positions.
    ConvBlock4,
    /// The additional cost of a block of eight positions that are pooled.
    ConvPooled8,
    /// The additional cost of a block of four positions that are pooled.
    ConvPooled4,
    /// Four positions to which a skip is added.
    ConvAdded,
    /// A column of blocks of an output channel.
    ConvColumn,
    /// An output channel of a convolution.
    ConvChannel,
    /// A tap at a position that is computed singly, outside blocks.
    ConvSingle,
    /// A position of an output channel that is computed singly.
    ConvPosition,
    /// A stored output of positions that are computed singly.
    ConvStored,
    /// A tap placed by the pass that forms quads.
    PlacedTap,
    /// A group of taps in that pass.
    PlacedGroup,
    /// A quad formed by that pass.
    PlacedQuad,
    /// An advance of that pass to the next row of the window.
    PlacedRow,
    /// A tap placed without forming quads.
    LooseTap,
    /// An advance to the next row of the window without forming quads.
    LooseRow,
    /// A pair formed of two single taps.
    ArrangedPair,
    /// Reading a convolution's weight from packed words, including those that pad a row.
    TapWords,
    /// Reading a convolution's weight from compressed rows.
    TapCsr,
    /// Reading a convolution's weight, zero or not, from dense rows.
    TapDense,
    /// The additional cost of a nonzero weight read from dense rows.
    TapKept,
    /// Reading a convolution's weight from entropy-coded rows.
    TapRice,
    /// Reading an entropy-coded row of a convolution.
    TapRiceRow,
    /// An input that a pooling layer reads.
    PoolRead,
    /// A row of a window of a pooling layer.
    PoolRow,
    /// An output of a pooling layer.
    PoolGiven,
    /// A channel of a pooling layer.
    PoolChannel,
    /// The cost of a dense layer in compressed rows beyond that of one in `words`.
    CsrLayer,
    /// The cost of a dense layer in `columns` beyond that of one in `words`.
    ColumnsLayer,
    /// The cost of a dense layer in entropy-coded rows beyond that of one in `words`.
    RiceLayer,
    /// The cost of a dense layer in dense rows beyond that of one in `words`.
    DenseLayer,
    /// The cost of a dense layer of f32 weights beyond that of one in `words`.
    FloatsLayer,
    /// The cost of a convolution beyond that of a dense layer in `words`.
    ConvLayer,
    /// A run of rows of more than eight words, where it costs more than one of shorter rows.
    WordsLongRun,
    /// A weight of dense rows whose input is nonzero, where the kernel skips inputs that are 0;
    /// those of recomputed rows count again.
    DenseActive,
}

/// Instructions per unit on Cortex-M4, M3, M0 and RV32IM.
pub const COSTS: [(Unit, [f64; 4]); 85] = [
    (Unit::Inference, [77.6, 82.1, 78.6, 222.0]),
    (Unit::Layer, [55.1, 53.8, 103.0, 44.1]),
    (Unit::Walk, [17.1, 4.34, 3.49, 4.63]),
    (Unit::Mixed, [24.5, 24.6, 36.8, 83.4]),
    (Unit::Logit, [4.52, 4.60, 4.44, 0.00]),
    (Unit::CopiedByte, [5.85, 5.85, 0.40, 1.55]),
    (Unit::CopiedRow, [60.3, 62.3, 105.0, 94.8]),
    (Unit::ClearedWord, [0.00, 0.00, 2.40, 3.86]),
    (Unit::CsrWeight, [4.37, 4.37, 6.71, 6.53]),
    (Unit::CsrRow, [18.9, 19.0, 31.9, 32.7]),
    (Unit::CsrSum, [14.6, 14.4, 30.0, 8.06]),
    (Unit::WordsWeight, [3.49, 4.50, 6.42, 6.05]),
    (Unit::WordsRow, [3.67, 3.67, 9.31, 5.20]),
    (Unit::WordsRun, [5.12, 5.04, 18.6, 13.7]),
    (Unit::WordsLong, [0.00, 0.00, 0.00, 8.00]),
    (Unit::WordsPair, [2.13, 2.33, 8.29, 0.00]),
    (Unit::WordsRound, [0.00, 0.02, 2.13, 2.39]),
    (Unit::WordsLast, [13.5, 15.4, 29.2, 12.5]),
    (Unit::ColumnsBoth, [4.17, 7.17, 11.5, 8.28]),
    (Unit::ColumnsWeight, [4.26, 5.26, 7.84, 9.26]),
    (Unit::ColumnsSection, [2.07, 2.22, 14.8, 0.95]),
    (Unit::ColumnsVisit, [28.5, 31.1, 33.3, 9.30]),
    (Unit::ColumnsEmpty, [23.0, 25.1, 24.1, 0.00]),
    (Unit::ColumnsInput, [1.18, 1.21, 1.90, 18.6]),
    (Unit::ColumnsOutput, [3.81, 3.76, 8.42, 11.0]),
    (Unit::RiceWeight, [21.7, 21.7, 45.7, 43.9]),
    (Unit::RiceGap, [4.36, 4.38, 8.86, 0.00]),
    (Unit::RiceRow, [61.6, 61.5, 98.3, 75.0]),
    (Unit::RiceRun, [39.6, 39.7, 70.3, 106.0]),
    (Unit::RiceInput, [11.0, 10.9, 32.8, 51.8]),
    (Unit::RiceList, [22.1, 22.1, 20.8, 0.00]),
    (Unit::DenseWeight, [1.57, 2.38, 3.76, 0.69]),
    (Unit::DenseRest, [6.43, 6.40, 8.00, 8.00]),
    (Unit::DenseRow, [21.8, 21.8, 29.9, 35.1]),
    (Unit::FloatsByte, [13.0, 155.0, 306.0, 190.0]),
    (Unit::FloatsZeroByte, [13.0, 93.1, 137.0, 87.0]),
    (Unit::FloatsWeight, [12.0, 140.0, 249.0, 102.0]),
    (Unit::FloatsZero, [12.0, 85.7, 130.0, 130.0]),
    (Unit::FloatsRow, [52.9, 105.0, 154.0, 150.0]),
    (Unit::FloatsSum, [40.6, 184.0, 363.0, 259.0]),
    (Unit::ConvQuad, [35.0, 0.00, 0.00, 0.00]),
    (Unit::ConvLook, [6.00, 0.00, 0.00, 0.00]),
    (Unit::ConvSkipped, [10.0, 0.00, 0.00, 0.00]),
    (Unit::ConvPair, [11.0, 0.00, 0.00, 0.00]),
    (Unit::ConvPairLook, [4.00, 0.00, 0.00, 0.00]),
    (Unit::ConvHalf, [10.0, 0.00, 0.00, 0.00]),
    (Unit::ConvQuad4, [20.0, 0.00, 0.00, 0.00]),
    (Unit::ConvPair4, [17.0, 0.00, 0.00, 0.00]),
    (Unit::ConvTap8, [37.0, 21.0, 29.0, 31.0]),
    (Unit::ConvTap4, [21.0, 13.0, 17.0, 19.0]),
    (Unit::ConvBlock8, [58.3, 54.4, 131.0, 127.0]),
    (Unit::ConvBlock4, [46.9, 44.7, 80.4, 93.7]),
    (Unit::ConvPooled8, [0.38, 1.05, 13.8, 15.9]),
    (Unit::ConvPooled4, [4.62, 3.76, 35.4, 36.8]),
    (Unit::ConvAdded, [32.4, 32.3, 37.7, 40.7]),
    (Unit::ConvColumn, [0.82, 0.12, 0.38, 0.73]),
    (Unit::ConvChannel, [297.0, 271.0, 378.0, 610.0]),
    (Unit::ConvSingle, [5.85, 7.01, 7.77, 6.25]),
    (Unit::ConvPosition, [25.7, 24.2, 30.9, 23.0]),
    (Unit::ConvStored, [52.9, 53.2, 60.3, 80.4]),
    (Unit::PlacedTap, [0.00, 0.00, 0.00, 0.00]),
    (Unit::PlacedGroup, [15.8, 0.00, 0.00, 0.00]),
    (Unit::PlacedQuad, [39.7, 0.00, 0.00, 0.00]),
    (Unit::PlacedRow, [7.92, 0.00, 0.00, 0.00]),
    (Unit::LooseTap, [5.33, 12.3, 24.9, 0.00]),
    (Unit::LooseRow, [10.2, 13.7, 20.5, 2.27]),
    (Unit::ArrangedPair, [2.12, 0.00, 0.00, 0.00]),
    (Unit::TapWords, [13.9, 9.00, 21.4, 24.4]),
    (Unit::TapCsr, [17.5, 10.9, 20.3, 19.6]),
    (Unit::TapDense, [7.12, 8.52, 12.0, 7.86]),
    (Unit::TapKept, [8.19, 0.00, 0.00, 0.00]),
    (Unit::TapRice, [77.7, 71.6, 111.0, 68.6]),
    (Unit::TapRiceRow, [99.5, 160.0, 282.0, 1660.0]),
    (Unit::PoolRead, [6.93, 6.93, 8.99, 6.39]),
    (Unit::PoolRow, [18.4, 18.4, 21.5, 14.1]),
    (Unit::PoolGiven, [21.7, 20.8, 34.6, 25.0]),
    (Unit::PoolChannel, [385.0, 394.0, 545.0, 531.0]),
    (Unit::CsrLayer, [82.7, 81.3, 209.0, 110.0]),
    (Unit::ColumnsLayer, [123.0, 123.0, 161.0, 34.5]),
    (Unit::RiceLayer, [227.0, 225.0, 381.0, 455.0]),
    (Unit::DenseLayer, [94.7, 96.3, 62.9, 28.2]),
    (Unit::FloatsLayer, [98.1, 196.0, 379.0, 322.0]),
    (Unit::ConvLayer, [1526.0, 1069.0, 1935.0, 0.00]),
    (Unit::WordsLongRun, [0.00, 0.00, 0.00, 0.00]),
    (Unit::DenseActive, [0.00, 0.00, 0.00, 3.00]),
];
