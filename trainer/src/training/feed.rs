//! The batches of an epoch. A second thread computes augmented ones ahead of training.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use candle_core::{Result, Tensor};

use crate::data::augment::Augmenter;
use crate::data::batches::Batches;
use crate::random::Random;
use crate::threads;

/// The batches of an epoch, in order.
pub(super) struct Feed<'a> {
    batches: &'a Batches<'a>,
    images: Images<'a>,
    /// The order of the images, if they are kept on a device.
    order: Option<Tensor>,
    /// The number of images taken so far.
    taken: usize,
}

/// Where the images of a batch come from.
enum Images<'a> {
    /// Images as they are.
    Plain,
    /// Augmented images, computed when they are requested.
    Augmented(Changes<'a>),
    /// The pixels of augmented images, computed by another thread.
    Ahead(Receiver<Vec<u8>>),
}

/// The random changes to the images of an epoch.
pub(super) struct Changes<'a> {
    pub(super) augmenter: Augmenter,
    /// Returns the random stream of an image. Within an epoch it depends only on the image's index,
    /// so batch size and threads do not affect the changes.
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
    /// `changes` and more than one thread may be used, starts a thread in `scope`, which ends when
    /// the feed is dropped.
    ///
    /// # Errors
    /// Returns an error if the device fails.
    pub(super) fn new<'scope>(
        scope: &'scope Scope<'scope, 'a>,
        batches: &'a Batches<'a>,
        order: &'a [u32],
        batch: usize,
        changes: Option<Changes<'a>>,
    ) -> Result<Self> {
        let images = match changes {
            None => Images::Plain,
            Some(changes) if threads::is_one() => Images::Augmented(changes),
            Some(changes) => Images::ahead(scope, batches, order, batch, changes),
        };
        Self::of(batches, images, order)
    }

    /// Creates the feed of `images` in the given `order`.
    fn of(batches: &'a Batches<'a>, images: Images<'a>, order: &[u32]) -> Result<Self> {
        Ok(Self {
            batches,
            images,
            order: batches.order(order)?,
            taken: 0,
        })
    }

    /// Returns the inputs and the targets of the next batch, which has the images with the given
    /// indices.
    ///
    /// # Errors
    /// Returns an error if the device or the other thread fails.
    pub(super) fn next(&mut self, indices: &[u32]) -> Result<(Tensor, Tensor)> {
        let batches = self.batches;
        let first = self.taken;
        self.taken += indices.len();
        let place = match &self.order {
            Some(order) => Some(order.narrow(0, first, indices.len())?),
            None => None,
        };
        let inputs = match (&self.images, &place) {
            (Images::Plain, Some(place)) => batches.inputs_at(place)?,
            (Images::Plain, None) => batches.inputs(indices)?,
            (Images::Augmented(changes), _) => {
                batches.inputs_of(&changes.pixels(batches, indices))?
            }
            (Images::Ahead(receiver), _) => {
                let pixels = receiver.recv().map_err(candle_core::Error::wrap)?;
                batches.inputs_of(&pixels)?
            }
        };
        let targets = match &place {
            Some(place) => batches.targets_at(place)?,
            None => batches.targets(indices)?,
        };
        Ok((inputs, targets))
    }
}

impl<'a> Images<'a> {
    /// Starts the thread that computes augmented batches.
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
        Self::Ahead(receiver)
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
        let split = Split::new(pixels, (0..10).collect(), [1, 4, 4]);
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
        let rows = |mut feed: Feed<'_>, order: &[u32], batch: usize| -> Vec<(u32, Vec<f32>)> {
            let chunks = order.chunks_exact(batch).map(|indices| {
                let (inputs, classes) = feed.next(indices).unwrap();
                assert_eq!(classes.to_vec1::<u32>().unwrap(), indices);
                let rows = inputs.to_vec2::<f32>().unwrap();
                indices.iter().copied().zip(rows).collect::<Vec<_>>()
            });
            let mut rows: Vec<_> = chunks.flatten().collect();
            rows.sort_by_key(|&(image, _)| image);
            rows
        };
        let (order, backwards): (Vec<u32>, Vec<u32>) = ((0..10).collect(), (0..10).rev().collect());
        let kept = batches.clone().kept_on_device();
        let feed = |batches, images, order| Feed::of(batches, images, order).unwrap();
        let augmented = || Images::Augmented(changes());
        let inline = rows(feed(&batches, augmented(), &order), &order, 5);
        thread::scope(|scope| {
            for batches in [&batches, &kept] {
                let images = Images::ahead(scope, batches, &backwards, 2, changes());
                let feed = feed(batches, images, &backwards);
                assert_eq!(rows(feed, &backwards, 2), inline);
            }
        });
        let plain = rows(feed(&batches, Images::Plain, &order), &order, 5);
        let gathered = rows(feed(&kept, Images::Plain, &backwards), &backwards, 3);
        assert_eq!(gathered, plain[1..]);
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
            let images = Images::ahead(scope, &batches, &order, 1, changes);
            let mut feed = Feed::of(&batches, images, &order).unwrap();
            assert_eq!(feed.next(&order[..1]).unwrap().0.dims(), [1, 4]);
        });
    }
}
