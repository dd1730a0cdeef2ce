//! The batches of an epoch. Augmented ones are made by a second thread, one ahead of the step.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use candle_core::{Result, Tensor};

use crate::data::augment::Augmenter;
use crate::data::batches::Batches;
use crate::random::Random;
use crate::threads;

/// A source of the inputs of each batch of an epoch, in order.
pub(super) enum Feed<'a> {
    /// Images as they are.
    Plain(&'a Batches<'a>),
    /// Augmented images, made when they are asked for.
    Augmented(&'a Batches<'a>, Changes<'a>),
    /// The pixels of augmented images, made by another thread.
    Ahead(&'a Batches<'a>, Receiver<Vec<u8>>),
}

/// How the images of an epoch are changed.
pub(super) struct Changes<'a> {
    pub(super) augmenter: Augmenter,
    /// Returns the random stream of an image. It depends on nothing else, so that an image is the
    /// same in whatever batch and thread.
    pub(super) stream: Box<dyn Fn(u32) -> Random + Send + 'a>,
}

impl Changes<'_> {
    /// Returns the pixels of the images with the given indices, changed.
    fn pixels(&self, batches: &Batches<'_>, indices: &[u32]) -> Vec<u8> {
        let images = indices.iter().map(|&index| {
            let image = batches.split().image(index as usize);
            self.augmenter.apply(image, &mut (self.stream)(index))
        });
        images.flatten().collect()
    }
}

impl<'a> Feed<'a> {
    /// Creates the feed of an epoch of `batch` images per step in the given `order`. If there are
    /// `changes`, and if more than one thread may be used, it starts one in `scope`, which ends
    /// when the feed is dropped.
    pub(super) fn new<'scope>(
        scope: &'scope Scope<'scope, 'a>,
        batches: &'a Batches<'a>,
        order: &'a [u32],
        batch: usize,
        changes: Option<Changes<'a>>,
    ) -> Self {
        let Some(changes) = changes else {
            return Self::Plain(batches);
        };
        if threads::is_one() {
            return Self::Augmented(batches, changes);
        }
        Self::ahead(scope, batches, order, batch, changes)
    }

    /// Starts the thread that makes augmented batches.
    fn ahead<'scope>(
        scope: &'scope Scope<'scope, 'a>,
        batches: &'a Batches<'a>,
        order: &'a [u32],
        batch: usize,
        changes: Changes<'a>,
    ) -> Self {
        let (sender, receiver) = sync_channel(1);
        scope.spawn(move || {
            for indices in order.chunks_exact(batch) {
                if sender.send(changes.pixels(batches, indices)).is_err() {
                    return;
                }
            }
        });
        Self::Ahead(batches, receiver)
    }

    /// Returns the inputs of the next batch, which has the images with the given indices.
    ///
    /// # Errors
    /// Returns an error if the device or the other thread fails.
    pub(super) fn next(&self, indices: &[u32]) -> Result<Tensor> {
        match self {
            Self::Plain(batches) => batches.inputs(indices),
            Self::Augmented(batches, changes) => {
                batches.inputs_of(&changes.pixels(batches, indices))
            }
            Self::Ahead(batches, receiver) => {
                let pixels = receiver.recv().map_err(candle_core::Error::wrap)?;
                batches.inputs_of(&pixels)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use candle_core::Device;

    use super::*;
    use crate::data::augment::Augmentation;
    use crate::data::{Normalisation, Split};

    #[test]
    fn images_are_the_same_from_any_thread_and_in_any_batch() {
        let pixels = (0..10 * 16_u32).map(|at| (at * 37 % 256) as u8).collect();
        let split = Split::new(pixels, vec![0; 10], [1, 4, 4]);
        let normalisation = Normalisation::published(0.5, 0.25);
        let batches = Batches::new(&split, &normalisation, &Device::Cpu);
        let changes = || Changes {
            augmenter: Augmenter::new(
                Augmentation {
                    rotation: 30.0,
                    flip: true,
                    ..Augmentation::default()
                },
                split.shape(),
            ),
            stream: Box::new(|image| Random::stream(1, &image.to_string())),
        };
        let rows = |feed: &Feed<'_>, order: &[u32], batch: usize| -> Vec<(u32, Vec<f32>)> {
            let chunks = order.chunks_exact(batch).map(|indices| {
                let rows = feed.next(indices).unwrap().to_vec2::<f32>().unwrap();
                indices.iter().copied().zip(rows).collect::<Vec<_>>()
            });
            let mut rows: Vec<_> = chunks.flatten().collect();
            rows.sort_by_key(|&(image, _)| image);
            rows
        };
        let (order, backwards): (Vec<u32>, Vec<u32>) = ((0..10).collect(), (0..10).rev().collect());
        let inline = rows(&Feed::Augmented(&batches, changes()), &order, 5);
        thread::scope(|scope| {
            let feed = Feed::ahead(scope, &batches, &backwards, 2, changes());
            assert_eq!(rows(&feed, &backwards, 2), inline);
        });
        let plain = rows(&Feed::Plain(&batches), &order, 5);
        assert!(inline.iter().zip(&plain).filter(|(a, b)| a != b).count() > 5);
    }

    #[test]
    fn the_thread_ends_with_an_epoch_that_ends_early() {
        let split = Split::new(vec![7; 400], vec![0; 100], [1, 2, 2]);
        let normalisation = Normalisation::published(0.5, 0.25);
        let batches = Batches::new(&split, &normalisation, &Device::Cpu);
        let order: Vec<u32> = (0..100).collect();
        let changes = Changes {
            augmenter: Augmenter::new(Augmentation::default(), split.shape()),
            stream: Box::new(|_| Random::new(1)),
        };
        // Leaving the scope waits for the thread.
        thread::scope(|scope| {
            let feed = Feed::ahead(scope, &batches, &order, 1, changes);
            assert_eq!(feed.next(&order[..1]).unwrap().dims(), [1, 4]);
        });
    }
}
