//! Rows of features with their labels, before features become bytes.

use super::array::Values;
use crate::data::dataset::Note;

/// Rows of features with their labels.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// The features of all rows, in row-major order.
    pub(super) values: Values,
    /// The classes of the rows; 0 if there are none.
    pub(super) labels: Vec<i64>,
    /// The targets of all rows, in row-major order, if they are numbers; otherwise empty.
    pub(super) targets: Vec<f32>,
    /// Where the labels are in the files, for messages.
    pub(super) rows: Rows,
}

/// Rows of features with their labels as they are written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// The features of all rows, in row-major order.
    pub(super) values: Values,
    /// The labels of the rows.
    pub(super) labels: Labels,
    /// The targets of all rows, in row-major order, if they are numbers; otherwise empty.
    pub(super) targets: Vec<f32>,
    /// Where the labels are in the files, for messages.
    pub(super) rows: Rows,
}

/// Labels as they are written.
#[derive(Debug, Clone)]
pub(super) enum Labels {
    /// The number of each row's class.
    Numbers(Vec<i64>),
    /// The name of each row's class.
    Names(Vec<String>),
}

/// Where the labels of a part are in the files.
#[derive(Debug, Clone)]
pub(super) enum Rows {
    /// In an array, such as "y_train of data.npz".
    Array(String),
    /// In lines of a table.
    Lines {
        /// The table.
        file: String,
        /// The line of each row, from 1.
        lines: Vec<u64>,
    },
    /// In the names of a folder's subfolders.
    Folders(String),
}

impl Rows {
    /// Returns the place of all labels, such as "y_train of data.npz".
    #[must_use]
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Array(name) | Self::Folders(name) => name,
            Self::Lines { file, .. } => file,
        }
    }

    /// Returns the place of the label of `row`, from 0.
    #[must_use]
    pub(super) fn place(&self, row: usize) -> String {
        match self {
            Self::Array(name) => format!("label {row} (from 0) in {name}"),
            Self::Lines { file, lines } => format!("the label in line {} of {file}", lines[row]),
            Self::Folders(name) => format!("a picture in {name}"),
        }
    }
}

/// The parts of a dataset as its files have them.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    /// Rows for training.
    pub(super) train: Part,
    /// Rows for testing, if the files have some.
    pub(super) test: Option<Part>,
    /// The shape of a row's features: (channels, height, width).
    pub(super) shape: [usize; 3],
    /// Whether a row is a list of unlike features, not an image.
    pub(super) is_flat: bool,
    /// The names of the classes, if they have some: those of labels 0, 1 and so on.
    pub(super) class_names: Vec<String>,
    /// The column of labels, if the files are tables.
    pub(super) label: Option<String>,
    /// What in the files was left out, or may not be meant as it was read.
    pub(super) notes: Vec<Note>,
}

impl Parts {
    /// Puts all rows in one class.
    pub(super) fn ignore_labels(&mut self) {
        for part in [&mut self.train].into_iter().chain(&mut self.test) {
            part.labels.fill(0);
        }
        self.class_names.clear();
    }

    /// Returns the part for training and, if there is one, the part for testing.
    pub(super) fn each(&self) -> impl Iterator<Item = &Part> {
        [&self.train].into_iter().chain(&self.test)
    }
}
