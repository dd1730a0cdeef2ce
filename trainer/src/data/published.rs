//! The published datasets that Rarefy knows: their files, checksums and mirrors.

use super::normalisation::Normalisation;

/// MNIST's commonly used normalisation.
pub const MNIST_NORMALISATION: Normalisation = Normalisation::published(0.1307, 0.3081);

/// A dataset published as four IDX files.
#[derive(Debug, Clone)]
pub struct Published {
    /// The name that [`catalogue::load`](super::catalogue::load) accepts.
    pub name: &'static str,
    /// A one-line description.
    pub description: &'static str,
    /// Number of training samples.
    pub train: usize,
    /// Number of test samples.
    pub test: usize,
    /// Shape of an image: (channels, height, width).
    pub shape: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// Conversion of a pixel to a network input.
    pub normalisation: Normalisation,
    /// The files, in the order of [`folder::ROLES`](super::folder::ROLES).
    pub files: [PublishedFile; 4],
    /// Base URLs of the mirrors, which serve each file compressed as `NAME.gz`.
    pub mirrors: &'static [&'static str],
    /// The Debian package that installs the set, if there is one.
    pub debian_package: Option<&'static str>,
}

/// One file of a published dataset, described by its uncompressed contents.
///
/// Mirrors compress the same file differently, so lengths and checksums of the compressed form
/// would identify a mirror rather than the file.
#[derive(Debug, Clone, Copy)]
pub struct PublishedFile {
    /// Uncompressed length in bytes.
    pub bytes: u64,
    /// SHA-256 of the uncompressed contents, in hexadecimal.
    pub sha256: &'static str,
}

/// The published datasets.
pub static PUBLISHED: [Published; 2] = [
    Published {
        name: "mnist",
        description: "MNIST: handwritten digits",
        train: 60_000,
        test: 10_000,
        shape: [1, 28, 28],
        classes: 10,
        normalisation: MNIST_NORMALISATION,
        files: [
            PublishedFile {
                bytes: 47_040_016,
                sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            },
            PublishedFile {
                bytes: 60_008,
                sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            },
            PublishedFile {
                bytes: 7_840_016,
                sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            },
            PublishedFile {
                bytes: 10_008,
                sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            },
        ],
        mirrors: &[
            "https://storage.googleapis.com/cvdf-datasets/mnist",
            "https://ossci-datasets.s3.amazonaws.com/mnist",
        ],
        debian_package: None,
    },
    Published {
        name: "fashion-mnist",
        description: "Fashion-MNIST: articles of clothing",
        train: 60_000,
        test: 10_000,
        shape: [1, 28, 28],
        classes: 10,
        normalisation: Normalisation::published(0.2860, 0.3530),
        files: [
            PublishedFile {
                bytes: 47_040_016,
                sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            },
            PublishedFile {
                bytes: 60_008,
                sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            },
            PublishedFile {
                bytes: 7_840_016,
                sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            },
            PublishedFile {
                bytes: 10_008,
                sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            },
        ],
        // This server offers plain HTTP only; the checksums make that safe.
        mirrors: &["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"],
        debian_package: Some("dataset-fashion-mnist"),
    },
];
